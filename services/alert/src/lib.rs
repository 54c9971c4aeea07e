//! Live status and alerts per device.
//!
//! Guarantees: an alert message is in the topic and its newest revision in the table before the input behind it counts as
//! read; the same input makes the same alert ids, so what is done twice after a crash ends in the same place; a late
//! reading never overwrites a newer status.
//!
//! Does not do: validate readings (it trusts `validate`'s decisions), deliver notifications for certain (the webhook is
//! best effort), keep history (the lake does).

mod app;
mod config;
pub mod core;
mod edge;
pub mod metrics;

/// The tables, for tests that race writers against each other.
pub mod stores {
    pub use crate::edge::{AlertsTable, Dynamo, Patience, StatusTable, create_missing};
}

pub use app::App;
pub use config::{Config, DynamoConfig, FlushConfig, InputConfig, TopicsConfig, WebhookConfig};

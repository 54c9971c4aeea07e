//! Thin translations between the core and Kafka, DynamoDB and HTTP. No decisions here.

mod address_guard;
mod alerts_table;
mod decisions;
mod device_feed;
mod dynamo;
mod events;
mod input;
mod letters;
mod owned;
mod publisher;
mod retry;
mod status_table;
mod tables;
mod webhook;
mod worker;

pub use self::alerts_table::AlertsTable;
pub(crate) use self::decisions::DecisionReader;
pub(crate) use self::device_feed::DeviceFeed;
pub use self::dynamo::Dynamo;
pub(crate) use self::events::EventReader;
pub(crate) use self::input::Inputs;
pub(crate) use self::letters::Letters;
pub(crate) use self::publisher::Publisher;
pub use self::retry::Patience;
pub use self::status_table::StatusTable;
pub use self::tables::create_missing;
pub(crate) use self::webhook::{Notifier, target as webhook_target};
pub(crate) use self::worker::{Stores, Unflushed, Worker};

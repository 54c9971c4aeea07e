//! Loads every snapshot of the lake into the warehouse exactly once.
//!
//! The lake table's own log says what there is to load; the ledger in the warehouse says what is loaded. A snapshot's rows
//! and its ledger row are written in one transaction, under a lock per table: loading twice, two loaders at once, and a
//! connection that breaks between the commit and its confirmation all end with the same rows.
//!
//! What it does not do: it does not transform (dbt does, which it can start), it does not delete what other engines
//! removed from the lake, and it does not move past a snapshot that has expired before it was loaded.

mod app;
pub mod config;
pub mod core;
pub mod edge;
pub mod metrics;

pub use app::App;
pub use config::Config;

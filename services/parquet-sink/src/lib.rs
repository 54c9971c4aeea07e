//! Writes what the pipeline decided to the lake: topics in, Iceberg tables out.
//!
//! What it guarantees: every record of a topic is taken into its table exactly once, however often the process dies, is
//! started twice or is revoked in the middle. The offsets are part of the commit that adds the rows, and a commit on
//! anything but the newest state of the table is refused; see [`core::progress`] and `lake`.
//!
//! What it does not do: it validates nothing, it changes no value, and it never deletes. Rows that could not be written
//! in time are read again.
//!
//! A route feeds one table from one topic, with a consumer of its own. `readings` and `rejected` both come from the
//! decisions and are two routes: each table says by itself how far it is, so a crash between their commits neither
//! loses nor doubles a row.

mod app;
mod config;
pub mod core;
mod edge;
mod metrics;

pub use app::App;
pub use config::{Config, RouteConfig, Routes, SinkConfig};

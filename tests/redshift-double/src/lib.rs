//! A double of Amazon Redshift for tests: PostgreSQL's wire in front of a real PostgreSQL.
//!
//! It understands what the loader's `redshift` dialect says (columnar COPY of a manifest, Redshift's table attributes and
//! time functions), does not enforce keys, refuses what Redshift refuses, and fails on demand: error 1023, and connections
//! that end before, during and after a COMMIT. What it shows and what it does not stands in its README; a figure that
//! comes from it always says so.

pub mod core;
mod edge;

pub use crate::core::faults::{ConflictAt, CutAt, Fault};
pub use crate::edge::server::{Double, Settings};
pub use crate::edge::store::S3Settings;
pub use crate::edge::upstream::Isolation;

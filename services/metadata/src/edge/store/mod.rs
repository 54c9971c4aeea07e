//! Statements. Each function runs in the transaction of its caller, who commits.

pub(crate) mod alerts;
pub(crate) mod api_keys;
pub(crate) mod bulk;
pub(crate) mod customers;
pub(crate) mod devices;
pub mod outbox;
pub(crate) mod sites;
pub(crate) mod tenants;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use crate::core::register::Revision;
use crate::edge::StoreError;

/// Microseconds since 1970 for the database.
fn instant(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).expect("instants are checked to lie within the years 1 to 9999")
}

/// Microseconds since 1970 from the database.
fn micros(row: &Row, column: &str) -> i64 {
    row.get::<_, DateTime<Utc>>(column).timestamp_micros()
}

fn micros_if_any(row: &Row, column: &str) -> Option<i64> {
    row.get::<_, Option<DateTime<Utc>>>(column).map(|instant| instant.timestamp_micros())
}

fn revision(row: &Row) -> Revision {
    Revision { version: row.get("version"), updated_at: micros(row, "updated_at") }
}

/// Compares the version that a caller saw with the one that is stored and locked.
fn expect_version(expected: i64, current: i64) -> Result<(), StoreError> {
    if expected == 0 || expected == current {
        return Ok(());
    }
    Err(StoreError::VersionMismatch { expected, current })
}

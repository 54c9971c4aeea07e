//! The loader against the real components of the local stack: PostgreSQL, S3, the Iceberg catalog, Kafka, the registry.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that does not work")]

mod app;
mod attacked;
mod devices;
mod exactly_once;
mod fixture;
mod proxy;
mod quarantine;
mod refresher;

//! The loader against the real components of the local stack: PostgreSQL, S3, the Iceberg catalog, Kafka, the registry.

mod app;
mod devices;
mod exactly_once;
mod fixture;
mod proxy;
mod quarantine;
mod refresher;

//! Thin IO around the core: PostgreSQL, gRPC, Kafka.

pub mod database;
mod error;
pub mod grpc;
pub mod migrations;
mod publisher;
pub mod relay;
pub(crate) mod store;

pub use error::StoreError;

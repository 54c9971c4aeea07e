//! Thin IO around the core: PostgreSQL, gRPC, Kafka.

pub mod database;
mod error;
pub mod grpc;
pub mod migrations;
mod publisher;
pub mod relay;
pub mod store;

pub use error::StoreError;

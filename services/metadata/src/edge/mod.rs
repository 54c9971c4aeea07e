//! Thin IO around the core: PostgreSQL, gRPC, Kafka.

pub mod database;
mod error;
pub mod grpc;
pub mod migrations;
mod publisher;
pub mod relay;
pub mod store;
mod tls;

pub use error::StoreError;

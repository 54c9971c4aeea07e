//! Thin IO: HTTP in, gRPC and Kafka out.

pub mod body;
pub mod http;
pub mod keys;
pub mod problem;
pub mod publish;

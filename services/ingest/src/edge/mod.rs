//! Thin IO: HTTP in, gRPC, Kafka and DynamoDB out.

pub mod body;
pub mod http;
mod intake;
pub mod keys;
pub(crate) mod once;
pub mod problem;
pub mod publish;
mod requests;
mod search;

//! Against the brokers and the registry of the local stack, and against librdkafka's mock cluster where that is enough.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod churn;
mod consumer;
mod groups;
mod headers;
mod mock;
mod producer;
mod registry;
mod support;
mod topics;

//! The service over gRPC, on the real PostgreSQL and the real Kafka of the stack; each test has a database of its own.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test itself")]

mod alerts;
mod api_keys;
mod bulk;
mod isolation;
mod outbox;
mod register;
mod support;
mod tls;

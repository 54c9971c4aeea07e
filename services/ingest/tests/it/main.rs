//! The door as a process of its own over the real broker, registry and DynamoDB Local. Needs the local stack.

#![expect(clippy::unwrap_used, reason = "helpers of tests end with a panic, as tests do")]

mod broker;
mod idempotency;
mod proxy;
mod world;

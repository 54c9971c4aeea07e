//! The door as a process of its own over the real broker, registry and DynamoDB Local. Needs the local stack.

mod broker;
mod idempotency;
mod proxy;
mod world;

//! The service against a real broker, registry and DynamoDB Local (an emulator) of the local stack.

#![expect(clippy::unwrap_used, reason = "a helper of a test that can't go on has failed the test")]

mod crash;
mod poison;
mod scenarios;
mod stores;
mod world;

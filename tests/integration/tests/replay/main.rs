//! Replay and backfill: the services that they concern, as processes, on topics, tables and a warehouse of their own.
//!
//! Needs the local stack and the built binaries: run `make test`.
#![expect(clippy::unwrap_used, reason = "helpers of tests end with a panic, as tests do")]

mod backfill;
mod fleet;
mod lane;
mod process;
mod world;

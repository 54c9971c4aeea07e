//! The whole service on a real broker, registry, object store and catalog.
#![expect(clippy::unwrap_used, reason = "helpers of tests end with a panic, as tests do")]

mod crash_replay;
mod dead_letters;
mod fail_points;
mod happy_path;
mod isolation;
mod outage;
mod poison;
mod probe;
mod rebalance;
mod topics;
mod world;
mod zombie;

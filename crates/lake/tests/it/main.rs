//! The lake on the real SQL catalog and the real object store of the local stack.

#![expect(clippy::unwrap_used, reason = "helpers of tests end with a panic, as tests do")]

mod clean;
mod commit_race;
mod common;
mod files;
mod probe;

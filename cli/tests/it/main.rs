//! The program as people run it, on the real components of the local stack.
#![expect(clippy::unwrap_used, reason = "helpers of tests end with a panic, as tests do")]

mod dlq;
mod dlq_replay;
mod doctor;
mod lake;
mod simulate;
mod status;
mod support;

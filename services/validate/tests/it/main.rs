//! The service as a process, on the real broker and registry.

#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

mod decisions;
mod fail_points;
mod fixture;
mod fleet;
mod happy_path;
mod planted;
mod poison;
mod replay;
mod restart;
mod topics;
mod zombie;

//! The runtime as a process sees it: sockets, signals, exit codes.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test itself")]

mod admin;
mod faults;
mod lifecycle;

//! The decisions of a consumer. Nothing in here performs IO, waits, or reads a clock.

pub mod position;
pub mod revocation;

//! Decisions without IO, async or clock.

pub mod access;
pub mod cursor;
pub mod espi;
pub mod gaps;
pub mod query;
pub mod sampler;

//! Decisions of the door. Nothing in here performs IO, reads a clock, or knows of HTTP.

pub mod delivery;
pub mod document;
pub mod once;
pub mod rate;

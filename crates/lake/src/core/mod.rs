//! The decisions of this crate. Nothing in here performs IO, is async or reads a clock.

pub mod commit;
pub mod heads;
pub mod history;
pub mod partition;

#[cfg(test)]
mod heads_tests;

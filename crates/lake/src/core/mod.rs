//! The decisions of this crate. Nothing in here performs IO, is async or reads a clock.

pub mod commit;
pub mod gap;
pub mod heads;
pub mod history;
pub mod orphans;
pub mod partition;
pub mod reset;
pub mod standing;

#[cfg(test)]
mod heads_tests;
#[cfg(test)]
mod orphans_tests;
#[cfg(test)]
mod reset_tests;

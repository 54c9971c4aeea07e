//! Decisions about readings. Nothing in here performs IO, waits, or reads a clock: time comes in as an argument.
//!
//! The way of a message: [`block`] takes it from its block, [`columns`] borrows its content, [`decide::Validator`] asks the rules of [`rules`]
//! what they say in the light of the [`devices`] and the [`history`], and [`decision`] writes the result as one datum.
//! [`flight`] follows decisions on their way to the output, and [`checkpoint`] says where to go on after a restart.

pub mod block;
pub mod checkpoint;
pub mod columns;
pub mod decide;
pub mod decision;
pub mod devices;
pub mod flight;
pub mod history;
pub mod replay;
pub mod rules;
pub mod tally;
pub mod thresholds;

#[cfg(test)]
pub(crate) mod testing;

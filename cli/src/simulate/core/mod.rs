//! What a fleet delivers and what is wrong with it: pure functions of the scenario. Nothing in here performs IO, waits, or
//! reads a clock; the instant that "now" stands for comes in as an argument.

pub(crate) mod calendar;
pub(crate) mod fault;
pub(crate) mod fleet;
pub(crate) mod inject;
pub(crate) mod malformed;
pub(crate) mod mix;
pub(crate) mod plan;
pub(crate) mod scenario;
pub(crate) mod shape;
pub(crate) mod truth;
pub(crate) mod usage;

#[cfg(test)]
mod tests;

//! Decisions of the attack: which fault when, and what the samples mean. Nothing in here performs IO or reads a clock.

pub mod dice;
pub mod fault;
pub mod figures;
pub mod gauges;
pub mod plan;

//! The rules over whole partitions: tables of scenarios first, then what must hold for any input.

mod properties;
mod scenarios;
mod status;
mod support;

//! The exactly-once path in a model of its world: Kafka, groups, Iceberg's catalogue, the warehouse. The decisions are the
//! product's own (`core` of `validate`, `parquet-sink`, `redshift-loader`, `lake`, `kafka-pipeline`); only the drivers around
//! them are the simulation's.
//!
//! What it guarantees: a run is a function of its seed. There is no clock, no thread, no async and no order of a hash map
//! in it. See the README for what the model contains and what it does not.

pub mod actor;
pub mod bug;
pub mod chance;
pub mod content;
pub mod oracle;
pub mod plan;
pub mod run;
pub mod shrink;
pub mod step;
pub mod world;

#[cfg(test)]
mod tests;

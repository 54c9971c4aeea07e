//! Turns each message of the raw topic into exactly one decision in the validated topic.
//!
//! Guarantees: per partition, the first decisions in the validated topic are about the raw offsets in their order, none
//! missing and none twice, whatever crashed in between; a decision states what became of every reading of its message;
//! what was rejected lies in the rejected topic with its bytes unchanged before the decision says so.
//!
//! Does not do: prevent that a reading older than what is remembered is accepted twice (see [`core::history`]); write to
//! stores; judge events or aggregates.

pub mod app;
pub mod config;
pub mod core;
mod edge;
pub mod metrics;

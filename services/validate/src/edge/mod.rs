//! Kafka on both sides of the core: thin, and the only part that waits.

pub(crate) mod assignment;
pub(crate) mod devices;
pub(crate) mod line;
pub(crate) mod memory;
pub(crate) mod objection;
pub(crate) mod partition;
pub(crate) mod queue;
pub(crate) mod resume;

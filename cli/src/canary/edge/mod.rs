//! Thin IO: the register, the two ways in, and the four stages.

pub(crate) mod lake;
pub(crate) mod live;
pub(crate) mod metrics;
pub(crate) mod register;
pub(crate) mod shared;
pub(crate) mod topic;
pub(crate) mod warehouse;
pub(crate) mod write;

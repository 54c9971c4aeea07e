//! What the canary knows and decides. Pure: no IO, no clock, nothing asynchronous.

pub(crate) mod known;
pub(crate) mod ledger;

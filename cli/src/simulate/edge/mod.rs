//! The simulator's way to the outside: reads the series, sends what the core says, keeps what was acknowledged.

pub(crate) mod http;
pub(crate) mod journal;
pub(crate) mod kafka;
pub(crate) mod keys;
pub(crate) mod pace;
pub(crate) mod runner;
pub(crate) mod series;
pub(crate) mod trickle;
pub(crate) mod ways;

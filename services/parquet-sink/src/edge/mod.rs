//! Thin IO: consume, decode, write, commit, announce. What is decided is decided in [`crate::core`].

pub(crate) mod guard;
pub(crate) mod hints;
pub(crate) mod intake;
mod isolate;
pub(crate) mod patience;
pub(crate) mod publish;
pub(crate) mod route;

//! What attacks the running system, and what finds out afterwards whether it kept its promises.
//!
//! For tests only: no service depends on it.

pub mod core;
pub mod edge;
pub mod proxy;

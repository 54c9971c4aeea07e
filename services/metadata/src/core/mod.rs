//! Decisions of the register. Nothing in here performs IO or reads a clock.

pub mod alert;
pub mod api_key;
pub mod bulk;
pub mod device;
pub mod fields;
pub mod names;
pub mod page;
pub mod register;

//! The loader's decisions. Nothing in here performs IO or reads a clock.

pub mod binary_copy;
pub mod bisect;
pub mod devices;
pub mod job;
pub mod redshift;
pub mod redshift_blame;
pub mod redshift_devices;
pub mod refresh;
pub mod table;

//! Thin contact with the outside: the lake, the warehouse, Kafka, the dbt process.

pub mod announcer;
pub mod devices;
pub mod hints;
pub mod loader;
pub mod postgres;
pub mod redshift;
pub mod refresher;
pub mod warehouse;

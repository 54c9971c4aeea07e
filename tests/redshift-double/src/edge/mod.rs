//! The double's IO: clients, the PostgreSQL behind, S3, and the endpoint for faults.

pub(crate) mod connection;
pub(crate) mod control;
pub(crate) mod copy;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod upstream;

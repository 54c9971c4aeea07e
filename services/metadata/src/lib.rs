//! The register of tenants, customers, sites, devices, API keys and alert settings, over gRPC.
//!
//! Guarantees: a tenant sees and changes its own rows only, enforced by the database; every committed change of a device
//! reaches the topic of devices at least once, and the newest version last. Does not do: authentication of people (the
//! dashboard's), enforcement of rates (ingest's).

pub mod app;
pub mod config;
pub mod core;
pub mod edge;
pub mod metrics;

use service_runtime::ServiceInfo;

/// What the service says of itself.
pub const INFO: ServiceInfo = ServiceInfo {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    defaults: include_str!("../config.default.toml"),
};

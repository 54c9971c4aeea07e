//! What utility staff and their customers see: the API, the live stream and the web page.
//!
//! Guarantees: who somebody is, their role, tenant and customer come from a verified token and from nowhere else; rows of
//! the warehouse are read in transactions that row-level security binds to that tenant and customer; what belongs to somebody else
//! is answered exactly as what does not exist. Every route stands in one table ([`edge::routes`]), from which the router, the
//! permissions and the OpenAPI document are made. What a client can make the service hold is bounded.
//!
//! Does not do: change readings or alerts. It reads what the other services stored; it writes acknowledgements, settings and
//! the audit log into a database of its own, and asks `metadata` to onboard devices.

pub mod app;
pub mod config;
pub mod core;
pub mod edge;
pub mod metrics;

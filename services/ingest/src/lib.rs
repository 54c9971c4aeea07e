//! HTTP door for gateways that do not speak Kafka.
//!
//! Guarantees: a delivery is answered 202 only after the broker's delivery report for every message made of it; a request
//! that is refused or not answered may be sent again, and with an `Idempotency-Key` it is then stored once and answered the
//! same, whichever replica is asked. Bodies are limited before and after decompression, and everything
//! in flight is bounded.
//!
//! Does not do: validation of readings (that is `validate`'s, where the bytes are kept), deduplication of requests without a
//! key.

pub mod app;
pub mod config;
pub mod core;
pub mod edge;
pub mod metrics;

//! The proxies between real clients and real servers.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test itself")]

mod http_proxy;
mod postgres;
mod s3;
mod server;
mod tcp_proxy;

//! Loopback proxies between a service and what it stands on. They pass everything on unchanged, byte for byte, until they
//! are told to fail, and they count what they did.
//!
//! [`HttpProxy`] knows requests and answers and is meant for S3; [`TcpProxy`] knows bytes only and is meant for PostgreSQL,
//! the schema registry and DynamoDB. Neither changes the `Host` header, which the signature of an S3 request covers: a
//! service that is given the proxy's address signs that address, and the server checks what it is sent.
//!
//! What they do not do: TLS, HTTP/2, HTTP pipelining; no promise that a draw of [`Times::Share`] falls on the same request
//! twice when requests race, only that the draws come in the same order for the same seed.

mod counts;
mod gate;
mod http;
mod message;
mod rules;
mod tcp;

pub use self::counts::Counts;
pub use self::http::HttpProxy;
pub use self::rules::{HttpFault, Rule, RuleId, Times};
pub use self::tcp::{Moment, TcpProxy};

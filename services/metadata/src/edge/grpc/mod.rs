//! The gRPC services: read a request, run a transaction, answer.

mod alerts;
mod api_keys;
mod auth;
mod customers;
mod devices;
mod server;
mod sites;
mod status;
mod tenants;

use std::sync::Arc;
use std::time::{Duration, Instant};

use service_runtime::Clock;
use tokio::sync::Notify;
use tonic::{Response, Status};

pub use self::server::{GrpcServer, set_serving};

use crate::edge::StoreError;
use crate::edge::database::Database;
use crate::metrics;

/// The register behind all services; clones share it.
#[derive(Clone)]
pub struct Register {
    /// The store.
    pub database: Database,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Rung after each committed change of a device.
    pub changes: Arc<Notify>,
    /// How long a good verdict on a key may be cached.
    pub key_ttl: Duration,
    /// How long a bad verdict on a key may be cached.
    pub bad_key_ttl: Duration,
}

impl std::fmt::Debug for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Register")
    }
}

impl Register {
    fn now(&self) -> i64 {
        self.clock.now_micros()
    }

    /// Runs a call, counts it, and turns its error into a status; the one place where errors of calls are logged.
    async fn answer<T>(
        &self,
        method: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<Response<T>, Status> {
        let since = Instant::now();
        let result = work.await.map_err(|error| status::of(method, &error));
        metrics::called(method, result.as_ref().err().map_or(tonic::Code::Ok, Status::code), since.elapsed());
        result.map(Response::new)
    }
}

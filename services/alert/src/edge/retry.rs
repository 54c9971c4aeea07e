//! Waiting for a component that is away, until it is back or the process is told to end.

use std::sync::Arc;

use service_runtime::backoff::RetryError;
use service_runtime::{Backoff, Beat, retry};
use tokio_util::sync::CancellationToken;

/// How the service waits: one policy, one shutdown, one heartbeat for all its stores.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Waits between attempts.
    pub policy: Backoff,
    /// Ends the attempts.
    pub shutdown: CancellationToken,
    /// Beaten with every attempt: a service that waits for a store is alive, and a restart would not help it.
    pub beat: Arc<Beat>,
}

/// An error that says whether another attempt may help.
pub(crate) trait Transient: std::error::Error + 'static {
    fn is_transient(&self) -> bool;
}

impl Patience {
    /// Runs the operation until it succeeds, fails for good, or the process ends.
    pub(crate) async fn run<T, E, F>(&self, mut operation: impl FnMut() -> F) -> Result<T, RetryError<E>>
    where
        E: Transient,
        F: Future<Output = Result<T, E>>,
    {
        let attempt = || {
            self.beat.beat();
            operation()
        };
        retry(self.policy.clone(), &self.shutdown, E::is_transient, attempt).await
    }
}

impl Transient for kafka_pipeline::ConsumerError {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Query(_))
    }
}

impl Transient for kafka_pipeline::CodecError {
    fn is_transient(&self) -> bool {
        Self::is_transient(self)
    }
}

impl Transient for kafka_pipeline::AdminError {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Query(_))
    }
}

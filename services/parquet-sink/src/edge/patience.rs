//! Trying again, for as long as it takes, and saying so loudly.

use std::sync::Arc;

use anyhow::Context;
use service_runtime::{Backoff, Beat, sleep_or_shutdown};
use tokio_util::sync::CancellationToken;

use crate::metrics::RouteMetrics;

/// A failed attempt, as it is logged.
type Failure = dyn std::error::Error + Send + Sync + 'static;

/// What can be down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Component {
    /// The catalog of the lake.
    Catalog,
    /// The object store.
    Store,
    /// The brokers.
    Kafka,
    /// The schema registry.
    Registry,
}

impl Component {
    fn label(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Store => "store",
            Self::Kafka => "kafka",
            Self::Registry => "registry",
        }
    }
}

/// How a route waits for what is down.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    policy: Backoff,
    metrics: RouteMetrics,
    beat: Arc<Beat>,
}

impl Patience {
    pub(crate) fn new(policy: Backoff, metrics: RouteMetrics, beat: Arc<Beat>) -> Self {
        Self { policy, metrics, beat }
    }

    /// Says that the route is alive: waiting for something that is down is not hanging.
    pub(crate) fn beat(&self) {
        self.beat.beat();
    }

    /// A series of attempts at one thing.
    pub(crate) fn series(&self, component: Component) -> Series {
        Series { policy: self.policy.clone(), component, failed: false, patience: self.clone() }
    }

    /// Repeats an operation until it succeeds; `None` when `stop` came first.
    ///
    /// # Errors
    /// What the operation fails with when trying again cannot help.
    pub(crate) async fn until_done<T, E, F>(
        &self,
        component: Component,
        stop: &CancellationToken,
        is_transient: impl Fn(&E) -> bool,
        mut operation: impl FnMut() -> F,
    ) -> anyhow::Result<Option<T>>
    where
        F: Future<Output = Result<T, E>>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut series = self.series(component);
        loop {
            match operation().await {
                Ok(value) => return Ok(Some(value)),
                Err(error) if is_transient(&error) => {
                    if !series.wait(&error, stop).await {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error).with_context(|| format!("use the {}", component.label())),
            }
        }
    }
}

/// See [`Patience::series`]. The route counts as paused from the first failure until this is dropped.
#[derive(Debug)]
pub(crate) struct Series {
    policy: Backoff,
    component: Component,
    failed: bool,
    patience: Patience,
}

impl Series {
    /// Notes a failed attempt and waits for the next; false when `stop` came first.
    pub(crate) async fn wait(&mut self, error: &Failure, stop: &CancellationToken) -> bool {
        let component = self.component.label();
        let delay = self.policy.next_delay(&mut rand::rng());
        self.failed = true;
        self.patience.metrics.failed_attempt(component);
        tracing::warn!(
            route = self.patience.metrics.0,
            component,
            error = %chain(error),
            delay_ms = delay.as_millis() as u64,
            "component is not available, trying again"
        );
        self.patience.beat();
        let go_on = sleep_or_shutdown(delay, stop).await;
        self.patience.beat();
        go_on
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        if self.failed {
            self.patience.metrics.resumed(self.component.label());
        }
    }
}

/// The error with its sources, as one line.
fn chain(error: &Failure) -> String {
    let first: &(dyn std::error::Error + 'static) = error;
    let links = std::iter::successors(Some(first), |error| error.source());
    links.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

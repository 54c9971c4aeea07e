//! The Prometheus exporter behind the `metrics` facade.

use std::sync::{Mutex, PoisonError};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Buckets of every histogram whose name ends in `_seconds`, from a fast RPC to a slow bulk load.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// Buckets of every histogram whose name ends in `_bytes`: 1 KiB to 1 GiB in steps of four.
const BYTES: &[f64] = &[
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
];

/// Buckets of every histogram whose name ends in `_rows` or `_records`.
const COUNTS: &[f64] = &[1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];

static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// The process's metrics, ready to be rendered.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl std::fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsHandle")
    }
}

impl MetricsHandle {
    /// Installs the exporter as the process-wide recorder; later calls return the same one.
    ///
    /// # Errors
    /// When another recorder was installed before.
    pub fn install() -> anyhow::Result<Self> {
        // Held to the end: two threads may race to install, as tests do, and the loser takes the winner's.
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*installed {
            return Ok(Self(handle.clone()));
        }
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), BYTES)?
            .set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), COUNTS)?
            .set_buckets_for_metric(Matcher::Suffix("_records".to_owned()), COUNTS)?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder)
            .map_err(|error| anyhow::anyhow!("install the metrics recorder: {error}"))?;
        *installed = Some(handle.clone());
        Ok(Self(handle))
    }

    /// The Prometheus text exposition of everything recorded so far.
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

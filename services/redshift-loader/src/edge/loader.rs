//! Keeps one warehouse table level with its lake table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lake::{LakeError, LakeTable};
use metrics::{counter, gauge, histogram};
use service_runtime::{Backoff, Beat, Clock, SystemClock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::warehouse::{Retried, Warehouse, WarehouseError};
use crate::core::job::{LoadJob, LoadOutcome};
use crate::core::table::LoadTable;
use crate::metrics as names;

/// Who is told after a load that added something.
#[derive(Debug, Clone, Default)]
pub struct Listeners {
    /// Announces loads.
    pub announcer: Arc<Notify>,
    /// Builds the facts.
    pub refresher: Arc<Notify>,
}

/// When to look and how long to wait after an error.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Longest time between two looks at the lake.
    pub poll_interval: Duration,
    /// Waits between attempts.
    pub backoff: Backoff,
}

/// Why a table is not level with its lake table.
#[derive(Debug, thiserror::Error)]
enum CatchUpError {
    /// The lake's history cannot be followed from what is loaded.
    #[error("read the history of the lake table")]
    History(#[source] LakeError),
    /// A snapshot could not be loaded.
    #[error("load snapshot {snapshot_id}")]
    Load {
        /// The snapshot.
        snapshot_id: i64,
        /// Why.
        #[source]
        source: WarehouseError,
    },
    /// The warehouse was not asked about a snapshot, but it did not answer.
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
}

impl CatchUpError {
    fn kind(&self) -> &'static str {
        match self {
            Self::History(_) => "lake",
            Self::Load { source, .. } | Self::Warehouse(source) => source.kind(),
        }
    }

    /// Whether another attempt meets the same obstacle until somebody removes it.
    fn needs_a_person(&self) -> bool {
        match self {
            Self::History(source) => !source.is_transient(),
            Self::Load { source, .. } | Self::Warehouse(source) => matches!(source, WarehouseError::OutOfOrder { .. }),
        }
    }
}

/// The task of one table.
#[derive(Debug)]
pub struct TableLoader {
    table: LoadTable,
    lake: LakeTable,
    warehouse: Box<dyn Warehouse>,
    wake: Arc<Notify>,
    listeners: Listeners,
    pace: Pace,
    beat: Beat,
}

impl TableLoader {
    /// A task that has not begun. `wake` makes it look at the lake at once.
    pub fn new(
        table: LoadTable,
        lake: LakeTable,
        warehouse: Box<dyn Warehouse>,
        wake: Arc<Notify>,
        listeners: Listeners,
        (pace, beat): (Pace, Beat),
    ) -> Self {
        Self { table, lake, warehouse, wake, listeners, pace, beat }
    }

    /// Loads until shutdown. A load under way is abandoned then: the warehouse rolls it back, or has it in the ledger.
    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            let woken = Arc::clone(&self.wake);
            // Registered before looking, so that a hint which comes during the look is not lost.
            let woken = woken.notified();
            let caught_up = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                caught_up = self.catch_up() => caught_up,
            };
            self.beat.beat();
            match caught_up {
                Ok(()) => {
                    self.pace.backoff.reset();
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = woken => {}
                        () = service_runtime::sleep(self.pace.poll_interval) => {}
                    }
                }
                Err(error) => self.wait_after(&error, &shutdown).await,
            }
        }
        Ok(())
    }

    async fn wait_after(&mut self, error: &CatchUpError, shutdown: &CancellationToken) {
        let delay = self.pace.backoff.next_delay(&mut rand::rng());
        counter!(names::RETRIES, "table" => self.table.name(), "kind" => error.kind()).increment(1);
        let chain = anyhow::Chain::new(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
        let (table, kind, delay_ms) = (self.table.name(), error.kind(), delay.as_millis() as u64);
        if error.needs_a_person() {
            tracing::error!(table, kind, error = chain, delay_ms, "load cannot succeed until somebody looks at it");
        } else {
            tracing::warn!(table, kind, error = chain, delay_ms, "load did not succeed");
        }
        service_runtime::sleep_or_shutdown(delay, shutdown).await;
    }

    /// Loads everything that the lake has and the ledger has not, oldest first.
    async fn catch_up(&mut self) -> Result<(), CatchUpError> {
        let newest = self.warehouse.newest(self.lake.name()).await?;
        let snapshots = self.lake.snapshots_after(newest).await.map_err(CatchUpError::History)?;
        let mut pending = snapshots.len();
        self.report_lag(pending, snapshots.first().map(|snapshot| snapshot.committed_at_micros));
        for snapshot in snapshots {
            let job = LoadJob::new(self.lake.name(), snapshot);
            let snapshot_id = job.snapshot_id;
            self.load(&job).await.map_err(|source| CatchUpError::Load { snapshot_id, source })?;
            pending -= 1;
            gauge!(names::LAG_SNAPSHOTS, "table" => self.table.name()).set(pending as f64);
            self.beat.beat();
        }
        self.retry_quarantined().await?;
        self.report_lag(0, None);
        gauge!(names::LAST_CAUGHT_UP, "table" => self.table.name()).set(now_seconds());
        Ok(())
    }

    fn report_lag(&self, pending: usize, oldest_micros: Option<i64>) {
        let age = oldest_micros.map_or(0.0, |oldest| (now_seconds() - oldest as f64 / 1e6).max(0.0));
        gauge!(names::LAG_SNAPSHOTS, "table" => self.table.name()).set(pending as f64);
        gauge!(names::LAG_SECONDS, "table" => self.table.name()).set(age);
    }

    async fn load(&mut self, job: &LoadJob) -> Result<(), WarehouseError> {
        if job.diverges() {
            counter!(names::FOREIGN_SNAPSHOTS, "table" => self.table.name()).increment(1);
            let operation = job.foreign_operation.as_deref();
            tracing::error!(
                table = self.table.name(),
                lake.snapshot = job.snapshot_id,
                operation,
                "another engine changed rows of the lake; the warehouse keeps what was loaded"
            );
        }
        let begun = Instant::now();
        let outcome = match self.warehouse.load(&self.table, &self.lake, job).await {
            Err(WarehouseError::OutcomeUnknown(error)) => self.ask_ledger(job, error).await?,
            other => other?,
        };
        self.report(job, &outcome, begun.elapsed());
        Ok(())
    }

    /// After a commit without an answer: what the ledger says, behind the lock that a commit under way still holds, is so.
    /// When it does not have the snapshot, the error stands and the load is made again.
    async fn ask_ledger(
        &mut self,
        job: &LoadJob,
        error: super::warehouse::Cause,
    ) -> Result<LoadOutcome, WarehouseError> {
        tracing::warn!(table = self.table.name(), lake.snapshot = job.snapshot_id, error = %error, "commit without an answer");
        counter!(names::RETRIES, "table" => self.table.name(), "kind" => "outcome_unknown").increment(1);
        if self.warehouse.is_loaded(&job.lake_table, job.snapshot_id).await? {
            self.tell_listeners();
            return Ok(LoadOutcome::AlreadyLoaded);
        }
        Err(WarehouseError::OutcomeUnknown(error))
    }

    fn report(&self, job: &LoadJob, outcome: &LoadOutcome, took: Duration) {
        let table = self.table.name();
        let duration_ms = took.as_millis() as u64;
        match outcome {
            LoadOutcome::AlreadyLoaded => {
                counter!(names::SNAPSHOTS, "table" => table, "outcome" => "already_loaded").increment(1);
                tracing::info!(table, lake.snapshot = job.snapshot_id, "snapshot was loaded before");
            }
            LoadOutcome::Loaded { rows, files, refused } => {
                counter!(names::SNAPSHOTS, "table" => table, "outcome" => "loaded").increment(1);
                counter!(names::ROWS, "table" => table).increment(*rows);
                counter!(names::FILES, "table" => table).increment(*files as u64);
                histogram!(names::LOAD_SECONDS, "table" => table).record(took);
                gauge!(names::LAST_LOAD, "table" => table).set(now_seconds());
                tracing::info!(table, lake.snapshot = job.snapshot_id, rows, files, duration_ms, "snapshot loaded");
                for refused in refused {
                    counter!(names::REFUSED_FILES, "table" => table).increment(1);
                    let (path, rows, reason) = (&refused.file.path, refused.file.rows, &refused.reason);
                    tracing::error!(
                        table,
                        lake.file = path,
                        rows,
                        reason,
                        "file refused by the warehouse and set aside"
                    );
                }
                if *rows > 0 {
                    self.tell_listeners();
                } else {
                    self.listeners.announcer.notify_one();
                }
            }
        }
    }

    fn tell_listeners(&self) {
        self.listeners.announcer.notify_one();
        self.listeners.refresher.notify_one();
    }

    async fn retry_quarantined(&mut self) -> Result<(), WarehouseError> {
        for request in self.warehouse.retry_requests(self.lake.name()).await? {
            let retried = self.warehouse.retry(&self.table, &self.lake, &request).await?;
            let (table, path, rows) = (self.table.name(), &request.file.path, request.file.rows);
            match retried {
                Retried::Loaded => {
                    counter!(names::ROWS, "table" => table).increment(rows);
                    tracing::info!(table, lake.file = path, rows, "quarantined file loaded");
                    self.tell_listeners();
                }
                Retried::Refused => tracing::error!(table, lake.file = path, rows, "quarantined file refused again"),
                Retried::Gone => {
                    tracing::info!(table, lake.file = path, "quarantined file was loaded by another loader")
                }
            }
            self.beat.beat();
        }
        let quarantined = self.warehouse.quarantined(self.lake.name()).await?;
        gauge!(names::QUARANTINED_FILES, "table" => self.table.name()).set(quarantined as f64);
        Ok(())
    }
}

fn now_seconds() -> f64 {
    SystemClock.now_micros() as f64 / 1e6
}

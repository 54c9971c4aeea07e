//! Files and commits of one table.

use std::time::Instant;

use anyhow::Context;
use arrow::error::ArrowError;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use lake::{CommitError, CommitRequest, Committed, LakeError, LakeTable, PartitionValue, TableHeads, WrittenFile};
use service_runtime::fail_point;
use std::panic::AssertUnwindSafe;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::hints::Hints;
use super::patience::{Component, Patience};
use crate::core::file_policy::CommitReason;
use crate::core::progress::{AfterRefusal, Owned};
use crate::core::rows::FileRows;
use crate::metrics::RouteMetrics;

/// Files that are written at once. Encoding takes a core, storing takes time: with four the core does not wait for the
/// store.
const CONCURRENT_WRITES: usize = 4;

/// What became of a commit.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done.
    Done(Committed),
    /// Somebody else took in some of the same records, or the files waited for so long that a clean-up may have taken them:
    /// what was gathered must be dropped.
    Overtaken,
}

/// What became of rows that were to be written.
#[derive(Debug)]
pub(crate) enum Written {
    /// They are in files that wait for the next commit.
    Files,
    /// `stop` came first; some of the rows are lost to this process.
    Stopped,
    /// They cannot be written, and will not be if it is tried again; some of the rows are lost to this process.
    Unwritable(String),
}

/// Rows of one partition of the table, or why they could not be taken out; `None` when there are none.
pub(crate) type Taken = Result<Option<Box<dyn FileRows>>, Unwritable>;

/// The files of one partition, or why there can be none; `None` when `stop` came first.
type PartFiles = Option<Result<Vec<WrittenFile>, Unwritable>>;

/// Rows that cannot be made into columns or a file.
#[derive(Debug, Clone)]
pub(crate) struct Unwritable(pub(crate) String);

/// Writes and commits for one route.
pub(crate) struct Publisher {
    pub(crate) table: LakeTable,
    pub(crate) hints: Hints,
    pub(crate) patience: Patience,
    pub(crate) metrics: RouteMetrics,
    /// The heads as this route knows them; the next commit goes on top of their snapshot.
    pub(crate) base: TableHeads,
    /// Files that no snapshot has yet.
    pub(crate) files: Vec<WrittenFile>,
    /// Whether this process has written a file: then the table and the store are not to blame for rows that cannot be.
    pub(crate) has_written: bool,
}

impl Publisher {
    /// Reads the table's heads; `None` when `stop` came first.
    pub(crate) async fn read_heads(&self, stop: &CancellationToken) -> anyhow::Result<Option<TableHeads>> {
        let read = || self.table.heads();
        self.patience.until_done(Component::Catalog, stop, LakeError::is_transient, read).await
    }

    /// Writes the rows of partitions as files that wait for the next commit. Rows are taken from the iterator as the
    /// writes get to them.
    pub(crate) async fn write(
        &mut self,
        mut parts: impl Iterator<Item = (PartitionValue, Taken)> + Send,
        stop: &CancellationToken,
    ) -> anyhow::Result<Written> {
        let mut running = FuturesUnordered::new();
        let mut written = Vec::new();
        loop {
            while running.len() < CONCURRENT_WRITES
                && let Some((partition, rows)) = parts.next()
            {
                running.push(self.write_part(partition, rows, stop));
            }
            match running.next().await {
                None => break,
                Some(files) => match files? {
                    None => return Ok(Written::Stopped),
                    Some(Err(Unwritable(reason))) => return Ok(Written::Unwritable(reason)),
                    Some(Ok(files)) => written.extend(files),
                },
            }
        }
        drop(running);
        self.has_written |= !written.is_empty();
        self.files.extend(written);
        Ok(Written::Files)
    }

    /// Writes rows of a partition into files that nobody will ever see; how many, or why it is impossible. `None` when
    /// `stop` came first.
    pub(crate) async fn rehearse(
        &self,
        partition: PartitionValue,
        rows: Taken,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Result<usize, Unwritable>>> {
        Ok(self.write_part(partition, rows, stop).await?.map(|written| written.map(|files| files.len())))
    }

    /// Boxed, since a future of this size would be moved about in the set of those that run.
    fn write_part<'a>(
        &'a self,
        partition: PartitionValue,
        rows: Taken,
        stop: &'a CancellationToken,
    ) -> BoxFuture<'a, anyhow::Result<PartFiles>> {
        async move {
            match rows {
                Ok(Some(rows)) => self.write_file(partition, rows.as_ref(), stop).await,
                Ok(None) => Ok(Some(Ok(Vec::new()))),
                Err(unwritable) => Ok(Some(Err(unwritable))),
            }
        }
        .boxed()
    }

    async fn write_file(
        &self,
        partition: PartitionValue,
        rows: &dyn FileRows,
        stop: &CancellationToken,
    ) -> anyhow::Result<PartFiles> {
        let write = || write_guarded(&self.table, partition, rows);
        let started = Instant::now();
        let files = self.patience.until_done(Component::Store, stop, WriteError::is_transient, write).await?;
        for file in files.iter().flatten().flatten() {
            self.metrics.file_written(started.elapsed(), file.bytes());
        }
        self.patience.beat();
        Ok(files)
    }

    /// Commits the files and the moves of the heads in one snapshot; `None` when `stop` came first, and then nobody knows
    /// whether it happened.
    ///
    /// # Errors
    /// The request contradicts itself (a defect), or the table can no longer be used.
    pub(crate) async fn commit(
        &mut self,
        owned: &Owned,
        reason: CommitReason,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Outcome>> {
        let mut request = CommitRequest {
            base: self.base.clone(),
            commit_id: Uuid::now_v7(),
            advances: owned.advances(),
            files: std::mem::take(&mut self.files),
        };
        let started = Instant::now();
        let mut series = self.patience.series(Component::Catalog);
        fail_point("sink.after_put").await;
        loop {
            self.patience.beat();
            match self.table.commit(&request).await {
                Ok(committed) => {
                    self.metrics.committed(reason.label(), started.elapsed(), committed.at_micros);
                    self.note(&request, &committed, reason);
                    fail_point("sink.after_commit").await;
                    self.hints.announce(self.table.name(), &request, &committed).await;
                    self.base = committed.heads.clone();
                    return Ok(Some(Outcome::Done(committed)));
                }
                Err(CommitError::Stale { .. }) => {
                    let Some(heads) = self.read_heads(stop).await? else { return Ok(None) };
                    match owned.after_refusal(&heads.heads) {
                        AfterRefusal::Restart => {
                            self.metrics.conflict("restarted");
                            return Ok(Some(Outcome::Overtaken));
                        }
                        AfterRefusal::Rebase => {
                            self.metrics.conflict("rebased");
                            request.base = heads;
                        }
                    }
                }
                Err(CommitError::TooOld) => {
                    self.metrics.conflict("too_old");
                    return Ok(Some(Outcome::Overtaken));
                }
                Err(CommitError::Unknown(error) | CommitError::NotSent(error)) if error.is_transient() => {
                    if !series.wait(&error, stop).await {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error).context("commit to the table"),
            }
        }
    }

    fn note(&self, request: &CommitRequest, committed: &Committed, reason: CommitReason) {
        let rows = request.files.iter().map(WrittenFile::rows).sum();
        let bytes = request.files.iter().map(WrittenFile::bytes).sum();
        self.metrics.rows_committed(rows, request.files.len() as u64, bytes);
        tracing::info!(
            route = self.metrics.0,
            snapshot.id = committed.snapshot_id,
            reason = reason.label(),
            batch.rows = rows,
            files = request.files.len(),
            size_bytes = bytes,
            "committed"
        );
    }
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("make columns")]
    Rows(#[from] ArrowError),
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl WriteError {
    /// Whether the rows are to blame.
    fn blames_rows(&self) -> bool {
        match self {
            Self::Rows(_) => true,
            Self::Lake(error) => error.blames_rows(),
        }
    }

    fn is_transient(&self) -> bool {
        matches!(self, Self::Lake(error) if error.is_transient())
    }
}

/// Writes a file; rows that cannot be written are an outcome, and what is down is an error.
async fn write_guarded(
    table: &LakeTable,
    partition: PartitionValue,
    rows: &dyn FileRows,
) -> Result<Result<Vec<WrittenFile>, Unwritable>, WriteError> {
    // The writers are made for one file and dropped with it, so a panic leaves nothing half done.
    match AssertUnwindSafe(write_once(table, partition, rows)).catch_unwind().await {
        Ok(Ok(files)) => Ok(Ok(files)),
        Ok(Err(error)) if error.blames_rows() => Ok(Err(Unwritable(format!("{:#}", anyhow::Error::from(error))))),
        Ok(Err(error)) => Err(error),
        Err(_panic) => Ok(Err(Unwritable("the writer panicked".to_owned()))),
    }
}

async fn write_once(
    table: &LakeTable,
    partition: PartitionValue,
    rows: &dyn FileRows,
) -> Result<Vec<WrittenFile>, WriteError> {
    let mut writer = table.file_writer(partition).await?;
    for batch in rows.batches() {
        writer.write(&batch?).await?;
    }
    Ok(writer.close().await?)
}

//! Records that cannot be written, found by bisection.
//!
//! When a file cannot be written and trying again cannot help, some record of those that were gathered is to blame. The
//! route drops what it gathered, begins at the table's heads again, and tries each block before it takes it in: it writes
//! the rows of the block into files that nobody will ever see, halves a block that fails, and ends with single records.
//! They are set aside, their neighbours are taken in, and the heads advance. The files are orphans, which `meterway lake
//! clean` removes.
//!
//! Does not do: blame a record when nothing at all can be written. Then it is the table or the store, and the process ends.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, bail};
use futures::FutureExt;
use kafka_pipeline::RecordBlock;
use lake::PartitionValue;
use tokio_util::sync::CancellationToken;

use super::publish::{Taken, Unwritable};
use super::route::Route;
use crate::core::rows::TableRows;

/// What a panic becomes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panicked;

/// Futures whose panics are outcomes.
pub(super) trait Guarded: Future + Sized {
    /// Ends with [`Panicked`] where the future panics. What it was working on may be half done and must be dropped.
    async fn guarded(self) -> Result<Self::Output, Panicked> {
        AssertUnwindSafe(self).catch_unwind().await.map_err(|_panic| Panicked)
    }
}

impl<F: Future> Guarded for F {}

/// The rows of a partition, taken out.
pub(super) fn taken(rows: &mut dyn TableRows, partition: PartitionValue) -> Taken {
    match catch_unwind(AssertUnwindSafe(|| rows.take(partition))) {
        Ok(taken) => taken.map_err(|error| Unwritable(error.to_string())),
        Err(_panic) => Err(Unwritable("making columns panicked".to_owned())),
    }
}

impl Route {
    /// Begins at the heads again, this time with a trial of everything that was gathered, and of `block`.
    ///
    /// # Errors
    /// The same records were tried before, and each could be written.
    pub(super) async fn isolate(
        &mut self,
        reason: &str,
        block: Option<&RecordBlock>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        self.metrics.isolation();
        tracing::error!(route = self.metrics.0, reason, "rows cannot be written, looking for the records to blame");
        let gathered = self.owned.advances().into_iter().map(|advance| (advance.key.partition, advance.to.next));
        let block = block.map(|block| (block.partition(), block.next_offset().get()));
        let mut fresh = false;
        for (partition, until) in gathered.chain(block) {
            let known = self.suspects.entry(partition).or_insert(i64::MIN);
            fresh |= until > *known;
            *known = until.max(*known);
        }
        if !fresh {
            bail!("rows cannot be written, although each record alone can: {reason}");
        }
        self.restart(stop).await
    }

    /// The records before these positions are in the table.
    pub(super) fn acquit(&mut self, positions: &[(i32, i64)]) {
        self.suspects.retain(|partition, until| !positions.iter().any(|(at, next)| at == partition && next >= until));
    }

    /// The records of a block that cannot be written, by rising index; `None` when `stop` came first. Only blocks under
    /// suspicion are tried.
    pub(super) async fn unwritable(
        &mut self,
        block: &RecordBlock,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Vec<usize>>> {
        let suspect = self.suspects.get(&block.partition()).is_some_and(|until| block.first_offset() < *until);
        if !suspect {
            return Ok(Some(Vec::new()));
        }
        let (mut found, mut reason, mut proven) = (Vec::new(), String::new(), self.publisher.has_written);
        let whole = 0..block.len();
        let mut ranges = vec![whole];
        while let Some(range) = ranges.pop() {
            match self.rehearse(&block.pick(range.clone()), stop).await? {
                None => return Ok(None),
                Some(Ok(files)) => proven |= files > 0,
                Some(Err(Unwritable(why))) if range.len() == 1 => {
                    found.push(range.start);
                    reason = why;
                }
                Some(Err(_)) => {
                    let middle = range.start + range.len() / 2;
                    ranges.extend([middle..range.end, range.start..middle]);
                }
            }
        }
        if !found.is_empty() && !proven {
            bail!("no record can be written, so the records are not to blame: {reason}");
        }
        Ok(Some(found))
    }

    /// Writes the rows of records into files that nobody will see; how many files, or why it is impossible.
    async fn rehearse(
        &mut self,
        block: &RecordBlock,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Result<usize, Unwritable>>> {
        let mut rows = self.rows.fresh();
        match self.intake.rehearse(block, rows.as_mut(), stop).guarded().await {
            Err(Panicked) => return Ok(Some(Err(Unwritable("gathering rows panicked".to_owned())))),
            Ok(made) => {
                if made.context("make rows for a trial")?.is_none() {
                    return Ok(None);
                }
            }
        }
        let mut files = 0;
        for partition in rows.gathered().into_keys() {
            let part = taken(rows.as_mut(), partition);
            match self.publisher.rehearse(partition, part, stop).await? {
                Some(Ok(written)) => files += written,
                other => return Ok(other),
            }
        }
        Ok(Some(Ok(files)))
    }
}

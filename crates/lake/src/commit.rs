//! The commit: files and heads in one snapshot, on the snapshot the heads were read from or not at all.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use uuid::Uuid;

use crate::core::commit::{Begin, Meaning, Progress, Settlement, begin, meaning, settle};
use crate::core::heads::{Advance, HeadSet};
use crate::core::history::TableHeads;
use crate::core::orphans::MAX_UNCOMMITTED_AGE;
use crate::error::{CommitError, LakeError};
use crate::guarded::HeadChecked;
use crate::table::{LakeTable, SUMMARY_COMMIT_ID, SUMMARY_HEADS, commit_id_of, history};
use crate::writer::WrittenFile;

/// What is to be committed. It stays the same over all attempts of one commit.
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// The heads the rows were gathered on, as [`LakeTable::heads`] gave them.
    pub base: TableHeads,
    /// Chosen by the writer, new for every commit: by this it recognises its own after an unknown outcome.
    pub commit_id: Uuid,
    /// The moves of the heads; partitions not named keep theirs.
    pub advances: Vec<Advance>,
    /// The files; none is fine, and moves the heads only.
    pub files: Vec<WrittenFile>,
}

/// A commit that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Commit time, microseconds since 1970-01-01.
    pub at_micros: i64,
    /// The heads the table has now; the base of the next commit.
    pub heads: TableHeads,
    /// Snapshot of the commit.
    pub snapshot_id: i64,
}

impl LakeTable {
    /// Adds the files and moves the heads, in one snapshot on top of `request.base.snapshot_id`.
    ///
    /// Succeeds as well when an earlier attempt of the same request turns out to have succeeded.
    ///
    /// # Errors
    /// [`CommitError::Stale`] when the table has moved on: read the heads again and begin anew. [`CommitError::Unknown`]
    /// and [`CommitError::NotSent`] when the same request should be made again. [`CommitError::TooOld`] when its files may
    /// have been cleaned up. [`CommitError::Refused`] for a request that contradicts its own base.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown: read the heads before anything else.
    pub async fn commit(&self, request: &CommitRequest) -> Result<Committed, CommitError> {
        let heads = request.base.heads.advance(&request.advances)?;
        let (base, commit_id) = (request.base.snapshot_id, request.commit_id);
        self.propose(&Proposal { base, commit_id, heads, files: &request.files, property: None }).await
    }

    /// Makes the one snapshot that a proposal asks for, or finds out why not.
    pub(crate) async fn propose(&self, proposal: &Proposal<'_>) -> Result<Committed, CommitError> {
        let base = self.reload().await.map_err(CommitError::NotSent)?;
        if begin(proposal.base, base.metadata().current_snapshot_id()) == Begin::Settle {
            return self.settle(&base, proposal);
        }
        if proposal.files.iter().any(|file| file.age() > MAX_UNCOMMITTED_AGE) {
            return Err(CommitError::TooOld);
        }
        let guard = HeadChecked::new(Arc::clone(&self.catalog), proposal.base);
        match append(&base, proposal, &guard).await {
            Ok(table) => self.settle(&table, proposal),
            Err(error) => self.resolve(&guard, proposal, error).await,
        }
    }

    /// Finds out what an error means by looking at the table.
    async fn resolve(
        &self,
        guard: &HeadChecked,
        proposal: &Proposal<'_>,
        error: iceberg::Error,
    ) -> Result<Committed, CommitError> {
        let error = LakeError::iceberg("commit to the table")(error);
        let current = match guard.progress() {
            Progress::NotSent => None,
            Progress::Refused | Progress::Sent => self.reload().await.ok(),
        };
        let snapshot = current.as_ref().map(|table| table.metadata().current_snapshot_id());
        match (meaning(guard.progress(), proposal.base, snapshot), current) {
            (Meaning::NotSent, _) => Err(CommitError::NotSent(error)),
            (Meaning::Settle, Some(current)) => self.settle(&current, proposal),
            (Meaning::Settle | Meaning::Unknown, _) => Err(CommitError::Unknown(error)),
        }
    }

    /// Looks for our commit among the snapshots since the base.
    fn settle(&self, table: &Table, proposal: &Proposal<'_>) -> Result<Committed, CommitError> {
        let metadata = table.metadata();
        let commits = history(metadata).map(|snapshot| (snapshot.snapshot_id(), commit_id_of(snapshot)));
        let (expected, current) = (proposal.base, metadata.current_snapshot_id());
        let (snapshot_id, heads) = match settle(commits, expected, proposal.commit_id) {
            Settlement::Current(id) => {
                let heads = proposal.heads.clone();
                (id, TableHeads { snapshot_id: current, commit_id: Some(proposal.commit_id), heads })
            }
            Settlement::Behind(id) => (id, self.heads_of(metadata).map_err(CommitError::Unknown)?),
            Settlement::Absent => return Err(CommitError::Stale { expected, current }),
        };
        let at_micros = metadata.snapshot_by_id(snapshot_id).map_or(0, |snapshot| snapshot.timestamp_ms() * 1000);
        Ok(Committed { at_micros, snapshot_id, heads })
    }
}

/// One snapshot in the making.
pub(crate) struct Proposal<'a> {
    /// The snapshot it goes on top of.
    pub(crate) base: Option<i64>,
    pub(crate) commit_id: Uuid,
    /// The heads it carries.
    pub(crate) heads: HeadSet,
    pub(crate) files: &'a [WrittenFile],
    /// A table property that is set with it.
    pub(crate) property: Option<(String, String)>,
}

async fn append(base: &Table, proposal: &Proposal<'_>, guard: &HeadChecked) -> iceberg::Result<Table> {
    let summary = HashMap::from([
        (SUMMARY_HEADS.to_owned(), proposal.heads.to_summary()),
        (SUMMARY_COMMIT_ID.to_owned(), proposal.commit_id.to_string()),
    ]);
    let transaction = Transaction::new(base);
    let action = transaction
        .fast_append()
        // Names of files are unique by construction; the check would read every manifest of the table.
        .with_check_duplicate(false)
        .add_data_files(proposal.files.iter().map(|file| file.data_file().clone()))
        .set_snapshot_properties(summary);
    let mut transaction = action.apply(transaction)?;
    if let Some((key, value)) = &proposal.property {
        let action = transaction.update_table_properties().set(key.clone(), value.clone());
        transaction = action.apply(transaction)?;
    }
    transaction.commit(guard).await
}

//! What one load has to bring in.

use lake::{LakeFile, SnapshotFiles};

/// A snapshot to load: its place in the table's history and the files it added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadJob {
    /// Name of the lake table, namespace included; the ledger's key together with the snapshot.
    pub lake_table: String,
    /// Iceberg snapshot.
    pub snapshot_id: i64,
    /// The snapshot before it; must be the newest of the ledger. `None` for the first of the table.
    pub parent: Option<i64>,
    /// When it was committed to the lake; UTC microseconds.
    pub committed_at_micros: i64,
    /// Files it added; empty when it only moved rows (compaction) or heads.
    pub files: Vec<LakeFile>,
    /// What the snapshot did, when it was something other than adding rows.
    pub foreign_operation: Option<String>,
}

impl LoadJob {
    /// The job that a snapshot makes.
    pub fn new(lake_table: &str, snapshot: SnapshotFiles) -> Self {
        let SnapshotFiles { snapshot_id, parent, committed_at_micros, operation, files, .. } = snapshot;
        Self {
            lake_table: lake_table.to_owned(),
            snapshot_id,
            parent,
            committed_at_micros,
            files,
            foreign_operation: (operation != "append").then_some(operation),
        }
    }

    /// Rows that the manifest promises.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Whether another engine removed or replaced rows, which the warehouse does not follow. A `replace` (compaction)
    /// changes no rows.
    pub fn diverges(&self) -> bool {
        self.foreign_operation.as_deref().is_some_and(|operation| operation != "replace")
    }
}

/// A file that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFile {
    /// The file.
    pub file: LakeFile,
    /// Why it was refused; names the row or column where the warehouse says so.
    pub reason: String,
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadOutcome {
    /// The snapshot is in, and this call brought it in.
    Loaded {
        /// Rows added.
        rows: u64,
        /// Files whose rows were added.
        files: usize,
        /// Files set aside.
        refused: Vec<RefusedFile>,
    },
    /// The ledger had the snapshot before; nothing was added.
    AlreadyLoaded,
}

/// What the ledger says about a snapshot when the table's lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerVerdict {
    /// It is the next one.
    Next,
    /// It is in.
    Present,
    /// The ledger's newest snapshot is not its parent: another history of the table, or a loader that skipped one.
    OutOfOrder,
}

impl LedgerVerdict {
    /// Judges a job by what the ledger holds.
    pub fn of(job: &LoadJob, present: bool, newest: Option<i64>) -> Self {
        match (present, newest == job.parent) {
            (true, _) => Self::Present,
            (false, true) => Self::Next,
            (false, false) => Self::OutOfOrder,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn job(snapshot_id: i64, parent: Option<i64>, files: Vec<LakeFile>) -> LoadJob {
        let lake_table = "meterway.readings".to_owned();
        LoadJob { lake_table, snapshot_id, parent, committed_at_micros: 0, files, foreign_operation: None }
    }

    #[test]
    fn a_snapshot_is_loaded_only_behind_its_parent_and_only_once() {
        assert_eq!(LedgerVerdict::of(&job(1, None, vec![]), false, None), LedgerVerdict::Next);
        assert_eq!(LedgerVerdict::of(&job(2, Some(1), vec![]), false, Some(1)), LedgerVerdict::Next);
        assert_eq!(LedgerVerdict::of(&job(1, None, vec![]), true, Some(2)), LedgerVerdict::Present);
        assert_eq!(LedgerVerdict::of(&job(3, Some(2), vec![]), false, Some(1)), LedgerVerdict::OutOfOrder);
        assert_eq!(LedgerVerdict::of(&job(9, None, vec![]), false, Some(1)), LedgerVerdict::OutOfOrder);
    }

    #[test]
    fn compaction_changes_no_rows_but_a_delete_does() {
        let snapshot = |operation: &str| SnapshotFiles {
            snapshot_id: 2,
            parent: Some(1),
            sequence_number: 2,
            committed_at_micros: 7,
            commit_id: None,
            operation: operation.to_owned(),
            files: Vec::new(),
        };
        assert!(!LoadJob::new("t", snapshot("append")).diverges());
        assert!(!LoadJob::new("t", snapshot("replace")).diverges());
        assert!(LoadJob::new("t", snapshot("delete")).diverges());
    }
}

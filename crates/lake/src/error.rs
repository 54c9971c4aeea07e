//! What can go wrong with the lake, as far as callers tell it apart.

use crate::core::heads::AdvanceError;

/// A table could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The configuration asks for something this build or this store cannot do. Trying again does not help.
    #[error("lake configuration: {0}")]
    Config(String),
    /// The table is not the one this release writes: other columns, types or partitions. Trying again does not help.
    #[error("table {table} does not fit: {problem}")]
    SchemaMismatch {
        /// Name of the table, namespace included.
        table: String,
        /// What differs.
        problem: String,
    },
    /// The table has rows, but no snapshot says which source offsets they come from. Trying again does not help.
    #[error(
        "table {table} has data but no heads: it was written or rewritten by something else, or the snapshots that carried \
         the heads have expired; restarting from offset 0 would add every row again, so restore a snapshot with heads or \
         begin a new table"
    )]
    DataWithoutHeads {
        /// Name of the table, namespace included.
        table: String,
    },
    /// The heads in a snapshot summary cannot be read. Trying again does not help.
    #[error("table {table}: the heads in snapshot {snapshot_id} cannot be read: {problem}")]
    UnreadableHeads {
        /// Name of the table, namespace included.
        table: String,
        /// The snapshot.
        snapshot_id: i64,
        /// What is wrong.
        problem: String,
    },
    /// The snapshot asked for is not an ancestor of the table's current one, or has expired.
    #[error("table {table}: snapshot {snapshot_id} is not in the history of the table")]
    UnknownSnapshot {
        /// Name of the table, namespace included.
        table: String,
        /// The snapshot.
        snapshot_id: i64,
    },
    /// The catalog or the object store did not do it; it may later.
    #[error("{action}")]
    Iceberg {
        /// What was being done.
        action: &'static str,
        /// What the library says.
        #[source]
        source: Box<iceberg::Error>,
    },
    /// The object store did not do it, outside of what the library does; it may later.
    #[error("{action}: {reason}")]
    Store {
        /// What was being done.
        action: &'static str,
        /// What the store or the client says.
        reason: String,
    },
    /// A Parquet file could not be read.
    #[error("read {path}")]
    Parquet {
        /// Object URL.
        path: String,
        /// What the library says.
        #[source]
        source: parquet::errors::ParquetError,
    },
}

impl LakeError {
    /// Whether the rows are to blame: they will fail again, and others may not.
    pub fn blames_rows(&self) -> bool {
        let Self::Iceberg { source, .. } = self else { return false };
        source.kind() == iceberg::ErrorKind::DataInvalid || is_refused_by_parquet(source)
    }

    /// Whether the same call can succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Iceberg { source, .. } if is_refused_by_parquet(source) => false,
            Self::Iceberg { source, .. } => matches!(
                source.kind(),
                iceberg::ErrorKind::Unexpected
                    | iceberg::ErrorKind::CatalogCommitConflicts
                    | iceberg::ErrorKind::PreconditionFailed
            ),
            Self::Store { .. } => true,
            Self::Parquet { source, .. } => matches!(source, parquet::errors::ParquetError::External(_)),
            _ => false,
        }
    }

    pub(crate) fn iceberg(action: &'static str) -> impl FnOnce(iceberg::Error) -> Self {
        move |source| Self::Iceberg { action, source: Box::new(source) }
    }
}

/// Whether the Parquet writer refused what it was given. What the store refuses comes as `External`.
fn is_refused_by_parquet(error: &iceberg::Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let mut parquet = causes.filter_map(|cause| cause.downcast_ref::<parquet::errors::ParquetError>());
    parquet.any(|error| !matches!(error, parquet::errors::ParquetError::External(_)))
}

/// A commit did not happen, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The request contradicts the heads it was built on: a bug of the caller, never a race.
    #[error(transparent)]
    Refused(#[from] AdvanceError),
    /// The table has moved on since the heads were read, and none of the snapshots since is ours. Read the heads again
    /// and begin anew from there.
    #[error("table stands at snapshot {current:?}, the heads were read at {expected:?}")]
    Stale {
        /// Snapshot at which the heads were read.
        expected: Option<i64>,
        /// Snapshot at which the table stands.
        current: Option<i64>,
    },
    /// The catalog may or may not have taken the commit. Commit the same request again: if it did, the second attempt
    /// finds it by its commit id and succeeds; if it did not, it is made now.
    #[error("outcome of the commit is unknown")]
    Unknown(#[source] LakeError),
    /// A file was begun so long ago that a clean-up may take it for an orphan: drop the files and begin anew from the heads.
    #[error("a file of the commit is too old: a clean-up may have removed it")]
    TooOld,
    /// The commit was not sent: it has certainly not happened. The same request can be made again.
    #[error("commit was not sent")]
    NotSent(#[source] LakeError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::errors::ParquetError;

    fn wrote(source: ParquetError) -> LakeError {
        let error = iceberg::Error::new(iceberg::ErrorKind::Unexpected, "Failed to write using parquet writer.");
        LakeError::iceberg("write to a file")(error.with_source(source))
    }

    #[test]
    fn what_the_writer_refuses_is_told_from_a_store_that_is_away() {
        let refused = wrote(ParquetError::General("value does not fit".into()));
        assert!(refused.blames_rows() && !refused.is_transient());
        let away = wrote(ParquetError::External("connection refused".into()));
        assert!(!away.blames_rows() && away.is_transient());
    }
}

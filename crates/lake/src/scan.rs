//! What was added to a table, snapshot by snapshot, and the rows of a file.

use std::pin::Pin;

use arrow::record_batch::RecordBatch;
use futures::{Stream, StreamExt};
use iceberg::arrow::ArrowFileReader;
use iceberg::spec::{ManifestStatus, Operation, SnapshotRef};
use iceberg::table::Table;
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use uuid::Uuid;

use crate::core::history::added_after;
use crate::error::LakeError;
use crate::table::{LakeTable, commit_id_of, history};

/// Rows of a file, in its order.
pub type RecordBatchStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, LakeError>> + Send>>;

/// A data file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeFile {
    /// Object URL.
    pub path: String,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// A snapshot and the files that it added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFiles {
    /// Snapshot.
    pub snapshot_id: i64,
    /// Its parent; `None` for the first one.
    pub parent: Option<i64>,
    /// Iceberg's sequence number: rises with every snapshot.
    pub sequence_number: i64,
    /// Commit time, microseconds since 1970-01-01.
    pub committed_at_micros: i64,
    /// The writer's commit id; `None` for snapshots of other engines.
    pub commit_id: Option<Uuid>,
    /// What the snapshot did: `append`, or `replace` (compaction), `overwrite`, `delete` by other engines.
    pub operation: String,
    /// Files it added, for `append` only: the others move or remove rows that earlier snapshots added.
    pub files: Vec<LakeFile>,
}

impl LakeTable {
    /// The snapshots after one, oldest first, or all when `after` is `None`.
    ///
    /// # Errors
    /// [`LakeError::UnknownSnapshot`] when `after` is no ancestor of the current snapshot, or when snapshots in between
    /// have expired: what they added can no longer be told.
    pub async fn snapshots_after(&self, after: Option<i64>) -> Result<Vec<SnapshotFiles>, LakeError> {
        let table = self.reload().await?;
        let snapshots = history(table.metadata()).map(|one| (one.snapshot_id(), one.parent_snapshot_id()));
        let ids = added_after(snapshots, after)
            .map_err(|snapshot_id| LakeError::UnknownSnapshot { table: self.name().to_owned(), snapshot_id })?;
        let mut snapshots = Vec::with_capacity(ids.len());
        for id in ids {
            let snapshot = table.metadata().snapshot_by_id(id).expect("the id comes from the same metadata");
            snapshots.push(self.added_by(&table, snapshot).await?);
        }
        Ok(snapshots)
    }

    async fn added_by(&self, table: &Table, snapshot: &SnapshotRef) -> Result<SnapshotFiles, LakeError> {
        let operation = &snapshot.summary().operation;
        let files = match operation {
            Operation::Append => added_files(table, snapshot).await?,
            _ => Vec::new(),
        };
        Ok(SnapshotFiles {
            snapshot_id: snapshot.snapshot_id(),
            parent: snapshot.parent_snapshot_id(),
            sequence_number: snapshot.sequence_number(),
            committed_at_micros: snapshot.timestamp_ms() * 1000,
            commit_id: commit_id_of(snapshot),
            operation: operation.as_str().to_owned(),
            files,
        })
    }

    /// The rows of a file. Timestamps come as microseconds in UTC, values as decimal(18, 6).
    ///
    /// # Errors
    /// [`LakeError::Iceberg`] when the object is not there, [`LakeError::Parquet`] when it is no Parquet file; the stream
    /// yields the same for what goes wrong later, and ends.
    pub async fn read_file(&self, path: &str) -> Result<RecordBatchStream, LakeError> {
        let input = self.opened.file_io().new_input(path).map_err(LakeError::iceberg("open a file"))?;
        let meta = input.metadata().await.map_err(LakeError::iceberg("look up a file"))?;
        let reader = input.reader().await.map_err(LakeError::iceberg("open a file"))?;
        let owned = path.to_owned();
        let failed = move |source| LakeError::Parquet { path: owned.clone(), source };
        let stream = ParquetRecordBatchStreamBuilder::new(ArrowFileReader::new(meta, reader))
            .await
            .and_then(ParquetRecordBatchStreamBuilder::build)
            .map_err(failed.clone())?;
        Ok(stream.map(move |batch| batch.map_err(&failed)).boxed())
    }

    /// Writes a small object that accompanies the table, such as the manifest of a load, and returns its URL. It lies below
    /// the table's metadata and belongs to no snapshot; an object of that name is replaced.
    ///
    /// # Errors
    /// [`LakeError::Iceberg`] when the store did not take it.
    pub async fn write_companion(&self, name: &str, content: impl Into<bytes::Bytes>) -> Result<String, LakeError> {
        let path = format!("{}/metadata/companions/{name}", self.opened.metadata().location());
        let output = self.opened.file_io().new_output(&path).map_err(LakeError::iceberg("open a companion"))?;
        output.write(content.into()).await.map_err(LakeError::iceberg("write a companion"))?;
        Ok(path)
    }
}

async fn added_files(table: &Table, snapshot: &SnapshotRef) -> Result<Vec<LakeFile>, LakeError> {
    let manifests =
        table.manifest_list_reader(snapshot).load().await.map_err(LakeError::iceberg("read a manifest list"))?;
    let mut files = Vec::new();
    for manifest in manifests.entries().iter().filter(|entry| entry.added_snapshot_id == snapshot.snapshot_id()) {
        let manifest = manifest.load_manifest(table.file_io()).await.map_err(LakeError::iceberg("read a manifest"))?;
        let added = manifest.entries().iter().filter(|entry| entry.status() == ManifestStatus::Added);
        files.extend(added.map(|entry| LakeFile {
            path: entry.file_path().to_owned(),
            rows: entry.record_count(),
            bytes: entry.file_size_in_bytes(),
        }));
    }
    Ok(files)
}

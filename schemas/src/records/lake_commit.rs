//! Snapshots committed to the lake.

use serde::{Deserialize, Serialize};

/// Value of the lake commits topic: a hint that a snapshot exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LakeCommit {
    /// Table, namespace included; also the message key.
    pub table: String,
    /// Iceberg snapshot.
    pub snapshot_id: i64,
    /// Identifier the writer chose before committing.
    pub commit_id: String,
    /// Commit time; UTC microseconds.
    pub committed_at: i64,
    /// Rows added.
    pub rows: i64,
    /// Files added.
    pub files: Vec<LakeFile>,
    /// Source offset ranges the commit advanced.
    pub offsets: Vec<OffsetRange>,
}

/// A data file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LakeFile {
    /// Object URL.
    pub path: String,
    /// Rows in the file.
    pub rows: i64,
    /// Size in bytes.
    pub bytes: i64,
}

/// Source offsets `[from, next)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetRange {
    /// Topic name.
    pub topic: String,
    /// Kafka's identifier of the topic.
    pub topic_id: String,
    /// Partition.
    pub partition: i32,
    /// First offset of the range.
    pub from: i64,
    /// Offset after the last of the range.
    pub next: i64,
}

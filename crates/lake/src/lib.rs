//! The only user of iceberg and of S3: tables, commits that carry offsets, scans of added files.
//!
//! What it guarantees: a commit adds its files and moves the heads of its source partitions in one Iceberg snapshot, and
//! it is refused unless the table still stands where the caller read the heads. Two writers that start from the same
//! snapshot can therefore never both succeed, whoever of them is a zombie. See [`LakeTable::commit`].
//!
//! What it does not do: it consumes nothing, it decides nothing about rows, and it never lists a bucket to find data: only
//! [`Lake::clean`] does, to find files that were uploaded but not committed, which no reader of a table sees.

mod catalog;
mod clean;
mod commit;
#[cfg(test)]
mod commit_tests;
mod config;
pub mod core;
mod error;
mod guarded;
mod lake;
mod probe;
mod read;
mod reset;
mod s3;
mod scan;
mod table;
pub mod tables;
mod writer;

pub use crate::clean::CleanReport;
pub use crate::commit::{CommitRequest, Committed};
pub use crate::config::{CatalogConfig, CatalogKind, LakeConfig, S3Config, Secret};
pub use crate::core::gap::{GAP_VERSION, Gap, GapReport, Offsets};
pub use crate::core::heads::{Advance, AdvanceError, Head, HeadKey, HeadSet, TopicReplaced, Verdict};
pub use crate::core::history::TableHeads;
pub use crate::core::partition::{PartitionValue, day_of_micros, tenant_bucket};
pub use crate::core::standing::Refusal;
pub use crate::error::{CommitError, LakeError};
pub use crate::lake::Lake;
pub use crate::probe::{ProbeError, ProbeReport};
pub use crate::read::{LiveFile, LiveFiles, RowTest};
pub use crate::scan::{LakeFile, RecordBatchStream, SnapshotFiles};
pub use crate::table::LakeTable;
pub use crate::tables::{Column, ColumnType, Partitioning, TableSpec};
pub use crate::writer::{FileWriter, WrittenFile};

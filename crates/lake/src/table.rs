//! A table of the lake: its heads, and the pieces that write, commit and scan share.

use std::sync::Arc;

use iceberg::Catalog;
use iceberg::spec::{Snapshot, TableMetadata};
use iceberg::table::Table;
use uuid::Uuid;

use crate::core::history::{Marked, NoHeads, TableHeads, newest_heads};
use crate::error::LakeError;
use crate::tables::{Column, TableSpec};

/// Key of a snapshot summary: the heads, as [`HeadSet::to_summary`](crate::HeadSet::to_summary) writes them.
pub(crate) const SUMMARY_HEADS: &str = "meterway.heads";
/// Key of a snapshot summary: the id that the writer chose for its commit.
pub(crate) const SUMMARY_COMMIT_ID: &str = "meterway.commit-id";

/// An open table. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LakeTable {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) spec: TableSpec,
    /// As it was when it was opened: good for its place, schema and partition spec, which do not change under us.
    pub(crate) opened: Table,
    name: Arc<str>,
}

impl LakeTable {
    pub(crate) fn new(catalog: Arc<dyn Catalog>, spec: TableSpec, opened: Table) -> Result<Self, LakeError> {
        let name: Arc<str> = opened.identifier().to_string().into();
        check_fits(&spec, opened.metadata())
            .map_err(|problem| LakeError::SchemaMismatch { table: name.to_string(), problem })?;
        Ok(Self { catalog, spec, opened, name })
    }

    /// Name of the table, namespace included.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the table is made of.
    pub fn spec(&self) -> &TableSpec {
        &self.spec
    }

    /// Reads the heads: from the newest snapshot that carries some, walking back from the current one, because other
    /// engines add snapshots without (compaction).
    ///
    /// # Errors
    /// [`LakeError::DataWithoutHeads`] when the table has rows but no snapshot with heads is left,
    /// [`LakeError::UnreadableHeads`] when they make no sense, [`LakeError::Iceberg`] when the catalog does not answer.
    pub async fn heads(&self) -> Result<TableHeads, LakeError> {
        self.heads_of(self.reload().await?.metadata())
    }

    pub(crate) async fn reload(&self) -> Result<Table, LakeError> {
        self.catalog.load_table(self.opened.identifier()).await.map_err(LakeError::iceberg("load table"))
    }

    pub(crate) fn heads_of(&self, metadata: &TableMetadata) -> Result<TableHeads, LakeError> {
        let marked = history(metadata).map(|snapshot| Marked {
            id: snapshot.snapshot_id(),
            commit_id: commit_id_of(snapshot),
            heads: snapshot.summary().additional_properties.get(SUMMARY_HEADS).map(String::as_str),
        });
        let holds_rows = metadata.current_snapshot().is_some_and(|current| holds_rows(current));
        newest_heads(marked, holds_rows).map_err(|problem| match problem {
            NoHeads::DataWithoutHeads => LakeError::DataWithoutHeads { table: self.name.to_string() },
            NoHeads::Unreadable { snapshot_id, problem } => {
                LakeError::UnreadableHeads { table: self.name.to_string(), snapshot_id, problem }
            }
        })
    }
}

/// The current snapshot and its ancestors, newest first, as far as they have not expired.
pub(crate) fn history(metadata: &TableMetadata) -> impl Iterator<Item = &Snapshot> {
    std::iter::successors(metadata.current_snapshot(), |snapshot| {
        snapshot.parent_snapshot_id().and_then(|parent| metadata.snapshot_by_id(parent))
    })
    .map(AsRef::as_ref)
}

pub(crate) fn commit_id_of(snapshot: &Snapshot) -> Option<Uuid> {
    snapshot.summary().additional_properties.get(SUMMARY_COMMIT_ID)?.parse().ok()
}

/// A snapshot that does not say how many rows the table has is taken to have some.
fn holds_rows(snapshot: &Snapshot) -> bool {
    snapshot.summary().additional_properties.get("total-records").is_none_or(|total| total != "0")
}

/// Columns of the spec that the table does not have yet: optional ones behind all of its own. Older releases made tables
/// without them; their rows read as null there.
pub(crate) fn columns_to_come(spec: &TableSpec, metadata: &TableMetadata) -> Option<&'static [Column]> {
    let (expected, found) = (spec.iceberg_schema(), metadata.current_schema());
    let (expected, found) = (expected.as_struct().fields(), found.as_struct().fields());
    let missing = spec.columns.get(found.len()..)?;
    let fits = expected.starts_with(found) && missing.iter().all(|column| !column.required);
    fits.then_some(missing)
}

fn check_fits(spec: &TableSpec, metadata: &TableMetadata) -> Result<(), String> {
    let expected = spec.iceberg_schema();
    let found = metadata.current_schema();
    if columns_to_come(spec, metadata).is_none() {
        return Err(format!("columns are {}, this release writes {}", found.as_struct(), expected.as_struct()));
    }
    let bound = spec.partition_spec().bind(Arc::clone(&expected)).map_err(|error| error.to_string())?;
    if !bound.is_compatible_with(metadata.default_partition_spec()) {
        return Err(format!(
            "partitions are {:?}, this release writes {:?}",
            metadata.default_partition_spec().fields(),
            bound.fields()
        ));
    }
    Ok(())
}

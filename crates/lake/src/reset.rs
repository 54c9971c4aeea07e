//! Moving the heads of a table by hand, with a report of what that costs.

use iceberg::table::Table;

use crate::commit::{Committed, Proposal};
use crate::core::gap::{GAP_PROPERTY, GapReport};
use crate::core::heads::HeadSet;
use crate::core::history::TableHeads;
use crate::error::{CommitError, LakeError};
use crate::table::LakeTable;

impl LakeTable {
    /// Makes `heads` the heads of the table, in a snapshot of its own on top of the one that `base` was read from, and
    /// leaves the report below the table's metadata, named by a table property that the same commit sets. Returns the
    /// commit and the report's URL. The id of the commit is that of the report.
    ///
    /// # Errors
    /// As [`Self::commit`]. When it fails, the report may lie there without a property: [`crate::Lake::clean`] removes it.
    pub async fn move_heads(
        &self,
        base: &TableHeads,
        heads: HeadSet,
        report: &GapReport,
    ) -> Result<(Committed, String), CommitError> {
        let text = serde_json::to_vec_pretty(report).expect("strings and integers always serialise");
        let name = format!("gap-{}.json", report.id);
        let url = self.write_companion(&name, text).await.map_err(CommitError::NotSent)?;
        let proposal = Proposal {
            base: base.snapshot_id,
            commit_id: report.id,
            heads,
            files: &[],
            property: Some((format!("{GAP_PROPERTY}{}", report.id), url.clone())),
        };
        Ok((self.propose(&proposal).await?, url))
    }

    /// The reports of all moves by hand, oldest first.
    ///
    /// # Errors
    /// [`LakeError::Iceberg`] when catalog or store do not answer, [`LakeError::Config`] for a report of another version.
    pub async fn gap_reports(&self) -> Result<Vec<GapReport>, LakeError> {
        let table = self.reload().await?;
        let mut reports = Vec::new();
        for url in gap_urls(&table) {
            let input = table.file_io().new_input(url).map_err(LakeError::iceberg("open a gap report"))?;
            let bytes = input.read().await.map_err(LakeError::iceberg("read a gap report"))?;
            let report: GapReport =
                serde_json::from_slice(&bytes).map_err(|error| LakeError::Config(format!("{url}: {error}")))?;
            reports.push(report);
        }
        reports.sort_by_key(|report| report.at_micros);
        Ok(reports)
    }
}

/// URLs of the reports that the table's properties name.
pub(crate) fn gap_urls(table: &Table) -> impl Iterator<Item = &String> {
    table.metadata().properties().iter().filter(|(key, _)| key.starts_with(GAP_PROPERTY)).map(|(_, url)| url)
}

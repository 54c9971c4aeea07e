//! The lake's table of readings: the files of the canary's tenant that are live in the newest snapshot.

use super::shared::{Shared, now};
use crate::canary::core::known::{CHANNEL, Id};
use crate::canary::core::ledger::Stage;
use crate::verify::iceberg::{LakeArgs, LakeReader};
use crate::verify::lake::{column, micros, read_file, string};
use anyhow::Context;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, TimestampMicrosecondType};
use chrono::DateTime;
use lake::{Partitioning, tables, tenant_bucket};
use std::collections::{BTreeMap, HashMap};

const TABLE: &str = "readings";
const COLUMNS: &[&str] = &["tenant_id", "device_id", "channel", "start", "value"];

/// A reader of the lake that opens each file once.
pub(crate) struct Look {
    shared: Shared,
    reader: LakeReader,
    snapshot: Option<i64>,
    /// The canary's rows in files that were read, by path; empty for most.
    files: HashMap<String, Vec<(Id, i64)>>,
}

impl Look {
    /// Opens the lake.
    ///
    /// # Errors
    /// When the settings are wrong.
    pub(crate) fn new(shared: Shared, args: &LakeArgs) -> anyhow::Result<Self> {
        Ok(Self { shared, reader: LakeReader::new(args)?, snapshot: None, files: HashMap::new() })
    }

    /// Looks once. Counts what is live now, so that a file that was rewritten by a compaction is no second copy.
    ///
    /// # Errors
    /// When catalog or store do not answer.
    pub(crate) async fn look(&mut self) -> anyhow::Result<()> {
        let began = now();
        let Some(oldest) = self.shared.ledger().oldest() else { return Ok(()) };
        let snapshot = self.reader.summary(TABLE).await?.and_then(|summary| summary.snapshot_id);
        if snapshot != self.snapshot {
            self.read_new(oldest).await?;
            self.snapshot = snapshot;
        }
        let mut found: BTreeMap<Id, (u32, i64)> = BTreeMap::new();
        for (id, value) in self.files.values().flatten().filter(|(id, _)| id.start >= oldest) {
            let (copies, known) = found.entry(*id).or_insert((0, *value));
            *copies += 1;
            // A wrong copy must not hide behind a right one.
            if !self.shared.is_right(*id, *value) {
                *known = *value;
            }
        }
        for (id, (copies, value)) in found {
            self.shared.saw(Stage::Lake, id, value, copies);
        }
        self.shared.looked(Stage::Lake, None, began);
        Ok(())
    }

    async fn read_new(&mut self, oldest: i64) -> anyhow::Result<()> {
        let files = self.reader.data_files(TABLE).await?;
        let mut live = HashMap::with_capacity(self.files.len());
        for file in files.into_iter().filter(|file| may_hold(&file.path, &self.shared.tenant, oldest)) {
            let rows = match self.files.remove(&file.path) {
                Some(rows) => rows,
                None => self.rows(&file.path).await.with_context(|| format!("read {}", file.path))?,
            };
            live.insert(file.path, rows);
        }
        self.files = live;
        Ok(())
    }

    async fn rows(&self, path: &str) -> anyhow::Result<Vec<(Id, i64)>> {
        let bytes = self.reader.get(path).await?;
        let mut rows = Vec::new();
        read_file(bytes, COLUMNS, &mut |batch| pick(&self.shared, &batch, &mut rows))?;
        Ok(rows)
    }
}

/// Whether a data file can hold the tenant's readings of the day of `oldest` or later, by the partition in its path. What
/// another engine wrote elsewhere is read.
fn may_hold(path: &str, tenant: &str, oldest: i64) -> bool {
    let of = |name: &str| path.split('/').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let day = DateTime::from_timestamp_micros(oldest).map(|at| at.format("%Y-%m-%d").to_string()).unwrap_or_default();
    let bucket = match tables::readings().partitioning {
        Partitioning::DayBucket { buckets, .. } => Some(tenant_bucket(tenant, buckets).to_string()),
        _ => None,
    };
    let fresh = of("start_day").is_none_or(|found| found.len() != day.len() || found >= day.as_str());
    fresh && of("tenant_id_bucket").zip(bucket).is_none_or(|(found, ours)| found == ours)
}

fn pick(shared: &Shared, batch: &RecordBatch, rows: &mut Vec<(Id, i64)>) -> anyhow::Result<()> {
    let [tenant, device, channel] =
        [string(batch, "tenant_id")?, string(batch, "device_id")?, string(batch, "channel")?];
    let [tenant, device, channel] = [&tenant, &device, &channel].map(|array| array.as_string::<i32>());
    let start = micros(batch, "start")?;
    let start = start.as_primitive::<TimestampMicrosecondType>();
    let value = column(batch, "value")?.as_primitive_opt::<Decimal128Type>().context("value is no decimal")?;
    for row in 0..batch.num_rows() {
        if tenant.value(row) != &*shared.tenant || channel.value(row) != CHANNEL {
            continue;
        }
        let Some(device) = shared.device(device.value(row)) else { continue };
        // A value beyond the column's digits is a wrong one; none that was sent is negative.
        let value = i64::try_from(value.value(row)).unwrap_or(-1);
        rows.push((Id { start: start.value(row), device }, value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_days_and_buckets_are_not_opened() {
        let bucket = match tables::readings().partitioning {
            Partitioning::DayBucket { buckets, .. } => tenant_bucket("canary", buckets),
            _ => panic!("readings are bucketed by tenant"),
        };
        let oldest = 1_774_744_200_000_000; // 2026-03-29
        let path = |day: &str, bucket: i32| format!("s3://b/readings/data/start_day={day}/tenant_id_bucket={bucket}/f");
        assert!(may_hold(&path("2026-03-29", bucket), "canary", oldest));
        assert!(may_hold(&path("2026-04-01", bucket), "canary", oldest));
        assert!(!may_hold(&path("2026-03-28", bucket), "canary", oldest));
        assert!(!may_hold(&path("2026-03-29", bucket + 1), "canary", oldest));
        assert!(may_hold("s3://b/readings/compacted/f", "canary", oldest));
    }
}

//! Removing what no snapshot leads to. The one place where a listing is right: not to find data, but to find what is none.

use std::collections::HashSet;

use iceberg::table::Table;

use crate::core::orphans::{Listed, Referenced, key_in_bucket, orphans};
use crate::error::LakeError;
use crate::lake::Lake;
use crate::reset::gap_urls;
use crate::s3::{Bucket, DELETE_BATCH};
use crate::tables::TableSpec;

/// What a clean-up of a table found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanReport {
    /// Objects below the table's data and metadata.
    pub listed: u64,
    /// Objects that are younger than the cutoff and were not looked at.
    pub young: u64,
    /// Objects that nobody needs, oldest first.
    pub orphans: Vec<Listed>,
    /// Objects among them that were removed.
    pub removed: u64,
    /// Keys that the store did not remove, with its reason.
    pub failed: Vec<(String, String)>,
}

impl Lake {
    /// What time it is for the object store, milliseconds since 1970-01-01. Cutoffs are counted from this clock, because
    /// it is the one that dates the objects.
    ///
    /// # Errors
    /// [`LakeError::Store`] when the store does not answer or does not let us write.
    pub async fn store_now_ms(&self) -> Result<i64, LakeError> {
        Bucket::of(self.config()).await?.now_ms(self.config().prefix()).await
    }

    /// Finds the objects of a table that were written before `cutoff_ms` and that no snapshot leads to, and removes them
    /// unless `dry_run`. Take the cutoff from [`crate::core::orphans::cutoff_ms`]: a later one takes files away from
    /// writers that are about to commit them.
    ///
    /// The listing comes before the look at the table, so that what a writer commits in between counts as needed.
    ///
    /// # Errors
    /// [`LakeError`] when catalog or store do not answer; nothing was removed then, unless the removal itself failed.
    pub async fn clean(&self, spec: &TableSpec, cutoff_ms: i64, dry_run: bool) -> Result<CleanReport, LakeError> {
        let bucket = Bucket::of(self.config()).await?;
        let (mut listed, mut young, mut old) = (0, 0, Vec::new());
        for prefix in prefixes(&self.load(spec).await?, &bucket.name)? {
            let each = |object: Listed| {
                listed += 1;
                if object.modified_ms < cutoff_ms { old.push(object) } else { young += 1 }
            };
            bucket.list(&prefix, each).await?;
        }
        let referenced = referenced(&self.load(spec).await?, &bucket.name).await?;
        let mut report = CleanReport {
            listed,
            young,
            orphans: orphans(old, &referenced, cutoff_ms),
            removed: 0,
            failed: Vec::new(),
        };
        if !dry_run {
            for batch in report.orphans.chunks(DELETE_BATCH) {
                let failed = bucket.delete(batch).await?;
                report.removed += (batch.len() - failed.len()) as u64;
                report.failed.extend(failed);
            }
        }
        Ok(report)
    }
}

/// Where the objects of a table lie.
fn prefixes(table: &Table, bucket: &str) -> Result<[String; 2], LakeError> {
    let location = table.metadata().location();
    let elsewhere =
        || LakeError::Config(format!("table {} is at {location}, not in bucket {bucket}", table.identifier()));
    let key = key_in_bucket(location, bucket).ok_or_else(elsewhere)?.trim_matches('/');
    if key.is_empty() {
        return Err(elsewhere());
    }
    Ok([format!("{key}/data/"), format!("{key}/metadata/")])
}

/// Everything that the table's metadata leads to, in this bucket.
async fn referenced(table: &Table, bucket: &str) -> Result<Referenced, LakeError> {
    let metadata = table.metadata();
    let mut urls: HashSet<String> = HashSet::new();
    urls.extend(table.metadata_location().map(str::to_owned));
    urls.extend(metadata.metadata_log().iter().map(|entry| entry.metadata_file.clone()));
    urls.extend(metadata.statistics_iter().map(|file| file.statistics_path.clone()));
    urls.extend(metadata.partition_statistics_iter().map(|file| file.statistics_path.clone()));
    urls.extend(gap_urls(table).cloned());
    for snapshot in metadata.snapshots() {
        urls.insert(snapshot.manifest_list().to_owned());
        let list =
            table.manifest_list_reader(snapshot).load().await.map_err(LakeError::iceberg("read a manifest list"))?;
        for manifest in list.entries() {
            // Snapshots share their manifests.
            if urls.insert(manifest.manifest_path.clone()) {
                let manifest =
                    manifest.load_manifest(table.file_io()).await.map_err(LakeError::iceberg("read a manifest"))?;
                // Entries that say "deleted" too: an older snapshot may still need the file.
                urls.extend(manifest.entries().iter().map(|entry| entry.file_path().to_owned()));
            }
        }
    }
    let keys = urls.iter().filter_map(|url| key_in_bucket(url, bucket)).map(str::to_owned).collect();
    Ok(Referenced { keys, snapshots: metadata.snapshots().map(|snapshot| snapshot.snapshot_id()).collect() })
}

//! Which objects of a table nobody needs.
//!
//! An object is removed only when no snapshot that the table still knows leads to it, and when it is older than any file
//! that a writer may still commit. Writers keep their side: a commit refuses files older than [`MAX_UNCOMMITTED_AGE`].

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

/// Longest time between the beginning of a file and the commit that adds it; a writer whose files are older begins anew.
pub const MAX_UNCOMMITTED_AGE: Duration = Duration::from_secs(3600);

/// Shortest grace. The distance to [`MAX_UNCOMMITTED_AGE`] covers a commit that is under way for long, and clocks.
pub const MIN_GRACE: Duration = Duration::from_secs(3 * 3600);

/// An object of the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Key within the bucket.
    pub key: String,
    /// Size.
    pub bytes: u64,
    /// When the store says it was written, milliseconds since 1970-01-01.
    pub modified_ms: i64,
}

/// The grace is so short that files which are about to be committed could be taken for orphans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a grace of {} s is too short, the shortest is {} s: writers may hold files for that long before they commit them",
    .0.as_secs(), MIN_GRACE.as_secs())]
pub struct GraceTooShort(pub Duration);

/// Objects that were written before the returned instant are old enough.
///
/// # Errors
/// [`GraceTooShort`].
pub fn cutoff_ms(now_ms: i64, grace: Duration) -> Result<i64, GraceTooShort> {
    if grace < MIN_GRACE {
        return Err(GraceTooShort(grace));
    }
    Ok(now_ms.saturating_sub(i64::try_from(grace.as_millis()).unwrap_or(i64::MAX)))
}

/// What the table leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Referenced {
    /// Keys of metadata files, manifest lists, manifests, data and delete files, statistics and gap reports.
    pub keys: HashSet<String>,
    /// Snapshots in the metadata.
    pub snapshots: BTreeSet<i64>,
}

impl Referenced {
    /// Whether an object must stay.
    pub fn needs(&self, key: &str) -> bool {
        self.keys.contains(key) || self.needs_companion(key)
    }

    /// Companions belong to no snapshot's tree: the manifest of a load stays as long as its snapshot is known; whatever
    /// else was put there stays, unless it is a gap report that no property names, whose commit did not happen.
    fn needs_companion(&self, key: &str) -> bool {
        let Some((_, name)) = key.split_once("/metadata/companions/") else { return false };
        if name.starts_with("gap-") {
            return false;
        }
        loaded_snapshot(name).is_none_or(|snapshot| self.snapshots.contains(&snapshot))
    }
}

/// The snapshot of `load-<snapshot>.manifest` or `load-<snapshot>-<attempt>.manifest`.
fn loaded_snapshot(name: &str) -> Option<i64> {
    let digits = name.strip_prefix("load-")?.strip_suffix(".manifest")?;
    digits.split('-').next()?.parse().ok()
}

/// The objects that nobody needs and that are older than the cutoff, oldest first.
pub fn orphans(listed: impl IntoIterator<Item = Listed>, referenced: &Referenced, cutoff_ms: i64) -> Vec<Listed> {
    let mut orphans: Vec<Listed> =
        listed.into_iter().filter(|object| object.modified_ms < cutoff_ms && !referenced.needs(&object.key)).collect();
    orphans.sort_by(|a, b| (a.modified_ms, &a.key).cmp(&(b.modified_ms, &b.key)));
    orphans
}

/// Key of an object URL in a bucket; `None` when it is elsewhere. Engines write `s3`, `s3a` and `s3n` for the same place.
pub fn key_in_bucket<'a>(url: &'a str, bucket: &str) -> Option<&'a str> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "s3" | "s3a" | "s3n") {
        return None;
    }
    rest.strip_prefix(bucket)?.strip_prefix('/')
}

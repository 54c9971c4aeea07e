//! What a table lacks, or will read twice, because somebody moved its heads by hand.
//!
//! A report lies below the table's metadata and is named by a table property, which outlives the snapshot that set it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Prefix of the table properties that name reports; behind it stands the report's id.
pub const GAP_PROPERTY: &str = "meterway.gap.";

/// Version of the report's form.
pub const GAP_VERSION: u32 = 1;

/// A move of heads, with its reason and its consequences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GapReport {
    /// Version of the form.
    pub v: u32,
    /// Id of the commit that moved the heads.
    pub id: Uuid,
    /// Table, namespace included.
    pub table: String,
    /// When, microseconds since 1970-01-01.
    pub at_micros: i64,
    /// Why, in the operator's words.
    pub reason: String,
    /// The partitions that were moved.
    pub gaps: Vec<Gap>,
}

/// Offsets `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offsets {
    /// First offset.
    pub from: i64,
    /// Offset behind the last.
    pub to: i64,
}

impl Offsets {
    /// The range, unless it is empty.
    pub fn non_empty(from: i64, to: i64) -> Option<Self> {
        (from < to).then_some(Self { from, to })
    }

    /// Number of offsets; not every offset has to be a record.
    pub fn count(self) -> u64 {
        u64::try_from(self.to - self.from).unwrap_or(0)
    }
}

/// Where a head stood or stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Id of the topic.
    pub topic_id: String,
    /// Next offset to read.
    pub next: i64,
    /// Highest source offset taken in, -1 for none.
    pub watermark: i64,
}

/// What moving one head means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Where the head stood; nothing when there was none.
    pub was: Option<Position>,
    /// Where it stands now.
    pub now: Position,
    /// Offsets of the present topic that the table will never read.
    pub lost: Option<Offsets>,
    /// The topic was created again: whatever the former one held from this offset on is lost, and nobody can count it.
    pub lost_behind: Option<i64>,
    /// Offsets that are read a second time. Their rows do not double: decisions up to the watermark are dropped.
    pub again: Option<Offsets>,
    /// Offsets that the table has taken in and that are no longer in the log: they were removed from its end.
    pub removed: Option<Offsets>,
}

//! What operators have owned up to: reports of heads that were moved by hand. Read like the rest of the lake, without the
//! writer's code: a table property names each report.

use super::iceberg::LakeReader;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Offsets that are left out of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Holes(Vec<Range<i64>>);

impl Holes {
    /// Adds offsets.
    pub(crate) fn add(&mut self, added: Range<i64>) {
        if added.is_empty() {
            return;
        }
        // Those that touch the new one become one with it.
        let first = self.0.partition_point(|hole| hole.end < added.start);
        let last = self.0.partition_point(|hole| hole.start <= added.end);
        let touched = &self.0[first..last];
        let start = touched.first().map_or(added.start, |hole| hole.start.min(added.start));
        let end = touched.last().map_or(added.end, |hole| hole.end.max(added.end));
        self.0.splice(first..last, std::iter::once(start..end));
    }

    pub(crate) fn contains(&self, offset: i64) -> bool {
        let at = self.0.partition_point(|hole| hole.end <= offset);
        self.0.get(at).is_some_and(|hole| hole.contains(&offset))
    }
}

/// A head that was moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Moved {
    /// Table, without namespace.
    pub(crate) table: &'static str,
    /// When, microseconds since 1970-01-01.
    pub(crate) at_micros: i64,
    /// Why, in the operator's words.
    pub(crate) reason: String,
    /// What was moved.
    #[serde(flatten)]
    pub(crate) gap: Gap,
}

/// What a report says of a partition, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// Offsets of the present topic that the table will never read.
    pub(crate) lost: Option<Offsets>,
    /// The topic was created again; what the former one held from here on is lost.
    pub(crate) lost_behind: Option<i64>,
    /// Offsets read a second time.
    pub(crate) again: Option<Offsets>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offsets {
    from: i64,
    to: i64,
}

#[derive(Debug, Deserialize)]
struct Report {
    v: u32,
    at_micros: i64,
    reason: String,
    gaps: Vec<Gap>,
}

/// The moves of all tables that are compared, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gaps(pub(crate) Vec<Moved>);

impl Gaps {
    /// Reads the reports.
    ///
    /// # Errors
    /// When the catalog or the store does not answer, or a report is of a version that is not known.
    pub(crate) async fn read(lake: &LakeReader) -> anyhow::Result<Self> {
        let mut moved = Vec::new();
        for table in ["landing", "readings", "rejected"] {
            for url in lake.gap_reports(table).await.with_context(|| format!("look for gap reports of {table}"))? {
                let report: Report =
                    serde_json::from_slice(&lake.get(&url).await?).with_context(|| format!("parse {url}"))?;
                anyhow::ensure!(report.v == 1, "{url}: version {} of gap reports is not known", report.v);
                let Report { at_micros, reason, gaps, .. } = report;
                moved.extend(gaps.into_iter().map(|gap| Moved { table, at_micros, reason: reason.clone(), gap }));
            }
        }
        moved.sort_by_key(|moved| moved.at_micros);
        Ok(Self(moved))
    }

    /// The offsets of a partition that a table was made to pass over.
    pub(crate) fn holes(&self, table: &str, topic: &str, partition: i32) -> Holes {
        let mut holes = Holes::default();
        let ours =
            |moved: &&Moved| moved.table == table && moved.gap.topic == topic && moved.gap.partition == partition;
        for moved in self.0.iter().filter(ours) {
            if moved.gap.lost_behind.is_some() {
                // Another topic: what was lost of the former one says nothing about these offsets.
                holes = Holes::default();
            }
            if let Some(lost) = moved.gap.lost {
                holes.add(lost.from..lost.to);
            }
        }
        holes
    }
}

impl std::fmt::Display for Moved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, reason, gap, .. } = self;
        write!(f, "table {table}, {}[{}]: ", gap.topic, gap.partition)?;
        if let Some(offset) = gap.lost_behind {
            write!(f, "topic was created again, lost from {offset} of the former one on; ")?;
        }
        if let Some(Offsets { from, to }) = gap.lost {
            write!(f, "{} offsets ({from} to {to}) passed over; ", to - from)?;
        }
        if let Some(Offsets { from, to }) = gap.again {
            write!(f, "{from} to {to} read again; ")?;
        }
        write!(f, "{reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moved(table: &'static str, lost: Option<(i64, i64)>, lost_behind: Option<i64>) -> Moved {
        let lost = lost.map(|(from, to)| Offsets { from, to });
        let gap = Gap { topic: "t".into(), partition: 0, lost, lost_behind, again: None };
        Moved { table, at_micros: 0, reason: "why".into(), gap }
    }

    #[test]
    fn holes_are_those_of_the_table_and_of_the_present_topic() {
        let gaps = Gaps(vec![
            moved("landing", Some((0, 5)), None),
            moved("landing", Some((2, 4)), Some(90)),
            moved("readings", Some((7, 9)), None),
        ]);
        let holes = gaps.holes("landing", "t", 0);
        assert_eq!([1, 2, 3, 4].map(|offset| holes.contains(offset)), [false, true, true, false]);
        let none = [gaps.holes("landing", "other", 0), gaps.holes("landing", "t", 1)];
        assert_eq!(none, [Holes::default(), Holes::default()]);
    }

    #[test]
    fn what_the_writer_reports_is_understood() {
        let gap = lake::Gap {
            topic: "t".into(),
            partition: 3,
            was: None,
            now: lake::core::gap::Position { topic_id: "id".into(), next: 4, watermark: -1 },
            lost: lake::Offsets::non_empty(0, 4),
            lost_behind: Some(8),
            again: None,
            removed: None,
        };
        let (table, id) = ("n.landing".to_owned(), uuid::Uuid::nil());
        let report =
            lake::GapReport { v: lake::GAP_VERSION, id, table, at_micros: 5, reason: "r".into(), gaps: vec![gap] };
        let read: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        let lost = Some(Offsets { from: 0, to: 4 });
        assert_eq!(read.gaps, [Gap { topic: "t".into(), partition: 3, lost, lost_behind: Some(8), again: None }]);
        assert_eq!((read.v, read.at_micros, read.reason.as_str()), (1, 5, "r"));
    }

    proptest! {
        #[test]
        fn holes_hold_what_was_added_and_nothing_else(
            added in prop::collection::vec((0..60i64, 0..10i64), 0..20),
        ) {
            let mut holes = Holes::default();
            for (start, length) in &added {
                holes.add(*start..start + length);
            }
            for offset in -1..80 {
                let expected = added.iter().any(|(start, length)| (*start..start + length).contains(&offset));
                prop_assert_eq!(holes.contains(offset), expected, "{} in {:?}", offset, holes);
            }
            prop_assert!(holes.0.windows(2).all(|pair| pair[0].end < pair[1].start), "{holes:?}");
        }
    }
}

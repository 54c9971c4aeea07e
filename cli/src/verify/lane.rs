//! The replay lane: every message of the replay topic has a decision, and the rows of replays are those that the first
//! decisions made, in the lake and in the warehouse. Reads with the code of `verify`, not with that of `replay`.

use super::{
    audit::{Audit, Finding},
    iceberg::LakeReader,
    lake,
    report::{Difference, MessageFinding, by_cell},
    sequences::Sequences,
    tally::{Cell, Fact, Tallies},
    topics::{Decided, Topics, Zones},
    warehouse,
};
use anyhow::Context;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_secs(2);

/// The topics of the lane.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Replay lane")]
pub(crate) struct LaneArgs {
    /// Topic of the replay lane; not looked at when it does not exist
    #[arg(long, default_value = "meter.readings.replay.v1")]
    replay_topic: String,
    /// Topic of the lane's decisions
    #[arg(long, default_value = "meter.readings.replay.validated.v1")]
    replay_validated_topic: String,
}

/// A row of a replay: partition and offset of its raw message, and the number of the replay.
pub(crate) type Origin = (i32, i64, i64);

/// What the lane's topics hold.
#[derive(Debug, Default)]
pub(crate) struct LaneAudit {
    audits: Vec<Audit>,
    /// Rows that the decisions ask for.
    rows: Tallies,
    /// Messages whose rows are compared; those of replays that retention has taken are not.
    origins: BTreeSet<Origin>,
}

/// Rows of replays, as a store holds them.
#[derive(Debug, Default)]
pub(crate) struct Revised {
    /// Of messages that are in the lane's topic.
    pub(crate) inside: Tallies,
    /// Of messages that are not any more.
    pub(crate) outside: u64,
}

impl Revised {
    /// Counts a row.
    pub(crate) fn add(&mut self, lane: &LaneAudit, origin: Origin, local_day: i32, fact: &Fact<'_>) {
        if lane.origins.contains(&origin) {
            let (partition, offset, revision) = origin;
            let cell = Cell { partition, local_day: Some(local_day) };
            self.inside.add(cell, digest(fact, offset, revision));
        } else {
            self.outside += 1;
        }
    }
}

/// The lane in the report.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct LaneReport {
    /// Messages in the replay topic.
    pub(crate) messages: u64,
    /// Decisions about messages that had been decided before: harmless, counted.
    pub(crate) re_emissions: u64,
    /// Rows that the first decisions made.
    pub(crate) rows: u64,
    /// Rows of these replays in the lake.
    pub(crate) lake: u64,
    /// Rows of these replays in the warehouse.
    pub(crate) warehouse: u64,
    /// Lake rows of replays whose messages are no longer in the topic.
    pub(crate) lake_outside: u64,
    /// What does not add up.
    #[serde(skip)]
    pub(crate) differences: Vec<Difference>,
    /// Messages whose decision does not add up.
    #[serde(skip)]
    pub(crate) findings: Vec<MessageFinding>,
}

/// Digest of a row: its fact, its message and its replay.
fn digest(fact: &Fact<'_>, offset: i64, revision: i64) -> u128 {
    let mut bytes = [0u8; 32];
    bytes[..16].copy_from_slice(&fact.digest().to_le_bytes());
    bytes[16..24].copy_from_slice(&offset.to_le_bytes());
    bytes[24..].copy_from_slice(&revision.to_le_bytes());
    xxhash_rust::xxh3::xxh3_128(&bytes)
}

/// Audits the lane, waiting for decisions that are still to come; `None` when there is no lane.
///
/// # Errors
/// When brokers or registry cannot be reached.
pub(crate) async fn audit(
    topics: &Topics,
    args: &LaneArgs,
    partitions: impl Fn(&str) -> Option<i32>,
    zones: &Zones,
    deadline: Instant,
) -> anyhow::Result<Option<LaneAudit>> {
    let (Some(count), Some(_)) = (partitions(&args.replay_topic), partitions(&args.replay_validated_topic)) else {
        return Ok(None);
    };
    let mut lane = LaneAudit::default();
    for partition in 0..count {
        let raw = topics.raw(&args.replay_topic, partition, zones, &mut Sequences::default()).await?;
        let mut audit = Audit::new(partition, raw.messages);
        let mut next = None;
        let mut decided = BTreeSet::new();
        loop {
            let mut each = |decision: Decided| lane.decide(&mut audit, &mut decided, decision);
            next = Some(topics.decided(&args.replay_validated_topic, partition, next, &mut each).await?);
            if audit.undecided() == 0 || Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        audit.finish();
        lane.audits.push(audit);
    }
    Ok(Some(lane))
}

impl LaneAudit {
    fn decide(&mut self, audit: &mut Audit, decided: &mut BTreeSet<i64>, decision: Decided) {
        let partition = audit.partition();
        let batch = match decision {
            Decided::Unreadable(offset) => return audit.unreadable(offset),
            Decided::Displaced => return audit.displaced(),
            Decided::Batch(batch) => batch,
        };
        let read = batch.decision();
        audit.decide(&read);
        if !decided.insert(read.source_offset) || audit.raw(read.source_offset).is_none() {
            return;
        }
        let Some(origin) = batch.origin_offset else { return };
        self.origins.insert((partition, origin, batch.revision));
        for (fact, local_day) in batch.new_rows() {
            self.rows.add(Cell { partition, local_day: Some(local_day) }, digest(&fact, origin, batch.revision));
        }
    }

    /// Compares the stores with the decisions.
    ///
    /// # Errors
    /// When the lake or the warehouse cannot be read.
    pub(crate) async fn compare(
        &self,
        lake: &LakeReader,
        client: &tokio_postgres::Client,
    ) -> anyhow::Result<LaneReport> {
        let in_lake = lake::revised(lake, self).await.context("read the rows of replays")?;
        let in_warehouse = warehouse::revised(client, self).await.context("read the rows of replays")?;
        let mut differences = by_cell("replays: lake = decisions", &in_lake.inside, &self.rows);
        differences.extend(by_cell("replays: warehouse = lake", &in_warehouse.inside, &in_lake.inside));
        let findings = self.audits.iter().flat_map(|audit| {
            let partition = audit.partition();
            audit.findings.iter().map(move |finding| MessageFinding {
                partition,
                finding: Finding { what: format!("replay lane: {}", finding.what), ..finding.clone() },
            })
        });
        Ok(LaneReport {
            messages: self.audits.iter().map(|audit| audit.messages() as u64).sum(),
            re_emissions: self.audits.iter().map(|audit| audit.re_emissions).sum(),
            rows: self.rows.total().count,
            lake: in_lake.inside.total().count,
            warehouse: in_warehouse.inside.total().count,
            lake_outside: in_lake.outside,
            differences,
            findings: findings.collect(),
        })
    }
}

/// What is in a topic, by partition: kept apart from the map type that callers have.
pub(crate) fn counts<T>(known: &BTreeMap<String, T>, of: impl Fn(&T) -> i32) -> impl Fn(&str) -> Option<i32> {
    move |topic| known.get(topic).map(&of)
}

#[cfg(test)]
mod tests {
    use super::super::audit::RawMessage;
    use super::*;

    const FACT: Fact<'static> =
        Fact { tenant_id: "t", device_id: "d", channel: "c", kind: "GAUGE", start: 1, value: 2 };

    fn lane() -> LaneAudit {
        LaneAudit { origins: BTreeSet::from([(0, 5, 9)]), ..LaneAudit::default() }
    }

    #[test]
    fn a_row_that_comes_twice_or_belongs_to_another_message_is_seen() {
        let (mut once, mut twice, mut other) = (Revised::default(), Revised::default(), Revised::default());
        once.add(&lane(), (0, 5, 9), 1, &FACT);
        (0..2).for_each(|_| twice.add(&lane(), (0, 5, 9), 1, &FACT));
        assert!(!once.inside.differences(&twice.inside).is_empty());
        other.add(&lane(), (0, 6, 9), 1, &FACT);
        assert_eq!((other.inside.total().count, other.outside), (0, 1));
        assert_ne!(digest(&FACT, 5, 9), digest(&FACT, 5, 10));
        assert_ne!(digest(&FACT, 5, 9), digest(&FACT, 6, 9));
    }

    #[test]
    fn an_undecided_message_of_the_lane_is_a_finding() {
        let mut audit = Audit::new(0, BTreeMap::from([(3, RawMessage::Undecodable)]));
        audit.finish();
        assert_eq!(audit.findings.len(), 1);
    }
}

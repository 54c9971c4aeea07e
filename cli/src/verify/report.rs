//! What verification found, for people and for programs.

use super::{
    audit::{Audit, Finding},
    lake::Readings,
    lane::LaneReport,
    sequences::{Gap, Gateway, Summary},
    tally::{Cell, Tallies, Tally},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Counts from the stores, beside which the audits are held.
pub(crate) struct Stores {
    pub(crate) landing: BTreeMap<i32, Tally>,
    pub(crate) lake: Readings,
    pub(crate) lake_rejections: BTreeMap<i32, Tally>,
    pub(crate) warehouse: Readings,
    pub(crate) warehouse_rejections: BTreeMap<i32, Tally>,
}

/// How many of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Messages in the raw topic.
    pub(crate) raw_messages: u64,
    /// Readings in those that can be decoded.
    pub(crate) raw_readings: u64,
    /// Readings accepted by the first decisions.
    pub(crate) accepted: u64,
    /// Readings rejected by the first decisions.
    pub(crate) rejected: u64,
    /// Messages rejected whole.
    pub(crate) rejected_messages: u64,
    /// Decisions about messages that had been decided before: harmless, counted.
    pub(crate) re_emissions: u64,
    /// Messages out of their place, which decide nothing: harmless, counted.
    pub(crate) displaced: u64,
    /// Raw messages in the landing table.
    pub(crate) landing: u64,
    /// Readings in the lake.
    pub(crate) lake: u64,
    /// Rejections in the lake.
    pub(crate) lake_rejections: u64,
    /// Readings in the warehouse.
    pub(crate) warehouse: u64,
    /// Rejections in the warehouse.
    pub(crate) warehouse_rejections: u64,
    /// Lake rows whose raw message is not in the topic (any more, or not yet when the look began).
    pub(crate) lake_outside: u64,
    /// Warehouse rows of the same sort.
    pub(crate) warehouse_outside: u64,
}

/// Two sides that should hold the same and do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// What was compared, such as `lake = accepted`.
    pub(crate) check: &'static str,
    /// Partition.
    pub(crate) partition: i32,
    /// Local day, where the comparison is by day.
    pub(crate) local_day: Option<String>,
    /// Count on the left side.
    pub(crate) left: u64,
    /// Count on the right side; equal to the left one when only the checksums differ.
    pub(crate) right: u64,
}

/// A raw message whose decision does not add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MessageFinding {
    /// Partition of the raw message.
    pub(crate) partition: i32,
    /// Its offset and what is wrong.
    #[serde(flatten)]
    pub(crate) finding: Finding,
}

/// The result of a verification.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Whether everything adds up.
    pub(crate) clean: bool,
    /// How many of everything.
    pub(crate) totals: Totals,
    /// Checksum of keys and values over all accepted readings, 128 bits in hexadecimal.
    pub(crate) checksum: String,
    /// Sides that differ.
    pub(crate) differences: Vec<Difference>,
    /// Messages whose decision does not add up; at most a thousand.
    pub(crate) findings: Vec<MessageFinding>,
    /// What the gateways' own counters say; nothing of it makes the report unclean.
    pub(crate) sequences: Summary,
    /// The replay lane, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replays: Option<LaneReport>,
}

const MOST_FINDINGS: usize = 1000;

impl Report {
    pub(crate) fn new<'a>(
        audits: impl Iterator<Item = &'a Audit> + Clone,
        raw_bytes: &BTreeMap<i32, Tally>,
        stores: &Stores,
    ) -> Self {
        let mut accepted = Tallies::default();
        audits.clone().for_each(|audit| accepted.merge(audit.accepted.clone()));
        let rejections: BTreeMap<i32, Tally> =
            audits.clone().filter(|a| a.rejections.count > 0).map(|a| (a.partition(), a.rejections)).collect();
        let mut differences = by_partition("landing = raw", &stores.landing, raw_bytes);
        differences.extend(by_cell("lake = accepted", &stores.lake.inside, &accepted));
        differences.extend(by_partition("rejected in lake = rejected", &stores.lake_rejections, &rejections));
        differences.extend(by_cell("warehouse = lake", &stores.warehouse.inside, &stores.lake.inside));
        differences.extend(by_partition(
            "rejected in warehouse = in lake",
            &stores.warehouse_rejections,
            &stores.lake_rejections,
        ));
        let findings: Vec<_> = audits.clone().flat_map(message_findings).take(MOST_FINDINGS).collect();
        Self {
            clean: differences.is_empty() && findings.is_empty(),
            totals: totals(audits, stores),
            checksum: format!("{:032x}", accepted.total().checksum),
            differences,
            findings,
            sequences: Summary::default(),
            replays: None,
        }
    }

    /// With the replay lane.
    pub(crate) fn with_lane(mut self, mut lane: LaneReport) -> Self {
        self.differences.append(&mut lane.differences);
        self.findings.append(&mut lane.findings);
        self.findings.truncate(MOST_FINDINGS);
        self.clean = self.differences.is_empty() && self.findings.is_empty();
        self.replays = Some(lane);
        self
    }
}

fn message_findings(audit: &Audit) -> impl Iterator<Item = MessageFinding> + use<'_> {
    audit.findings.iter().map(|finding| MessageFinding { partition: audit.partition(), finding: finding.clone() })
}

fn totals<'a>(audits: impl Iterator<Item = &'a Audit>, stores: &Stores) -> Totals {
    let sum = |tallies: &BTreeMap<i32, Tally>| tallies.values().map(|tally| tally.count).sum();
    let mut totals = Totals {
        landing: sum(&stores.landing),
        lake: stores.lake.inside.total().count,
        lake_rejections: sum(&stores.lake_rejections),
        warehouse: stores.warehouse.inside.total().count,
        warehouse_rejections: sum(&stores.warehouse_rejections),
        lake_outside: stores.lake.outside,
        warehouse_outside: stores.warehouse.outside,
        ..Totals::default()
    };
    for audit in audits {
        totals.raw_messages += audit.messages() as u64;
        totals.raw_readings += audit.raw_readings;
        totals.accepted += audit.accepted.total().count;
        totals.rejected += audit.rejected_readings;
        totals.rejected_messages += audit.rejected_messages;
        totals.re_emissions += audit.re_emissions;
        totals.displaced += audit.displaced;
    }
    totals
}

pub(crate) fn by_cell(check: &'static str, left: &Tallies, right: &Tallies) -> Vec<Difference> {
    let difference = |(cell, left, right): (Cell, Tally, Tally)| Difference {
        check,
        partition: cell.partition,
        local_day: cell.local_day.and_then(date),
        left: left.count,
        right: right.count,
    };
    left.differences(right).into_iter().map(difference).collect()
}

fn by_partition(check: &'static str, left: &BTreeMap<i32, Tally>, right: &BTreeMap<i32, Tally>) -> Vec<Difference> {
    let partitions: BTreeSet<i32> = left.keys().chain(right.keys()).copied().collect();
    let get = |side: &BTreeMap<i32, Tally>, partition| side.get(&partition).copied().unwrap_or_default();
    partitions
        .into_iter()
        .map(|partition| (partition, get(left, partition), get(right, partition)))
        .filter(|(_, left, right)| left != right)
        .map(|(partition, left, right)| Difference {
            check,
            partition,
            local_day: None,
            left: left.count,
            right: right.count,
        })
        .collect()
}

fn date(day: i32) -> Option<String> {
    DateTime::<Utc>::from_timestamp(i64::from(day) * 86_400, 0).map(|at| at.format("%Y-%m-%d").to_string())
}

/// Gateways that are listed for people; programs get all.
const SHOWN_GATEWAYS: usize = 20;

fn write_sequences(f: &mut fmt::Formatter<'_>, all: &Summary) -> fmt::Result {
    writeln!(
        f,
        "gateways   {:>10} count; {} numbers missing, {} on their way, {} repeated, {} in conflict, {} new beginnings; \
         {} messages without a number",
        all.gateways, all.missing, all.unsettled, all.repeats, all.conflicts, all.restarts, all.uncounted
    )?;
    let gaps = all.findings.iter().filter(|gateway| gateway.missing > 0);
    for Gateway { tenant_id, gateway_id, missing, gaps, .. } in gaps.take(SHOWN_GATEWAYS) {
        let ranges = gaps.iter().map(|Gap { from, to }| match from == to {
            true => from.to_string(),
            false => format!("{from}-{to}"),
        });
        let ranges = ranges.collect::<Vec<_>>().join(", ");
        writeln!(f, "GAP        {tenant_id}, gateway {gateway_id}: {missing} deliveries missing, among them {ranges}")?;
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = &self.totals;
        writeln!(f, "raw        {:>10} messages, {:>10} readings", t.raw_messages, t.raw_readings)?;
        writeln!(f, "landing    {:>10} messages", t.landing)?;
        writeln!(
            f,
            "decisions  {:>10} accepted, {:>10} rejected readings, {} messages rejected whole, {} re-emissions, {} out of place",
            t.accepted, t.rejected, t.rejected_messages, t.re_emissions, t.displaced
        )?;
        writeln!(f, "lake       {:>10} readings, {:>10} rejections", t.lake, t.lake_rejections)?;
        writeln!(f, "warehouse  {:>10} readings, {:>10} rejections", t.warehouse, t.warehouse_rejections)?;
        writeln!(f, "checksum   {}", self.checksum)?;
        write_sequences(f, &self.sequences)?;
        if let Some(lane) = self.replays.as_ref().filter(|lane| lane.messages > 0) {
            let LaneReport { messages, rows, lake, warehouse, re_emissions, .. } = lane;
            writeln!(
                f,
                "replays    {messages:>10} messages, {rows:>10} rows; lake {lake}, warehouse {warehouse}, {re_emissions} re-emissions"
            )?;
        }
        for d in &self.differences {
            let day = d.local_day.as_deref().unwrap_or("all days");
            writeln!(f, "DIFFERS    {}: partition {}, {day}: {} against {}", d.check, d.partition, d.left, d.right)?;
        }
        for MessageFinding { partition, finding } in &self.findings {
            writeln!(f, "WRONG      partition {partition}, offset {}: {}", finding.source_offset, finding.what)?;
        }
        write!(f, "{}", if self.clean { "everything adds up" } else { "it does not add up" })
    }
}

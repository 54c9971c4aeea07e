//! The report: what was done, what it cost, and whether the promises held.

use super::args::Args;
use super::board::Board;
use super::outage::Outage;
use super::record::Happened;
use super::verdict::Verdicts;
use crate::core::figures::{Memory, Spread};
use crate::core::plan::Step;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Faults that no run of this harness injects, so that nobody takes them for survived.
pub(crate) const NOT_INJECTED: &[&str] = &[
    "a full disk, and clocks that are wrong: `stack.sh fill` and `METER_CLOCK_OFFSET` can do both, the plan does not ask for them yet",
    "loss of power: killed processes lose nothing that the operating system has taken",
    "loss of a disk, or bits that flip on one",
    "a network that splits the brokers from one another",
    "several machines with clocks of their own",
    "a real Redshift, S3 or DynamoDB: PostgreSQL, SeaweedFS and DynamoDB Local stand in for them",
];

/// What the run has to show.
pub(crate) struct Findings<'a> {
    pub(crate) args: &'a Args,
    pub(crate) plan: &'a [Step],
    pub(crate) happened: &'a [Happened],
    pub(crate) board: &'a Board,
    pub(crate) outages: &'a [Outage],
    pub(crate) load: &'a Value,
    pub(crate) verdicts: &'a Verdicts,
    /// Exit of every process that was told to stop at the end: its name, seconds, and whether it said success.
    pub(crate) exits: &'a [(String, f64, bool)],
    pub(crate) seconds: f64,
    /// What went wrong beside the verdicts.
    pub(crate) objections: Vec<String>,
}

impl Findings<'_> {
    /// Every reason for which the run did not pass; empty when it did.
    pub(crate) fn objections(&self) -> Vec<String> {
        let mut objections = self.objections.clone();
        if !self.verdicts.clean() {
            let (product, independent) = (&self.verdicts.product["clean"], &self.verdicts.independent["clean"]);
            objections.push(format!("verdicts: meterway verify clean={product}, verify.py clean={independent}"));
        }
        for (service, memory) in memory(self.board) {
            if memory.max_mib > self.args.rss_limit {
                objections.push(format!("{service} took {:.0} MiB", memory.max_mib));
            }
        }
        for outage in self.outages.iter().filter(|outage| outage.door.not_told_when > 0) {
            objections
                .push(format!("{}: {} answers do not say when to come back", outage.away, outage.door.not_told_when));
        }
        if let Some(outage) = self.outages.iter().find(|outage| outage.away.contains("brokers"))
            && outage.door.told_when == 0
        {
            objections.push("the door never said 503 while nothing could be stored".to_owned());
        }
        objections.extend(self.too_little());
        let rough = self.exits.iter().filter(|(_, _, success)| !success).map(|(id, ..)| id.as_str());
        let rough: Vec<_> = rough.collect();
        if !rough.is_empty() {
            objections.push(format!("did not end in good order: {}", rough.join(", ")));
        }
        objections
    }

    /// A run in which little happened shows little: of the kills two thirds have to take place, of the zombies half. The
    /// rest may wait in vain for its fail point.
    fn too_little(&self) -> Vec<String> {
        let took_place = |name: &str| {
            let of_kind = |one: &&Happened| one.injected && one.fault.starts_with(name);
            self.happened.iter().filter(of_kind).count()
        };
        let wanted = [("kill", self.args.kills * 2 / 3), ("zombie", self.args.zombies / 2)];
        let short = wanted.into_iter().map(|(name, least)| (name, took_place(name), least as usize));
        short
            .filter(|(_, count, least)| count < least)
            .map(|(name, count, least)| format!("only {count} of {least} faults called {name}"))
            .collect()
    }

    /// The report.
    pub(crate) fn render(&self, versions: Value, date: &str) -> Value {
        let objections = self.objections();
        json!({
            "passed": objections.is_empty(),
            "objections": objections,
            "date": date,
            "command": std::env::args().skip(1).collect::<Vec<_>>().join(" "),
            "seed": self.args.seed,
            "round": self.args.round,
            "versions": versions,
            "seconds": self.seconds,
            "load": self.load,
            "verify": { "meterway": brief(&self.verdicts.product), "independent": self.verdicts.independent },
            "planned": self.plan.len(),
            "injected": counts(self.happened, true),
            "did_not_happen": counts(self.happened, false),
            "totals": totals(self.happened),
            "ended_by_themselves": ends(self.happened),
            "recovery": recovery(self.happened),
            "not_recovered": not_recovered(self.happened),
            "sigterm": sigterm(self.happened, self.exits),
            "memory": memory(self.board),
            "outages": self.outages,
            "counters": self.board.counters(),
            "not_injected": NOT_INJECTED,
        })
    }
}

/// The part of the product's report that fits into ours.
fn brief(product: &Value) -> Value {
    let length = |key: &str| product[key].as_array().map_or(0, Vec::len);
    json!({
        "clean": product["clean"], "totals": product["totals"],
        "differences": length("differences"), "findings": length("findings"),
    })
}

fn counts(happened: &[Happened], injected: bool) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for one in happened.iter().filter(|one| one.injected == injected && one.fault != BY_ITSELF) {
        let whom = one.service.unwrap_or(&one.lane);
        *counts.entry(format!("{whom}: {}", one.fault)).or_default() += 1;
    }
    counts
}

const BY_ITSELF: &str = "ended-by-itself";

/// The figures that the promise names.
fn totals(happened: &[Happened]) -> Value {
    let count = |is: &dyn Fn(&str) -> bool| happened.iter().filter(|one| one.injected && is(&one.fault)).count();
    json!({
        "kills": count(&|fault| fault == "kill" || fault.starts_with("kill-at")),
        "kills_at_fail_points": count(&|fault| fault.starts_with("kill-at")),
        "zombies": count(&|fault| fault.starts_with("zombie")),
        "rebalances_by_leaving": count(&|fault| fault == "leave-and-join"),
        "broker_kills": count(&|fault| fault == "broker-kill") + 2 * count(&|fault| fault.contains("two of three brokers")),
        "broker_rolls": count(&|fault| fault == "broker-rolling-restart"),
        "store_fault_windows": count(&|fault| fault.starts_with("s3-")),
        "postgres_faults": count(&|fault| fault.starts_with("postgres")),
        "unreachable": count(&|fault| fault == "unreachable"),
        "outages": count(&|fault| fault.starts_with("outage")),
    })
}

/// Ends that nobody had planned, with their reasons: a woken zombie gives up like this.
fn ends(happened: &[Happened]) -> BTreeMap<&'static str, Value> {
    let mut ends: BTreeMap<&'static str, (u64, BTreeSet<String>)> = BTreeMap::new();
    for one in happened.iter().filter(|one| one.fault == BY_ITSELF) {
        let entry = ends.entry(one.service.unwrap_or("?")).or_default();
        entry.0 += 1;
        if entry.1.len() < 5 {
            entry.1.extend(one.note.clone());
        }
    }
    ends.into_iter().map(|(service, (count, reasons))| (service, json!({"count": count, "reasons": reasons}))).collect()
}

/// Recovery by service and fault; fail points are one fault, and so are the ways of the store.
fn recovery(happened: &[Happened]) -> BTreeMap<String, BTreeMap<String, Spread>> {
    let mut samples: BTreeMap<String, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
    for one in happened.iter().filter(|one| one.injected) {
        for (service, seconds) in &one.recovery_s {
            let fault =
                if one.fault == "unreachable" { format!("{} {}", one.lane, one.fault) } else { kind(&one.fault) };
            samples.entry((*service).to_owned()).or_default().entry(fault).or_default().push(*seconds);
        }
    }
    let spread =
        |of: BTreeMap<String, Vec<f64>>| of.into_iter().filter_map(|(k, v)| Some((k, Spread::of(&v)?))).collect();
    samples.into_iter().map(|(service, of)| (service, spread(of))).collect()
}

fn kind(fault: &str) -> String {
    fault.split(' ').next().unwrap_or(fault).trim_end_matches(':').to_owned()
}

fn not_recovered(happened: &[Happened]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for one in happened.iter().filter(|one| one.injected) {
        for service in &one.not_recovered {
            *counts.entry(format!("{service}: {}", kind(&one.fault))).or_default() += 1;
        }
    }
    counts
}

/// Time from SIGTERM to the end, under load and at the end of the run.
fn sigterm(happened: &[Happened], exits: &[(String, f64, bool)]) -> Value {
    let mut under_load: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for one in happened {
        if let (Some(service), Some(seconds)) = (one.service, one.exit_s) {
            under_load.entry(service).or_default().push(seconds);
        }
    }
    let under_load: BTreeMap<_, _> = under_load.iter().filter_map(|(k, v)| Some((*k, Spread::of(v)?))).collect();
    let last: Vec<f64> = exits.iter().map(|(_, seconds, _)| *seconds).collect();
    json!({ "under_load": under_load, "at_the_end": Spread::of(&last) })
}

fn memory(board: &Board) -> BTreeMap<&'static str, Memory> {
    board.memory().into_iter().filter_map(|(service, samples)| Some((service, Memory::of(&samples)?))).collect()
}

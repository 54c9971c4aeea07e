//! Gaps in the counters of the gateways: deliveries that a gateway numbered and that no topic has. Pure.
//!
//! A gateway numbers its deliveries of readings and events from 1; its devices are spread over the partitions, so only
//! what has read all of them can tell a gap from a number that went elsewhere. Looking at the topics as a whole needs no
//! state between runs, so restarts and rebalances of services mean nothing here.
//!
//! Exact: within one run of the counter, each number between its lowest and highest that no readable message has. Not
//! seen: what is missing before the first or after the last number of the window. Approximate: where a counter began anew
//! is told by its number 1 (see [`Run::is_restart`]); a gateway that begins anew at another number shows a gap instead.

use serde::Serialize;
use std::collections::BTreeMap;

/// Numbers within which messages of different partitions may change places.
const REORDER: i64 = 64;
/// Gaps that are listed for each gateway.
const LISTED: usize = 20;

/// A message as far as its number is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// Broker's time, in milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    /// Number.
    pub(crate) sequence: i64,
    /// Digest of the device.
    pub(crate) device: u64,
    /// Digest of the content, without what a second delivery of the same changes.
    pub(crate) content: u64,
}

/// Numbers by gateway.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sequences {
    gateways: BTreeMap<(String, String), Vec<Numbered>>,
    uncounted: u64,
}

/// Missing numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Gap {
    /// First.
    pub(crate) from: i64,
    /// Last.
    pub(crate) to: i64,
}

/// What a gateway's numbers say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Gateway {
    /// Tenant.
    pub(crate) tenant_id: String,
    /// Gateway.
    pub(crate) gateway_id: String,
    /// Messages with a number.
    pub(crate) messages: u64,
    /// Numbers that no message has.
    pub(crate) missing: u64,
    /// Numbers that no message has yet, and that may still be on their way.
    pub(crate) unsettled: u64,
    /// The first gaps.
    pub(crate) gaps: Vec<Gap>,
    /// Messages that were delivered before, number and content alike.
    pub(crate) repeats: u64,
    /// Messages of another device under a used number: two gateways of one name, or one that does not count.
    pub(crate) conflicts: u64,
    /// Times that the counter began anew.
    pub(crate) restarts: u64,
}

/// What all gateways' numbers say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// Gateways that count.
    pub(crate) gateways: u64,
    /// Messages of gateways that do not.
    pub(crate) uncounted: u64,
    /// Missing numbers.
    pub(crate) missing: u64,
    /// Missing numbers that may still be on their way.
    pub(crate) unsettled: u64,
    /// Repeated messages.
    pub(crate) repeats: u64,
    /// Numbers used for two devices.
    pub(crate) conflicts: u64,
    /// Counters that began anew.
    pub(crate) restarts: u64,
    /// Missing numbers by tenant, of tenants that have some.
    pub(crate) missing_by_tenant: BTreeMap<String, u64>,
    /// Gateways with something to tell, at most a thousand.
    pub(crate) findings: Vec<Gateway>,
}

const MOST_FINDINGS: usize = 1000;

impl Sequences {
    /// Takes a message into account. Without a gateway, or with a number below 1, it is not counted.
    pub(crate) fn add(&mut self, tenant_id: &str, gateway_id: &str, message: Numbered) {
        if gateway_id.is_empty() || message.sequence < 1 {
            self.uncounted += 1;
            return;
        }
        self.gateways.entry((tenant_id.to_owned(), gateway_id.to_owned())).or_default().push(message);
    }

    /// What the numbers say. A gap whose upper neighbour is not older than `settled_ms` may still be filled.
    pub(crate) fn summary(self, settled_ms: i64) -> Summary {
        let mut summary = Summary { uncounted: self.uncounted, ..Summary::default() };
        for ((tenant_id, gateway_id), messages) in self.gateways {
            let gateway = Gateway { tenant_id, gateway_id, ..judge(messages, settled_ms) };
            summary.gateways += 1;
            summary.missing += gateway.missing;
            summary.unsettled += gateway.unsettled;
            summary.repeats += gateway.repeats;
            summary.conflicts += gateway.conflicts;
            summary.restarts += gateway.restarts;
            if gateway.missing > 0 {
                *summary.missing_by_tenant.entry(gateway.tenant_id.clone()).or_default() += gateway.missing;
            }
            let quiet =
                gateway.missing + gateway.unsettled + gateway.repeats + gateway.conflicts + gateway.restarts == 0;
            if !quiet && summary.findings.len() < MOST_FINDINGS {
                summary.findings.push(gateway);
            }
        }
        summary
    }
}

/// One run of a counter: for each number its messages.
#[derive(Debug, Default)]
struct Run(BTreeMap<i64, Vec<Numbered>>);

impl Run {
    fn highest(&self) -> i64 {
        self.0.keys().next_back().copied().unwrap_or(0)
    }

    /// Whether the message begins the counter anew: it is number 1, and either another number 1 than this run's, or the
    /// run is so far ahead that it can be no latecomer.
    fn is_restart(&self, message: &Numbered) -> bool {
        if message.sequence != 1 || self.highest() <= 1 {
            return false;
        }
        match self.0.get(&1) {
            // A repetition of number 1 is none; nor is the second part of a delivery that was too large for one message,
            // which comes at once.
            Some(firsts) => {
                firsts.iter().all(|first| first.content != message.content && first.at_ms + 1000 < message.at_ms)
            }
            None => self.highest() > REORDER,
        }
    }

    /// Whether the message is a latecomer of this run, which another has followed.
    fn is_latecomer(&self, message: &Numbered, newer: &Self) -> bool {
        let ahead_of_newer = message.sequence > newer.highest() + REORDER;
        ahead_of_newer && message.sequence <= self.highest() + REORDER && !self.0.contains_key(&message.sequence)
    }
}

fn judge(mut messages: Vec<Numbered>, settled_ms: i64) -> Gateway {
    messages.sort_by_key(|message| (message.at_ms, message.sequence));
    let mut gateway = Gateway { messages: messages.len() as u64, ..Gateway::default() };
    let (mut before, mut run) = (Run::default(), Run::default());
    for message in messages {
        if run.is_restart(&message) {
            gateway.restarts += 1;
            count_gaps(&before, settled_ms, &mut gateway);
            before = std::mem::take(&mut run);
        }
        let of = if before.is_latecomer(&message, &run) { &mut before } else { &mut run };
        let same = of.0.entry(message.sequence).or_default();
        if same.iter().any(|known| known.content == message.content) {
            gateway.repeats += 1;
        } else if same.iter().any(|known| known.device != message.device) {
            gateway.conflicts += 1;
        }
        same.push(message);
    }
    count_gaps(&before, settled_ms, &mut gateway);
    count_gaps(&run, settled_ms, &mut gateway);
    gateway
}

fn count_gaps(run: &Run, settled_ms: i64, gateway: &mut Gateway) {
    let numbers = run.0.iter();
    for ((low, _), (high, above)) in numbers.clone().zip(numbers.skip(1)) {
        let missing = u64::try_from(high - low - 1).unwrap_or(0);
        if missing == 0 {
            continue;
        }
        if above.iter().all(|message| message.at_ms >= settled_ms) {
            gateway.unsettled += missing;
            continue;
        }
        gateway.missing += missing;
        if gateway.gaps.len() < LISTED {
            gateway.gaps.push(Gap { from: low + 1, to: high - 1 });
        }
    }
}

#[cfg(test)]
#[path = "sequences_tests.rs"]
mod tests;

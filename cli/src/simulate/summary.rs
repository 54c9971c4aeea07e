//! What a run says of itself when it ends.

use super::core::plan::Skipped;
use super::core::truth::{Place, TruthEntry};
use super::edge::journal::Acknowledged;
use serde::Serialize;
use std::collections::BTreeMap;

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Messages with readings, broken ones included.
    pub messages: u64,
    /// Readings in them.
    pub readings: u64,
    /// Device events.
    pub events: u64,
}

/// What must be found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ExpectedCounts {
    /// Injected faults by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Accepted readings with a failed rule, and corrections.
    pub readings: u64,
    /// Readings rejected one by one.
    pub rejected_readings: u64,
    /// Messages rejected as a whole.
    pub rejected_messages: u64,
    /// Alerts.
    pub alerts: u64,
    /// What is no false alarm when found.
    pub tolerated: u64,
}

impl ExpectedCounts {
    /// Counts the promises.
    pub(crate) fn of(truth: &[&TruthEntry]) -> Self {
        let mut counts = Self::default();
        for entry in truth {
            *counts.faults.entry(entry.fault).or_default() += 1;
            counts.tolerated += entry.tolerated.len() as u64;
            for item in &entry.expect {
                *match item.kind {
                    Place::Reading => &mut counts.readings,
                    Place::Rejected => &mut counts.rejected_readings,
                    Place::Message => &mut counts.rejected_messages,
                    Place::Alert => &mut counts.alerts,
                } += 1;
            }
        }
        counts
    }
}

/// The whole account.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// Seed; the same one gives the same run.
    pub seed: u64,
    /// Active devices.
    pub devices: usize,
    /// Days of history.
    pub days: usize,
    /// The first day that no longer belongs to the history.
    pub until: String,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// What was sent, history and trickle together.
    #[serde(flatten)]
    pub totals: Totals,
    /// Bytes of payload, or of request bodies.
    pub bytes: u64,
    /// Requests over HTTP.
    pub http_requests: u64,
    /// Requests that the server wanted repeated.
    pub http_retries: u64,
    /// Time for the history.
    pub seconds: f64,
    /// Readings per second of the history.
    pub readings_per_second: f64,
    /// What the brokers have acknowledged.
    pub acknowledged: Vec<Acknowledged>,
    /// What must be found.
    pub expected: ExpectedCounts,
    /// Faults that were asked for and not injected.
    pub not_injected: Vec<Skipped>,
}

impl Summary {
    /// Rows for people.
    pub(crate) fn rows(&self) -> Vec<(String, String)> {
        let row = |name: &str, value: String| (name.to_owned(), value);
        let mut rows = vec![
            row("seed", self.seed.to_string()),
            row("devices", self.devices.to_string()),
            row("history", format!("{} days before {}", self.days, self.until)),
            row("messages", self.totals.messages.to_string()),
            row("readings", self.totals.readings.to_string()),
            row("events", self.totals.events.to_string()),
            row("bytes", self.bytes.to_string()),
        ];
        if self.readings_per_second > 0.0 {
            rows.push(row("time", format!("{:.1} s, {:.0} readings/s", self.seconds, self.readings_per_second)));
        }
        if self.http_requests > 0 {
            rows.push(row("requests", format!("{}, {} of them repeated", self.http_requests, self.http_retries)));
        }
        let account = |a: &Acknowledged| {
            let text = format!(
                "{} messages, {} readings, offsets {} to {}",
                a.messages, a.readings, a.first_offset, a.last_offset
            );
            (format!("partition {}", a.partition), text)
        };
        rows.extend(self.acknowledged.iter().map(account));
        rows.extend(self.expectation_rows());
        rows.extend(self.not_injected.iter().map(|s| (format!("not injected: {}", s.fault), s.reason.to_owned())));
        rows
    }

    fn expectation_rows(&self) -> Vec<(String, String)> {
        let expected = &self.expected;
        if expected.faults.is_empty() {
            return Vec::new();
        }
        let faults: Vec<_> = expected.faults.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let counts = [
            ("faults", faults.join(", ")),
            ("to be found: suspect or corrected readings", expected.readings.to_string()),
            ("to be found: rejected readings", expected.rejected_readings.to_string()),
            ("to be found: rejected messages", expected.rejected_messages.to_string()),
            ("to be found: alerts", expected.alerts.to_string()),
        ];
        counts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

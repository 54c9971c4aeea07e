//! Every metric of the service: name, unit, labels. Dashboards and alarms depend on them; a test pins the list.

use std::time::Duration;

use meterway_schemas::{Alert, AlertKind};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::core::admission::EventOutcome;
use crate::core::partition::DecisionOutcome;
use crate::core::rules::RULES;

const RECORDS_READ: &str = "alert_records_read_total";
const DECISIONS: &str = "alert_decisions_total";
const EVENTS: &str = "alert_events_total";
const POISON: &str = "alert_poison_records_total";
const PUBLISHED: &str = "alert_alerts_published_total";
const LATE: &str = "alert_late_evidence_total";
const CORRECTIONS: &str = "alert_corrections_unapplied_total";
const WRITES: &str = "alert_store_writes_total";
const RETRIES: &str = "alert_store_retries_total";
const FLUSH: &str = "alert_flush_seconds";
const OLDEST: &str = "alert_oldest_unflushed_seconds";
const WEBHOOKS: &str = "alert_webhook_deliveries_total";
const OPEN: &str = "alert_open_alerts";
const DEVICES: &str = "alert_devices";
const PARTITIONS: &str = "alert_partitions";
const REBALANCES: &str = "alert_rebalances_total";

/// Names with their help texts.
pub const ALL: &[(&str, &str)] = &[
    (RECORDS_READ, "Records read, by topic"),
    (DECISIONS, "Decisions read, by outcome: applied, reemitted, empty, panicked"),
    (EVENTS, "Device events read, by outcome; everything but applied and not_concerned deserves a look"),
    (POISON, "Records that can't be decoded and were passed over, by topic and reason"),
    (PUBLISHED, "Messages written to the alerts topic, by kind and state"),
    (LATE, "Evidence that came after a newer alert of its kind and raised none, by kind"),
    (CORRECTIONS, "Corrected values of days whose single values are not kept any more"),
    (WRITES, "Writes to DynamoDB, by table and outcome: written, stale"),
    (RETRIES, "Attempts at DynamoDB that are repeated, by table and reason: throttled, unavailable"),
    (FLUSH, "Duration of writing alerts, tables and positions"),
    (OLDEST, "Age of the oldest input that was read and not yet flushed"),
    (WEBHOOKS, "Alerts for the webhook, by outcome: delivered, refused, failed, dropped"),
    (OPEN, "Open alerts of the partitions owned, by kind"),
    (DEVICES, "Devices with state in the partitions owned"),
    (PARTITIONS, "Partitions owned, by state: learning, live"),
    (REBALANCES, "Assignments and revocations, by kind"),
];

/// Attaches the help texts.
pub fn describe() {
    for (name, help) in ALL {
        if name.ends_with("_total") {
            describe_counter!(*name, *help);
        } else if *name == FLUSH {
            describe_histogram!(*name, *help);
        } else {
            describe_gauge!(*name, *help);
        }
    }
}

pub(crate) fn records_read(topic: &str, records: usize) {
    counter!(RECORDS_READ, "topic" => topic.to_owned()).increment(records as u64);
}

pub(crate) fn decision(outcome: DecisionOutcome) {
    let outcome = match outcome {
        DecisionOutcome::Applied => "applied",
        DecisionOutcome::Reemitted => "reemitted",
        DecisionOutcome::Empty => "empty",
        DecisionOutcome::Panicked => "panicked",
    };
    counter!(DECISIONS, "outcome" => outcome).increment(1);
}

pub(crate) fn event(outcome: EventOutcome) {
    let outcome = match outcome {
        EventOutcome::Applied => "applied",
        EventOutcome::NotConcerned => "not_concerned",
        EventOutcome::UnknownDevice => "unknown_device",
        EventOutcome::TenantMismatch => "tenant_mismatch",
        EventOutcome::InactiveDevice => "inactive_device",
        EventOutcome::FutureTime => "future_time",
        EventOutcome::Panicked => "panicked",
    };
    counter!(EVENTS, "outcome" => outcome).increment(1);
}

pub(crate) fn poison(topic: &str, code: &'static str) {
    counter!(POISON, "topic" => topic.to_owned(), "reason" => code).increment(1);
}

pub(crate) fn published(alert: &Alert) {
    let state = match alert.state {
        meterway_schemas::AlertState::Opened => "opened",
        meterway_schemas::AlertState::Updated => "updated",
        meterway_schemas::AlertState::Closed => "closed",
    };
    counter!(PUBLISHED, "kind" => alert.kind.as_str(), "state" => state).increment(1);
}

pub(crate) fn late(kind: AlertKind) {
    counter!(LATE, "kind" => kind.as_str()).increment(1);
}

pub(crate) fn unapplied_corrections(count: u64) {
    counter!(CORRECTIONS).increment(count);
}

pub(crate) fn store_write(table: &'static str, outcome: &'static str) {
    counter!(WRITES, "table" => table, "outcome" => outcome).increment(1);
}

pub(crate) fn store_retry(table: &'static str, reason: &'static str) {
    counter!(RETRIES, "table" => table, "reason" => reason).increment(1);
}

pub(crate) fn flushed(took: Duration) {
    histogram!(FLUSH).record(took);
    gauge!(OLDEST).set(0.0);
}

pub(crate) fn oldest_unflushed(age: Duration) {
    gauge!(OLDEST).set(age);
}

pub(crate) fn webhook(outcome: &'static str) {
    counter!(WEBHOOKS, "outcome" => outcome).increment(1);
}

pub(crate) fn rebalance(kind: &'static str) {
    counter!(REBALANCES, "kind" => kind).increment(1);
}

pub(crate) fn owned(learning: usize, live: usize, devices: usize) {
    gauge!(PARTITIONS, "state" => "learning").set(learning as f64);
    gauge!(PARTITIONS, "state" => "live").set(live as f64);
    gauge!(DEVICES).set(devices as f64);
}

pub(crate) fn open_alerts(open: impl Iterator<Item = AlertKind>) {
    let mut counts = [0_u32; RULES.len()];
    for kind in open {
        if let Some(index) = RULES.iter().position(|rule| rule.kind == kind) {
            counts[index] += 1;
        }
    }
    for (rule, count) in RULES.iter().zip(counts) {
        gauge!(OPEN, "kind" => rule.kind.as_str()).set(count);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_stay_because_dashboards_depend_on_them() {
        let names: Vec<_> = super::ALL.iter().map(|(name, _)| *name).collect();
        insta::assert_snapshot!(names.join("\n"));
    }
}

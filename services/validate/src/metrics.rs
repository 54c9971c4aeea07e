//! Names, units and meaning of the service's own metrics, and their emission per block. What the Kafka client counts
//! (lag, records read, dead letters by code, pauses, rebalances) has the prefix `kafka_` and is `kafka-pipeline`'s.

use crate::core::checkpoint::Refused;
use crate::core::history::History;
use crate::core::replay::Outcomes;
use crate::core::tally::Tally;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use std::time::Duration;

/// Messages decided.
pub const MESSAGES: &str = "validate_messages_decided_total";
/// Readings accepted.
pub const ACCEPTED: &str = "validate_readings_accepted_total";
/// Accepted readings that correct an earlier value.
pub const CORRECTED: &str = "validate_readings_corrected_total";
/// Marks on accepted readings, by `rule`.
pub const SUSPECT: &str = "validate_readings_suspect_total";
/// Rejections of readings and whole messages, by `code`.
pub const REJECTED: &str = "validate_rejections_total";
/// Rules that could not be applied to an accepted reading, by `rule`.
pub const SKIPPED: &str = "validate_rules_skipped_total";
/// Time to decode and decide a block.
pub const BLOCK: &str = "validate_block_seconds";
/// Between the Kafka timestamp of the newest decided message and the delivery of its decision, by `partition`.
pub const DELAY: &str = "validate_decision_delay_seconds";
/// Where a partition went on after its last assignment, by `partition`.
pub const RESUMED_AT: &str = "validate_resume_offset";
/// Time to rebuild a partition's history.
pub const REBUILD: &str = "validate_rebuild_seconds";
/// Decisions read back to rebuild histories.
pub const REBUILT: &str = "validate_rebuilt_decisions_total";
/// Records of the validated topic that are no decisions of their partition.
pub const UNREADABLE: &str = "validate_unreadable_decisions_total";
/// Raw offsets that were removed before anybody decided about them.
pub const LOST: &str = "validate_lost_offsets_total";
/// Partitions that are not decided about until an operator has decided, by `reason`: replaced, truncated.
pub const REFUSED: &str = "validate_refused";
/// Bytes of a partition's history, by `partition`.
pub const HISTORY_BYTES: &str = "validate_history_size_bytes";
/// Devices in a partition's history, by `partition`.
pub const HISTORY_DEVICES: &str = "validate_history_devices";
/// Devices in the table.
pub const DEVICES: &str = "validate_devices";
/// Device states that were unreadable or odd.
pub const DEVICE_DEFECTS: &str = "validate_device_defects_total";
/// Times the device topic was read to its end because of an unknown device, by `outcome`: done, timeout.
pub const REFRESHES: &str = "validate_device_refreshes_total";

/// What became of readings on the replay lane, by `outcome`: unchanged, changed, new, refused, rejected; and messages:
/// lead, repeated.
pub const REPLAYED: &str = "validate_replay_outcomes_total";

/// Describes every metric to the exporter.
pub fn describe() {
    for (name, help) in [
        (MESSAGES, "Messages decided"),
        (ACCEPTED, "Readings accepted"),
        (CORRECTED, "Accepted readings that correct an earlier value"),
        (SUSPECT, "Marks on accepted readings, by rule"),
        (REJECTED, "Rejections of readings and whole messages, by code"),
        (SKIPPED, "Rules that could not be applied to an accepted reading, by rule"),
        (REBUILT, "Decisions read back to rebuild histories"),
        (UNREADABLE, "Records of the validated topic that are no decisions of their partition"),
        (LOST, "Raw offsets that were removed before anybody decided about them"),
        (DEVICE_DEFECTS, "Device states that were unreadable or odd"),
        (REPLAYED, "Outcomes of readings on the replay lane, by outcome"),
        (REFRESHES, "Times the device topic was read to its end because of an unknown device, by outcome"),
    ] {
        describe_counter!(name, Unit::Count, help);
    }
    describe_histogram!(BLOCK, Unit::Seconds, "Time to decode and decide a block");
    describe_histogram!(REBUILD, Unit::Seconds, "Time to rebuild a partition's history");
    describe_gauge!(
        DELAY,
        Unit::Seconds,
        "Between the timestamp of the newest decided message and its decision's delivery"
    );
    describe_gauge!(RESUMED_AT, Unit::Count, "Raw offset where a partition went on after its last assignment");
    describe_gauge!(
        REFUSED,
        Unit::Count,
        "Partitions that are not decided about until an operator has decided, by reason"
    );
    for reason in Refused::REASONS {
        gauge!(REFUSED, "reason" => reason).set(0.0);
    }
    describe_gauge!(HISTORY_BYTES, Unit::Bytes, "Bytes of a partition's history");
    describe_gauge!(HISTORY_DEVICES, Unit::Count, "Devices in a partition's history");
    describe_gauge!(DEVICES, Unit::Count, "Devices in the table");
}

/// Counts the decisions of a block.
pub(crate) fn block_decided(tally: &Tally, took: Duration) {
    histogram!(BLOCK).record(took.as_secs_f64());
    counter!(MESSAGES).increment(tally.messages);
    counter!(ACCEPTED).increment(tally.accepted);
    counter!(CORRECTED).increment(tally.corrections);
    for (rule, count) in &tally.suspect {
        counter!(SUSPECT, "rule" => rule.name()).increment(*count);
    }
    for (code, count) in &tally.rejected {
        counter!(REJECTED, "code" => code.as_str()).increment(*count);
    }
    for (rule, count) in &tally.skipped {
        counter!(SKIPPED, "rule" => rule.name()).increment(*count);
    }
}

/// Counts the outcomes of a block of the replay lane.
pub(crate) fn replayed(outcomes: &Outcomes) {
    let Outcomes { unchanged, changed, new, refused, rejected, lead, repeated } = *outcomes;
    let counts = [
        ("unchanged", unchanged),
        ("changed", changed),
        ("new", new),
        ("refused", refused),
        ("rejected", rejected),
        ("lead", lead),
        ("repeated", repeated),
    ];
    for (outcome, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        counter!(REPLAYED, "outcome" => outcome).increment(count);
    }
}

pub(crate) fn history(partition: i32, history: &History) {
    gauge!(HISTORY_BYTES, "partition" => partition.to_string()).set(history.bytes() as f64);
    gauge!(HISTORY_DEVICES, "partition" => partition.to_string()).set(history.devices() as f64);
}

/// The partition has left: what it remembered is gone.
pub(crate) fn history_released(partition: i32) {
    gauge!(HISTORY_BYTES, "partition" => partition.to_string()).set(0.0);
    gauge!(HISTORY_DEVICES, "partition" => partition.to_string()).set(0.0);
}

pub(crate) fn delay(partition: i32, delay: Duration) {
    gauge!(DELAY, "partition" => partition.to_string()).set(delay.as_secs_f64());
}

pub(crate) fn resumed(partition: i32, offset: i64) {
    gauge!(RESUMED_AT, "partition" => partition.to_string()).set(offset as f64);
}

pub(crate) fn rebuilt(learning: crate::core::block::Learning, took: Duration) {
    histogram!(REBUILD).record(took.as_secs_f64());
    counter!(REBUILT).increment(learning.decisions);
    counter!(UNREADABLE).increment(learning.unreadable);
}

pub(crate) fn lost(count: i64) {
    counter!(LOST).increment(count.unsigned_abs());
}

/// One partition more or less that is refused.
pub(crate) fn refused(reason: &'static str, change: f64) {
    gauge!(REFUSED, "reason" => reason).increment(change);
}

pub(crate) fn devices(count: usize) {
    gauge!(DEVICES).set(count as f64);
}

pub(crate) fn device_defect() {
    counter!(DEVICE_DEFECTS).increment(1);
}

pub(crate) fn refreshed(outcome: &'static str) {
    counter!(REFRESHES, "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::block::Learning;
    use crate::core::history::Limits;
    use crate::core::rules::RuleId;
    use meter_model::RejectCode;
    use service_runtime::MetricsHandle;
    use std::collections::BTreeSet;

    /// `name{label,…}` of what a line of the exposition is about; buckets and sums count as their histogram.
    fn series(line: &str) -> Option<String> {
        let (full, _value) = line.split_once(' ').filter(|_| line.starts_with("validate_"))?;
        let (name, labels) = full.split_once('{').unwrap_or((full, ""));
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let labels = labels.split(',').filter_map(|label| label.split_once('=')).map(|(label, _)| label);
        Some(format!("{name}{{{}}}", labels.filter(|label| *label != "le").collect::<Vec<_>>().join(",")))
    }

    #[test]
    fn names_and_labels_are_those_that_dashboards_depend_on() {
        let handle = MetricsHandle::install().unwrap();
        describe();
        let tally = Tally {
            rejected: [(RejectCode::Overlap, 1)].into(),
            suspect: [(RuleId::Gap, 1)].into(),
            skipped: [(RuleId::Gap, 1)].into(),
            ..Tally::default()
        };
        block_decided(&tally, Duration::ZERO);
        replayed(&Outcomes { new: 1, ..Outcomes::default() });
        history(0, &History::new(Limits::default()));
        delay(0, Duration::ZERO);
        resumed(0, 0);
        rebuilt(Learning::default(), Duration::ZERO);
        lost(1);
        devices(1);
        device_defect();
        refreshed("done");
        let found: BTreeSet<String> = handle.render().lines().filter_map(series).collect();
        let expected = [
            "validate_block_seconds{}",
            "validate_decision_delay_seconds{partition}",
            "validate_device_defects_total{}",
            "validate_device_refreshes_total{outcome}",
            "validate_devices{}",
            "validate_history_devices{partition}",
            "validate_history_size_bytes{partition}",
            "validate_lost_offsets_total{}",
            "validate_messages_decided_total{}",
            "validate_readings_accepted_total{}",
            "validate_readings_corrected_total{}",
            "validate_readings_suspect_total{rule}",
            "validate_rebuild_seconds{}",
            "validate_rebuilt_decisions_total{}",
            "validate_refused{reason}",
            "validate_rejections_total{code}",
            "validate_replay_outcomes_total{outcome}",
            "validate_resume_offset{partition}",
            "validate_rules_skipped_total{rule}",
            "validate_unreadable_decisions_total{}",
        ];
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}

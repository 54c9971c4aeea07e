//! Every metric of the canary. Labels are stages and ways, nothing else.

use crate::canary::core::ledger::{Sighting, Stage};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const SENT: &str = "canary_sent_total";
const SEND_FAILURES: &str = "canary_send_failures_total";
const ACK: &str = "canary_ack_latency_seconds";
const SEEN: &str = "canary_seen_total";
const MISSING: &str = "canary_missing";
const MISSING_TOTAL: &str = "canary_missing_total";
const DUPLICATES: &str = "canary_duplicates_total";
const CORRUPTED: &str = "canary_corrupted_total";
const REJECTED: &str = "canary_rejected_total";
const LATENCY: &str = "canary_latency_seconds";
const LAST_SEEN: &str = "canary_last_seen_timestamp_seconds";
const LAST_LOOK: &str = "canary_last_look_timestamp_seconds";
const UP: &str = "canary_stage_up";
const FAILURES: &str = "canary_stage_failures_total";

/// Describes the metrics and shows the stages' from the start, so that an alert never waits for a first sample.
pub(crate) fn describe(stages: &[Stage]) {
    describe_counter!(SENT, Unit::Count, "Canary readings whose store was confirmed, by way in");
    describe_counter!(SEND_FAILURES, Unit::Count, "Canary readings whose store was not confirmed, by way in");
    describe_histogram!(ACK, Unit::Seconds, "From sending a canary reading to its confirmation, by way in");
    describe_counter!(SEEN, Unit::Count, "Canary readings seen, by stage");
    describe_gauge!(MISSING, Unit::Count, "Canary readings whose time is up and that the stage does not have, now");
    describe_counter!(MISSING_TOTAL, Unit::Count, "Canary readings that were missing at some time, by stage");
    describe_counter!(DUPLICATES, Unit::Count, "Copies of canary readings beyond the first, by stage");
    describe_counter!(CORRUPTED, Unit::Count, "Canary readings with another value than was sent, by stage");
    describe_counter!(REJECTED, Unit::Count, "Canary readings that validate rejected");
    describe_histogram!(LATENCY, Unit::Seconds, "From sending a canary reading to seeing it, by stage");
    describe_gauge!(LAST_SEEN, Unit::Seconds, "When a canary reading was last seen for the first time, by stage");
    describe_gauge!(LAST_LOOK, Unit::Seconds, "When the stage was last looked at with success");
    describe_gauge!(UP, Unit::Count, "1 when the last look at the stage succeeded");
    describe_counter!(FAILURES, Unit::Count, "Looks at a stage that failed");
    for stage in stages {
        gauge!(MISSING, "stage" => stage.name()).set(0.0);
        gauge!(UP, "stage" => stage.name()).set(0.0);
        for name in [SEEN, MISSING_TOTAL, DUPLICATES, CORRUPTED, FAILURES] {
            counter!(name, "stage" => stage.name()).absolute(0);
        }
    }
    counter!(REJECTED).absolute(0);
}

pub(crate) fn sent(via: &'static str, took_us: i64) {
    counter!(SENT, "via" => via).increment(1);
    histogram!(ACK, "via" => via).record(seconds(took_us));
}

pub(crate) fn send_failed(via: &'static str) {
    counter!(SEND_FAILURES, "via" => via).increment(1);
}

pub(crate) fn rejected(readings: usize) {
    counter!(REJECTED).increment(readings as u64);
}

pub(crate) fn saw(stage: Stage, sighting: &Sighting, now_us: i64) {
    if let Some(latency) = sighting.latency {
        counter!(SEEN, "stage" => stage.name()).increment(1);
        histogram!(LATENCY, "stage" => stage.name()).record(seconds(latency));
        gauge!(LAST_SEEN, "stage" => stage.name()).set(seconds(now_us));
    }
    counter!(DUPLICATES, "stage" => stage.name()).increment(sighting.duplicates.into());
    counter!(CORRUPTED, "stage" => stage.name()).increment(u64::from(sighting.corrupted));
}

pub(crate) fn looked(stage: Stage, became_missing: u64, missing: usize) {
    gauge!(UP, "stage" => stage.name()).set(1.0);
    gauge!(LAST_LOOK, "stage" => stage.name()).set(seconds(super::shared::now()));
    gauge!(MISSING, "stage" => stage.name()).set(missing as f64);
    counter!(MISSING_TOTAL, "stage" => stage.name()).increment(became_missing);
}

pub(crate) fn failed(stage: Stage) {
    gauge!(UP, "stage" => stage.name()).set(0.0);
    counter!(FAILURES, "stage" => stage.name()).increment(1);
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

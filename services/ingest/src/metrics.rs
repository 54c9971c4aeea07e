//! Every metric of the service, with unit and help. Labels are bounded: never tenants, devices or keys.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use std::time::Duration;

const REQUESTS: &str = "ingest_requests_total";
const DURATION: &str = "ingest_request_duration_seconds";
const STORED: &str = "ingest_stored_total";
const BYTES: &str = "ingest_decoded_bytes_total";
const KEY_CHECKS: &str = "ingest_key_checks_total";
const UNSEQUENCED: &str = "ingest_unsequenced_total";
const KEYED: &str = "ingest_idempotency_total";
const KEYED_OPEN: &str = "ingest_idempotency_open";
const LEASES: &str = "ingest_idempotency_lease_renewals_total";
const ANSWER_RETRIES: &str = "ingest_idempotency_answer_retries_total";
const SEARCHED: &str = "ingest_idempotency_searched_messages_total";

/// Registers the descriptions.
pub fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Requests answered, by route and status code");
    describe_histogram!(DURATION, Unit::Seconds, "From the first byte of a request to its answer, by route");
    describe_counter!(STORED, Unit::Count, "Readings or events acknowledged by the broker, by kind");
    describe_counter!(BYTES, Unit::Bytes, "Request bytes after decompression");
    describe_counter!(KEY_CHECKS, Unit::Count, "API key checks, by result: cached, valid, refused, unavailable");
    describe_counter!(
        UNSEQUENCED,
        Unit::Count,
        "Deliveries without a gateway or without a sequence, which no gap can tell of"
    );
    describe_counter!(KEYED, Unit::Count, "Requests with an Idempotency-Key, by outcome");
    describe_gauge!(KEYED_OPEN, Unit::Count, "Requests with an Idempotency-Key that are worked on now");
    describe_counter!(
        LEASES,
        Unit::Count,
        "Renewals of the lease that keeps others from taking requests over, by result"
    );
    describe_counter!(ANSWER_RETRIES, Unit::Count, "Attempts to write down the answer of a stored request that failed");
    describe_counter!(SEARCHED, Unit::Count, "Messages read while looking for those of an abandoned request");
}

/// What became of a request with an `Idempotency-Key`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyedOutcome {
    /// Seen for the first time.
    First,
    /// Answered from the table.
    Replayed,
    /// Refused: the key belongs to another request.
    Reused,
    /// Sent away while it is worked on.
    Busy,
    /// Taken over from a replica that died.
    TakenOver,
    /// Taken away from this replica while it worked on it.
    Lost,
    /// The table does not answer, or the lease has ended.
    Unavailable,
}

pub(crate) fn keyed(outcome: KeyedOutcome) {
    let outcome = match outcome {
        KeyedOutcome::First => "first",
        KeyedOutcome::Replayed => "replayed",
        KeyedOutcome::Reused => "reused",
        KeyedOutcome::Busy => "busy",
        KeyedOutcome::TakenOver => "taken_over",
        KeyedOutcome::Lost => "lost",
        KeyedOutcome::Unavailable => "unavailable",
    };
    counter!(KEYED, "outcome" => outcome).increment(1);
}

pub(crate) fn keyed_open(requests: usize) {
    gauge!(KEYED_OPEN).set(requests as f64);
}

pub(crate) fn lease_renewed(good: bool) {
    counter!(LEASES, "result" => if good { "renewed" } else { "failed" }).increment(1);
}

pub(crate) fn answer_retry() {
    counter!(ANSWER_RETRIES).increment(1);
}

pub(crate) fn searched(messages: usize) {
    counter!(SEARCHED).increment(messages as u64);
}

pub(crate) fn unsequenced(deliveries: usize) {
    counter!(UNSEQUENCED).increment(deliveries as u64);
}

pub(crate) fn answered(route: &'static str, status: u16, took: Duration) {
    counter!(REQUESTS, "route" => route, "status" => status.to_string()).increment(1);
    histogram!(DURATION, "route" => route).record(took);
}

pub(crate) fn stored(kind: &'static str, count: usize) {
    counter!(STORED, "kind" => kind).increment(count as u64);
}

pub(crate) fn decoded(bytes: usize) {
    counter!(BYTES).increment(bytes as u64);
}

pub(crate) fn key_check(result: &'static str) {
    counter!(KEY_CHECKS, "result" => result).increment(1);
}

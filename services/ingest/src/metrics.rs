//! Every metric of the service, with unit and help. Labels are bounded: never tenants, devices or keys.

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use std::time::Duration;

const REQUESTS: &str = "ingest_requests_total";
const DURATION: &str = "ingest_request_duration_seconds";
const STORED: &str = "ingest_stored_total";
const BYTES: &str = "ingest_decoded_bytes_total";
const KEY_CHECKS: &str = "ingest_key_checks_total";

/// Registers the descriptions.
pub fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Requests answered, by route and status code");
    describe_histogram!(DURATION, Unit::Seconds, "From the first byte of a request to its answer, by route");
    describe_counter!(STORED, Unit::Count, "Readings or events acknowledged by the broker, by kind");
    describe_counter!(BYTES, Unit::Bytes, "Request bytes after decompression");
    describe_counter!(KEY_CHECKS, Unit::Count, "API key checks, by result: cached, valid, refused, unavailable");
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

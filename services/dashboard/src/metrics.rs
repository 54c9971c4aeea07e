//! Every metric of the service, with unit and help. Labels are bounded: never tenants, people or devices.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use std::time::Duration;

const REQUESTS: &str = "dashboard_requests_total";
const DURATION: &str = "dashboard_request_duration_seconds";
const TOKENS: &str = "dashboard_tokens_total";
const KEY_FETCHES: &str = "dashboard_key_fetches_total";
const AUDIT: &str = "dashboard_audit_entries_total";
const AUDIT_WAITING: &str = "dashboard_audit_waiting";
const CLIENTS: &str = "dashboard_stream_clients";
const EVENTS: &str = "dashboard_stream_events_total";
const DROPPED: &str = "dashboard_stream_dropped_total";
const POISON: &str = "dashboard_stream_poison_total";

#[cfg(test)]
const ALL: &[&str] = &[REQUESTS, DURATION, TOKENS, KEY_FETCHES, AUDIT, AUDIT_WAITING, CLIENTS, EVENTS, DROPPED, POISON];

/// Registers the descriptions.
pub fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Requests answered, by route and status code");
    describe_histogram!(DURATION, Unit::Seconds, "From a request to its answer, by route; streams until they begin");
    describe_counter!(TOKENS, Unit::Count, "Tokens checked, by result");
    describe_counter!(KEY_FETCHES, Unit::Count, "Fetches of the issuer's keys, by result");
    describe_counter!(AUDIT, Unit::Count, "Entries of the audit log, by result: written, retried");
    describe_gauge!(AUDIT_WAITING, Unit::Count, "Entries of the audit log that wait for the database");
    describe_gauge!(CLIENTS, Unit::Count, "Open live streams");
    describe_counter!(EVENTS, Unit::Count, "Events handed to live streams, by kind");
    describe_counter!(DROPPED, Unit::Count, "Events that a live stream was too slow for");
    describe_counter!(POISON, Unit::Count, "Records that the live stream passed over, by topic's role");
}

pub(crate) fn answered(route: &'static str, status: u16, took: Duration) {
    counter!(REQUESTS, "route" => route, "status" => status.to_string()).increment(1);
    histogram!(DURATION, "route" => route).record(took.as_secs_f64());
}

pub(crate) fn token(result: &'static str) {
    counter!(TOKENS, "result" => result).increment(1);
}

pub(crate) fn key_fetch(result: &'static str) {
    counter!(KEY_FETCHES, "result" => result).increment(1);
}

pub(crate) fn audit(result: &'static str, entries: usize, waiting: usize) {
    counter!(AUDIT, "result" => result).increment(entries as u64);
    gauge!(AUDIT_WAITING).set(waiting as f64);
}

pub(crate) fn clients(open: usize) {
    gauge!(CLIENTS).set(open as f64);
}

pub(crate) fn event(kind: &'static str) {
    counter!(EVENTS, "kind" => kind).increment(1);
}

pub(crate) fn dropped(events: u64) {
    counter!(DROPPED).increment(events);
}

pub(crate) fn poison(topic: &'static str) {
    counter!(POISON, "topic" => topic).increment(1);
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_stay_because_boards_depend_on_them() {
        insta::assert_snapshot!(super::ALL.join("\n"));
    }
}

//! Metrics of every consumer and producer. Emitted per block or per event, never per record; labels are topics,
//! partitions and closed lists of reasons.

use std::sync::Once;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::record::{RecordBlock, TopicPartition};

/// Records handed to the service, by topic.
pub const CONSUMER_RECORDS_READ: &str = "kafka_consumer_records_read_total";
/// Bytes of keys and payloads handed to the service, by topic.
pub const CONSUMER_BYTES_READ: &str = "kafka_consumer_bytes_read_total";
/// Rebalance steps, by `kind`: assigned, revoked, lost, unacknowledged.
pub const CONSUMER_REBALANCES: &str = "kafka_consumer_rebalances_total";
/// Whole seconds without reading because the service was behind, by `reason`: backpressure.
pub const CONSUMER_PAUSED_SECONDS: &str = "kafka_consumer_paused_seconds_total";
/// Blocks waiting for the service.
pub const CONSUMER_QUEUE_BLOCKS: &str = "kafka_consumer_queue_blocks";
/// Records between the position and the end of the partition, by topic and partition; 0 after a revocation.
pub const CONSUMER_LAG_RECORDS: &str = "kafka_consumer_lag_records";
/// Commits that the broker refused; each only lengthens the next replay.
pub const CONSUMER_COMMIT_FAILURES: &str = "kafka_consumer_commit_failures_total";
/// Errors of the client that it recovers from by itself, by `code`.
pub const CONSUMER_ERRORS: &str = "kafka_consumer_errors_total";
/// Headers whose name is not UTF-8 and that the client library cannot give out.
pub const CONSUMER_UNREADABLE_HEADERS: &str = "kafka_consumer_unreadable_headers_total";
/// Records acknowledged by the broker.
pub const PRODUCER_RECORDS_DELIVERED: &str = "kafka_producer_records_delivered_total";
/// Records that the broker did not acknowledge; the process ends on the first.
pub const PRODUCER_DELIVERY_FAILURES: &str = "kafka_producer_delivery_failures_total";
/// Sends that had to wait because the producer's queue was full.
pub const PRODUCER_QUEUE_FULL: &str = "kafka_producer_queue_full_total";
/// Records written to a dead-letter topic, by `stage` and `code`.
pub const DEAD_LETTERS: &str = "kafka_dead_letter_records_total";
/// Requests to the schema registry, by `outcome`: ok, refused, unavailable.
pub const REGISTRY_REQUESTS: &str = "schema_registry_requests_total";

/// Gives the metrics their help texts, once a recorder is there: called by every constructor of this crate.
pub(crate) fn describe() {
    static DESCRIBED: Once = Once::new();
    DESCRIBED.call_once(|| {
        describe_counter!(CONSUMER_RECORDS_READ, "Records handed to the service, by topic");
        describe_counter!(CONSUMER_BYTES_READ, "Bytes of keys and payloads handed to the service, by topic");
        describe_counter!(CONSUMER_REBALANCES, "Rebalance steps, by kind: assigned, revoked, lost, unacknowledged");
        describe_counter!(
            CONSUMER_PAUSED_SECONDS,
            "Whole seconds without reading because the service was behind, by reason: backpressure"
        );
        describe_gauge!(CONSUMER_QUEUE_BLOCKS, "Blocks waiting for the service");
        describe_gauge!(
            CONSUMER_LAG_RECORDS,
            "Records between the position and the end of the partition, by topic and partition; 0 after a revocation"
        );
        describe_counter!(
            CONSUMER_COMMIT_FAILURES,
            "Commits that the broker refused; each only lengthens the next replay"
        );
        describe_counter!(CONSUMER_ERRORS, "Errors of the client that it recovers from by itself, by code");
        describe_counter!(
            CONSUMER_UNREADABLE_HEADERS,
            "Headers whose name is not UTF-8 and that the client library cannot give out"
        );
        describe_counter!(PRODUCER_RECORDS_DELIVERED, "Records acknowledged by the broker");
        describe_counter!(
            PRODUCER_DELIVERY_FAILURES,
            "Records that the broker did not acknowledge; the process ends on the first"
        );
        describe_counter!(PRODUCER_QUEUE_FULL, "Sends that had to wait because the producer's queue was full");
        describe_counter!(DEAD_LETTERS, "Records written to a dead-letter topic, by stage and code");
        describe_counter!(REGISTRY_REQUESTS, "Requests to the schema registry, by outcome: ok, refused, unavailable");
    });
}

pub(crate) fn block_read(block: &RecordBlock) {
    let topic = block.topic().to_owned();
    counter!(CONSUMER_RECORDS_READ, "topic" => topic.clone()).increment(block.len() as u64);
    counter!(CONSUMER_BYTES_READ, "topic" => topic).increment(block.bytes() as u64);
}

pub(crate) fn queue_depth(blocks: usize) {
    gauge!(CONSUMER_QUEUE_BLOCKS).set(blocks as f64);
}

pub(crate) fn rebalance(kind: &'static str) {
    counter!(CONSUMER_REBALANCES, "kind" => kind).increment(1);
}

pub(crate) fn lag(at: &TopicPartition, records: i64) {
    gauge!(CONSUMER_LAG_RECORDS, "topic" => at.topic.to_string(), "partition" => at.partition.to_string())
        .set(records as f64);
}

pub(crate) fn commit_failed() {
    counter!(CONSUMER_COMMIT_FAILURES).increment(1);
}

pub(crate) fn consumer_error(code: &str) {
    counter!(CONSUMER_ERRORS, "code" => code.to_owned()).increment(1);
}

pub(crate) fn unreadable_headers() {
    counter!(CONSUMER_UNREADABLE_HEADERS).increment(1);
}

pub(crate) fn delivery_failed() {
    counter!(PRODUCER_DELIVERY_FAILURES).increment(1);
}

pub(crate) fn queue_full() {
    counter!(PRODUCER_QUEUE_FULL).increment(1);
}

pub(crate) fn dead_letter(stage: &str, code: &str) {
    counter!(DEAD_LETTERS, "stage" => stage.to_owned(), "code" => code.to_owned()).increment(1);
}

pub(crate) fn registry_request(outcome: &'static str) {
    counter!(REGISTRY_REQUESTS, "outcome" => outcome).increment(1);
}

/// Counts whole seconds out of many short spans without losing the fractions.
#[derive(Debug, Default)]
pub(crate) struct PausedSeconds {
    carry: Duration,
}

impl PausedSeconds {
    pub(crate) fn add(&mut self, span: Duration) {
        self.carry += span;
        let whole = self.carry.as_secs();
        if whole > 0 {
            self.carry -= Duration::from_secs(whole);
            counter!(CONSUMER_PAUSED_SECONDS, "reason" => "backpressure").increment(whole);
        }
    }
}

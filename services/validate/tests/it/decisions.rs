//! What stands in the output.

use kafka_pipeline::{BatchDecoder, RecordBlock, StartAt, TopicPartition, read_tail};
use meterway_schemas::VALIDATED_BATCH;
use meterway_schemas::columns::{ValidatedBatchColumns, range};

use crate::fixture::Fixture;

/// A decision, reduced to what tests ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) source_offset: i64,
    /// It lies where its writer counted on.
    pub(crate) counts: bool,
    pub(crate) device: String,
    pub(crate) customer: String,
    /// Start, version and value of the accepted readings.
    pub(crate) accepted: Vec<(i64, i32, i64)>,
    /// Failed rules of the accepted readings that failed any.
    pub(crate) marks: Vec<String>,
    /// Index and code of the rejections.
    pub(crate) rejected: Vec<(i32, String)>,
}

/// All records of a partition.
pub(crate) async fn records(fixture: &Fixture, topic: &str, partition: i32) -> Vec<RecordBlock> {
    let at = TopicPartition::new(fixture.topic(topic), partition);
    read_tail(&fixture.kafka, &at, StartAt::Beginning).await.unwrap().collect().await.unwrap()
}

/// All messages of a partition in the order of the log, those that do not count included.
pub(crate) async fn all(fixture: &Fixture, partition: i32) -> Vec<Seen> {
    let mut decoder = BatchDecoder::new(fixture.registry.clone(), VALIDATED_BATCH.avsc).unwrap();
    let mut decisions = Vec::new();
    for block in records(fixture, "validated", partition).await {
        let decoded = decoder.decode(&block).await.unwrap();
        assert!(decoded.poison.is_empty() && decoded.batches.len() == 1);
        let columns = ValidatedBatchColumns::try_from(&decoded.batches[0].batch).unwrap();
        for row in 0..block.len() {
            assert_eq!(columns.source_partition.value(row), partition);
            decisions.push(seen(&columns, row, block.get(row).offset));
        }
    }
    decisions
}

fn seen(columns: &ValidatedBatchColumns<'_>, row: usize, offset: i64) -> Seen {
    let (readings, rejections) = (&columns.readings, &columns.rejections);
    let accepted =
        |i: usize| (readings.reading.start.value(i), readings.version.value(i), readings.reading.value.value(i) as i64);
    let marks = |i: usize| readings.failed_rules.value(i).map(str::to_owned).collect::<Vec<_>>();
    Seen {
        source_offset: columns.source_offset.value(row),
        counts: meterway_schemas::counts(columns.decision_offset.value(row), offset),
        device: columns.device_id.value(row).to_owned(),
        customer: columns.customer_id.value(row).to_owned(),
        accepted: range(columns.lists, row).map(accepted).collect(),
        marks: range(columns.lists, row).flat_map(marks).collect(),
        rejected: range(columns.rejection_lists, row)
            .map(|i| (rejections.index.value(i), rejections.code.value(i).to_owned()))
            .collect(),
    }
}

/// The decisions: of the messages that count, the first about each source offset.
pub(crate) fn first(decisions: &[Seen]) -> Vec<Seen> {
    let mut highest = -1;
    let mut first = Vec::new();
    for decision in decisions {
        if decision.counts && decision.source_offset > highest {
            highest = decision.source_offset;
            first.push(decision.clone());
        }
    }
    first
}

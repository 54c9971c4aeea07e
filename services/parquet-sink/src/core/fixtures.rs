//! Decisions as the real decoder yields them.

use arrow::array::RecordBatch;
use kafka_pipeline::{BatchDecoder, Decoded, RecordBlock, RecordBlockBuilder, Registry, RegistryConfig, frame};
use meter_model::{Commodity, Kind, LocalDay, RejectCode, Verdict};
use meterway_schemas::encode::{self, Reading, Rejection, ValidatedBatch, ValidatedReading};
use meterway_schemas::{Source, VALIDATED_BATCH};

use super::view::reader_schema;

const SCHEMA_ID: u32 = 7;

/// A decision in few words.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub(super) tenant: &'static str,
    pub(super) device: String,
    pub(super) source_offset: i64,
    /// Channel, start, value, failed rules.
    pub(super) readings: Vec<(&'static str, i64, i64, Vec<&'static str>)>,
    pub(super) rejections: Vec<(i32, RejectCode)>,
    /// Number of the replay, offset in the raw topic, and which readings are unchanged.
    pub(super) replayed: Option<(i64, i64, Vec<bool>)>,
}

impl Decision {
    pub(super) fn of(device: &str, source_offset: i64) -> Self {
        Self {
            tenant: "northgrid",
            device: device.to_owned(),
            source_offset,
            readings: Vec::new(),
            rejections: Vec::new(),
            replayed: None,
        }
    }

    pub(super) fn reading(mut self, channel: &'static str, start: i64, value: i64) -> Self {
        self.readings.push((channel, start, value, Vec::new()));
        self
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let readings: Vec<ValidatedReading<'_>> = self.readings.iter().map(validated).collect();
        let rejections: Vec<Rejection<'_>> = self
            .rejections
            .iter()
            .map(|&(index, code)| Rejection { index, code, detail: "found this, expected that" })
            .collect();
        let batch = ValidatedBatch {
            tenant_id: self.tenant,
            device_id: &self.device,
            gateway_id: "gateway-1",
            sequence: self.source_offset * 10,
            received_at: (self.source_offset % 2 == 0).then_some(5_000_000),
            source: Source::Http,
            customer_id: None,
            site_id: Some("site-1"),
            source_partition: 0,
            source_offset: self.source_offset,
            decision_offset: -1,
            validated_at: 9_000_000,
            rules: &["structure", "device"],
            readings: &readings,
            rejections: &rejections,
        };
        let marks = self.replayed.as_ref().map(|(revision, origin, unchanged)| encode::ReplayMarks {
            revision: *revision,
            origin_offset: Some(*origin),
            unchanged,
            had_row: &[],
        });
        encode::replayed_batch(&batch, &marks.unwrap_or_default(), out);
    }
}

fn validated<'a>(
    (channel, start, value, failed): &'a (&'static str, i64, i64, Vec<&'static str>),
) -> ValidatedReading<'a> {
    ValidatedReading {
        reading: Reading {
            channel,
            kind: Kind::Interval,
            start: *start,
            duration_s: 1800,
            value: *value,
            unit: "kWh",
            flags: &["A", "B"],
        },
        verdict: if failed.is_empty() { Verdict::Valid } else { Verdict::Suspect },
        failed_rules: failed,
        skipped_rules: &[],
        estimation_method: None,
        version: 1,
        local_day: LocalDay(20_000),
        commodity: Commodity::Electricity,
    }
}

/// A block of partition 0 with the decisions, offsets from 100.
pub(super) fn block(decisions: &[Decision]) -> RecordBlock {
    let mut block = RecordBlockBuilder::new("meter.readings.validated.v1", 0);
    for (offset, decision) in (100..).zip(decisions) {
        let (mut datum, mut payload) = (Vec::new(), Vec::new());
        decision.encode(&mut datum);
        frame(SCHEMA_ID, &datum, &mut payload);
        block.push(offset, 0, Some(decision.device.as_bytes()), Some(&payload), &[]);
    }
    block.build()
}

/// Decodes a block with the contract less some fields.
pub(super) fn decode(block: &RecordBlock, unused: &[&str]) -> Decoded {
    let registry = Registry::new(&RegistryConfig { url: "http://127.0.0.1:1".to_owned() }).unwrap();
    let schema = reader_schema(VALIDATED_BATCH.avsc, unused).unwrap();
    let mut decoder = BatchDecoder::new(registry, &schema).unwrap();
    decoder.learn(SCHEMA_ID, VALIDATED_BATCH.avsc);
    decoder.decode_prepared(block)
}

/// The one batch of decisions, decoded with the contract less some fields.
pub(super) fn batch(decisions: &[Decision], unused: &[&str]) -> RecordBatch {
    let mut decoded = decode(&block(decisions), unused);
    assert!(decoded.poison.is_empty(), "{:?}", decoded.poison);
    decoded.batches.remove(0).batch
}

/// Decodes one datum that was written with another schema.
pub(super) fn decode_datum(datum: &[u8], writer: &str, unused: &[&str]) -> Decoded {
    let mut payload = Vec::new();
    frame(SCHEMA_ID, datum, &mut payload);
    let mut block = RecordBlockBuilder::new("meter.readings.validated.v1", 0);
    block.push(0, 0, None, Some(&payload), &[]);
    let registry = Registry::new(&RegistryConfig { url: "http://127.0.0.1:1".to_owned() }).unwrap();
    let mut decoder = BatchDecoder::new(registry, &reader_schema(VALIDATED_BATCH.avsc, unused).unwrap()).unwrap();
    decoder.learn(SCHEMA_ID, writer);
    decoder.decode_prepared(&block.build())
}

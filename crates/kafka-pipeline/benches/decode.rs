//! Pre-walk and decode of decisions, by readings per message. Run with `cargo bench -p kafka-pipeline --bench decode`.
//!
//! `walk` measures the pre-walk alone: every message has one byte too many behind it, so it is walked over to its end and
//! then set aside. `bare_decode` is the limit: the Arrow decoder alone, which loses a whole batch to one bad message.

use arrow_avro::reader::{Decoder, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use divan::Bencher;
use divan::counter::ItemsCount;
use kafka_pipeline::{BatchDecoder, RecordBlock, RecordBlockBuilder, Registry, RegistryConfig, frame};
use meterway_schemas::VALIDATED_BATCH;
use meterway_schemas::encode::{Reading, ValidatedBatch, ValidatedReading, validated_batch};

const READINGS: usize = 48_000;

fn main() {
    divan::main();
}

fn block(per_message: usize, surplus: &[u8]) -> RecordBlock {
    let reading = |n: i64| ValidatedReading {
        reading: Reading {
            channel: "1-0:1.8.0",
            kind: meter_model::Kind::Interval,
            start: 1_767_225_600_000_000 + n * 1_800_000_000,
            duration_s: 1800,
            value: 1_234_567 + n,
            unit: "kWh",
            flags: &[],
        },
        verdict: meter_model::Verdict::Valid,
        failed_rules: &[],
        skipped_rules: &["spike"],
        estimation_method: None,
        version: 1,
        local_day: meter_model::LocalDay(20_454),
        commodity: meter_model::Commodity::Electricity,
    };
    let readings: Vec<_> = (0..i64::try_from(per_message).expect("small")).map(reading).collect();
    let mut builder = RecordBlockBuilder::new("meter.readings.validated.v1", 0);
    for offset in 0..i64::try_from(READINGS / per_message).expect("small") {
        let device = format!("meter-{:08}", offset % 5000);
        let batch = ValidatedBatch {
            tenant_id: "tenant-1",
            device_id: &device,
            gateway_id: "gateway-17",
            sequence: offset,
            received_at: None,
            source: meterway_schemas::Source::Kafka,
            customer_id: Some("customer-1"),
            site_id: Some("site-1"),
            source_partition: 0,
            source_offset: offset,
            decision_offset: -1,
            validated_at: 1_767_225_600_000_000,
            rules: &["range", "spike"],
            readings: &readings,
            rejections: &[],
        };
        let (mut datum, mut payload) = (Vec::new(), Vec::new());
        validated_batch(&batch, &mut datum);
        frame(1, &datum, &mut payload);
        payload.extend(surplus);
        builder.push(offset, 0, Some(device.as_bytes()), Some(&payload), &[]);
    }
    builder.build()
}

fn decoder() -> BatchDecoder {
    let registry = Registry::new(&RegistryConfig { url: "http://127.0.0.1:1".to_owned() }).expect("a url");
    let mut decoder = BatchDecoder::new(registry, VALIDATED_BATCH.avsc).expect("our own schema");
    decoder.learn(1, VALIDATED_BATCH.avsc);
    decoder
}

#[divan::bench(args = [1, 48])]
fn walk(bencher: Bencher<'_, '_>, per_message: usize) {
    let (block, mut decoder) = (block(per_message, &[0]), decoder());
    bencher.counter(ItemsCount::new(READINGS)).bench_local(|| {
        let decoded = decoder.decode_prepared(&block);
        assert!(decoded.batches.is_empty());
        decoded
    });
}

#[divan::bench(args = [1, 48])]
fn walk_and_decode(bencher: Bencher<'_, '_>, per_message: usize) {
    let (block, mut decoder) = (block(per_message, &[]), decoder());
    bencher.counter(ItemsCount::new(READINGS)).bench_local(|| {
        let decoded = decoder.decode_prepared(&block);
        assert!(decoded.poison.is_empty());
        decoded
    });
}

fn bare_decoder() -> Decoder {
    let schema = AvroSchema::new(VALIDATED_BATCH.avsc.to_owned());
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(1), schema.clone()).expect("a new store");
    let builder = ReaderBuilder::new().with_batch_size(READINGS).with_reader_schema(schema);
    builder.with_writer_schema_store(store).build_decoder().expect("our own schema")
}

#[divan::bench(args = [1, 48])]
fn bare_decode(bencher: Bencher<'_, '_>, per_message: usize) {
    let (block, mut decoder) = (block(per_message, &[]), bare_decoder());
    bencher.counter(ItemsCount::new(READINGS)).bench_local(|| {
        for record in block.iter() {
            decoder.decode(record.payload.expect("a payload")).expect("a good message");
        }
        decoder.flush().expect("good messages").expect("rows")
    });
}

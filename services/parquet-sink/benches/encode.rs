//! What a reading costs between the topic and the file, step by step: decode, gather, make columns, encode. `bare_` are
//! the limits beside them: columns of a nested batch taken out and repeated, nothing sorted; and the same rows written with
//! the settings the library starts with.
//!
//! `cargo bench -p parquet-sink --bench encode`

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use divan::counter::ItemsCount;
use kafka_pipeline::{BatchDecoder, RecordBlock, RecordBlockBuilder, Registry, RegistryConfig, frame};
use lake::{PartitionValue, tables};
use meter_model::{Commodity, Kind, LocalDay, Verdict};
use meterway_schemas::encode::{self, Reading, ValidatedBatch, ValidatedReading};
use meterway_schemas::{Source, VALIDATED_BATCH};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet_sink::core::readings::{ReadingRows, UNUSED_FIELDS};
use parquet_sink::core::rows::{Input, TableRows};
use parquet_sink::core::view::reader_schema;

const READINGS: usize = 48_000;
const SCHEMA_ID: u32 = 1;
/// Readings per message: a live value, and a day of half-hours.
const SHAPES: [usize; 2] = [1, 48];

fn main() {
    divan::main();
}

fn block(per_message: usize) -> RecordBlock {
    let mut block = RecordBlockBuilder::new("meter.readings.validated.v1", 0);
    for offset in 0..(READINGS / per_message) as i64 {
        let device = format!("northgrid-e-{:05}", offset % 5_000);
        let start = 20_000 * 86_400_000_000 + offset / 5_000 * 1_800_000_000;
        let readings: Vec<_> = (0..per_message as i64).map(|index| reading(start + index * 1_800_000_000)).collect();
        let batch = ValidatedBatch {
            tenant_id: if offset % 2 == 0 { "northgrid" } else { "lakeside" },
            device_id: &device,
            gateway_id: "gateway-17",
            sequence: offset,
            received_at: None,
            source: Source::Kafka,
            customer_id: Some("customer-12345"),
            site_id: Some("site-12345"),
            source_partition: 0,
            source_offset: offset,
            decision_offset: -1,
            validated_at: start,
            rules: &["structure", "device", "channel", "unit", "gap", "spike"],
            readings: &readings,
            rejections: &[],
        };
        let (mut datum, mut payload) = (Vec::new(), Vec::new());
        encode::validated_batch(&batch, &mut datum);
        frame(SCHEMA_ID, &datum, &mut payload);
        block.push(offset, 0, Some(device.as_bytes()), Some(&payload), &[]);
    }
    block.build()
}

fn reading(start: i64) -> ValidatedReading<'static> {
    ValidatedReading {
        reading: Reading {
            channel: "1-0:1.29.0",
            kind: Kind::Interval,
            start,
            duration_s: 1800,
            value: (start / 1_000_000) * 7919 % 2_000_000 / 1000 * 1000,
            unit: "kWh",
            flags: &[],
        },
        verdict: Verdict::Valid,
        failed_rules: &[],
        skipped_rules: &[],
        estimation_method: None,
        version: 1,
        local_day: LocalDay(20_000),
        commodity: Commodity::Electricity,
    }
}

fn decoder() -> BatchDecoder {
    let registry = Registry::new(&RegistryConfig { url: "http://127.0.0.1:1".to_owned() }).expect("a client");
    let schema = reader_schema(VALIDATED_BATCH.avsc, UNUSED_FIELDS).expect("the contract is a record");
    let mut decoder = BatchDecoder::new(registry, &schema).expect("the contract can be read");
    decoder.learn(SCHEMA_ID, VALIDATED_BATCH.avsc);
    decoder
}

fn gathered(per_message: usize) -> ReadingRows {
    let decoded = decoder().decode_prepared(&block(per_message));
    let batch = &decoded.batches[0].batch;
    let all: Vec<u32> = (0..batch.num_rows() as u32).collect();
    let mut rows = ReadingRows::new("meter.readings.raw.v1");
    rows.append(&Input::Decoded { batch, rows: &all, partition: 0, offsets: &[] }).expect("the contract's shape");
    rows
}

fn batches(rows: &mut ReadingRows, partition: PartitionValue) -> Vec<RecordBatch> {
    let file = rows.take(partition).expect("rows fit their columns").expect("the partition has rows");
    file.batches().collect::<Result<_, _>>().expect("rows fit their columns")
}

#[divan::bench(args = SHAPES)]
fn decode(bencher: divan::Bencher<'_, '_>, per_message: usize) {
    let (block, mut decoder) = (block(per_message), decoder());
    bencher.counter(ItemsCount::new(READINGS)).bench_local(|| black_box(decoder.decode_prepared(&block)));
}

#[divan::bench(args = SHAPES)]
fn gather(bencher: divan::Bencher<'_, '_>, per_message: usize) {
    let decoded = decoder().decode_prepared(&block(per_message));
    let batch = &decoded.batches[0].batch;
    let all: Vec<u32> = (0..batch.num_rows() as u32).collect();
    let mut rows = ReadingRows::new("meter.readings.raw.v1");
    bencher.counter(ItemsCount::new(READINGS)).bench_local(|| {
        rows.clear();
        rows.append(&Input::Decoded { batch, rows: &all, partition: 0, offsets: &[] })
    });
}

#[divan::bench(args = SHAPES)]
fn sort_and_make_columns(bencher: divan::Bencher<'_, '_>, per_message: usize) {
    bencher.counter(ItemsCount::new(READINGS)).with_inputs(|| gathered(per_message)).bench_local_values(|mut rows| {
        let partitions: Vec<_> = rows.gathered().into_keys().collect();
        partitions.into_iter().map(|partition| batches(&mut rows, partition).len()).sum::<usize>()
    });
}

#[divan::bench(args = SHAPES)]
fn bare_flatten(bencher: divan::Bencher<'_, '_>, per_message: usize) {
    let decoded = decoder().decode_prepared(&block(per_message));
    let batch = &decoded.batches[0].batch;
    bencher.counter(ItemsCount::new(READINGS)).bench_local(|| black_box(flatten(batch)));
}

/// The readings' own columns as they are, and those of their messages repeated for each reading.
fn flatten(batch: &RecordBatch) -> Vec<ArrayRef> {
    let lists = batch.column_by_name("readings").expect("the contract's shape").as_list::<i32>();
    let offsets = lists.value_offsets();
    let rows = (0..batch.num_rows()).flat_map(|row| {
        let readings = (offsets[row + 1] - offsets[row]) as usize;
        std::iter::repeat_n(row as u32, readings)
    });
    let rows = UInt32Array::from_iter_values(rows);
    let own = lists.values().as_struct().columns().iter().cloned();
    let messages = batch.columns().iter().filter(|column| column.as_list_opt::<i32>().is_none());
    let repeated = messages.map(|column| take(column, &rows, None).expect("rows of the batch"));
    own.chain(repeated).collect()
}

#[divan::bench(args = SHAPES)]
fn encode_parquet(bencher: divan::Bencher<'_, '_>, per_message: usize) {
    encode(bencher, per_message, &tables::readings().writer_properties());
}

#[divan::bench(args = SHAPES)]
fn bare_encode_parquet(bencher: divan::Bencher<'_, '_>, per_message: usize) {
    let level = ZstdLevel::try_new(1).expect("a level of zstd");
    encode(bencher, per_message, &WriterProperties::builder().set_compression(Compression::ZSTD(level)).build());
}

fn encode(bencher: divan::Bencher<'_, '_>, per_message: usize, properties: &WriterProperties) {
    let mut rows = gathered(per_message);
    let partitions: Vec<_> = rows.gathered().into_keys().collect();
    let batches: Vec<_> = partitions.into_iter().flat_map(|partition| batches(&mut rows, partition)).collect();
    let schema = tables::readings().arrow_schema();
    bencher.counter(ItemsCount::new(READINGS)).bench_local(|| {
        let mut writer =
            ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties.clone())).expect("a writer");
        for batch in &batches {
            writer.write(batch).expect("rows fit the table");
        }
        black_box(writer.into_inner().expect("a file"))
    });
}

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use lake::{PartitionValue, tables, tenant_bucket};
use meter_model::RejectCode;
use proptest::prelude::*;

use super::fixtures::{Decision, batch};
use super::readings::{self, ReadingRows};
use super::rejected::{self, RejectedRows};
use super::rows::{Input, TableRows};

const DAY: i64 = 86_400_000_000;
const START: i64 = 20_000 * DAY;

fn append(rows: &mut dyn TableRows, decisions: &[Decision], unused: &[&str], accepted: &[u32]) -> usize {
    let batch = batch(decisions, unused);
    let offsets: Vec<i64> = (100..).take(batch.num_rows()).collect();
    rows.append(&Input::Decoded { batch: &batch, rows: accepted, partition: 0, offsets: &offsets }).unwrap()
}

fn taken(rows: &mut dyn TableRows, partition: PartitionValue) -> Vec<RecordBatch> {
    let file = rows.take(partition).unwrap().unwrap();
    let batches = file.batches().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(file.batches().collect::<Result<Vec<_>, _>>().unwrap(), batches, "a second write gets the same rows");
    batches
}

fn text(batch: &RecordBatch, column: &str) -> ArrayRef {
    cast(batch.column_by_name(column).unwrap(), &DataType::Utf8).unwrap()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = text(batch, column);
    column.as_string::<i32>().iter().map(|value| value.unwrap_or("NULL").to_owned()).collect()
}

fn starts(batch: &RecordBatch) -> Vec<i64> {
    batch.column_by_name("start").unwrap().as_primitive::<TimestampMicrosecondType>().values().to_vec()
}

fn partition(tenant: &str, day: i32) -> PartitionValue {
    PartitionValue::DayBucket { day, bucket: tenant_bucket(tenant, tables::TENANT_BUCKETS) }
}

#[test]
fn a_reading_becomes_a_row_with_what_its_message_says() {
    let mut suspect = Decision::of("device-1", 8).reading("1-0:1.8.0", START, 1_500_000);
    suspect.readings[0].3 = vec!["gap", "spike"];
    let decisions = [suspect.reading("water.volume", START + 1, -2)];
    let mut rows = ReadingRows::new("meter.readings.raw.v1");
    assert_eq!(append(&mut rows, &decisions, readings::UNUSED_FIELDS, &[0]), 2);
    let batch = taken(&mut rows, partition("northgrid", 20_000)).remove(0);
    let expected = tables::readings().columns.iter().map(|column| column.name);
    assert!(batch.schema().fields().iter().map(|field| field.name().as_str()).eq(expected));
    for (column, values) in [
        ("tenant_id", ["northgrid", "northgrid"]),
        ("device_id", ["device-1", "device-1"]),
        ("channel", ["1-0:1.8.0", "water.volume"]),
        ("kind", ["INTERVAL", "INTERVAL"]),
        ("unit", ["kWh", "kWh"]),
        ("verdict", ["SUSPECT", "VALID"]),
        ("failed_rules", ["gap,spike", ""]),
        ("skipped_rules", ["", ""]),
        ("flags", ["A,B", "A,B"]),
        ("estimation_method", ["NULL", "NULL"]),
        ("commodity", ["ELECTRICITY", "ELECTRICITY"]),
        ("customer_id", ["NULL", "NULL"]),
        ("site_id", ["site-1", "site-1"]),
        ("source", ["HTTP", "HTTP"]),
        ("source_topic", ["meter.readings.raw.v1", "meter.readings.raw.v1"]),
    ] {
        assert_eq!(texts(&batch, column), values, "{column}");
    }
    assert_eq!(batch.column_by_name("value").unwrap().as_primitive::<Decimal128Type>().values(), &[1_500_000, -2]);
    assert_eq!(batch.column_by_name("source_offset").unwrap().as_primitive::<Int64Type>().values(), &[8, 8]);
    assert_eq!(batch.column_by_name("sequence").unwrap().as_primitive::<Int64Type>().values(), &[80, 80]);
    assert_eq!(batch.column_by_name("reading_index").unwrap().as_primitive::<Int32Type>().values(), &[0, 1]);
    assert!(batch.column_by_name("received_at").unwrap().is_valid(0));
    assert_eq!(rows.bytes(), ReadingRows::new("x").bytes(), "texts are forgotten with the last row");
}

#[test]
fn late_readings_go_to_their_own_day() {
    let decisions = [
        Decision::of("device-1", 0).reading("c", START - 1, 1).reading("c", START, 2).reading("c", START + DAY, 3),
        Decision::of("device-2", 1).reading("c", START - 400 * DAY, 4).reading("c", -1, 5),
    ];
    let mut rows = ReadingRows::new("raw");
    assert_eq!(append(&mut rows, &decisions, readings::UNUSED_FIELDS, &[0, 1]), 5);
    let days: Vec<i32> = rows.gathered().keys().map(|partition| partition.day()).collect();
    assert_eq!(days, [-1, 19_600, 19_999, 20_000, 20_001]);
    let batch = taken(&mut rows, partition("northgrid", 20_001)).remove(0);
    assert_eq!(batch.column_by_name("reading_index").unwrap().as_primitive::<Int32Type>().values(), &[2]);
    assert!(rows.take(partition("northgrid", 20_001)).unwrap().is_none());
}

#[test]
fn only_accepted_decisions_make_rows() {
    let decisions: Vec<_> = (0..4).map(|offset| Decision::of("device-1", offset).reading("c", START, offset)).collect();
    let mut rows = ReadingRows::new("raw");
    assert_eq!(append(&mut rows, &decisions, readings::UNUSED_FIELDS, &[1, 3]), 2);
    let batch = taken(&mut rows, partition("northgrid", 20_000)).remove(0);
    assert_eq!(batch.column_by_name("source_offset").unwrap().as_primitive::<Int64Type>().values(), &[1, 3]);
}

#[test]
fn rejections_become_rows_that_point_at_their_message() {
    let mut first = Decision::of("device-1", 3);
    first.rejections = vec![(-1, RejectCode::UnknownDevice)];
    let mut second = Decision::of("device-1", 4).reading("c", START, 1);
    second.rejections = vec![(0, RejectCode::Duplicate), (2, RejectCode::Negative)];
    let mut rows = RejectedRows::new("meter.readings.raw.v1");
    let decisions = [first, Decision::of("device-1", 5).reading("c", START, 1), second];
    assert_eq!(append(&mut rows, &decisions, rejected::UNUSED_FIELDS, &[0, 1, 2]), 3);
    let batch = taken(&mut rows, PartitionValue::Day(0)).remove(0);
    assert_eq!(texts(&batch, "code"), ["UNKNOWN_DEVICE", "DUPLICATE", "NEGATIVE"]);
    assert_eq!(batch.column_by_name("source_offset").unwrap().as_primitive::<Int64Type>().values(), &[3, 4, 4]);
    assert_eq!(batch.column_by_name("reading_index").unwrap().as_primitive::<Int32Type>().values(), &[-1, 0, 2]);
}

#[test]
fn raw_bytes_are_no_decisions() {
    let block = super::fixtures::block(&[Decision::of("device-1", 0)]);
    assert!(ReadingRows::new("raw").append(&Input::Raw(&block)).is_err());
    assert!(RejectedRows::new("raw").append(&Input::Raw(&block)).is_err());
}

/// Device, tenant, and of each reading channel, day and time of day.
type Parts = (u8, u8, Vec<(&'static str, i64, i64)>);

fn decisions() -> impl Strategy<Value = Vec<Decision>> {
    let reading = (prop_oneof![Just("a"), Just("b")], -3..3i64, 0..DAY);
    let decision = (0..4u8, 0..3u8, proptest::collection::vec(reading, 0..6));
    proptest::collection::vec(decision, 1..12).prop_map(|decisions| {
        let build = |(offset, (device, tenant, readings)): (i64, Parts)| {
            let mut decision = Decision::of(&format!("device-{device}"), offset);
            decision.tenant = ["northgrid", "lakeside", "seaside"][tenant as usize];
            for (at, (channel, day, within)) in (0..).zip(readings) {
                decision = decision.reading(channel, START + day * DAY + within, offset * 100 + at);
            }
            decision
        };
        (0..).zip(decisions).map(build).collect()
    })
}

proptest! {
    /// Every reading comes out exactly once, in the partition of its tenant and day, and in order.
    #[test]
    fn rows_in_are_rows_out(decisions in decisions()) {
        let mut rows = ReadingRows::new("raw");
        let all: Vec<u32> = (0..decisions.len() as u32).collect();
        let appended = append(&mut rows, &decisions, readings::UNUSED_FIELDS, &all);
        let mut expected: Vec<(PartitionValue, i128, i64)> = decisions
            .iter()
            .flat_map(|decision| decision.readings.iter().map(|(_, start, value, _)| {
                let day = i32::try_from(start.div_euclid(DAY)).unwrap();
                (partition(decision.tenant, day), i128::from(*value), *start)
            }))
            .collect();
        prop_assert_eq!(appended, expected.len());
        let gathered = rows.gathered();
        prop_assert_eq!(gathered.values().map(|part| part.rows).sum::<usize>(), expected.len());
        let mut found = Vec::new();
        for partition in gathered.into_keys() {
            for batch in taken(&mut rows, partition) {
                let values = batch.column_by_name("value").unwrap().as_primitive::<Decimal128Type>().values();
                found.extend(values.iter().zip(starts(&batch)).map(|(value, start)| (partition, *value, start)));
                let keys: Vec<_> = texts(&batch, "device_id")
                    .into_iter().zip(texts(&batch, "channel")).zip(starts(&batch)).collect();
                prop_assert!(keys.is_sorted(), "{keys:?}");
            }
        }
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_replayed_reading_has_the_place_of_its_message_and_what_is_unchanged_makes_no_row() {
    let mut replayed = Decision::of("device-1", 8);
    for slot in 0..5 {
        replayed = replayed.reading("c", START + slot, slot);
    }
    replayed.replayed = Some((77, 5_000, vec![true, false, false, true, false]));
    let mut whole = Decision::of("device-1", 9).reading("c", START, 1);
    whole.replayed = Some((77, 5_001, vec![true]));
    let live = Decision::of("device-1", 10).reading("c", START + 9, 9);
    let mut rows = ReadingRows::new("meter.readings.raw.v1");
    assert_eq!(append(&mut rows, &[replayed, whole, live], readings::UNUSED_FIELDS, &[0, 1, 2]), 4);
    let batch = taken(&mut rows, partition("northgrid", 20_000)).remove(0);
    assert_eq!(starts(&batch), [START + 1, START + 2, START + 4, START + 9]);
    let long = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    assert_eq!(long("source_offset").values(), &[5_000, 5_000, 5_000, 10]);
    assert_eq!(long("revision").iter().collect::<Vec<_>>(), [Some(77), Some(77), Some(77), None]);
    let index = batch.column_by_name("reading_index").unwrap().as_primitive::<Int32Type>();
    assert_eq!(index.values(), &[1, 2, 4, 0]);
}

/// Decisions that a validate of the first release wrote lie in the topic when this one starts.
#[test]
fn decisions_of_the_first_contract_make_rows_of_the_live_lane() {
    let hex: String = include_str!("../../../../schemas/golden/validated_batch.v1.hex").split_whitespace().collect();
    let datum: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let first = include_str!("../../../../schemas/golden/validated_batch.v1.avsc");
    let decoded = super::fixtures::decode_datum(&datum, first, readings::UNUSED_FIELDS);
    assert!(decoded.poison.is_empty(), "{:?}", decoded.poison);
    let mut rows = ReadingRows::new("meter.readings.raw.v1");
    let input = Input::Decoded { batch: &decoded.batches[0].batch, rows: &[0], partition: 3, offsets: &[0] };
    assert_eq!(rows.append(&input), Ok(1));
    let partition = *rows.gathered().keys().next().unwrap();
    let batch = taken(&mut rows, partition).remove(0);
    let long = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().iter().next().unwrap();
    assert_eq!((long("source_offset"), long("revision")), (Some(1_000_000), None));
}

//! The encoders against apache-avro, the structs against their schemas, and the bytes of every released version.

use super::*;
use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter};
use encode::{Reading, Rejection, ValidatedReading};
use meter_model::{Commodity, Kind, LocalDay, Quantity, RejectCode, Verdict};
use proptest::prelude::*;
use std::{fmt::Write as _, fs, path::PathBuf};

fn samples() -> Vec<(&'static str, Contract, Vec<u8>)> {
    let record = |contract: Contract, bytes: apache_avro::AvroResult<Vec<u8>>| (contract, bytes.unwrap());
    let mut raw = Vec::new();
    encode::reading_batch(&reading_batch(), &mut raw);
    let mut validated = Vec::new();
    let marks = encode::ReplayMarks {
        revision: 1_774_742_700_000,
        origin_offset: Some(999_000),
        unchanged: &[true],
        had_row: &[true],
    };
    encode::replayed_batch(&validated_batch(), &marks, &mut validated);
    [
        ("reading_batch", (READING_BATCH, raw)),
        ("validated_batch", (VALIDATED_BATCH, validated)),
        ("device_event", record(DEVICE_EVENT, encode_record(&DEVICE_EVENT.schema(), &device_event()))),
        ("device", record(DEVICE, encode_record(&DEVICE.schema(), &device()))),
        ("alert", record(ALERT, encode_record(&ALERT.schema(), &alert()))),
        ("lake_commit", record(LAKE_COMMIT, encode_record(&LAKE_COMMIT.schema(), &lake_commit()))),
        ("warehouse_load", record(WAREHOUSE_LOAD, encode_record(&WAREHOUSE_LOAD.schema(), &warehouse_load()))),
    ]
    .map(|(name, (contract, bytes))| (name, contract, bytes))
    .to_vec()
}

const READING: Reading<'static> = Reading {
    channel: "1-0:1.29.0",
    kind: Kind::Interval,
    start: 1_774_742_400_000_000,
    duration_s: 1800,
    value: 254_000,
    unit: "kWh",
    flags: &["1.4.0"],
};

fn reading_batch() -> encode::ReadingBatch<'static> {
    encode::ReadingBatch {
        tenant_id: "northgrid",
        device_id: "northgrid-e-00001",
        gateway_id: "gw-1",
        sequence: 42,
        received_at: Some(1_774_742_500_000_001),
        source: Source::Http,
        readings: &[READING, Reading { kind: Kind::Register, value: -1, duration_s: 0, flags: &[], ..READING }],
    }
}

fn validated_batch() -> encode::ValidatedBatch<'static> {
    const READINGS: &[ValidatedReading<'static>] = &[ValidatedReading {
        reading: READING,
        verdict: Verdict::Suspect,
        failed_rules: &["spike"],
        skipped_rules: &["capacity"],
        estimation_method: None,
        version: 2,
        local_day: LocalDay(20_541),
        commodity: Commodity::Electricity,
    }];
    const REJECTIONS: &[Rejection<'static>] =
        &[Rejection { index: 1, code: RejectCode::Negative, detail: "-0.000001 kWh on a channel that only imports" }];
    encode::ValidatedBatch {
        tenant_id: "northgrid",
        device_id: "northgrid-e-00001",
        gateway_id: "gw-1",
        sequence: 42,
        received_at: None,
        source: Source::Kafka,
        customer_id: Some("customer-1"),
        site_id: Some("site-1"),
        source_partition: 3,
        source_offset: 1_000_000,
        decision_offset: 2_000_000,
        validated_at: 1_774_742_600_000_000,
        rules: &["structure", "spike"],
        readings: READINGS,
        rejections: REJECTIONS,
    }
}

fn device_event() -> DeviceEvent {
    DeviceEvent {
        tenant_id: "northgrid".into(),
        device_id: "northgrid-e-00001".into(),
        gateway_id: String::new(),
        sequence: 7,
        received_at: None,
        source: Source::Kafka,
        kind: DeviceEventKind::LastGasp,
        at: 1_774_742_400_000_000,
        detail: Some("0x8F35".into()),
    }
}

fn device() -> Device {
    Device {
        tenant_id: "northgrid".into(),
        device_id: "northgrid-e-00001".into(),
        customer_id: None,
        site_id: "site-1".into(),
        gateway_id: Some("gw-1".into()),
        status: DeviceStatus::Active,
        commodity: Commodity::Electricity,
        customer_class: CustomerClass::MultiFamily,
        zone: "Europe/London".into(),
        channels: vec![DeviceChannel {
            channel: "1-0:1.8.0".into(),
            kind: Kind::Register,
            unit: "kWh".into(),
            interval_s: None,
            multiplier: Quantity::ONE,
            register_digits: Some(6),
            capacity_per_hour: Some("25.5".parse().unwrap()),
            allow_negative: false,
        }],
        exchanges: vec![MeterExchange {
            at: 1_774_742_400_000_000,
            channel: "1-0:1.8.0".into(),
            closing_value: "99999.5".parse().unwrap(),
            opening_value: "-0.000001".parse().unwrap(),
        }],
        version: 3,
        updated_at: 1_774_742_400_000_000,
    }
}

fn alert() -> Alert {
    Alert {
        tenant_id: "lakeside".into(),
        device_id: "lakeside-w-00001".into(),
        customer_id: Some("customer-2".into()),
        site_id: None,
        alert_id: "0b2c".into(),
        kind: AlertKind::ContinuousFlow,
        severity: Severity::Warning,
        state: AlertState::Closed,
        revision: 2,
        opened_at: 1_774_742_400_000_000,
        updated_at: 1_774_832_400_000_000,
        closed_at: Some(1_774_832_400_000_000),
        detail: "flow of at least 12 L/h for 25 h".into(),
    }
}

fn lake_commit() -> LakeCommit {
    LakeCommit {
        table: "meterway.readings".into(),
        snapshot_id: i64::MAX,
        commit_id: "c-1".into(),
        committed_at: 1_774_742_400_000_000,
        rows: 96,
        files: vec![LakeFile { path: "s3://lake/a.parquet".into(), rows: 96, bytes: 4096 }],
        offsets: vec![OffsetRange { topic: "t".into(), topic_id: "id".into(), partition: 0, from: 0, next: 2 }],
    }
}

fn warehouse_load() -> WarehouseLoad {
    WarehouseLoad {
        table: "raw.readings".into(),
        lake_table: "meterway.readings".into(),
        snapshot_id: 1,
        rows: 96,
        files: 1,
        quarantined_files: 0,
        started_at: 1,
        finished_at: 2,
    }
}

fn datum(schema: &Schema, value: Value) -> Vec<u8> {
    GenericDatumWriter::builder(schema).build().unwrap().write_value_to_vec(value).unwrap()
}

#[test]
fn every_contract_parses_documents_every_field_and_has_its_name() {
    for contract in CONTRACTS {
        let Schema::Record(record) = contract.schema() else { panic!("{} is no record", contract.name) };
        assert_eq!(record.name.to_string(), contract.name);
        for field in &record.fields {
            assert!(field.doc.as_deref().is_some_and(|doc| doc.len() > 10), "{}.{}", contract.name, field.name);
        }
    }
}

#[test]
fn what_is_encoded_is_read_back_by_apache_avro_to_the_last_byte() {
    for (name, contract, bytes) in samples() {
        let schema = contract.schema();
        let mut rest = bytes.as_slice();
        let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut rest).unwrap();
        assert!(rest.is_empty(), "{name}");
        let again = datum(&schema, value);
        assert_eq!(again, bytes, "{name}");
    }
}

#[test]
fn records_survive_a_round_trip() {
    fn round<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(c: Contract, value: &T) {
        let schema = c.schema();
        let datum = encode_record(&schema, value).unwrap();
        assert_eq!(&decode::<T>(&schema, &schema, &datum).unwrap(), value);
    }
    round(DEVICE_EVENT, &device_event());
    round(DEVICE, &device());
    round(ALERT, &alert());
    round(LAKE_COMMIT, &lake_commit());
    round(WAREHOUSE_LOAD, &warehouse_load());
}

#[test]
fn enums_have_the_order_of_their_schema() {
    fn symbols(contract: Contract, enumeration: &str) -> Vec<String> {
        let json: serde_json::Value = serde_json::from_str(contract.avsc).unwrap();
        find(&json, enumeration).unwrap_or_else(|| panic!("no enum {enumeration}"))
    }
    fn find(json: &serde_json::Value, name: &str) -> Option<Vec<String>> {
        match json {
            serde_json::Value::Object(map) if map.get("type") == Some(&"enum".into()) && map["name"] == name => {
                Some(map["symbols"].as_array()?.iter().map(|s| s.as_str().unwrap().to_owned()).collect())
            }
            serde_json::Value::Object(map) => map.values().find_map(|v| find(v, name)),
            serde_json::Value::Array(items) => items.iter().find_map(|v| find(v, name)),
            _ => None,
        }
    }
    let names = |all: &[&'static str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert_eq!(symbols(READING_BATCH, "ReadingKind"), names(&Kind::ALL.iter().map(|k| k.as_str()).collect::<Vec<_>>()));
    assert_eq!(
        symbols(VALIDATED_BATCH, "Verdict"),
        names(&Verdict::ALL.iter().map(|v| v.as_str()).collect::<Vec<_>>())
    );
    let commodities = names(&Commodity::ALL.iter().map(|c| c.as_str()).collect::<Vec<_>>());
    assert_eq!(symbols(VALIDATED_BATCH, "Commodity"), commodities);
    assert_eq!(symbols(DEVICE, "Commodity"), commodities);
    assert_eq!(symbols(READING_BATCH, "Source"), ["KAFKA", "HTTP", "REPLAY"]);
}

/// Golden bytes: `golden/<contract>.v<N>.{avsc,hex}`, append-only. The newest version must be today's contract; every
/// version must still be readable with today's contract.
#[test]
fn every_released_version_stays_readable() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    for (name, contract, bytes) in samples() {
        let versions: Vec<u32> = (1..).take_while(|v| folder.join(format!("{name}.v{v}.avsc")).exists()).collect();
        let newest = *versions
            .last()
            .unwrap_or_else(|| panic!("golden/{name}.v1.avsc is missing: write it with {}", hex(&bytes)));
        for version in versions {
            let avsc = fs::read_to_string(folder.join(format!("{name}.v{version}.avsc"))).unwrap();
            let golden = unhex(&fs::read_to_string(folder.join(format!("{name}.v{version}.hex"))).unwrap());
            let writer = Schema::parse_str(&avsc).unwrap();
            let reader = contract.schema();
            let value = GenericDatumReader::builder(&writer)
                .reader_schema(&reader)
                .build()
                .unwrap()
                .read_value(&mut golden.as_slice())
                .unwrap();
            assert!(matches!(value, Value::Record(_)), "{name} v{version}");
            if version == newest {
                assert_eq!(avsc, contract.avsc, "{name}: the schema changed; add golden/{name}.v{}.*", version + 1);
                assert_eq!(hex(&bytes), hex(&golden), "{name} v{version}");
            }
        }
    }
}

#[test]
fn new_versions_are_compatible_with_all_older_ones_both_ways() {
    use apache_avro::schema_compatibility::SchemaCompatibility;
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.extension().is_some_and(|e| e == "avsc") {
            let name = entry.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned();
            let contract = samples().into_iter().find(|(n, ..)| *n == name).unwrap().1.schema();
            let old = Schema::parse_str(&fs::read_to_string(&entry).unwrap()).unwrap();
            SchemaCompatibility::mutual_read(&old, &contract).unwrap_or_else(|e| panic!("{}: {e}", entry.display()));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(32).fold(String::new(), |mut text, line| {
        line.iter().for_each(|b| write!(text, "{b:02x}").unwrap());
        text.push('\n');
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

proptest! {
    #[test]
    fn any_reading_is_encoded_as_apache_avro_would(
        channel in "\\PC{0,40}", start in any::<i64>(), duration in any::<i32>(), value in any::<i64>(),
        sequence in any::<i64>(), received in any::<Option<i64>>(), flags in prop::collection::vec("\\PC{0,8}", 0..4),
        count in 0usize..80,
    ) {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let reading = Reading { channel: &channel, kind: Kind::Gauge, start, duration_s: duration, value, unit: "L", flags: &flags };
        let readings = vec![reading; count];
        let batch = encode::ReadingBatch { sequence, received_at: received, readings: &readings, ..reading_batch() };
        let mut bytes = Vec::new();
        encode::reading_batch(&batch, &mut bytes);
        let schema = READING_BATCH.schema();
        let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut bytes.as_slice()).unwrap();
        prop_assert_eq!(datum(&schema, value), bytes);
    }
}

mod arrow_view {
    use super::*;
    use crate::columns::{ReadingBatchColumns, ValidatedBatchColumns, range};
    use arrow::record_batch::RecordBatch;
    use arrow_avro::{
        reader::ReaderBuilder,
        schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore},
    };

    fn through_arrow(contract: Contract, datum: &[u8]) -> RecordBatch {
        let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
        store.set(Fingerprint::Id(1), AvroSchema::new(contract.avsc.to_owned())).unwrap();
        let mut decoder = ReaderBuilder::new().with_writer_schema_store(store).build_decoder().unwrap();
        let framed = [&[0u8, 0, 0, 0, 1], datum].concat();
        assert_eq!(decoder.decode(&framed).unwrap(), framed.len());
        decoder.flush().unwrap().unwrap()
    }

    #[test]
    fn raw_batch_is_seen_through_its_columns() {
        let mut datum = Vec::new();
        encode::reading_batch(&reading_batch(), &mut datum);
        let batch = through_arrow(READING_BATCH, &datum);
        let view = ReadingBatchColumns::try_from(&batch).unwrap();
        assert_eq!(view.tenant_id.value(0), "northgrid");
        assert_eq!(view.source.value(0), "HTTP");
        assert_eq!(range(view.lists, 0), 0..2);
        assert_eq!(view.readings.kind.value(1), "REGISTER");
        assert_eq!(view.readings.value.value(1), -1);
        assert_eq!(view.readings.flags.value(0).collect::<Vec<_>>(), ["1.4.0"]);
    }

    #[test]
    fn decision_is_seen_through_its_columns() {
        let mut datum = Vec::new();
        encode::validated_batch(&validated_batch(), &mut datum);
        let batch = through_arrow(VALIDATED_BATCH, &datum);
        let view = ValidatedBatchColumns::try_from(&batch).unwrap();
        assert_eq!(view.source_offset.value(0), 1_000_000);
        assert_eq!(view.readings.verdict.value(0), "SUSPECT");
        assert_eq!(view.readings.local_day.value(0), 20_541);
        assert_eq!(view.readings.commodity.value(0), "ELECTRICITY");
        assert_eq!(view.rejections.code.value(0), "NEGATIVE");
        assert_eq!((view.revision.value(0), arrow::array::Array::is_null(view.origin_offset, 0)), (0, true));
    }

    #[test]
    fn decision_of_the_replay_lane_tells_its_origin() {
        let mut datum = Vec::new();
        let marks = encode::ReplayMarks { revision: 7, origin_offset: Some(5), ..encode::ReplayMarks::default() };
        encode::replayed_batch(&validated_batch(), &marks, &mut datum);
        let batch = through_arrow(VALIDATED_BATCH, &datum);
        let view = ValidatedBatchColumns::try_from(&batch).unwrap();
        assert_eq!((view.revision.value(0), view.origin_offset.value(0)), (7, 5));
    }

    #[test]
    fn a_batch_of_another_shape_is_refused_with_the_column() {
        let mut datum = Vec::new();
        encode::reading_batch(&reading_batch(), &mut datum);
        let batch = through_arrow(READING_BATCH, &datum);
        let error = ValidatedBatchColumns::try_from(&batch).unwrap_err();
        assert_eq!(error.column, "rejections");
    }
}

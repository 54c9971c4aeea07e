//! The decoder against apache-avro, on valid, mutated and mixed messages.

use super::*;
use crate::avro::frame;
use crate::config::RegistryConfig;
use crate::record::RecordBlockBuilder;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::{Name, NamesRef};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use arrow_avro::schema::FingerprintStrategy;
use arrow_avro::writer::WriterBuilder;
use arrow_avro::writer::format::AvroSoeFormat;
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

const ID: u32 = 7;

/// A datum that the library panics on, in these tests.
const PLANTED: &[u8] = b"\x0cpanic!";

pub(super) fn panic_if_planted(payload: &[u8]) {
    assert!(!payload.ends_with(PLANTED), "planted");
}

#[test]
fn a_message_that_the_library_panics_on_costs_no_neighbour() {
    const TEXT: &str = r#"{"type":"record","name":"Text","fields":[{"name":"text","type":"string"}]}"#;
    let mut decoder = decoder(TEXT);
    decoder.learn(ID, TEXT);
    let mut block = RecordBlockBuilder::new("t", 0);
    for (offset, datum) in (0..).zip([&b"\x02a"[..], PLANTED, b"\x02b", b"\x02c", PLANTED, b"\x02d"]) {
        let mut payload = Vec::new();
        frame(ID, datum, &mut payload);
        block.push(offset, 0, None, Some(&payload), &[]);
    }
    let block = block.build();
    for _ in 0..2 {
        let decoded = decoder.decode_prepared(&block);
        let poison: Vec<_> = decoded.poison.iter().map(|(index, poison)| (*index, poison.code())).collect();
        assert_eq!(poison, [(1, "INTERNAL_ERROR"), (4, "INTERNAL_ERROR")]);
        let mut rows: Vec<u32> = decoded.batches.iter().flat_map(|batch| batch.rows.clone()).collect();
        rows.sort_unstable();
        assert_eq!(rows, [0, 2, 3, 5], "and the decoder is sound afterwards");
    }
}

/// No registry: the plans are learned, and an unknown id stays unknown.
fn decoder(reader: &str) -> BatchDecoder {
    let registry = Registry::new(&RegistryConfig { url: "http://127.0.0.1:1".into() }).unwrap();
    BatchDecoder::new(registry, reader).unwrap()
}

fn named<'s>(schema: &'s Schema, names: &mut NamesRef<'s>) {
    match schema {
        Schema::Record(record) => {
            names.insert(record.name.clone(), schema);
            record.fields.iter().for_each(|field| named(&field.schema, names));
        }
        Schema::Enum(symbols) => drop(names.insert(symbols.name.clone(), schema)),
        Schema::Decimal(decimal) => {
            if let apache_avro::schema::InnerDecimalSchema::Fixed(fixed) = &decimal.inner {
                names.insert(fixed.name.clone(), schema);
            }
        }
        Schema::Array(array) => named(&array.items, names),
        Schema::Union(union) => union.variants().iter().for_each(|variant| named(variant, names)),
        _ => {}
    }
}

/// A random value of a schema.
fn value(schema: &Schema, names: &NamesRef<'_>, rng: &mut SmallRng) -> Value {
    match schema {
        Schema::Null => Value::Null,
        Schema::Int | Schema::Date => Value::Int(rng.random()),
        Schema::Long | Schema::TimestampMicros => Value::Long(rng.random::<i64>() >> rng.random_range(0..64)),
        Schema::String => {
            Value::String((0..rng.random_range(0..9)).map(|_| ['a', 'ß', '電', '0'][rng.random_range(0..4)]).collect())
        }
        Schema::Decimal(_) => Value::Fixed(8, rng.random::<[u8; 8]>().to_vec()),
        Schema::Boolean => Value::Boolean(rng.random()),
        Schema::Enum(symbols) => {
            let index = rng.random_range(0..symbols.symbols.len());
            Value::Enum(u32::try_from(index).unwrap(), symbols.symbols[index].clone())
        }
        Schema::Array(array) => {
            Value::Array((0..rng.random_range(0..4)).map(|_| value(&array.items, names, rng)).collect())
        }
        Schema::Union(union) => {
            let branch = rng.random_range(0..union.variants().len());
            let inner = value(&union.variants()[branch], names, rng);
            Value::Union(u32::try_from(branch).unwrap(), Box::new(inner))
        }
        Schema::Record(record) => {
            let field =
                |field: &apache_avro::schema::RecordField| (field.name.clone(), value(&field.schema, names, &mut *rng));
            Value::Record(record.fields.iter().map(field).collect())
        }
        Schema::Ref { name } => value(names[&Name::new(name.fullname(None)).unwrap()], names, rng),
        other => panic!("no values for {other:?}"),
    }
}

fn encode(schema: &Schema, value: Value) -> Vec<u8> {
    GenericDatumWriter::builder(schema).validate(false).build().unwrap().write_value_to_vec(value).unwrap()
}

/// What apache-avro reads out of a datum, written again; `None` when it cannot read it to its very end.
fn canonical(schema: &Schema, datum: &[u8]) -> Option<Vec<u8>> {
    let mut rest = datum;
    let value = GenericDatumReader::builder(schema).build().unwrap().read_value(&mut rest).ok()?;
    rest.is_empty().then(|| encode(schema, value))
}

/// The rows of a block, written again with arrow-avro, by record.
fn written_again(decoded: &Decoded, reader: &str) -> BTreeMap<u32, Vec<u8>> {
    let mut rows = BTreeMap::new();
    for DecodedBatch { batch, rows: records } in &decoded.batches {
        let metadata = [("avro.schema".to_owned(), reader.to_owned())].into();
        let schema = batch.schema().as_ref().clone().with_metadata(metadata);
        let batch = RecordBatch::try_new(Arc::new(schema.clone()), batch.columns().to_vec()).unwrap();
        let mut encoder = WriterBuilder::new(schema)
            .with_fingerprint_strategy(FingerprintStrategy::Id(ID))
            .build_encoder::<AvroSoeFormat>()
            .unwrap();
        encoder.encode(&batch).unwrap();
        let encoded = encoder.flush();
        for (row, record) in records.iter().enumerate() {
            rows.insert(*record, encoded.row(row).unwrap()[5..].to_vec());
        }
    }
    rows
}

fn mutate(datum: &mut Vec<u8>, rng: &mut SmallRng) {
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..=datum.len());
        match rng.random_range(0..5) {
            0 => datum.truncate(at),
            1 => datum.insert(at, rng.random()),
            2 => datum.extend((0..rng.random_range(1..6)).map(|_| [0, 1, 0xff][rng.random_range(0..3)])),
            3 if at < datum.len() => drop(datum.remove(at)),
            _ if at < datum.len() => datum[at] = rng.random(),
            _ => {}
        }
    }
}

fn check_block(contract: &str, seed: u64, messages: usize) -> Result<(), TestCaseError> {
    apache_avro::util::max_allocation_bytes(1 << 20);
    let schema = Schema::parse_str(contract).unwrap();
    let mut names = NamesRef::new();
    named(&schema, &mut names);
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut builder = RecordBlockBuilder::new("t", 0);
    let mut data = Vec::new();
    for offset in 0..messages {
        let mut datum = encode(&schema, value(&schema, &names, &mut rng));
        let mutated = rng.random_bool(0.5);
        if mutated {
            mutate(&mut datum, &mut rng);
        }
        let mut payload = Vec::new();
        frame(ID, &datum, &mut payload);
        builder.push(i64::try_from(offset).unwrap(), 0, None, Some(&payload), &[]);
        data.push((datum, mutated));
    }
    let mut decoder = decoder(contract);
    decoder.learn(ID, contract);
    let decoded = decoder.decode_prepared(&builder.build());
    let rows = written_again(&decoded, contract);
    let poison: BTreeMap<_, _> = decoded.poison.iter().cloned().collect();
    prop_assert_eq!(rows.len() + poison.len(), messages, "every message is one of both");
    for (record, (datum, mutated)) in (0_u32..).zip(&data) {
        let reference = canonical(&schema, datum);
        match (rows.get(&record), poison.get(&record)) {
            (Some(row), None) => prop_assert_eq!(Some(row), reference.as_ref(), "read as apache-avro does"),
            (None, Some(found)) => {
                prop_assert!(*mutated, "a valid message is {}", found);
                prop_assert!(reference.as_ref() != Some(datum), "canonical bytes are {}", found);
            }
            other => prop_assert!(false, "message {} is {:?}", record, other),
        }
    }
    Ok(())
}

proptest! {

    #[test]
    fn mutated_validated_batches_are_read_as_apache_avro_does_or_are_poison(seed: u64, messages in 1_usize..12) {
        check_block(meterway_schemas::VALIDATED_BATCH.avsc, seed, messages)?;
    }

    #[test]
    fn mutated_reading_batches_are_read_as_apache_avro_does_or_are_poison(seed: u64, messages in 1_usize..12) {
        check_block(meterway_schemas::READING_BATCH.avsc, seed, messages)?;
    }

    #[test]
    fn random_bytes_never_cost_a_neighbour(garbage in proptest::collection::vec(any::<u8>(), 0..64), framed: bool) {
        let contract = meterway_schemas::READING_BATCH.avsc;
        let schema = Schema::parse_str(contract).unwrap();
        let mut names = NamesRef::new();
        named(&schema, &mut names);
        let good = encode(&schema, value(&schema, &names, &mut SmallRng::seed_from_u64(1)));
        let mut good_payload = Vec::new();
        frame(ID, &good, &mut good_payload);
        let mut bad_payload = Vec::new();
        if framed { frame(ID, &garbage, &mut bad_payload) } else { bad_payload.clone_from(&garbage) }
        let mut builder = RecordBlockBuilder::new("t", 0);
        for (offset, payload) in [&good_payload, &bad_payload, &good_payload].into_iter().enumerate() {
            builder.push(i64::try_from(offset).unwrap(), 0, None, Some(payload), &[]);
        }
        let mut decoder = decoder(contract);
        decoder.learn(ID, contract);
        let rows = written_again(&decoder.decode_prepared(&builder.build()), contract);
        prop_assert_eq!(rows.get(&0), Some(&good));
        prop_assert_eq!(rows.get(&2), Some(&good));
    }
}

fn int_record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

const A: &str = r#"{"name":"a","type":"int"}"#;
const B: &str = r#"{"name":"b","type":["null","string"],"default":null}"#;

fn block(payloads: &[(Option<u32>, &[u8])]) -> RecordBlock {
    let mut builder = RecordBlockBuilder::new("t", 0);
    for (offset, (id, datum)) in (0_i64..).zip(payloads) {
        let mut payload = Vec::new();
        match id {
            Some(id) => frame(*id, datum, &mut payload),
            None => payload.extend_from_slice(datum),
        }
        builder.push(offset, 0, None, Some(&payload), &[]);
    }
    builder.build()
}

#[test]
fn batches_of_several_writers_have_the_readers_schema() {
    let (old, new) = (int_record(A), int_record(&format!("{A},{B}")));
    let mut decoder = decoder(&new);
    decoder.learn(1, &old);
    decoder.learn(2, &new);
    let decoded = decoder.decode_prepared(&block(&[(Some(1), &[2]), (Some(2), &[4, 2, 2, b'x']), (Some(1), &[6])]));
    assert_eq!(decoded.poison, []);
    let rows: Vec<_> = decoded.batches.iter().map(|batch| batch.rows.clone()).collect();
    assert_eq!(rows, [vec![0, 2], vec![1]]);
    for batch in &decoded.batches {
        assert_eq!(batch.batch.schema(), decoder.schema());
    }
    let first: &arrow::array::Int32Array = arrow::array::AsArray::as_primitive(decoded.batches[0].batch.column(0));
    assert_eq!(first.values(), &[1, 3]);
}

#[test]
fn nested_fields_of_an_older_writer_have_the_readers_schema() {
    let nested = |fields: &str| {
        int_record(&format!(
            r#"{{"name":"list","type":{{"type":"array","items":{{"type":"record","name":"I","fields":[{fields}]}}}}}},
               {{"name":"map","type":{{"type":"map","values":"I"}}}}"#
        ))
    };
    let (old, new) = (nested(A), nested(&format!("{A},{B}")));
    let mut decoder = decoder(&new);
    decoder.learn(1, &old);
    let decoded = decoder.decode_prepared(&block(&[(Some(1), &[4, 2, 4, 0, 2, 2, b'k', 6, 0]), (Some(1), &[0, 0])]));
    assert_eq!(decoded.poison, []);
    assert_eq!(decoded.batches[0].batch.schema(), decoder.schema());
    assert_eq!(decoded.batches[0].rows, [0, 1]);
}

#[test]
fn reader_may_be_older_than_the_writer() {
    let (old, new) = (int_record(A), int_record(&format!("{B},{A}")));
    let mut decoder = decoder(&old);
    decoder.learn(2, &new);
    let decoded = decoder.decode_prepared(&block(&[(Some(2), &[2, 2, b'x', 8]), (Some(2), &[0, 10])]));
    assert_eq!(decoded.batches[0].batch.schema(), decoder.schema());
    let column: &arrow::array::Int32Array = arrow::array::AsArray::as_primitive(decoded.batches[0].batch.column(0));
    assert_eq!(column.values(), &[4, 5]);
}

#[test]
fn each_fault_is_named_and_the_rest_survives() {
    let schema = int_record(A);
    let mut decoder = decoder(&schema);
    decoder.learn(1, &schema);
    decoder.learn(3, "\"string\"");
    let mut builder = RecordBlockBuilder::new("t", 0);
    let framed = |id: u32, datum: &[u8]| {
        let mut out = Vec::new();
        frame(id, datum, &mut out);
        Some(out)
    };
    let payloads = [
        framed(1, &[2]),
        None,
        Some(vec![9; 8]),
        framed(9, &[2]),
        framed(3, &[2, b'a']),
        framed(1, &[]),
        framed(1, &[4]),
    ];
    for (offset, payload) in (0_i64..).zip(&payloads) {
        builder.push(offset, 0, None, payload.as_deref(), &[]);
    }
    let decoded = decoder.decode_prepared(&builder.build());
    let codes: Vec<_> = decoded.poison.iter().map(|(index, poison)| (*index, poison.code())).collect();
    assert_eq!(
        codes,
        [(1, "NULL_PAYLOAD"), (2, "WRONG_MAGIC"), (3, "UNKNOWN_SCHEMA_ID"), (4, "WRONG_SCHEMA"), (5, "TRUNCATED")]
    );
    assert_eq!(decoded.batches[0].rows, [0, 6]);
}

#[test]
fn what_only_the_decoder_refuses_is_singled_out() {
    let kind = |symbols: &str| {
        int_record(&format!(r#"{A},{{"name":"k","type":{{"type":"enum","name":"K","symbols":[{symbols}]}}}}"#))
    };
    let mut decoder = decoder(&kind(r#""X""#));
    decoder.learn(1, &kind(r#""X","Y""#));
    let good: &[u8] = &[2, 0];
    let unknown_to_the_reader: &[u8] = &[2, 2];
    let payloads: Vec<_> =
        (0..9).map(|n| (Some(1), if n == 3 || n == 8 { unknown_to_the_reader } else { good })).collect();
    for _ in 0..2 {
        let decoded = decoder.decode_prepared(&block(&payloads));
        let poisoned: Vec<_> = decoded.poison.iter().map(|(index, _)| *index).collect();
        assert_eq!(poisoned, [3, 8]);
        assert!(matches!(decoded.poison[0].1, Poison::Undecodable(_)));
        let mut rows: Vec<_> = decoded.batches.iter().flat_map(|batch| batch.rows.clone()).collect();
        rows.sort_unstable();
        assert_eq!(rows, [0, 1, 2, 4, 5, 6, 7]);
        assert!(decoded.batches.iter().all(|batch| batch.batch.num_rows() == batch.rows.len()));
    }
    let clean = decoder.decode_prepared(&block(&[(Some(1), good)]));
    assert_eq!(clean.batches[0].rows, [0], "the decoder is whole again");
}

#[tokio::test]
async fn registry_that_is_away_is_an_error_and_not_poison() {
    let schema = int_record(A);
    let mut decoder = decoder(&schema);
    decoder.learn(1, &schema);
    let error = decoder.decode(&block(&[(Some(1), &[2]), (Some(2), &[2])])).await.unwrap_err();
    assert!(matches!(error, DecodeError::Registry(error) if error.is_transient()));
    let decoded = decoder.decode(&block(&[(Some(1), &[2])])).await.unwrap();
    assert_eq!(decoded.batches[0].rows, [0], "nothing is left of the failed call");
}

#[test]
fn useless_reader_schema_is_refused() {
    let registry = Registry::new(&RegistryConfig { url: "http://127.0.0.1:1".into() }).unwrap();
    assert!(matches!(BatchDecoder::new(registry, "{}"), Err(DecodeError::ReaderSchema(_))));
}

#[test]
fn empty_block_is_nothing() {
    let decoded = decoder(&int_record(A)).decode_prepared(&block(&[]));
    assert!(decoded.batches.is_empty() && decoded.poison.is_empty());
}

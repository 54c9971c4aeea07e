//! Messages that are no acceptable delivery, one kind for each way a message can be broken. Each is otherwise correct, so
//! that only the named defect can be the reason of its rejection.

use super::truth::{Expected, Outcome, Place};
use meter_model::{Kind, RejectCode};
use meterway_schemas::Source;
use meterway_schemas::encode::{self, Reading, ReadingBatch};

/// What broken messages are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Material<'a> {
    /// Registry's id of the raw topic's schema.
    pub batch_schema: u32,
    /// Registry's id of a schema that is no batch.
    pub event_schema: u32,
    /// A datum of that other schema.
    pub event_datum: &'a [u8],
    /// Tenant of the device.
    pub tenant_id: &'a str,
    /// The device.
    pub device_id: &'a str,
    /// Its gateway.
    pub gateway_id: &'a str,
    /// A correct reading of it that nobody has delivered.
    pub reading: Reading<'static>,
}

/// A broken message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Name of the defect.
    pub name: &'static str,
    /// Message key.
    pub key: String,
    /// Payload; `None` is a null.
    pub payload: Option<Vec<u8>>,
    /// What must be found.
    pub outcome: Outcome,
}

/// A schema id that no registry has given out.
const NO_SCHEMA: u32 = 0x7FFF_FFF0;

type Make = fn(&Material<'_>) -> Option<Vec<u8>>;

const KINDS: &[(&str, RejectCode, Make)] = &[
    ("null_payload", RejectCode::NullPayload, |_| None),
    ("empty_payload", RejectCode::TooShort, |_| Some(Vec::new())),
    ("three_bytes", RejectCode::TooShort, |_| Some(vec![0, 0, 1])),
    ("wrong_magic", RejectCode::WrongMagic, |m| Some(with_first_byte(good(m), 0x7B))),
    ("unknown_schema_id", RejectCode::UnknownSchemaId, |m| Some(framed(NO_SCHEMA, &datum(m, &[m.reading])))),
    ("wrong_schema", RejectCode::WrongSchema, |m| Some(framed(m.event_schema, m.event_datum))),
    ("truncated", RejectCode::Truncated, |m| Some(without_end(good(m)))),
    ("trailing_bytes", RejectCode::TrailingBytes, |m| Some(with_tail(good(m)))),
    ("negative_length", RejectCode::BadLength, |m| Some(with_tenant_length(m, -5))),
    ("absurd_length", RejectCode::BadLength, |m| Some(with_tenant_length(m, 1 << 40))),
    ("invalid_utf8", RejectCode::InvalidUtf8, |m| Some(with_broken_text(m))),
    ("bad_enum_index", RejectCode::BadEnum, |m| Some(with_header(m, 0, 9))),
    ("bad_union_branch", RejectCode::BadEnum, |m| Some(with_header(m, 7, 0))),
    ("number_too_large", RejectCode::BadNumber, |m| Some(with_long_duration(m))),
    ("value_out_of_range", RejectCode::ValueOutOfRange, |m| Some(with_huge_value(m))),
    ("no_readings", RejectCode::EmptyBatch, |m| Some(framed(m.batch_schema, &datum(m, &[])))),
    ("bad_identifier", RejectCode::BadIdentifier, |m| Some(with_bad_device(m))),
    ("key_mismatch", RejectCode::KeyMismatch, |m| Some(good(m))),
];

/// Number of kinds.
pub(crate) const KIND_COUNT: usize = KINDS.len();

/// Makes the message of a kind; the number is taken modulo the number of kinds.
pub(crate) fn broken(kind: usize, material: &Material<'_>) -> Broken {
    let (name, code, make) = KINDS[kind % KINDS.len()];
    let key = match code {
        RejectCode::KeyMismatch => format!("{}-other", material.device_id),
        RejectCode::BadIdentifier => bad_device(material),
        _ => material.device_id.to_owned(),
    };
    let expected = if code == RejectCode::ValueOutOfRange {
        // The bytes are a batch; only its reading can't be kept.
        Expected::rejected(code.as_str(), &material.reading, 0)
    } else {
        Expected::message(code.as_str())
    };
    debug_assert!(expected.kind == Place::Message || code == RejectCode::ValueOutOfRange);
    Broken { name, key, payload: make(material), outcome: Outcome::expecting(vec![expected]) }
}

/// The Confluent frame around a datum.
pub(crate) fn framed(schema_id: u32, datum: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + datum.len());
    out.push(0);
    out.extend_from_slice(&schema_id.to_be_bytes());
    out.extend_from_slice(datum);
    out
}

fn datum(m: &Material<'_>, readings: &[Reading<'_>]) -> Vec<u8> {
    datum_of(m, m.device_id, readings)
}

fn datum_of(m: &Material<'_>, device_id: &str, readings: &[Reading<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let batch = ReadingBatch {
        tenant_id: m.tenant_id,
        device_id,
        gateway_id: m.gateway_id,
        sequence: 0,
        received_at: None,
        source: Source::Kafka,
        readings,
    };
    encode::reading_batch(&batch, &mut out);
    out
}

fn good(m: &Material<'_>) -> Vec<u8> {
    framed(m.batch_schema, &datum(m, &[m.reading]))
}

fn with_first_byte(mut bytes: Vec<u8>, first: u8) -> Vec<u8> {
    bytes[0] = first;
    bytes
}

/// Only the end marker of the readings is missing: every length inside is honest.
fn without_end(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.pop();
    bytes
}

fn with_tail(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_slice(b"\x07tail");
    bytes
}

fn with_tenant_length(m: &Material<'_>, length: i64) -> Vec<u8> {
    let rest = datum(m, &[m.reading]);
    let mut out = Vec::new();
    long(length, &mut out);
    out.extend_from_slice(&rest[1..]);
    framed(m.batch_schema, &out)
}

/// The first byte of the tenant becomes one that UTF-8 never uses.
fn with_broken_text(m: &Material<'_>) -> Vec<u8> {
    let mut bytes = datum(m, &[m.reading]);
    bytes[1] = 0xFF;
    framed(m.batch_schema, &bytes)
}

/// The batch with another branch of the `received_at` union and another index of the `source` enum.
fn with_header(m: &Material<'_>, received_at_branch: i64, source: i64) -> Vec<u8> {
    let mut out = Vec::new();
    [m.tenant_id, m.device_id, m.gateway_id].iter().for_each(|text| string(text, &mut out));
    long(0, &mut out);
    long(received_at_branch, &mut out);
    long(source, &mut out);
    readings_of_one(m, i64::from(m.reading.duration_s), &mut out);
    framed(m.batch_schema, &out)
}

fn with_long_duration(m: &Material<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    [m.tenant_id, m.device_id, m.gateway_id].iter().for_each(|text| string(text, &mut out));
    [0, 0, 0].iter().for_each(|number| long(*number, &mut out));
    readings_of_one(m, 1 << 33, &mut out);
    framed(m.batch_schema, &out)
}

fn readings_of_one(m: &Material<'_>, duration_s: i64, out: &mut Vec<u8>) {
    long(1, out);
    string(m.reading.channel, out);
    long(Kind::Interval as i64, out);
    long(m.reading.start, out);
    long(duration_s, out);
    out.extend_from_slice(&m.reading.value.to_be_bytes());
    string(m.reading.unit, out);
    long(0, out);
    long(0, out);
}

fn with_huge_value(m: &Material<'_>) -> Vec<u8> {
    framed(m.batch_schema, &datum(m, &[Reading { value: i64::MAX, ..m.reading }]))
}

fn bad_device(m: &Material<'_>) -> String {
    format!("{} / 1", m.device_id)
}

fn with_bad_device(m: &Material<'_>) -> Vec<u8> {
    framed(m.batch_schema, &datum_of(m, &bad_device(m), &[m.reading]))
}

/// Avro's zigzag number.
fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn string(text: &str, out: &mut Vec<u8>) {
    long(text.len() as i64, out);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::core::fleet::ELECTRICITY;
    use crate::simulate::core::usage::interval;
    use meterway_schemas::READING_BATCH;
    use std::collections::HashSet;

    fn material() -> Material<'static> {
        Material {
            batch_schema: 3,
            event_schema: 4,
            event_datum: &[2, b'x'],
            tenant_id: "northgrid",
            device_id: "northgrid-e-00001",
            gateway_id: "northgrid-gw-1",
            reading: interval(&ELECTRICITY, 1_700_000_000_000_000, 250),
        }
    }

    fn decodes(payload: &[u8]) -> bool {
        let schema = READING_BATCH.schema();
        let mut rest = payload;
        let read = apache_avro::reader::datum::GenericDatumReader::builder(&schema)
            .build()
            .unwrap()
            .read_value(&mut rest)
            .is_ok();
        read && rest.is_empty()
    }

    #[test]
    fn only_the_kinds_that_are_batches_decode() {
        let decoding = ["value_out_of_range", "no_readings", "bad_identifier", "key_mismatch"];
        let framing = ["null_payload", "empty_payload", "three_bytes", "wrong_magic", "unknown_schema_id"];
        for kind in 0..KIND_COUNT {
            let broken = broken(kind, &material());
            if framing.contains(&broken.name) {
                continue;
            }
            let payload = broken.payload.expect("has a payload");
            assert_eq!(payload[0], 0, "{}", broken.name);
            assert_eq!(decodes(&payload[5..]), decoding.contains(&broken.name), "{}", broken.name);
        }
    }

    #[test]
    fn hand_written_header_is_the_encoders() {
        assert_eq!(with_header(&material(), 0, 0), good(&material()));
    }

    #[test]
    fn there_are_at_least_twelve_kinds_with_their_own_names() {
        let names: HashSet<_> = KINDS.iter().map(|kind| kind.0).collect();
        assert!(names.len() == KIND_COUNT && KIND_COUNT >= 12);
    }
}

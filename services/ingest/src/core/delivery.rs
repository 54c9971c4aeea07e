//! What a client may deliver, as JSON, and its encoding for the topics.
//!
//! The door checks what it must to write a message: shapes, identifiers, numbers that fit, times that parse. Whether a
//! reading makes sense is `validate`'s to say, where the bytes are kept; so a device that the register does not know is
//! accepted here and rejected there, with a reason.

use chrono::DateTime;
use meter_model::{Channel, DeviceId, Kind, Quantity, TenantId};
use meterway_schemas::{
    DeviceEvent, DeviceEventKind, Source,
    encode::{self, Reading, ReadingBatch},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A delivery that cannot be taken, with the field at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Invalid {
    /// Path of the field, such as `readings[3].value`; empty for the whole delivery.
    pub field: String,
    /// What is wrong.
    pub what: String,
}

impl Invalid {
    fn new(field: impl Into<String>, what: impl ToString) -> Self {
        Self { field: field.into(), what: what.to_string() }
    }
}

/// Readings of one device, as a client writes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadingsJson<'a> {
    #[serde(borrow)]
    device_id: Cow<'a, str>,
    #[serde(borrow, default)]
    gateway_id: Cow<'a, str>,
    #[serde(default)]
    sequence: i64,
    #[serde(borrow)]
    readings: Vec<ReadingJson<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadingJson<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    kind: Kind,
    #[serde(borrow)]
    start: Cow<'a, str>,
    #[serde(default)]
    duration_s: i32,
    /// Kept as text, because a float would change the value.
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow)]
    unit: Cow<'a, str>,
    #[serde(borrow, default)]
    flags: Vec<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventJson {
    device_id: String,
    #[serde(default)]
    gateway_id: String,
    #[serde(default)]
    sequence: i64,
    kind: DeviceEventKind,
    at: String,
    #[serde(default)]
    detail: Option<String>,
}

/// Who delivers and when it came, beside what the client wrote.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Tenant of the API key.
    pub tenant: TenantId,
    /// When the request came; UTC microseconds.
    pub received_at: i64,
}

/// Largest message to the raw topic, framing included. The topic's limit is 1 MiB; the rest is for headers and the key.
const MESSAGE_BYTES: usize = 960 * 1024;
/// A detail text longer than this is no detail.
const DETAIL_BYTES: usize = 1024;

/// Datums for the topic, ready to be framed, all of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Messages {
    /// Key of the messages.
    pub device_id: String,
    /// Datums; more than one when the delivery would not fit one message.
    pub datums: Vec<Vec<u8>>,
    /// Readings, or events, in them.
    pub items: usize,
    /// Whether the gateway named itself and counts its deliveries, so that a gap can be seen.
    pub sequenced: bool,
}

/// Parses a delivery of readings and encodes it.
///
/// # Errors
/// [`Invalid`] with the field at fault; nothing of the delivery is taken then.
pub fn readings(json: &str, envelope: &Envelope) -> Result<Messages, Invalid> {
    let delivery: ReadingsJson<'_> = serde_json::from_str(json).map_err(syntax)?;
    check_header(&delivery.device_id, &delivery.gateway_id, delivery.sequence)?;
    if delivery.readings.is_empty() {
        return Err(Invalid::new("readings", "no reading"));
    }
    let flags: Vec<Vec<&str>> = delivery.readings.iter().map(|r| r.flags.iter().map(|f| &**f).collect()).collect();
    let readings = delivery.readings.iter().zip(&flags).enumerate();
    let readings: Vec<Reading<'_>> =
        readings.map(|(i, (json, flags))| reading(i, json, flags)).collect::<Result<_, _>>()?;
    let batch = ReadingBatch {
        tenant_id: envelope.tenant.as_str(),
        device_id: &delivery.device_id,
        gateway_id: &delivery.gateway_id,
        sequence: delivery.sequence,
        received_at: Some(envelope.received_at),
        source: Source::Http,
        readings: &readings,
    };
    let mut datums = Vec::new();
    split(&batch, &mut datums)?;
    let sequenced = is_sequenced(&delivery.gateway_id, delivery.sequence);
    Ok(Messages { device_id: delivery.device_id.into_owned(), datums, items: readings.len(), sequenced })
}

/// Encodes the batch, in halves for as long as it would not fit one message.
fn split(batch: &ReadingBatch<'_>, datums: &mut Vec<Vec<u8>>) -> Result<(), Invalid> {
    let mut datum = Vec::with_capacity(64 + 48 * batch.readings.len());
    encode::reading_batch(batch, &mut datum);
    if datum.len() <= MESSAGE_BYTES {
        datums.push(datum);
        return Ok(());
    }
    if batch.readings.len() == 1 {
        return Err(Invalid::new("readings", "a single reading does not fit a message"));
    }
    let (first, second) = batch.readings.split_at(batch.readings.len() / 2);
    split(&ReadingBatch { readings: first, ..*batch }, datums)?;
    split(&ReadingBatch { readings: second, ..*batch }, datums)
}

/// Parses a device event.
///
/// # Errors
/// [`Invalid`] with the field at fault.
pub fn event(json: &str, envelope: &Envelope) -> Result<DeviceEvent, Invalid> {
    let event: EventJson = serde_json::from_str(json).map_err(syntax)?;
    check_header(&event.device_id, &event.gateway_id, event.sequence)?;
    if event.detail.as_ref().is_some_and(|detail| detail.len() > DETAIL_BYTES) {
        return Err(Invalid::new("detail", format!("longer than {DETAIL_BYTES} bytes")));
    }
    Ok(DeviceEvent {
        tenant_id: envelope.tenant.to_string(),
        at: instant("at", &event.at)?,
        device_id: event.device_id,
        gateway_id: event.gateway_id,
        sequence: event.sequence,
        received_at: Some(envelope.received_at),
        source: Source::Http,
        kind: event.kind,
        detail: event.detail,
    })
}

/// Gateways count from 1; 0, which is also what a delivery without the field has, says that this one does not count.
pub fn is_sequenced(gateway_id: &str, sequence: i64) -> bool {
    !gateway_id.is_empty() && sequence > 0
}

fn check_header(device_id: &str, gateway_id: &str, sequence: i64) -> Result<(), Invalid> {
    DeviceId::check(device_id).map_err(|error| Invalid::new("device_id", error))?;
    if !gateway_id.is_empty() {
        DeviceId::check(gateway_id).map_err(|error| Invalid::new("gateway_id", error))?;
    }
    if sequence < 0 {
        return Err(Invalid::new("sequence", "below zero"));
    }
    Ok(())
}

fn reading<'a>(index: usize, json: &'a ReadingJson<'a>, flags: &'a [&'a str]) -> Result<Reading<'a>, Invalid> {
    let at = |field: &str| format!("readings[{index}].{field}");
    Channel::check(&json.channel).map_err(|error| Invalid::new(at("channel"), error))?;
    if json.unit.len() > 16 {
        return Err(Invalid::new(at("unit"), "longer than 16 bytes"));
    }
    let text = json.value.get().trim_matches('"');
    let value: Quantity = text.parse().map_err(|error| Invalid::new(at("value"), error))?;
    Ok(Reading {
        channel: &json.channel,
        kind: json.kind,
        start: instant("start", &json.start).map_err(|error| Invalid::new(at("start"), error.what))?,
        duration_s: json.duration_s,
        value: value.micros(),
        unit: &json.unit,
        flags,
    })
}

fn instant(field: &str, text: &str) -> Result<i64, Invalid> {
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.timestamp_micros())
        .map_err(|_| Invalid::new(field, "not a time with zone by RFC 3339, such as 2026-03-29T00:30:00Z"))
}

fn syntax(error: serde_json::Error) -> Invalid {
    Invalid::new("", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use meterway_schemas::READING_BATCH;
    use proptest::prelude::*;

    fn envelope() -> Envelope {
        Envelope { tenant: TenantId::parse("northgrid").unwrap(), received_at: 1 }
    }

    fn field(json: &str) -> String {
        readings(json, &envelope()).unwrap_err().field
    }

    fn delivery(reading: &str) -> String {
        format!(r#"{{"device_id":"d","gateway_id":"g","sequence":1,"readings":[{reading}]}}"#)
    }

    const GOOD: &str = r#"{"channel":"1-0:1.29.0","kind":"INTERVAL","start":"2026-03-29T00:30:00Z","duration_s":1800,"value":0.254,"unit":"kWh"}"#;

    #[test]
    fn what_a_client_writes_is_what_the_topic_gets() {
        let messages = readings(&delivery(GOOD), &envelope()).unwrap();
        assert_eq!((messages.device_id.as_str(), messages.items, messages.datums.len()), ("d", 1, 1));
        assert!(messages.sequenced);
        for without in ["\"sequence\":1,", "\"gateway_id\":\"g\","] {
            let messages = readings(&delivery(GOOD).replace(without, ""), &envelope()).unwrap();
            assert!(!messages.sequenced, "{without} is missing");
        }
        let schema = READING_BATCH.schema();
        let value = apache_value(&schema, &messages.datums[0]);
        assert!(value.contains("northgrid") && value.contains("1-0:1.29.0"), "{value}");
    }

    fn apache_value(schema: &apache_avro::Schema, datum: &[u8]) -> String {
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(schema).build().unwrap();
        format!("{:?}", reader.read_value(&mut &*datum).unwrap())
    }

    #[test]
    fn values_are_exact_as_number_or_text() {
        for (value, ok) in [
            ("1.000001", true),
            ("\"1.000001\"", true),
            ("1e3", true),
            ("1.0000001", false),
            ("null", false),
            ("\"x\"", false),
        ] {
            let json = delivery(&GOOD.replace("0.254", value));
            assert_eq!(readings(&json, &envelope()).is_ok(), ok, "{value}");
        }
    }

    #[test]
    fn the_field_at_fault_is_named() {
        assert_eq!(field(&delivery("")), "readings");
        assert_eq!(field(&delivery(&GOOD.replace("2026-03-29T00:30:00Z", "2026-03-29 00:30"))), "readings[0].start");
        assert_eq!(field(&delivery(&format!("{GOOD},{}", GOOD.replace("0.254", "1e99")))), "readings[1].value");
        assert_eq!(field(&delivery(&GOOD.replace("1-0:1.29.0", ""))), "readings[0].channel");
        assert_eq!(field(&delivery(GOOD).replace("\"d\"", "\"d d\"")), "device_id");
        assert_eq!(field(&delivery(GOOD).replace("\"sequence\":1", "\"sequence\":-1")), "sequence");
        assert_eq!(field(&delivery(GOOD).replace("sequence", "sequel")), "");
        assert_eq!(field(&delivery(&GOOD.replace("INTERVAL", "Interval"))), "");
    }

    #[test]
    fn a_delivery_larger_than_a_message_is_split_in_order() {
        let many = vec![GOOD; 40_000].join(",");
        let messages = readings(&delivery(&many), &envelope()).unwrap();
        assert!(messages.datums.len() > 1 && messages.datums.iter().all(|d| d.len() <= MESSAGE_BYTES));
        assert_eq!(messages.items, 40_000);
    }

    #[test]
    fn events_are_parsed_and_unknown_kinds_refused() {
        let json = r#"{"device_id":"d","kind":"LAST_GASP","at":"2026-03-29T00:30:00Z"}"#;
        let parsed = event(json, &envelope()).unwrap();
        assert_eq!((parsed.kind, parsed.source), (DeviceEventKind::LastGasp, Source::Http));
        assert!(event(&json.replace("LAST_GASP", "PARTY"), &envelope()).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = readings(&text, &envelope());
            let _ = event(&text, &envelope());
        }
    }
}

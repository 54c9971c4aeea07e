//! What the bytes of a dead letter say, as far as Avro can read them.
//!
//! The writer's schema is the registry's for the id in the frame, whatever record it describes: a letter may be one
//! because somebody wrote another record than the topic's.

use super::filter::Sender;
use anyhow::Context;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::{NamesRef, ResolvedSchema};
use apache_avro::types::Value;
use apache_avro::{Decimal, Schema};
use chrono::{DateTime, SecondsFormat, Utc};
use kafka_pipeline::{Registry, RegistryError, unframe};
use serde::Serialize;
use serde_json::{Map, json};
use std::collections::HashMap;

/// The most that reading a letter may allocate at once. Lengths in broken bytes are whatever they are.
const MOST_BYTES: usize = 64 << 20;

/// A letter's content.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "decoded")]
pub(crate) enum Content {
    /// It reads as a record.
    Yes {
        /// Id in the frame.
        schema_id: u32,
        /// Full name of the record.
        name: String,
        /// Its fields.
        value: serde_json::Value,
        /// Bytes behind the record.
        trailing_bytes: usize,
    },
    /// It does not.
    No {
        /// Why.
        because: String,
    },
}

impl Content {
    fn no(because: impl ToString) -> Self {
        Self::No { because: because.to_string() }
    }

    /// Whom the content names as its sender.
    pub(crate) fn sender(&self) -> Sender {
        let Self::Yes { value, .. } = self else { return Sender::default() };
        let field = |name: &str| value[name].as_str().map(str::to_owned);
        Sender { tenant_id: field("tenant_id"), device_id: field("device_id") }
    }
}

/// Decodes letters; remembers schemas.
#[derive(Debug)]
pub(crate) struct Decoder {
    registry: Registry,
    /// By id; `Err` says why there is none.
    schemas: HashMap<u32, Result<Schema, String>>,
}

impl Decoder {
    /// Decodes with the schemas of a registry.
    pub(crate) fn new(registry: Registry) -> Self {
        apache_avro::util::max_allocation_bytes(MOST_BYTES);
        Self { registry, schemas: HashMap::new() }
    }

    /// Reads a value as far as it can be read.
    ///
    /// # Errors
    /// When the registry cannot be reached. Bytes that cannot be read are no error.
    pub(crate) async fn decode(&mut self, payload: Option<&[u8]>) -> anyhow::Result<Content> {
        let (schema_id, datum) = match unframe(payload) {
            Ok(framed) => framed,
            Err(poison) => return Ok(Content::no(poison)),
        };
        if !self.schemas.contains_key(&schema_id) {
            let schema = self.look_up(schema_id).await?;
            self.schemas.insert(schema_id, schema);
        }
        Ok(match &self.schemas[&schema_id] {
            Ok(schema) => read(schema_id, schema, datum),
            Err(reason) => Content::no(reason),
        })
    }

    async fn look_up(&self, id: u32) -> anyhow::Result<Result<Schema, String>> {
        match self.registry.schema_by_id(id).await {
            Ok(text) => Ok(Schema::parse_str(&text).map_err(|error| format!("schema {id} is no Avro schema: {error}"))),
            Err(RegistryError::NotFound(_)) => Ok(Err(format!("the registry does not know schema id {id}"))),
            Err(RegistryError::Refused { reason, .. }) => Ok(Err(format!("schema {id}: {reason}"))),
            Err(error) => Err(error).with_context(|| format!("look up schema {id}")),
        }
    }
}

fn read(schema_id: u32, schema: &Schema, datum: &[u8]) -> Content {
    let mut rest = datum;
    let value = GenericDatumReader::builder(schema).build().and_then(|reader| reader.read_value(&mut rest));
    match (value, ResolvedSchema::try_from(schema)) {
        (Ok(value), Ok(resolved)) => Content::Yes {
            schema_id,
            name: schema.name().map_or_else(|| "unnamed".to_owned(), ToString::to_string),
            value: to_json(&value, schema, resolved.get_names()),
            trailing_bytes: rest.len(),
        },
        (Err(error), _) | (_, Err(error)) => {
            let read = datum.len() - rest.len();
            let name = schema.name().map_or_else(|| "a value".to_owned(), ToString::to_string);
            Content::no(format!("cannot be read as {name} (schema {schema_id}) beyond byte {read}: {error}"))
        }
    }
}

/// The value for people: exact decimals as text, times in RFC 3339, enums by name, unions by what they hold.
fn to_json(value: &Value, schema: &Schema, names: &NamesRef<'_>) -> serde_json::Value {
    if let Schema::Ref { name } = schema {
        return names.get(name).map_or(serde_json::Value::Null, |schema| to_json(value, schema, names));
    }
    match (value, schema) {
        (Value::Union(index, inner), Schema::Union(union)) => {
            let variant = union.variants().get(*index as usize).unwrap_or(&Schema::Null);
            to_json(inner, variant, names)
        }
        (Value::Record(fields), Schema::Record(record)) => {
            let field = |((name, value), field): (&(String, Value), &apache_avro::schema::RecordField)| {
                (name.clone(), to_json(value, &field.schema, names))
            };
            fields.iter().zip(&record.fields).map(field).collect::<Map<_, _>>().into()
        }
        (Value::Array(items), Schema::Array(array)) => {
            items.iter().map(|item| to_json(item, &array.items, names)).collect()
        }
        (Value::Map(entries), Schema::Map(map)) => {
            let entry = |(key, value): (&String, &Value)| (key.clone(), to_json(value, &map.types, names));
            entries.iter().map(entry).collect::<Map<_, _>>().into()
        }
        (Value::Decimal(value), Schema::Decimal(schema)) => json!(decimal(value, schema.scale)),
        (value, _) => scalar(value),
    }
}

fn scalar(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Boolean(value) => json!(value),
        Value::Int(value) | Value::TimeMillis(value) => json!(value),
        Value::Long(value) | Value::TimeMicros(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Double(value) => json!(value),
        Value::String(text) | Value::Enum(_, text) => json!(text),
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => json!(super::dump::hex(bytes)),
        Value::Date(days) => {
            let date = DateTime::from_timestamp(i64::from(*days) * 86_400, 0);
            date.map_or_else(|| json!(days), |date| json!(date.date_naive().to_string()))
        }
        Value::TimestampMillis(millis) => time(DateTime::from_timestamp_millis(*millis), *millis),
        Value::TimestampMicros(micros) => time(DateTime::from_timestamp_micros(*micros), *micros),
        // No contract of ours holds another type.
        other => json!(format!("{other:?}")),
    }
}

/// A time beyond the calendar is shown as its number: that may be what is wrong with the letter.
fn time(at: Option<DateTime<Utc>>, number: i64) -> serde_json::Value {
    at.map_or_else(|| json!(number), |at| json!(at.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}

/// The exact value. Ours have eight bytes; more than sixteen are shown as they are.
fn decimal(value: &Decimal, scale: usize) -> String {
    let bytes: Vec<u8> = match value.try_into() {
        Ok(bytes) => bytes,
        Err(_) => return "?".to_owned(),
    };
    if bytes.len() > size_of::<i128>() {
        return format!("0x{} / 10^{scale}", super::dump::hex(&bytes));
    }
    let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    let fill = if negative { -1_i128 } else { 0 };
    let unscaled = bytes.iter().fold(fill, |number, byte| (number << 8) | i128::from(*byte));
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let point = if scale == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;

//! Rows of `landing`: every raw message, byte for byte, with its coordinates.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Builder, Int64Builder, LargeBinaryBuilder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use kafka_pipeline::{Header, RecordRef};
use lake::{PartitionValue, day_of_micros, tables};
use serde_json::{Value, json};

use super::rows::{FileRows, Gathered, Input, Parts, TableRows, timestamps};
use super::view::WrongShape;

/// Bytes of a row besides topic, key, payload and headers.
const FIXED_ROW_BYTES: usize = 4 + 8 + 8 + 4 + 4 * 8;

/// Rows of `landing` that wait to be written.
#[derive(Debug)]
pub struct LandingRows {
    parts: Parts<Part>,
    schema: SchemaRef,
}

#[derive(Debug, Default)]
struct Part {
    rows: usize,
    variable_bytes: usize,
    topic: StringBuilder,
    partition: Int32Builder,
    offset: Int64Builder,
    timestamp: TimestampMicrosecondBuilder,
    key: LargeBinaryBuilder,
    payload: LargeBinaryBuilder,
    headers: StringBuilder,
    payload_bytes: Int32Builder,
}

impl Default for LandingRows {
    fn default() -> Self {
        Self { parts: Parts::default(), schema: tables::landing().arrow_schema() }
    }
}

impl Part {
    fn append(&mut self, topic: &str, partition: i32, record: &RecordRef<'_>) {
        let headers = headers_text(record.headers);
        let payload_bytes = record.payload.map_or(0, <[u8]>::len);
        self.rows += 1;
        self.variable_bytes +=
            topic.len() + record.key.map_or(0, <[u8]>::len) + payload_bytes + headers.as_deref().map_or(0, str::len);
        self.topic.append_value(topic);
        self.partition.append_value(partition);
        self.offset.append_value(record.offset);
        self.timestamp.append_value(micros(record));
        self.key.append_option(record.key);
        self.payload.append_option(record.payload);
        self.headers.append_option(headers);
        self.payload_bytes.append_value(i32::try_from(payload_bytes).expect("Kafka's messages are below 2 GiB"));
    }

    fn bytes(&self) -> usize {
        self.rows * FIXED_ROW_BYTES + self.variable_bytes
    }

    fn columns(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.topic.finish()),
            Arc::new(self.partition.finish()),
            Arc::new(self.offset.finish()),
            timestamps(self.timestamp.finish()),
            Arc::new(self.key.finish()),
            Arc::new(self.payload.finish()),
            Arc::new(self.headers.finish()),
            Arc::new(self.payload_bytes.finish()),
        ]
    }
}

impl TableRows for LandingRows {
    fn append(&mut self, input: &Input<'_>) -> Result<usize, WrongShape> {
        let Input::Raw(block) = input else {
            return Err(WrongShape { column: "payload", expected: "message as it is" });
        };
        for record in block.iter() {
            let part = self.parts.part(PartitionValue::Day(day_of_micros(micros(&record))));
            part.append(block.topic(), block.partition(), &record);
        }
        Ok(block.len())
    }

    fn gathered(&self) -> BTreeMap<PartitionValue, Gathered> {
        self.parts.sizes(|part| (part.rows, part.bytes()))
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(Part::bytes).sum()
    }

    fn take(&mut self, partition: PartitionValue) -> Result<Option<Box<dyn FileRows>>, ArrowError> {
        let Some(part) = self.parts.remove(partition) else { return Ok(None) };
        Ok(Some(Box::new(RecordBatch::try_new(Arc::clone(&self.schema), part.columns())?)))
    }

    fn clear(&mut self) {
        self.parts.clear();
    }

    fn fresh(&self) -> Box<dyn TableRows> {
        Box::<Self>::default()
    }
}

/// The last millisecond of the year 9999. Producers may write any number as a timestamp, and dates end somewhere.
const LAST_MILLIS: i64 = 253_402_300_799_999;

/// A record without a timestamp (-1), or with one that is no date, lands in the first day of 1970, where it can be seen.
pub(super) fn micros(record: &RecordRef<'_>) -> i64 {
    if (0..=LAST_MILLIS).contains(&record.timestamp_ms) { record.timestamp_ms * 1_000 } else { 0 }
}

/// Headers as a JSON array of pairs, since names may repeat and their order counts. A value is a string, `null`, or
/// `{"hex": "…"}` when it is no UTF-8.
pub(super) fn headers_text(headers: &[Header]) -> Option<String> {
    if headers.is_empty() {
        return None;
    }
    let pairs = headers.iter().map(|header| json!([header.key, header.value.as_deref().map(value_json)]));
    Some(Value::Array(pairs.collect()).to_string())
}

fn value_json(value: &[u8]) -> Value {
    match std::str::from_utf8(value) {
        Ok(text) => text.into(),
        Err(_) => json!({ "hex": value.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMicrosecondType;
    use bytes::Bytes;
    use kafka_pipeline::RecordBlockBuilder;

    use super::*;

    fn header(key: &str, value: Option<&'static [u8]>) -> Header {
        Header { key: key.to_owned(), value: value.map(Bytes::from_static) }
    }

    #[test]
    fn bytes_and_coordinates_are_kept() {
        let mut block = RecordBlockBuilder::new("meter.readings.raw.v1", 3);
        let odd = [header("a", Some(b"x")), header("a", None), header("b", Some(b"\xff\x00"))];
        block.push(7, 86_400_000, Some(b"dev"), Some(b"\x00\xff"), &odd);
        block.push(9, 86_400_001, None, None, &[]);
        block.push(10, 2 * 86_400_000, Some(b""), Some(b""), &[]);
        // A clock that is wrong beyond all dates, and no clock.
        block.push(11, i64::MAX, None, None, &[]).push(12, -1, None, None, &[]);
        let mut rows = LandingRows::default();
        assert_eq!(rows.append(&Input::Raw(&block.build())), Ok(5));
        assert_eq!(rows.gathered().keys().copied().collect::<Vec<_>>(), [0, 1, 2].map(PartitionValue::Day));
        assert_eq!(rows.gathered()[&PartitionValue::Day(0)].rows, 2);
        assert!(rows.bytes() > 0);
        let batch = rows.take(PartitionValue::Day(1)).unwrap().unwrap().batches().next().unwrap().unwrap();
        assert_eq!(batch.column(2).as_primitive::<arrow::datatypes::Int64Type>().values(), &[7, 9]);
        assert_eq!(batch.column(3).as_primitive::<TimestampMicrosecondType>().value(0), 86_400_000_000);
        assert_eq!(batch.column(5).as_binary::<i64>().value(0), b"\x00\xff");
        assert!(batch.column(5).is_null(1) && batch.column(4).is_null(1) && batch.column(6).is_null(1));
        assert_eq!(batch.column(6).as_string::<i32>().value(0), r#"[["a","x"],["a",null],["b",{"hex":"ff00"}]]"#);
        let batch = rows.take(PartitionValue::Day(2)).unwrap().unwrap().batches().next().unwrap().unwrap();
        assert!(!batch.column(5).is_null(0), "empty is not null");
        rows.take(PartitionValue::Day(0)).unwrap().unwrap();
        assert_eq!(rows.bytes(), 0);
    }
}

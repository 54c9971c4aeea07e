//! Rows of `dead_letters`: every letter and every mark beside one, byte for byte, with what its headers say.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Builder, Int64Builder, LargeBinaryBuilder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use kafka_pipeline::RecordRef;
use kafka_pipeline::dead_letter::{self, Mark, replay};
use lake::{PartitionValue, day_of_micros, tables};

use super::landing::{headers_text, micros};
use super::rows::{FileRows, Gathered, Input, Parts, TableRows, timestamps};
use super::view::WrongShape;

/// Bytes of a row besides its texts and bytes.
const FIXED_ROW_BYTES: usize = 4 * 4 + 4 * 8 + 12 * 4;

/// Kind of a record that is no mark.
const LETTER: &str = "letter";
/// Kind of a mark that cannot be read.
const UNREADABLE_MARK: &str = "mark";

/// Rows of `dead_letters` that wait to be written.
#[derive(Debug)]
pub struct DeadLetterRows {
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
    kind: StringBuilder,
    source_topic: StringBuilder,
    source_partition: Int32Builder,
    source_offset: Int64Builder,
    stage: StringBuilder,
    code: StringBuilder,
    message: StringBuilder,
    replays: Int32Builder,
    replay_of: StringBuilder,
    mark_of: Int64Builder,
    mark_by: StringBuilder,
    mark_reason: StringBuilder,
    key: LargeBinaryBuilder,
    payload: LargeBinaryBuilder,
    headers: StringBuilder,
}

impl Default for DeadLetterRows {
    fn default() -> Self {
        Self { parts: Parts::default(), schema: tables::dead_letters().arrow_schema() }
    }
}

impl Part {
    fn append(&mut self, topic: &str, partition: i32, record: &RecordRef<'_>) {
        let headers = headers_text(record.headers);
        self.rows += 1;
        self.variable_bytes += topic.len()
            + record.key.map_or(0, <[u8]>::len)
            + record.payload.map_or(0, <[u8]>::len)
            // What is taken out of the headers is held twice.
            + 2 * headers.as_deref().map_or(0, str::len);
        self.topic.append_value(topic);
        self.partition.append_value(partition);
        self.offset.append_value(record.offset);
        self.timestamp.append_value(micros(record));
        self.append_letter(record);
        self.append_mark(record);
        self.key.append_option(record.key);
        self.payload.append_option(record.payload);
        self.headers.append_option(headers);
    }

    fn append_letter(&mut self, record: &RecordRef<'_>) {
        let text = |name: &str| record.header(name).map(String::from_utf8_lossy);
        let source = replay::source(record);
        self.source_topic.append_option(text(dead_letter::TOPIC));
        self.source_partition.append_option(source.as_ref().map(|(at, _)| at.partition));
        self.source_offset.append_option(source.map(|(_, offset)| offset));
        self.stage.append_option(text(dead_letter::STAGE));
        self.code.append_option(text(dead_letter::ERROR_CODE));
        self.message.append_option(text(dead_letter::MESSAGE));
        self.replays.append_value(i32::try_from(replay::count(record)).unwrap_or(i32::MAX));
        self.replay_of.append_option(text(replay::REPLAY_OF));
    }

    fn append_mark(&mut self, record: &RecordRef<'_>) {
        let mark = Mark::of(record);
        let kind = match &mark {
            Some(mark) => mark.deed.name(),
            None if Mark::is(record) => UNREADABLE_MARK,
            None => LETTER,
        };
        self.kind.append_value(kind);
        self.mark_of.append_option(mark.as_ref().map(|mark| mark.letter));
        self.mark_by.append_option(mark.as_ref().map(|mark| mark.by.as_str()));
        self.mark_reason.append_option(mark.as_ref().map(|mark| mark.reason.as_str()));
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
            Arc::new(self.kind.finish()),
            Arc::new(self.source_topic.finish()),
            Arc::new(self.source_partition.finish()),
            Arc::new(self.source_offset.finish()),
            Arc::new(self.stage.finish()),
            Arc::new(self.code.finish()),
            Arc::new(self.message.finish()),
            Arc::new(self.replays.finish()),
            Arc::new(self.replay_of.finish()),
            Arc::new(self.mark_of.finish()),
            Arc::new(self.mark_by.finish()),
            Arc::new(self.mark_reason.finish()),
            Arc::new(self.key.finish()),
            Arc::new(self.payload.finish()),
            Arc::new(self.headers.finish()),
        ]
    }
}

impl TableRows for DeadLetterRows {
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

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Int32Type, Int64Type};
    use bytes::Bytes;
    use kafka_pipeline::{Header, RecordBlockBuilder};

    use super::*;

    fn headers(pairs: &[(&str, &'static str)]) -> Vec<Header> {
        let header = |(key, value): &(&str, &'static str)| Header {
            key: (*key).to_owned(),
            value: Some(Bytes::from_static(value.as_bytes())),
        };
        pairs.iter().map(header).collect()
    }

    #[test]
    fn letters_marks_and_strangers_are_rows_with_their_bytes() {
        let source = [("__dlq.errors.topic", "raw"), ("__dlq.errors.partition", "1"), ("__dlq.errors.offset", "977")];
        let letter = [&source[..], &[("x-error-code", "TRUNCATED"), ("x-stage", "validate"), ("x-replay-count", "2")]];
        let mark = [&source[..], &[("x-dlq-mark", "dropped"), ("x-dlq-letter", "1:5"), ("x-dlq-by", "sre")]];
        let mut block = RecordBlockBuilder::new("rejected", 1);
        block.push(5, 0, Some(b"dev"), Some(b"\x00\xff"), &headers(&letter.concat()));
        block.push(6, 0, Some(b"dev"), None, &headers(&mark.concat()));
        block.push(7, 0, None, Some(b"?"), &headers(&[("x-dlq-mark", "burnt"), ("__dlq.errors.topic", "raw")]));
        let mut rows = DeadLetterRows::default();
        assert_eq!(rows.append(&Input::Raw(&block.build())), Ok(3));
        let batch = rows.take(PartitionValue::Day(0)).unwrap().unwrap().batches().next().unwrap().unwrap();
        let text = |name: &str, row: usize| {
            let column = batch.column_by_name(name).unwrap();
            (!column.is_null(row)).then(|| column.as_string::<i32>().value(row).to_owned())
        };
        let kinds: Vec<_> = (0..3).filter_map(|row| text("kind", row)).collect();
        assert_eq!(kinds, ["letter", "dropped", "mark"]);
        assert_eq!((text("code", 0).as_deref(), text("stage", 0).as_deref()), (Some("TRUNCATED"), Some("validate")));
        assert_eq!((text("mark_by", 1).as_deref(), text("code", 1)), (Some("sre"), None));
        let number = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>();
        assert_eq!((number("source_offset").value(0), number("source_offset").value(1)), (977, 977));
        assert!(number("source_offset").is_null(2) && number("mark_of").is_null(0));
        assert_eq!(number("mark_of").value(1), 5);
        assert_eq!(batch.column_by_name("replays").unwrap().as_primitive::<Int32Type>().value(0), 2);
        let payload = batch.column_by_name("payload").unwrap().as_binary::<i64>();
        assert_eq!((payload.value(0), payload.is_null(1), payload.value(2)), (&b"\x00\xff"[..], true, &b"?"[..]));
        assert_eq!(rows.bytes(), 0);
    }
}

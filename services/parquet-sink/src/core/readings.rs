//! Rows of `readings`: one per accepted reading, gathered column by column and sorted when a file is made.
//!
//! A run of readings of one message that fall on one day is appended with one copy per column. What a message says once is
//! kept once, and so is what readings and devices say again and again: a row holds the number of it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use lake::{PartitionValue, day_of_micros, tables, tenant_bucket};

use super::decision_columns::{Message, MessageColumns, ReadingColumns};
use super::reading_part::{Part, SortedPart, Vocabulary};
use super::rows::{FileRows, Gathered, Input, Parts, TableRows};
use super::view::{Columns, WrongShape};

/// Fields of the contract that this table does not need.
pub const UNUSED_FIELDS: &[&str] = &["rules", "rejections"];

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Rows of `readings` that wait to be written.
#[derive(Debug)]
pub struct ReadingRows {
    parts: Parts<Part>,
    vocabulary: Vocabulary,
    buckets: BTreeMap<i32, i32>,
    source_topic: String,
    schema: SchemaRef,
}

impl ReadingRows {
    /// No rows yet. `source_topic` is the raw topic that decisions are about.
    pub fn new(source_topic: impl Into<String>) -> Self {
        Self {
            parts: Parts::default(),
            vocabulary: Vocabulary::default(),
            buckets: BTreeMap::new(),
            source_topic: source_topic.into(),
            schema: batch_schema(),
        }
    }

    fn append_decisions(&mut self, batch: &RecordBatch, rows: &[u32]) -> Result<usize, WrongShape> {
        let of = Columns::Batch(batch);
        let messages = MessageColumns::of(&of, &mut self.vocabulary.words)?;
        let (lists, records) = of.records("readings")?;
        let readings = ReadingColumns::of(&records, &mut self.vocabulary.words)?;
        let (mut appended, mut last) = (0, None);
        for row in rows.iter().map(|row| *row as usize) {
            let range = lists[row] as usize..lists[row + 1] as usize;
            if range.is_empty() {
                continue;
            }
            let origin = messages.origin(row, last, &mut self.vocabulary.ids);
            last = Some(origin);
            let bucket = self.bucket(origin.tenant);
            let message = messages.message(row, self.vocabulary.origins.code_after(None, origin));
            appended += self.append_message(message, bucket, &readings, range);
        }
        Ok(appended)
    }

    fn bucket(&mut self, tenant: i32) -> i32 {
        let ids = &self.vocabulary.ids;
        *self.buckets.entry(tenant).or_insert_with(|| tenant_bucket(ids.value(tenant), tables::TENANT_BUCKETS))
    }

    /// Divides the readings of a message into runs of one day and appends each to its part, less those that the table
    /// holds already. Returns how many were appended.
    fn append_message(
        &mut self,
        message: Message,
        bucket: i32,
        readings: &ReadingColumns<'_>,
        range: Range<usize>,
    ) -> usize {
        let starts = readings.start.values();
        let first = range.start;
        let (mut from, mut appended) = (range.start, 0);
        while from < range.end {
            if readings.unchanged.value(from) {
                from += 1;
                continue;
            }
            let day = day_of_micros(starts[from]);
            let day_start = i64::from(day) * MICROS_PER_DAY;
            let of_day = |start: &i64| (day_start..day_start + MICROS_PER_DAY).contains(start);
            let new = |index: &usize| of_day(&starts[*index]) && !readings.unchanged.value(*index);
            let run = (from..range.end).take_while(new).count().max(1);
            let part = self.parts.part(PartitionValue::DayBucket { day, bucket });
            part.append(message, readings, from..from + run, from - first, &mut self.vocabulary);
            from += run;
            appended += run;
        }
        appended
    }

    fn sorted(&mut self, part: Part) -> SortedPart {
        SortedPart {
            order: part.order(&self.vocabulary),
            known: self.vocabulary.known(&self.source_topic),
            schema: Arc::clone(&self.schema),
            part,
        }
    }
}

impl TableRows for ReadingRows {
    fn append(&mut self, input: &Input<'_>) -> Result<usize, WrongShape> {
        match input {
            Input::Decoded { batch, rows, .. } => self.append_decisions(batch, rows),
            Input::Raw(_) => Err(WrongShape { column: "readings", expected: "decoded message" }),
        }
    }

    fn gathered(&self) -> BTreeMap<PartitionValue, Gathered> {
        self.parts.sizes(|part| (part.rows(), part.bytes()))
    }

    fn bytes(&self) -> usize {
        self.vocabulary.bytes() + self.parts.iter().map(Part::bytes).sum::<usize>()
    }

    fn take(&mut self, partition: PartitionValue) -> Result<Option<Box<dyn FileRows>>, ArrowError> {
        let Some(part) = self.parts.remove(partition) else { return Ok(None) };
        let sorted = self.sorted(part);
        if self.parts.is_empty() {
            // No row refers to a code any more: forget the texts, so that devices long gone do not pile up.
            self.clear();
        }
        Ok(Some(Box::new(sorted)))
    }

    fn clear(&mut self) {
        self.parts.clear();
        self.vocabulary = Vocabulary::default();
        self.buckets.clear();
    }

    fn fresh(&self) -> Box<dyn TableRows> {
        Box::new(Self::new(&*self.source_topic))
    }
}

/// The schema of the table, with dictionaries in place of strings.
fn batch_schema() -> SchemaRef {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let table = tables::readings().arrow_schema();
    let fields = table.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 => Field::new(field.name(), dictionary.clone(), field.is_nullable()),
        other => Field::new(field.name(), other.clone(), field.is_nullable()),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

//! Rows of `readings`: one per accepted reading, gathered column by column and sorted when a file is made.
//!
//! A run of readings of one message that fall on one day is appended with one copy per column; nothing is done per row
//! but the texts, and those are integers when they repeat the row before. What a message says once is kept once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Int32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use lake::{PartitionValue, day_of_micros, tables, tenant_bucket};

use super::interner::{EMPTY, Interner, NULL};
use super::ordering::{RowKeys, order_rows};
use super::rows::{BATCH_ROWS, Batches, FileRows, Gathered, Input, Parts, TableRows};
use super::view::{Columns, Symbols, Texts, WrongShape};

/// Fields of the contract that this table does not need.
pub const UNUSED_FIELDS: &[&str] = &["rules", "rejections"];

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Time zone of all timestamps, as the lake writes it.
pub(super) const UTC: &str = "+00:00";

/// Rows of `readings` that wait to be written.
#[derive(Debug)]
pub struct ReadingRows {
    parts: Parts<Part>,
    /// Tenants, devices, gateways, customers, sites.
    ids: Interner,
    /// Channels, units, names of enums and rules, flags.
    words: Interner,
    buckets: BTreeMap<i32, i32>,
    source_topic: String,
    schema: SchemaRef,
}

/// What a message says once.
#[derive(Debug, Clone, Copy)]
struct Message {
    tenant: i32,
    device: i32,
    customer: i32,
    site: i32,
    gateway: i32,
    source: i32,
    source_partition: i32,
    sequence: i64,
    received_at: Option<i64>,
    validated_at: i64,
    source_offset: i64,
}

/// Rows of one partition of the table, column by column.
#[derive(Debug, Default)]
struct Part {
    messages: Vec<Message>,
    message: Vec<u32>,
    start: Vec<i64>,
    value: Vec<i64>,
    duration_s: Vec<i32>,
    version: Vec<i32>,
    local_day: Vec<i32>,
    index: Vec<i32>,
    channel: Vec<i32>,
    kind: Vec<i32>,
    unit: Vec<i32>,
    verdict: Vec<i32>,
    failed_rules: Vec<i32>,
    skipped_rules: Vec<i32>,
    flags: Vec<i32>,
    estimation_method: Vec<i32>,
    commodity: Vec<i32>,
}

/// Bytes of a row in the columns above.
const ROW_BYTES: usize = 2 * 8 + 14 * 4;

struct MessageColumns<'a> {
    tenant_id: &'a StringArray,
    device_id: &'a StringArray,
    customer_id: &'a StringArray,
    site_id: &'a StringArray,
    gateway_id: &'a StringArray,
    source: Words<'a>,
    sequence: &'a Int64Array,
    received_at: &'a TimestampMicrosecondArray,
    validated_at: &'a TimestampMicrosecondArray,
    source_partition: &'a Int32Array,
    source_offset: &'a Int64Array,
}

struct ReadingColumns<'a> {
    channel: &'a StringArray,
    kind: Words<'a>,
    start: &'a TimestampMicrosecondArray,
    duration_s: &'a Int32Array,
    value: &'a Decimal128Array,
    unit: &'a StringArray,
    flags: Texts<'a>,
    verdict: Words<'a>,
    failed_rules: Texts<'a>,
    skipped_rules: Texts<'a>,
    estimation_method: &'a StringArray,
    version: &'a Int32Array,
    local_day: &'a Date32Array,
    commodity: Words<'a>,
}

/// An enum column with the codes of its names.
struct Words<'a> {
    keys: &'a [i32],
    codes: Vec<i32>,
}

impl<'a> Words<'a> {
    fn of(symbols: Symbols<'a>, words: &mut Interner) -> Self {
        let names = symbols.names();
        Self { keys: symbols.keys(), codes: (0..names.len()).map(|key| words.intern(names.value(key))).collect() }
    }

    fn code(&self, row: usize) -> i32 {
        self.codes[self.keys[row] as usize]
    }
}

impl ReadingRows {
    /// No rows yet. `source_topic` is the raw topic that decisions are about.
    pub fn new(source_topic: impl Into<String>) -> Self {
        Self {
            parts: Parts::default(),
            ids: Interner::default(),
            words: Interner::default(),
            buckets: BTreeMap::new(),
            source_topic: source_topic.into(),
            schema: batch_schema(),
        }
    }

    fn append_decisions(&mut self, batch: &RecordBatch, rows: &[u32]) -> Result<usize, WrongShape> {
        let of = Columns::Batch(batch);
        let messages = MessageColumns::of(&of, &mut self.words)?;
        let (lists, records) = of.records("readings")?;
        let readings = ReadingColumns::of(&records, &mut self.words)?;
        let (mut appended, mut last) = (0, None);
        for row in rows.iter().map(|row| *row as usize) {
            let range = lists[row] as usize..lists[row + 1] as usize;
            if range.is_empty() {
                continue;
            }
            appended += range.len();
            let message = messages.message(row, last, &mut self.ids);
            last = Some(message);
            let bucket = self.bucket(message.tenant);
            self.append_message(message, bucket, &readings, range);
        }
        Ok(appended)
    }

    fn bucket(&mut self, tenant: i32) -> i32 {
        let ids = &self.ids;
        *self.buckets.entry(tenant).or_insert_with(|| tenant_bucket(ids.value(tenant), tables::TENANT_BUCKETS))
    }

    /// Divides the readings of a message into runs of one day and appends each to its part.
    fn append_message(&mut self, message: Message, bucket: i32, readings: &ReadingColumns<'_>, range: Range<usize>) {
        let starts = readings.start.values();
        let first = range.start;
        let mut from = range.start;
        while from < range.end {
            let day = day_of_micros(starts[from]);
            let day_start = i64::from(day) * MICROS_PER_DAY;
            let of_day = |start: &i64| (day_start..day_start + MICROS_PER_DAY).contains(start);
            let run = starts[from..range.end].iter().take_while(|start| of_day(start)).count().max(1);
            let part = self.parts.part(PartitionValue::DayBucket { day, bucket });
            part.append(message, readings, from..from + run, from - first, &mut self.words);
            from += run;
        }
    }

    fn sorted(&mut self, part: Part) -> SortedPart {
        let source_topic = self.words.intern(&self.source_topic);
        SortedPart {
            order: part.order(&self.ids, &self.words),
            dictionaries: Dictionaries { ids: self.ids.values(), words: self.words.values() },
            source_topic,
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
        self.parts.sizes(|part| (part.start.len(), part.bytes()))
    }

    fn bytes(&self) -> usize {
        self.ids.bytes() + self.words.bytes() + self.parts.iter().map(Part::bytes).sum::<usize>()
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
        self.ids = Interner::default();
        self.words = Interner::default();
        self.buckets.clear();
    }
}

impl<'a> MessageColumns<'a> {
    fn of(columns: &Columns<'a>, words: &mut Interner) -> Result<Self, WrongShape> {
        Ok(Self {
            tenant_id: columns.string("tenant_id")?,
            device_id: columns.string("device_id")?,
            customer_id: columns.string("customer_id")?,
            site_id: columns.string("site_id")?,
            gateway_id: columns.string("gateway_id")?,
            source: Words::of(columns.symbols("source")?, words),
            sequence: columns.primitive::<Int64Type>("sequence")?,
            received_at: columns.primitive::<TimestampMicrosecondType>("received_at")?,
            validated_at: columns.primitive::<TimestampMicrosecondType>("validated_at")?,
            source_partition: columns.primitive::<Int32Type>("source_partition")?,
            source_offset: columns.primitive::<Int64Type>("source_offset")?,
        })
    }

    /// What a message says once. Its tenant and gateway are most often those of the message before.
    fn message(&self, row: usize, last: Option<Message>, ids: &mut Interner) -> Message {
        let (last_tenant, last_gateway) = last.map_or((NULL, NULL), |last| (last.tenant, last.gateway));
        let optional = |column: &'a StringArray| column.is_valid(row).then(|| column.value(row));
        Message {
            tenant: ids.intern_after(last_tenant, self.tenant_id.value(row)),
            device: ids.intern(self.device_id.value(row)),
            customer: ids.intern_optional(optional(self.customer_id)),
            site: ids.intern_optional(optional(self.site_id)),
            gateway: ids.intern_after(last_gateway, self.gateway_id.value(row)),
            source: self.source.code(row),
            source_partition: self.source_partition.value(row),
            sequence: self.sequence.value(row),
            received_at: self.received_at.is_valid(row).then(|| self.received_at.value(row)),
            validated_at: self.validated_at.value(row),
            source_offset: self.source_offset.value(row),
        }
    }
}

impl<'a> ReadingColumns<'a> {
    fn of(columns: &Columns<'a>, words: &mut Interner) -> Result<Self, WrongShape> {
        Ok(Self {
            channel: columns.string("channel")?,
            kind: Words::of(columns.symbols("kind")?, words),
            start: columns.primitive::<TimestampMicrosecondType>("start")?,
            duration_s: columns.primitive::<Int32Type>("duration_s")?,
            value: columns.primitive::<Decimal128Type>("value")?,
            unit: columns.string("unit")?,
            flags: columns.texts("flags")?,
            verdict: Words::of(columns.symbols("verdict")?, words),
            failed_rules: columns.texts("failed_rules")?,
            skipped_rules: columns.texts("skipped_rules")?,
            estimation_method: columns.string("estimation_method")?,
            version: columns.primitive::<Int32Type>("version")?,
            local_day: columns.primitive::<Date32Type>("local_day")?,
            commodity: Words::of(columns.symbols("commodity")?, words),
        })
    }
}

impl Part {
    /// What is reserved counts, not what is filled: columns double when they grow.
    fn bytes(&self) -> usize {
        self.start.capacity() * ROW_BYTES + self.messages.capacity() * size_of::<Message>()
    }

    /// Appends a run of readings of one message; `first_index` is the position of the first of them in the message.
    fn append(
        &mut self,
        message: Message,
        readings: &ReadingColumns<'_>,
        run: Range<usize>,
        first_index: usize,
        words: &mut Interner,
    ) {
        let number = u32::try_from(self.messages.len()).expect("a part holds fewer than 2^32 messages");
        self.messages.push(message);
        self.message.extend(std::iter::repeat_n(number, run.len()));
        self.start.extend_from_slice(&readings.start.values()[run.clone()]);
        self.duration_s.extend_from_slice(&readings.duration_s.values()[run.clone()]);
        self.version.extend_from_slice(&readings.version.values()[run.clone()]);
        self.local_day.extend_from_slice(&readings.local_day.values()[run.clone()]);
        // Eighteen digits, as the contract allows, fit 64 bits.
        self.value.extend(readings.value.values()[run.clone()].iter().map(|value| *value as i64));
        self.index.extend((first_index as i32..).take(run.len()));
        self.kind.extend(run.clone().map(|row| readings.kind.code(row)));
        self.verdict.extend(run.clone().map(|row| readings.verdict.code(row)));
        self.commodity.extend(run.clone().map(|row| readings.commodity.code(row)));
        append_texts(&mut self.channel, readings.channel, run.clone(), words);
        append_texts(&mut self.unit, readings.unit, run.clone(), words);
        append_texts(&mut self.estimation_method, readings.estimation_method, run.clone(), words);
        append_joined(&mut self.flags, readings.flags, run.clone(), words);
        append_joined(&mut self.failed_rules, readings.failed_rules, run.clone(), words);
        append_joined(&mut self.skipped_rules, readings.skipped_rules, run, words);
    }

    fn order(&self, ids: &Interner, words: &Interner) -> Vec<u32> {
        let mut devices: Vec<i32> = self.messages.iter().map(|message| message.device).collect();
        devices.sort_unstable_by_key(|device| ids.value(*device));
        devices.dedup();
        let mut rank_of = vec![0; ids.len()];
        for (rank, device) in (0..).zip(&devices) {
            rank_of[*device as usize] = rank;
        }
        let message_ranks = self.messages.iter().map(|message| rank_of[message.device as usize]).collect();
        let keys = PartKeys { part: self, message_ranks, channel_ranks: words.ranks() };
        order_rows(self.start.len(), devices.len(), &keys)
    }

    /// The columns of the table for some rows, in the order of the table.
    fn columns(
        &self,
        rows: &[u32],
        dictionaries: &Dictionaries,
        source_topic: i32,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let (ids, words) = (&dictionaries.ids, &dictionaries.words);
        let message = |row: &u32| &self.messages[self.message[*row as usize] as usize];
        let id = |of: fn(&Message) -> i32| dictionary(rows.iter().map(|row| of(message(row))), ids);
        let word = |codes: &[i32]| dictionary(rows.iter().map(|row| codes[*row as usize]), words);
        let int = |values: &[i32]| Arc::new(Int32Array::from_iter_values(gather(values, rows))) as ArrayRef;
        let long =
            |of: fn(&Message) -> i64| Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| of(message(row)))));
        let validated_at = rows.iter().map(|row| message(row).validated_at);
        let value = Decimal128Array::from_iter_values(gather(&self.value, rows).map(i128::from));
        Ok(vec![
            id(|message| message.tenant)?,
            id(|message| message.device)?,
            word(&self.channel)?,
            word(&self.kind)?,
            timestamps(TimestampMicrosecondArray::from_iter_values(gather(&self.start, rows))),
            int(&self.duration_s),
            Arc::new(value.with_precision_and_scale(18, 6)?),
            word(&self.unit)?,
            word(&self.verdict)?,
            word(&self.failed_rules)?,
            word(&self.skipped_rules)?,
            word(&self.flags)?,
            word(&self.estimation_method)?,
            int(&self.version),
            Arc::new(Date32Array::from_iter_values(gather(&self.local_day, rows))),
            word(&self.commodity)?,
            id(|message| message.customer)?,
            id(|message| message.site)?,
            id(|message| message.gateway)?,
            long(|message| message.sequence),
            dictionary(rows.iter().map(|row| message(row).source), words)?,
            timestamps(rows.iter().map(|row| message(row).received_at).collect()),
            timestamps(TimestampMicrosecondArray::from_iter_values(validated_at)),
            dictionary(rows.iter().map(|_| source_topic), words)?,
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| message(row).source_partition))),
            long(|message| message.source_offset),
            int(&self.index),
        ])
    }
}

/// A part on its way into a file: its rows, their order, and what their codes stand for. The columns are made batch by
/// batch, so that a part is never in memory twice.
struct SortedPart {
    part: Part,
    order: Vec<u32>,
    dictionaries: Dictionaries,
    source_topic: i32,
    schema: SchemaRef,
}

impl FileRows for SortedPart {
    fn batches(&self) -> Batches<'_> {
        Box::new(self.order.chunks(BATCH_ROWS).map(|rows| {
            let columns = self.part.columns(rows, &self.dictionaries, self.source_topic)?;
            RecordBatch::try_new(Arc::clone(&self.schema), columns)
        }))
    }
}

struct PartKeys<'a> {
    part: &'a Part,
    message_ranks: Vec<u32>,
    channel_ranks: Vec<u32>,
}

impl RowKeys for PartKeys<'_> {
    fn device_rank(&self, row: u32) -> u32 {
        self.message_ranks[self.part.message[row as usize] as usize]
    }

    fn within_device(&self, row: u32) -> (u32, i64) {
        let row = row as usize;
        (self.channel_ranks[self.part.channel[row] as usize], self.part.start[row])
    }
}

struct Dictionaries {
    ids: ArrayRef,
    words: ArrayRef,
}

fn gather<'a, T: Copy>(values: &'a [T], rows: &'a [u32]) -> impl Iterator<Item = T> + 'a {
    rows.iter().map(|row| values[*row as usize])
}

fn dictionary(codes: impl Iterator<Item = i32>, values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let codes: Vec<i32> = codes.collect();
    let keys = if codes.contains(&NULL) {
        codes.into_iter().map(|code| (code != NULL).then_some(code)).collect()
    } else {
        Int32Array::from(codes)
    };
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(values))?))
}

pub(super) fn timestamps(array: TimestampMicrosecondArray) -> ArrayRef {
    Arc::new(array.with_timezone(UTC))
}

fn append_texts(codes: &mut Vec<i32>, texts: &StringArray, run: Range<usize>, words: &mut Interner) {
    let mut last = NULL;
    for row in run {
        last = if texts.is_null(row) { NULL } else { words.intern_after(last, texts.value(row)) };
        codes.push(last);
    }
}

fn append_joined(codes: &mut Vec<i32>, lists: Texts<'_>, run: Range<usize>, words: &mut Interner) {
    let mut last = EMPTY;
    let mut joined = String::new();
    for row in run {
        if lists.is_empty(row) {
            codes.push(EMPTY);
        } else {
            lists.join(row, &mut joined);
            last = words.intern_after(last, &joined);
            codes.push(last);
        }
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

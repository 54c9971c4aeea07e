//! Rows of one partition of `readings`: gathered column by column, sorted when a file is made of them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::error::ArrowError;

use super::decision_columns::{Message, ReadingColumns};
use super::interner::{EMPTY, Interner, NULL};
use super::ordering::{RowKeys, order_rows};
use super::rows::{BATCH_ROWS, Batches, FileRows, timestamps};
use super::view::Texts;

/// Rows of one partition of the table, column by column.
#[derive(Debug, Default)]
pub(super) struct Part {
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

impl Part {
    /// Rows.
    pub(super) fn rows(&self) -> usize {
        self.start.len()
    }

    /// Memory. What is reserved counts, not what is filled: columns double when they grow.
    pub(super) fn bytes(&self) -> usize {
        self.start.capacity() * ROW_BYTES + self.messages.capacity() * size_of::<Message>()
    }

    /// Appends a run of readings of one message; `first_index` is the position of the first of them in the message.
    pub(super) fn append(
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

    pub(super) fn order(&self, ids: &Interner, words: &Interner) -> Vec<u32> {
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
            Arc::new(rows.iter().map(|row| message(row).revision).collect::<Int64Array>()),
        ])
    }
}

/// A part on its way into a file: its rows, their order, and what their codes stand for. The columns are made batch by
/// batch, so that a part is never in memory twice.
pub(super) struct SortedPart {
    pub(super) part: Part,
    pub(super) order: Vec<u32>,
    pub(super) dictionaries: Dictionaries,
    pub(super) source_topic: i32,
    pub(super) schema: SchemaRef,
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

/// Values of the dictionary columns.
pub(super) struct Dictionaries {
    pub(super) ids: ArrayRef,
    pub(super) words: ArrayRef,
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

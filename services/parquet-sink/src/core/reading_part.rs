//! Rows of one partition of `readings`: gathered column by column, sorted when a file is made of them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::error::ArrowError;

use super::decision_columns::{ABSENT, Attributes, Message, Origin, ReadingColumns};
use super::interner::{Interner, NULL};
use super::ordering::{RowKeys, order_rows};
use super::repeats::Repeats;
use super::rows::{BATCH_ROWS, Batches, FileRows, timestamps};

/// Rows of one partition of the table, column by column.
#[derive(Debug, Default)]
pub(super) struct Part {
    messages: Vec<Message>,
    message: Vec<u32>,
    attributes: Vec<u32>,
    start: Vec<i64>,
    value: Vec<i64>,
    local_day: Vec<i32>,
    index: Vec<i32>,
}

/// Bytes of a row in the columns above.
const ROW_BYTES: usize = 2 * 8 + 4 * 4;

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
        vocabulary: &mut Vocabulary,
    ) {
        let number = u32::try_from(self.messages.len()).expect("a part holds fewer than 2^32 messages");
        self.messages.push(message);
        self.message.extend(std::iter::repeat_n(number, run.len()));
        self.start.extend_from_slice(&readings.start.values()[run.clone()]);
        self.local_day.extend_from_slice(&readings.local_day.values()[run.clone()]);
        // Eighteen digits, as the contract allows, fit 64 bits.
        self.value.extend(readings.value.values()[run.clone()].iter().map(|value| *value as i64));
        self.index.extend((first_index as i32..).take(run.len()));
        let mut last = self.attributes.last().copied();
        for row in run {
            let code = vocabulary.attributes(readings, row, last);
            self.attributes.push(code);
            last = Some(code);
        }
    }

    pub(super) fn order(&self, vocabulary: &Vocabulary) -> Vec<u32> {
        let (ids, origins) = (&vocabulary.ids, vocabulary.origins.tuples());
        let mut present = vec![false; ids.len()];
        for message in &self.messages {
            present[origins[message.origin as usize].device as usize] = true;
        }
        let mut devices: Vec<i32> = (0..ids.len() as i32).filter(|code| present[*code as usize]).collect();
        devices.sort_unstable_by_key(|device| ids.value(*device));
        let mut rank_of = vec![0; ids.len()];
        for (rank, device) in (0..).zip(&devices) {
            rank_of[*device as usize] = rank;
        }
        let rank = |message: &Message| rank_of[origins[message.origin as usize].device as usize];
        let channel_ranks = vocabulary.words.ranks();
        let attributes = vocabulary.attributes.tuples().iter();
        let keys = PartKeys {
            part: self,
            message_ranks: self.messages.iter().map(rank).collect(),
            channel_ranks: attributes.map(|attributes| channel_ranks[attributes.channel as usize]).collect(),
        };
        order_rows(self.start.len(), devices.len(), &keys)
    }

    /// The columns of the table for some rows, in the order of the table.
    fn columns(&self, rows: &[u32], known: &Known) -> Result<Vec<ArrayRef>, ArrowError> {
        let (ids, words) = (&known.ids, &known.words);
        // Rows of a file lie far apart in the order of arrival: what they refer to is fetched once, not once per column.
        let messages: Vec<Message> = gather(&self.message, rows).map(|number| self.messages[number as usize]).collect();
        let origins: Vec<Origin> = messages.iter().map(|message| known.origins[message.origin as usize]).collect();
        let attributes: Vec<&Attributes> =
            gather(&self.attributes, rows).map(|code| &known.attributes[code as usize]).collect();
        let id = |of: fn(&Origin) -> i32| dictionary(origins.iter().map(of), ids);
        let word = |of: fn(&Attributes) -> i32| dictionary(attributes.iter().map(|attributes| of(attributes)), words);
        let said = |of: fn(&Attributes) -> i32| {
            Arc::new(Int32Array::from_iter_values(attributes.iter().map(|attributes| of(attributes)))) as ArrayRef
        };
        let int = |values: &[i32]| Arc::new(Int32Array::from_iter_values(gather(values, rows))) as ArrayRef;
        let long = |of: fn(&Message) -> i64| Arc::new(Int64Array::from_iter_values(messages.iter().map(of)));
        let validated_at = messages.iter().map(|message| message.validated_at);
        let value = Decimal128Array::from_iter_values(gather(&self.value, rows).map(i128::from));
        Ok(vec![
            id(|origin| origin.tenant)?,
            id(|origin| origin.device)?,
            word(|reading| reading.channel)?,
            word(|reading| reading.kind)?,
            timestamps(TimestampMicrosecondArray::from_iter_values(gather(&self.start, rows))),
            said(|reading| reading.duration_s),
            Arc::new(value.with_precision_and_scale(18, 6)?),
            word(|reading| reading.unit)?,
            word(|reading| reading.verdict)?,
            word(|reading| reading.failed_rules)?,
            word(|reading| reading.skipped_rules)?,
            word(|reading| reading.flags)?,
            word(|reading| reading.estimation_method)?,
            said(|reading| reading.version),
            Arc::new(Date32Array::from_iter_values(gather(&self.local_day, rows))),
            word(|reading| reading.commodity)?,
            id(|origin| origin.customer)?,
            id(|origin| origin.site)?,
            id(|origin| origin.gateway)?,
            long(|message| message.sequence),
            dictionary(origins.iter().map(|origin| origin.source), words)?,
            timestamps(messages.iter().map(|message| present(message.received_at)).collect()),
            timestamps(TimestampMicrosecondArray::from_iter_values(validated_at)),
            dictionary(rows.iter().map(|_| known.source_topic), words)?,
            Arc::new(Int32Array::from_iter_values(origins.iter().map(|origin| origin.source_partition))),
            long(|message| message.source_offset),
            int(&self.index),
            Arc::new(messages.iter().map(|message| present(message.revision)).collect::<Int64Array>()),
        ])
    }
}

fn present(value: i64) -> Option<i64> {
    (value != ABSENT).then_some(value)
}

/// What the codes of the rows stand for, while rows are gathered.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    /// Tenants, devices, gateways, customers, sites.
    pub(super) ids: Interner,
    /// Channels, units, names of enums and rules, flags.
    pub(super) words: Interner,
    pub(super) origins: Repeats<Origin>,
    pub(super) attributes: Repeats<Attributes>,
    /// Where lists of texts are joined.
    scratch: String,
}

impl Vocabulary {
    /// The code of what a reading says in words; `last` is that of the reading before.
    fn attributes(&mut self, readings: &ReadingColumns<'_>, row: usize, last: Option<u32>) -> u32 {
        let before = last.map(|code| self.attributes.tuple(code));
        self.attributes.code_after(last, readings.attributes(row, before, &mut self.words, &mut self.scratch))
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.ids.bytes() + self.words.bytes() + self.origins.bytes() + self.attributes.bytes()
    }

    /// The same for the rows of a file that is made now.
    pub(super) fn known(&mut self, source_topic: &str) -> Known {
        Known {
            source_topic: self.words.intern(source_topic),
            ids: self.ids.values(),
            words: self.words.values(),
            origins: self.origins.tuples().to_vec(),
            attributes: self.attributes.tuples().to_vec(),
        }
    }
}

/// What the codes of the rows of a file stand for: values of dictionary columns, and tuples.
pub(super) struct Known {
    ids: ArrayRef,
    words: ArrayRef,
    origins: Vec<Origin>,
    attributes: Vec<Attributes>,
    source_topic: i32,
}

/// A part on its way into a file: its rows, their order, and what their codes stand for. The columns are made batch by
/// batch, so that a part is never in memory twice.
pub(super) struct SortedPart {
    pub(super) part: Part,
    pub(super) order: Vec<u32>,
    pub(super) known: Known,
    pub(super) schema: SchemaRef,
}

impl FileRows for SortedPart {
    fn batches(&self) -> Batches<'_> {
        Box::new(self.order.chunks(BATCH_ROWS).map(|rows| {
            let columns = self.part.columns(rows, &self.known)?;
            RecordBatch::try_new(Arc::clone(&self.schema), columns)
        }))
    }
}

struct PartKeys<'a> {
    part: &'a Part,
    message_ranks: Vec<u32>,
    /// By code of attributes.
    channel_ranks: Vec<u32>,
}

impl RowKeys for PartKeys<'_> {
    fn device_rank(&self, row: u32) -> u32 {
        self.message_ranks[self.part.message[row as usize] as usize]
    }

    fn within_device(&self, row: u32) -> (u32, i64) {
        let row = row as usize;
        (self.channel_ranks[self.part.attributes[row] as usize], self.part.start[row])
    }
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

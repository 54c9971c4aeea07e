//! Reads the landing table: first a survey of what is where, then slices of messages.

use super::order::{Group, Slice, Span, Surveyed};
use anyhow::Context;
use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use lake::{LakeTable, LiveFile, RowTest, day_of_micros};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Files that are looked through at once.
const CONCURRENT_FILES: usize = 8;

/// Which messages are wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Raw topic.
    pub(crate) topic: String,
    /// Kafka's timestamps, UTC microseconds.
    pub(crate) time: Range<i64>,
    /// For each partition, the offsets.
    pub(crate) offsets: BTreeMap<i32, Range<i64>>,
    /// Only this device.
    pub(crate) device: Option<String>,
}

/// A message of the landing table.
#[derive(Debug, Clone)]
pub(crate) struct Landed {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) payload: Option<Bytes>,
}

/// What a survey found.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The files with what is wanted of them.
    pub(crate) files: Vec<Surveyed>,
    /// Days (UTC) of the messages.
    pub(crate) days: BTreeSet<i32>,
    /// The highest wanted offset of each partition.
    pub(crate) last: BTreeMap<i32, i64>,
}

impl Survey {
    /// Messages wanted, and bytes of their payloads.
    pub(crate) fn size(&self) -> (u64, u64) {
        let spans = self.files.iter().flat_map(|file| file.spans.values());
        spans.fold((0, 0), |(messages, bytes), span| (messages + span.messages, bytes + span.bytes))
    }
}

/// The columns of a batch that tell where a message stands.
struct Coordinates<'a> {
    topic: &'a StringArray,
    partition: &'a [i32],
    offset: &'a [i64],
    timestamp: &'a [i64],
    key: Option<BinaryArray>,
}

impl<'a> Coordinates<'a> {
    fn of(batch: &'a RecordBatch) -> anyhow::Result<Self> {
        let column = |name: &str| batch.column_by_name(name).with_context(|| format!("landing has no column {name}"));
        Ok(Self {
            topic: column("topic")?.as_string_opt().context("topic is no text")?,
            partition: column("partition")?.as_primitive_opt::<Int32Type>().context("partition is no int")?.values(),
            offset: column("offset")?.as_primitive_opt::<Int64Type>().context("offset is no long")?.values(),
            timestamp: column("timestamp")?
                .as_primitive_opt::<TimestampMicrosecondType>()
                .context("timestamp is no time")?
                .values(),
            key: batch.column_by_name("key").map(|key| binary(key)).transpose()?,
        })
    }

    fn is_wanted(&self, row: usize, wanted: &Wanted) -> bool {
        wanted.time.contains(&self.timestamp[row])
            && wanted.offsets.get(&self.partition[row]).is_some_and(|offsets| offsets.contains(&self.offset[row]))
            && self.topic.value(row) == wanted.topic
            && wanted.device.as_deref().is_none_or(|device| {
                self.key.as_ref().is_some_and(|key| key.is_valid(row) && key.value(row) == device.as_bytes())
            })
    }
}

fn binary(array: &dyn Array) -> anyhow::Result<BinaryArray> {
    let cast = arrow::compute::cast(array, &arrow::datatypes::DataType::Binary).context("cast bytes")?;
    Ok(cast.as_binary::<i32>().clone())
}

/// Looks through the files of the days in question.
///
/// # Errors
/// When a file cannot be read.
pub(crate) async fn survey(table: &LakeTable, files: &[LiveFile], wanted: &Wanted) -> anyhow::Result<Survey> {
    let days = day_of_micros(wanted.time.start)..=day_of_micros(wanted.time.end.saturating_sub(1));
    let of_days = files.iter().filter(|file| days.contains(&file.partition.day()));
    let looks = of_days.map(|file| survey_file(table, file, wanted));
    let mut surveys = futures::stream::iter(looks).buffer_unordered(CONCURRENT_FILES);
    let mut all = Survey::default();
    while let Some((file, days)) = surveys.try_next().await? {
        for (partition, span) in &file.spans {
            let last = all.last.entry(*partition).or_insert(span.last);
            *last = span.last.max(*last);
        }
        all.days.extend(days);
        all.files.push(file);
    }
    Ok(all)
}

async fn survey_file(table: &LakeTable, file: &LiveFile, wanted: &Wanted) -> anyhow::Result<(Surveyed, BTreeSet<i32>)> {
    const COLUMNS: &[&str] = &["topic", "partition", "offset", "timestamp", "payload_bytes"];
    const WITH_KEY: &[&str] = &["topic", "partition", "offset", "timestamp", "payload_bytes", "key"];
    let columns = if wanted.device.is_some() { WITH_KEY } else { COLUMNS };
    let path = &file.file.path;
    let mut found = Surveyed { path: path.clone(), sequence_number: file.sequence_number, spans: BTreeMap::new() };
    let mut days = BTreeSet::new();
    let mut batches = table.read_rows(path, columns, None).await.with_context(|| format!("read {path}"))?;
    while let Some(batch) = batches.try_next().await.with_context(|| format!("read {path}"))? {
        let at = Coordinates::of(&batch)?;
        let sizes = batch.column_by_name("payload_bytes").and_then(|sizes| sizes.as_primitive_opt::<Int32Type>());
        let sizes = sizes.context("payload_bytes is no int")?.values();
        for row in (0..batch.num_rows()).filter(|row| at.is_wanted(*row, wanted)) {
            let span = Span::of(at.offset[row], u64::from(sizes[row].unsigned_abs()));
            found.spans.entry(at.partition[row]).and_modify(|held| *held = held.and(span)).or_insert(span);
            days.insert(day_of_micros(at.timestamp[row]));
        }
    }
    Ok((found, days))
}

/// Reads a slice of a group: the wanted messages, by partition and offset.
///
/// # Errors
/// When a file cannot be read.
pub(crate) async fn read(
    table: &LakeTable,
    group: &Group,
    slice: &Slice,
    wanted: &Wanted,
) -> anyhow::Result<Vec<Landed>> {
    let mut messages = Vec::new();
    for path in &group.paths {
        let columns = ["topic", "partition", "offset", "timestamp", "key", "payload"];
        let mut batches = table
            .read_rows(path, &columns, Some(of_slice(slice.clone())))
            .await
            .with_context(|| format!("read {path}"))?;
        while let Some(batch) = batches.try_next().await.with_context(|| format!("read {path}"))? {
            take(&batch, wanted, &mut messages)?;
        }
    }
    messages.sort_unstable_by_key(|message: &Landed| (message.partition, message.offset));
    // A raw topic that was created anew begins its offsets again; the message that landed first holds, as with decisions.
    messages.dedup_by_key(|message| (message.partition, message.offset));
    Ok(messages)
}

fn of_slice(slice: Slice) -> RowTest {
    let test = move |batch: RecordBatch| {
        let odd = || ArrowError::SchemaError("landing has other coordinates".to_owned());
        let partition = batch.column_by_name("partition").and_then(|column| column.as_primitive_opt::<Int32Type>());
        let offset = batch.column_by_name("offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (partition, offset) = (partition.ok_or_else(odd)?.values(), offset.ok_or_else(odd)?.values());
        let within =
            |(partition, offset): (&i32, &i64)| Some(slice.get(partition).is_some_and(|range| range.contains(offset)));
        Ok(partition.iter().zip(offset.iter()).map(within).collect::<BooleanArray>())
    };
    RowTest { columns: &["partition", "offset"], test: Box::new(test) }
}

fn take(batch: &RecordBatch, wanted: &Wanted, messages: &mut Vec<Landed>) -> anyhow::Result<()> {
    let at = Coordinates::of(batch)?;
    let payload = binary(batch.column_by_name("payload").context("landing has no column payload")?)?;
    let value = |array: &BinaryArray, row: usize| array.is_valid(row).then(|| Bytes::copy_from_slice(array.value(row)));
    for row in (0..batch.num_rows()).filter(|row| at.is_wanted(*row, wanted)) {
        messages.push(Landed {
            partition: at.partition[row],
            offset: at.offset[row],
            timestamp: at.timestamp[row],
            key: at.key.as_ref().and_then(|key| value(key, row)),
            payload: value(&payload, row),
        });
    }
    Ok(())
}

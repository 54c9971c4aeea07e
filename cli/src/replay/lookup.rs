//! Looks up what the lake holds of the readings of some messages.

use super::known::{Delivery, Known, Reading, Row};
use super::landing::Landed;
use anyhow::Context;
use arrow::array::{Array, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use futures::{StreamExt, TryStreamExt};
use kafka_pipeline::{BatchDecoder, RecordBlockBuilder};
use lake::{LakeTable, LiveFile, PartitionValue, RowTest};
use meter_model::Kind;
use meterway_schemas::columns::{ReadingBatchColumns, range};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Files that are looked through at once.
const CONCURRENT_FILES: usize = 8;

/// The table of readings at one snapshot.
#[derive(Debug)]
pub(crate) struct Readings {
    table: LakeTable,
    files: HashMap<PartitionValue, Vec<String>>,
    /// Raw topic that the rows are about.
    topic: String,
}

impl Readings {
    /// Of a table and its live files.
    pub(crate) fn new(table: LakeTable, live: Vec<LiveFile>, topic: &str) -> Self {
        let mut files: HashMap<_, Vec<String>> = HashMap::new();
        live.into_iter().for_each(|live| files.entry(live.partition).or_default().push(live.file.path));
        Self { table, files, topic: topic.to_owned() }
    }

    /// The rows of the devices and days of some deliveries.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) async fn known(&self, deliveries: &[Delivery]) -> anyhow::Result<Known> {
        let devices: HashSet<String> = deliveries.iter().map(|delivery| delivery.device.clone()).collect();
        let partitions: BTreeSet<PartitionValue> = deliveries.iter().flat_map(Delivery::partitions).collect();
        let paths = partitions.iter().filter_map(|partition| self.files.get(partition)).flatten();
        let reads = paths.map(|path| self.read(path, &devices));
        let mut reads = futures::stream::iter(reads).buffer_unordered(CONCURRENT_FILES);
        let mut known = Known::default();
        while let Some(batches) = reads.try_next().await? {
            batches.iter().try_for_each(|batch| self.add(batch, &mut known))?;
        }
        known.sort();
        Ok(known)
    }

    async fn read(&self, path: &str, devices: &HashSet<String>) -> anyhow::Result<Vec<RecordBatch>> {
        const COLUMNS: &[&str] = &[
            "tenant_id",
            "device_id",
            "channel",
            "kind",
            "start",
            "duration_s",
            "value",
            "failed_rules",
            "version",
            "local_day",
            "commodity",
            "customer_id",
            "site_id",
            "source_topic",
            "source_partition",
            "source_offset",
            "revision",
        ];
        let rows = self.table.read_rows(path, COLUMNS, Some(of_devices(devices.clone()))).await;
        rows.with_context(|| format!("read {path}"))?.try_collect().await.with_context(|| format!("read {path}"))
    }

    fn add(&self, batch: &RecordBatch, known: &mut Known) -> anyhow::Result<()> {
        let of = RowColumns::of(batch)?;
        for row in (0..batch.num_rows()).filter(|row| of.text("source_topic", *row) == Some(&self.topic)) {
            let text = |name: &'static str| of.text(name, row).map(str::to_owned);
            let must = |name: &'static str| text(name).unwrap_or_default();
            let Ok(kind) = must("kind").parse::<Kind>() else { continue };
            let channel = (must("tenant_id"), must("device_id"), must("channel"), kind);
            let found = Row {
                start: of.start.value(row),
                duration_s: of.duration_s.value(row),
                value: i64::try_from(of.value.value(row)).context("value has more than 18 digits")?,
                version: of.version.value(row),
                failed_rules: must("failed_rules"),
                local_day: of.local_day.value(row),
                commodity: must("commodity"),
                customer: text("customer_id"),
                site: text("site_id"),
                partition: of.partition.value(row),
                offset: of.offset.value(row),
                revision: of.revision.filter(|column| column.is_valid(row)).map_or(0, |column| column.value(row)),
            };
            known.add(channel, found);
        }
        Ok(())
    }
}

fn of_devices(devices: HashSet<String>) -> RowTest {
    let test = move |batch: RecordBatch| {
        let odd = || ArrowError::SchemaError("readings has no column device_id".to_owned());
        let column = batch.column_by_name("device_id").and_then(|column| column.as_string_opt::<i32>());
        let test = |device: Option<&str>| Some(device.is_some_and(|device| devices.contains(device)));
        Ok(column.ok_or_else(odd)?.iter().map(test).collect::<BooleanArray>())
    };
    RowTest { columns: &["device_id"], test: Box::new(test) }
}

struct RowColumns<'a> {
    texts: HashMap<&'static str, &'a StringArray>,
    start: &'a arrow::array::TimestampMicrosecondArray,
    duration_s: &'a Int32Array,
    value: &'a arrow::array::Decimal128Array,
    version: &'a Int32Array,
    local_day: &'a arrow::array::Date32Array,
    partition: &'a Int32Array,
    offset: &'a Int64Array,
    /// Files from before replays have none.
    revision: Option<&'a Int64Array>,
}

impl<'a> RowColumns<'a> {
    fn of(batch: &'a RecordBatch) -> anyhow::Result<Self> {
        const TEXTS: [&str; 9] = [
            "tenant_id",
            "device_id",
            "channel",
            "kind",
            "failed_rules",
            "commodity",
            "customer_id",
            "site_id",
            "source_topic",
        ];
        let column = |name: &str| batch.column_by_name(name).with_context(|| format!("readings has no column {name}"));
        let odd = |name: &str| format!("column {name} of readings has another type");
        let int = |name| column(name)?.as_primitive_opt::<Int32Type>().with_context(|| odd(name));
        let long = |name| column(name)?.as_primitive_opt::<Int64Type>().with_context(|| odd(name));
        let mut texts = HashMap::new();
        for name in TEXTS {
            texts.insert(name, column(name)?.as_string_opt::<i32>().with_context(|| odd(name))?);
        }
        Ok(Self {
            texts,
            start: column("start")?.as_primitive_opt::<TimestampMicrosecondType>().with_context(|| odd("start"))?,
            duration_s: int("duration_s")?,
            value: column("value")?.as_primitive_opt::<Decimal128Type>().with_context(|| odd("value"))?,
            version: int("version")?,
            local_day: column("local_day")?.as_primitive_opt::<Date32Type>().with_context(|| odd("local_day"))?,
            partition: int("source_partition")?,
            offset: long("source_offset")?,
            revision: long("revision").ok(),
        })
    }

    fn text(&self, name: &'static str, row: usize) -> Option<&'a str> {
        let column = self.texts[name];
        column.is_valid(row).then(|| column.value(row))
    }
}

/// Decodes messages of one partition; `None` for bytes that are no delivery.
///
/// # Errors
/// When the registry does not answer.
pub(crate) async fn decode(
    decoder: &mut BatchDecoder,
    topic: &str,
    messages: &[Landed],
) -> anyhow::Result<Vec<Option<Delivery>>> {
    let mut deliveries = vec![None; messages.len()];
    let Some(partition) = messages.first().map(|message| message.partition) else { return Ok(deliveries) };
    let mut block = RecordBlockBuilder::new(topic, partition);
    for message in messages {
        block.push(message.offset, 0, message.key.as_deref(), message.payload.as_deref(), &[]);
    }
    let decoded = decoder.decode(&block.build()).await.context("decode landed messages")?;
    for batch in &decoded.batches {
        let columns = ReadingBatchColumns::try_from(&batch.batch)?;
        for (row, index) in batch.rows.iter().enumerate() {
            let message = &messages[*index as usize];
            deliveries[*index as usize] = Some(delivery(&columns, row, message)?);
        }
    }
    Ok(deliveries)
}

fn delivery(columns: &ReadingBatchColumns<'_>, row: usize, message: &Landed) -> anyhow::Result<Delivery> {
    let readings = &columns.readings;
    let reading = |index: usize| -> anyhow::Result<Reading> {
        Ok(Reading {
            channel: readings.channel.value(index).to_owned(),
            kind: readings.kind.value(index).parse()?,
            start: readings.start.value(index),
            duration_s: readings.duration_s.value(index),
            value: i64::try_from(readings.value.value(index)).unwrap_or(i64::MAX),
        })
    };
    Ok(Delivery {
        partition: message.partition,
        offset: message.offset,
        tenant: columns.tenant_id.value(row).to_owned(),
        device: columns.device_id.value(row).to_owned(),
        readings: range(columns.lists, row).map(reading).collect::<anyhow::Result<_>>()?,
    })
}

//! What the lake holds, counted from its Parquet files.

use super::{
    Windows,
    audit::rejection_digest,
    iceberg::{DataFile, LakeReader},
    lane::{LaneAudit, Revised},
    tally::{Cell, Fact, Tallies, Tally},
};
use anyhow::{Context, ensure};
use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use bytes::Bytes;
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use std::collections::BTreeMap;

/// Readings of the lake whose raw message lies in a window, and how many lie outside.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    /// Inside the windows, by partition and local day.
    pub(crate) inside: Tallies,
    /// Rows whose raw message is no longer, or not yet, in the topic.
    pub(crate) outside: u64,
}

/// Columns of the table of readings that are compared.
const FACTS: &[&str] = &[
    "tenant_id",
    "device_id",
    "channel",
    "kind",
    "start",
    "value",
    "local_day",
    "source_partition",
    "source_offset",
    "revision",
];

/// Counts the table of readings.
///
/// # Errors
/// When a file cannot be read, or holds another number of rows than its manifest claims.
pub(crate) async fn readings(lake: &LakeReader, windows: &Windows) -> anyhow::Result<Readings> {
    let mut found = Readings::default();
    scan(lake, "readings", FACTS, |batch| count_readings(&batch, windows, &mut found)).await?;
    Ok(found)
}

/// Counts the rows of replays.
///
/// # Errors
/// As [`readings`].
pub(crate) async fn revised(lake: &LakeReader, lane: &LaneAudit) -> anyhow::Result<Revised> {
    let mut found = Revised::default();
    scan(lake, "readings", FACTS, |batch| {
        each_fact(&batch, |row| {
            if let Some(revision) = row.revision {
                found.add(lane, (row.partition, row.offset, revision), row.local_day, &row.fact);
            }
        })
    })
    .await?;
    Ok(found)
}

/// Counts the table of rejections whose raw message lies in a window.
///
/// # Errors
/// As [`readings`].
pub(crate) async fn rejections(lake: &LakeReader, windows: &Windows) -> anyhow::Result<BTreeMap<i32, Tally>> {
    const COLUMNS: &[&str] = &["source_partition", "source_offset", "reading_index"];
    let mut found: BTreeMap<i32, Tally> = BTreeMap::new();
    scan(lake, "rejected", COLUMNS, |batch| {
        let (partition, offset) = (int32(&batch, "source_partition")?, int64(&batch, "source_offset")?);
        let index = int32(&batch, "reading_index")?;
        for row in 0..batch.num_rows() {
            let (partition, offset) = (partition.value(row), offset.value(row));
            if windows.contains(partition, offset) {
                found.entry(partition).or_default().add(rejection_digest(partition, offset, index.value(row)));
            }
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Counts the landing table: for each partition of `topic`, number and checksum of (offset, payload).
///
/// # Errors
/// As [`readings`].
pub(crate) async fn landing(lake: &LakeReader, topic: &str, windows: &Windows) -> anyhow::Result<BTreeMap<i32, Tally>> {
    let mut found: BTreeMap<i32, Tally> = BTreeMap::new();
    scan(lake, "landing", &["topic", "partition", "offset", "payload"], |batch| {
        let (topics, payloads) = (string(&batch, "topic")?, column(&batch, "payload")?);
        let payloads = cast(payloads, &DataType::Binary).context("cast payload")?;
        let payloads = payloads.as_binary::<i32>();
        let (partition, offset) = (int32(&batch, "partition")?, int64(&batch, "offset")?);
        let topics = topics.as_string::<i32>();
        for row in 0..batch.num_rows() {
            let (partition, offset) = (partition.value(row), offset.value(row));
            if topics.value(row) == topic && windows.contains(partition, offset) {
                let payload = payloads.is_valid(row).then(|| payloads.value(row));
                found.entry(partition).or_default().add(payload_digest(offset, payload));
            }
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Digest of a raw message's place and bytes; a null payload differs from an empty one.
pub(crate) fn payload_digest(offset: i64, payload: Option<&[u8]>) -> u128 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(&[u8::from(payload.is_some())]);
    hasher.update(payload.unwrap_or_default());
    hasher.digest128()
}

async fn scan(
    lake: &LakeReader,
    table: &str,
    columns: &[&str],
    mut each: impl FnMut(RecordBatch) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for file in lake.data_files(table).await.with_context(|| format!("list files of {table}"))? {
        let bytes = lake.get(&file.path).await?;
        let rows = read_file(bytes, columns, &mut each).with_context(|| format!("read {}", file.path))?;
        check_rows(&file, rows)?;
    }
    Ok(())
}

fn check_rows(file: &DataFile, rows: u64) -> anyhow::Result<()> {
    ensure!(rows == file.rows, "{} holds {rows} rows, its manifest claims {}", file.path, file.rows);
    Ok(())
}

/// Hands a Parquet file to `each`, batch by batch; returns its rows.
///
/// # Errors
/// When the bytes are no Parquet file, or `each` fails.
pub(crate) fn read_file(
    bytes: Bytes,
    columns: &[&str],
    each: &mut impl FnMut(RecordBatch) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let projection = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let mut rows = 0;
    for batch in builder.with_projection(projection).with_batch_size(16_384).build()? {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        each(batch)?;
    }
    Ok(rows)
}

/// A row of the table of readings.
struct FactRow<'a> {
    fact: Fact<'a>,
    local_day: i32,
    partition: i32,
    offset: i64,
    /// Number of the replay; `None` on the live lane.
    revision: Option<i64>,
}

fn count_readings(batch: &RecordBatch, windows: &Windows, found: &mut Readings) -> anyhow::Result<()> {
    each_fact(batch, |row| {
        if row.revision.is_some() {
            // Rows of replays are compared with the lane.
        } else if windows.contains(row.partition, row.offset) {
            let cell = Cell { partition: row.partition, local_day: Some(row.local_day) };
            found.inside.add(cell, row.fact.digest());
        } else {
            found.outside += 1;
        }
    })
}

fn each_fact(batch: &RecordBatch, mut each: impl FnMut(FactRow<'_>)) -> anyhow::Result<()> {
    let [tenant, device, channel, kind] =
        [string(batch, "tenant_id")?, string(batch, "device_id")?, string(batch, "channel")?, string(batch, "kind")?];
    let [tenant, device, channel, kind] = [&tenant, &device, &channel, &kind].map(|array| array.as_string::<i32>());
    let start = micros(batch, "start")?;
    let start = start.as_primitive::<TimestampMicrosecondType>();
    let value = column(batch, "value")?.as_primitive_opt::<Decimal128Type>().context("value is no decimal")?;
    let day = column(batch, "local_day")?.as_primitive_opt::<Date32Type>().context("local_day is no date")?;
    let (partition, offset) = (int32(batch, "source_partition")?, int64(batch, "source_offset")?);
    // Files from before replays have no such column.
    let revision = int64(batch, "revision").ok();
    for row in 0..batch.num_rows() {
        let fact = Fact {
            tenant_id: tenant.value(row),
            device_id: device.value(row),
            channel: channel.value(row),
            kind: kind.value(row),
            start: start.value(row),
            value: i64::try_from(value.value(row)).context("value has more than 18 digits")?,
        };
        each(FactRow {
            fact,
            local_day: day.value(row),
            partition: partition.value(row),
            offset: offset.value(row),
            revision: revision.filter(|revision| revision.is_valid(row)).map(|revision| revision.value(row)),
        });
    }
    Ok(())
}

/// A column by name.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> anyhow::Result<&'a arrow::array::ArrayRef> {
    batch.column_by_name(name).with_context(|| format!("no column {name}"))
}

/// The column as plain strings, whatever encoding the reader chose.
pub(crate) fn string(batch: &RecordBatch, name: &str) -> anyhow::Result<arrow::array::ArrayRef> {
    cast(column(batch, name)?, &DataType::Utf8).with_context(|| format!("cast {name}"))
}

/// The column as microseconds since 1970-01-01 UTC.
pub(crate) fn micros(batch: &RecordBatch, name: &str) -> anyhow::Result<arrow::array::ArrayRef> {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    cast(column(batch, name)?, &micros).with_context(|| format!("cast {name}"))
}

fn int32<'a>(batch: &'a RecordBatch, name: &str) -> anyhow::Result<&'a arrow::array::Int32Array> {
    column(batch, name)?.as_primitive_opt::<Int32Type>().with_context(|| format!("{name} is no int"))
}

fn int64<'a>(batch: &'a RecordBatch, name: &str) -> anyhow::Result<&'a arrow::array::Int64Array> {
    column(batch, name)?.as_primitive_opt::<Int64Type>().with_context(|| format!("{name} is no long"))
}

//! From the columns of a decoded batch to borrowed messages.

use crate::core::decide::Learned;
use crate::core::history::Known;
use crate::core::rules::RuleId;
use meter_model::{Kind, UnknownName};
use meterway_schemas::Source;
use meterway_schemas::columns::{EnumColumn, ReadingBatchColumns, ReadingColumns, ValidatedBatchColumns, range};
use meterway_schemas::encode::{Reading, ReadingBatch};

/// The flags of all readings of a batch, one behind the other.
pub fn flags<'a>(columns: &ReadingBatchColumns<'a>) -> Vec<&'a str> {
    let texts = columns.readings.flags.texts;
    (0..arrow::array::Array::len(texts)).map(|index| texts.value(index)).collect()
}

/// The readings of all messages of a batch, one behind the other.
///
/// # Errors
/// [`UnknownName`] when the reader schema has a kind that this version does not know.
pub fn readings<'a>(columns: &ReadingBatchColumns<'a>, flags: &'a [&'a str]) -> Result<Vec<Reading<'a>>, UnknownName> {
    let readings = &columns.readings;
    let kinds = kinds(readings)?;
    let reading = |index| Reading {
        channel: readings.channel.value(index),
        kind: kinds[readings.kind.key(index)],
        start: readings.start.value(index),
        duration_s: readings.duration_s.value(index),
        value: unscaled(readings, index),
        unit: readings.unit.value(index),
        flags: &flags[range(readings.flags.lists, index)],
    };
    Ok((0..arrow::array::Array::len(readings.start)).map(reading).collect())
}

/// The message in a row of a batch whose readings are `readings`.
///
/// # Errors
/// [`UnknownName`] when the reader schema has a source that this version does not know.
pub fn batch<'a>(
    columns: &ReadingBatchColumns<'a>,
    readings: &'a [Reading<'a>],
    row: usize,
) -> Result<ReadingBatch<'a>, UnknownName> {
    let received = arrow::array::Array::is_valid(columns.received_at, row);
    Ok(ReadingBatch {
        tenant_id: columns.tenant_id.value(row),
        device_id: columns.device_id.value(row),
        gateway_id: columns.gateway_id.value(row),
        sequence: columns.sequence.value(row),
        received_at: received.then(|| columns.received_at.value(row)),
        source: source(columns.source.value(row))?,
        readings: &readings[range(columns.lists, row)],
    })
}

/// The accepted readings of a decision.
///
/// # Errors
/// [`UnknownName`] when the reader schema has a kind that this version does not know.
pub fn learned<'a>(
    columns: &'a ValidatedBatchColumns<'a>,
    row: usize,
) -> Result<impl Iterator<Item = Learned<'a>>, UnknownName> {
    let kinds = kinds(&columns.readings.reading)?;
    let readings = &columns.readings;
    Ok(range(columns.lists, row).map(move |index| {
        let reading = &readings.reading;
        Learned {
            channel: reading.channel.value(index),
            kind: kinds[reading.kind.key(index)],
            known: Known {
                start: reading.start.value(index),
                value: unscaled(reading, index),
                duration_s: reading.duration_s.value(index),
                version: readings.version.value(index),
            },
            failed: readings.failed_rules.value(index).filter_map(RuleId::parse).collect(),
        }
    }))
}

fn kinds(readings: &ReadingColumns<'_>) -> Result<Vec<Kind>, UnknownName> {
    names(&readings.kind).map(str::parse).collect()
}

fn names<'a>(column: &EnumColumn<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let names = column.names();
    (0..arrow::array::Array::len(names)).map(|index| names.value(index))
}

fn source(name: &str) -> Result<Source, UnknownName> {
    let known = [Source::Kafka, Source::Http, Source::Replay];
    known.into_iter().find(|source| source.as_str() == name).ok_or_else(|| UnknownName(name.into()))
}

/// The column is wider than the contract's eight bytes; a value beyond them would be rejected as out of range.
fn unscaled(readings: &ReadingColumns<'_>, index: usize) -> i64 {
    i64::try_from(readings.value.value(index)).unwrap_or(i64::MAX)
}

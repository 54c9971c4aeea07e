//! Blocks of the validated topic to decisions.

use std::time::Duration;

use kafka_pipeline::{BatchDecoder, DecodeError, Decoded, RecordBlock, Registry};
use meter_model::{Commodity, Kind};
use meterway_schemas::columns::{EnumColumn, ValidatedBatchColumns, WrongShape, range};
use meterway_schemas::{Source, VALIDATED_BATCH, counts};
use service_runtime::sleep_or_shutdown;

use super::retry::Patience;
use crate::core::input::{Decision, Reading};
use crate::metrics;

/// Wait before the registry is asked again; the registry client has its own, shorter attempts before.
const REGISTRY_PAUSE: Duration = Duration::from_secs(2);

/// Decodes blocks of decisions.
#[derive(Debug)]
pub(crate) struct DecisionReader {
    decoder: BatchDecoder,
    patience: Patience,
}

impl DecisionReader {
    pub(crate) fn new(registry: Registry, patience: Patience) -> Result<Self, DecodeError> {
        Ok(Self { decoder: BatchDecoder::new(registry, VALIDATED_BATCH.avsc)?, patience })
    }

    /// Decodes a block. Waits while the registry is away; records that can't be decoded are counted and logged.
    ///
    /// # Errors
    /// When the registry refuses, or the process is told to end while it is away.
    pub(crate) async fn decode(&mut self, block: &RecordBlock) -> Result<Decoded, DecodeError> {
        let decoded = loop {
            match self.decoder.decode(block).await {
                Ok(decoded) => break decoded,
                Err(DecodeError::Registry(error)) if error.is_transient() => {
                    tracing::warn!(error = %error, "wait for the schema registry");
                    self.patience.beat.beat();
                    if !sleep_or_shutdown(REGISTRY_PAUSE, &self.patience.shutdown).await {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error),
            }
        };
        for (index, poison) in &decoded.poison {
            let offset = block.get(*index as usize).offset;
            metrics::poison(block.topic(), poison.code());
            tracing::error!(
                kafka.topic = block.topic(),
                kafka.partition = block.partition(),
                kafka.offset = offset,
                error = %poison,
                "pass over a decision that can't be decoded"
            );
        }
        Ok(decoded)
    }
}

/// Calls `each` with every decision of a decoded block, in the log's order. Messages that lie elsewhere than their writer
/// counted on are none.
///
/// # Errors
/// [`WrongShape`] when the decoder's schema is not the contract's: a mistake of the program.
pub(crate) fn for_each(
    block: &RecordBlock,
    decoded: &Decoded,
    mut each: impl FnMut(&Decision<'_>),
) -> Result<(), WrongShape> {
    let batches = decoded.batches.iter().map(|batch| Rows::new(&batch.batch)).collect::<Result<Vec<_>, _>>()?;
    // Several writers' schemas in one block make several batches; the log's order is that of the rows' indexes.
    let mut order: Vec<(u32, usize, usize)> = Vec::new();
    for (at, batch) in decoded.batches.iter().enumerate() {
        order.extend(batch.rows.iter().enumerate().map(|(row, index)| (*index, at, row)));
    }
    order.sort_unstable();
    for (index, at, row) in order {
        let offset = block.get(index as usize).offset;
        if counts(batches[at].columns.decision_offset.value(row), offset) {
            each(&batches[at].decision(row, offset));
        }
    }
    Ok(())
}

/// The columns of a batch, with the names of its enums looked up once.
struct Rows<'a> {
    columns: ValidatedBatchColumns<'a>,
    sources: Vec<Source>,
    kinds: Vec<Kind>,
    commodities: Vec<Commodity>,
    valid: Vec<bool>,
}

impl<'a> Rows<'a> {
    fn new<B>(batch: &'a B) -> Result<Self, WrongShape>
    where
        ValidatedBatchColumns<'a>: TryFrom<&'a B, Error = WrongShape>,
    {
        let columns = ValidatedBatchColumns::try_from(batch)?;
        let readings = &columns.readings;
        Ok(Self {
            sources: by_key(columns.source, |name| match name {
                "HTTP" => Source::Http,
                "REPLAY" => Source::Replay,
                _ => Source::Kafka,
            }),
            kinds: by_key(readings.reading.kind, |name| name.parse().unwrap_or(Kind::Gauge)),
            commodities: by_key(readings.commodity, |name| name.parse().unwrap_or(Commodity::Unknown)),
            valid: by_key(readings.verdict, |name| name == "VALID"),
            columns,
        })
    }

    fn decision(&self, row: usize, offset: i64) -> Decision<'a> {
        let columns = &self.columns;
        Decision {
            tenant_id: columns.tenant_id.value(row),
            device_id: columns.device_id.value(row),
            customer_id: not_empty(columns.customer_id.value(row)),
            site_id: not_empty(columns.site_id.value(row)),
            source: self.sources[columns.source.key(row)],
            offset,
            source_offset: columns.source_offset.value(row),
            validated_at: columns.validated_at.value(row),
            readings: range(columns.lists, row).map(|index| self.reading(index)).collect(),
        }
    }

    fn reading(&self, index: usize) -> Reading<'a> {
        let readings = &self.columns.readings;
        let reading = &readings.reading;
        let failed = |rule: &str| readings.failed_rules.value(index).any(|name| name == rule);
        Reading {
            channel: reading.channel.value(index),
            kind: self.kinds[reading.kind.key(index)],
            start: reading.start.value(index),
            duration_s: reading.duration_s.value(index),
            // The contract's fixed(8) can't hold more; a value beyond would be a decoder's mistake.
            value: i64::try_from(reading.value.value(index)).unwrap_or_default(),
            unit: reading.unit.value(index),
            local_day: readings.local_day.value(index),
            version: readings.version.value(index),
            commodity: self.commodities[readings.commodity.key(index)],
            after_gap: failed("gap"),
            spike: failed("spike"),
            valid: self.valid[readings.verdict.key(index)],
        }
    }
}

/// Null is an empty text in Arrow's buffers, and no identifier is empty.
fn not_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn by_key<T>(column: EnumColumn<'_>, value: impl Fn(&str) -> T) -> Vec<T> {
    column.names().iter().map(|name| value(name.unwrap_or_default())).collect()
}

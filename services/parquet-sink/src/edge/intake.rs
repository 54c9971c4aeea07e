//! From a block of records to rows: decode, dead-letter what cannot be decoded or written, judge, gather.

use anyhow::Context;
use kafka_pipeline::{BatchDecoder, DeadLetters, DecodeError, Decoded, Poison, RecordBlock};
use lake::Head;
use meterway_schemas::counts;
use tokio_util::sync::CancellationToken;

use super::patience::{Component, Patience};
use crate::core::judge::{Candidate, Judged, judge};
use crate::core::rows::{Input, TableRows};
use crate::core::view::SourceColumns;
use crate::metrics::RouteMetrics;

/// A decision that stands in another partition than the message it is about: order would mean nothing then.
const WRONG_PARTITION: &str = "WRONG_PARTITION";
/// A record whose rows cannot be made or written; it was singled out.
const UNWRITABLE: &str = "UNWRITABLE";

/// How a route reads its records.
pub(crate) enum Reading {
    /// As bytes.
    Raw,
    /// Decoded, every record a row source.
    Decoded(Box<BatchDecoder>),
    /// Decoded decisions: only the first about each source offset counts.
    Decisions(Box<BatchDecoder>),
}

/// Takes records in.
pub(crate) struct Intake {
    pub(crate) reading: Reading,
    /// `None` for the route that reads them: a letter about a letter would be read, and so on.
    pub(crate) dead_letters: Option<DeadLetters>,
    pub(crate) metrics: RouteMetrics,
    pub(crate) patience: Patience,
}

impl Intake {
    /// Takes a block in, and sets aside the records at the indexes that cannot be written. Returns the head behind it, or
    /// `None` when `stop` came first, with nothing taken in.
    ///
    /// # Errors
    /// A dead letter could not be stored, or a batch does not have the contract's shape.
    pub(crate) async fn take(
        &mut self,
        block: &RecordBlock,
        unwritable: &[usize],
        mut head: Head,
        rows: &mut dyn TableRows,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Head>> {
        let next = block.next_offset().get();
        self.metrics.read(block.len() as u64);
        for index in unwritable {
            self.bury(*index, UNWRITABLE, "its rows cannot be written", block).await?;
        }
        let kept;
        let block = if unwritable.is_empty() {
            block
        } else {
            kept = block.pick((0..block.len()).filter(|index| !unwritable.contains(index)));
            &kept
        };
        if !block.is_empty() && self.take_kept(block, &mut head, rows, stop).await?.is_none() {
            return Ok(None);
        }
        head.next = next;
        Ok(Some(head))
    }

    async fn take_kept(
        &mut self,
        block: &RecordBlock,
        head: &mut Head,
        rows: &mut dyn TableRows,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<()>> {
        let Some(decoded) = self.decode(block, stop).await? else { return Ok(None) };
        let Some(decoded) = decoded else {
            rows.append(&Input::Raw(block)).context("gather raw records")?;
            return Ok(Some(()));
        };
        for (index, poison) in &decoded.poison {
            self.bury(*index as usize, poison.code(), &poison.to_string(), block).await?;
        }
        let accepted = if let Reading::Decisions(_) = self.reading {
            let (candidates, misplaced) = candidates(&decoded, block)?;
            for index in misplaced {
                let message = "the decision is about a message of another partition";
                self.bury(index as usize, WRONG_PARTITION, message, block).await?;
            }
            let judged = judge(head, candidates, decoded.batches.len());
            note(&judged, block, self.metrics);
            judged.accepted
        } else {
            all(&decoded)
        };
        append(&decoded, block, accepted, rows)?;
        Ok(Some(()))
    }

    /// Makes the rows of all records that can be decoded, whatever else they are; `None` when `stop` came first.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) async fn rehearse(
        &mut self,
        block: &RecordBlock,
        rows: &mut dyn TableRows,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<()>> {
        match self.decode(block, stop).await? {
            None => return Ok(None),
            Some(None) => drop(rows.append(&Input::Raw(block)).context("gather raw records")?),
            Some(Some(decoded)) => append(&decoded, block, all(&decoded), rows)?,
        }
        Ok(Some(()))
    }

    /// The block decoded, or `Some(None)` where records are taken as they are; `None` when `stop` came first.
    async fn decode(
        &mut self,
        block: &RecordBlock,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Option<Decoded>>> {
        match &mut self.reading {
            Reading::Raw => Ok(Some(None)),
            Reading::Decoded(decoder) | Reading::Decisions(decoder) => {
                Ok(decode(decoder, block, &self.patience, stop).await?.map(Some))
            }
        }
    }

    /// Sets a record aside, and returns when the broker has it: only then may the head pass.
    async fn bury(&self, index: usize, code: &'static str, message: &str, block: &RecordBlock) -> anyhow::Result<()> {
        let record = block.get(index);
        let source = block.topic_partition();
        if let Some(dead_letters) = &self.dead_letters {
            dead_letters.send(&record, source, code, message).await.context("store a dead letter")?;
        }
        self.metrics.dead_lettered(code);
        tracing::error!(
            route = self.metrics.0,
            kafka.topic = %source.topic,
            kafka.partition = source.partition,
            kafka.offset = record.offset,
            code,
            "record cannot be taken in and was set aside"
        );
        Ok(())
    }
}

/// Every row of every batch.
fn all(decoded: &Decoded) -> Vec<Vec<u32>> {
    decoded.batches.iter().map(|batch| (0..batch.rows.len() as u32).collect()).collect()
}

async fn decode(
    decoder: &mut BatchDecoder,
    block: &RecordBlock,
    patience: &Patience,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Decoded>> {
    let mut series = patience.series(Component::Registry);
    loop {
        let error = match decoder.decode(block).await {
            Ok(decoded) => match unreadable_schema(&decoded) {
                None => return Ok(Some(decoded)),
                // Our own services registered their schemas before they wrote. If the registry does not know one, the
                // registry is wrong, not the record: setting the record aside would lose a decision for good.
                Some(poison) => anyhow::Error::from(poison),
            },
            Err(error @ DecodeError::ReaderSchema(_)) => return Err(error).context("decode records"),
            Err(error) => anyhow::Error::from(error),
        };
        if !series.wait(error.as_ref(), stop).await {
            return Ok(None);
        }
    }
}

fn unreadable_schema(decoded: &Decoded) -> Option<Poison> {
    let of_schema = |poison: &&Poison| matches!(poison, Poison::UnknownSchemaId(_) | Poison::WrongSchema { .. });
    decoded.poison.iter().map(|(_, poison)| poison).find(of_schema).cloned()
}

/// The decisions of a block, and the records of those that stand in the wrong partition.
fn candidates(decoded: &Decoded, block: &RecordBlock) -> anyhow::Result<(Vec<Candidate>, Vec<u32>)> {
    let mut candidates = Vec::new();
    let mut misplaced = Vec::new();
    for (batch, decoded) in (0..).zip(&decoded.batches) {
        let source = SourceColumns::of(&decoded.batch).context("read decisions")?;
        for (row, record) in (0..).zip(&decoded.rows) {
            if source.partition.value(row as usize) == block.partition() {
                let source_offset = source.offset.value(row as usize);
                let counts = counts(source.decision.value(row as usize), block.get(*record as usize).offset);
                candidates.push(Candidate { record: *record, batch, row, source_offset, counts });
            } else {
                misplaced.push(*record);
            }
        }
    }
    Ok((candidates, misplaced))
}

fn note(judged: &Judged, block: &RecordBlock, metrics: RouteMetrics) {
    metrics.judged(judged.re_emitted, judged.gaps, judged.missing);
    if judged.gaps > 0 {
        tracing::warn!(
            route = metrics.0,
            kafka.topic = block.topic(),
            kafka.partition = block.partition(),
            kafka.offset = block.first_offset(),
            gaps = judged.gaps,
            missing = judged.missing,
            "source offsets without a decision"
        );
    }
}

fn append(
    decoded: &Decoded,
    block: &RecordBlock,
    accepted: Vec<Vec<u32>>,
    rows: &mut dyn TableRows,
) -> anyhow::Result<()> {
    for (batch, accepted) in decoded.batches.iter().zip(accepted) {
        let offsets: Vec<i64> = batch.rows.iter().map(|record| block.get(*record as usize).offset).collect();
        let input =
            Input::Decoded { batch: &batch.batch, rows: &accepted, partition: block.partition(), offsets: &offsets };
        rows.append(&input).context("gather decoded records")?;
    }
    Ok(())
}

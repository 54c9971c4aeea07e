//! From a block of records to rows: decode, dead-letter what cannot be decoded, judge, gather.

use anyhow::Context;
use kafka_pipeline::{BatchDecoder, DeadLetters, DecodeError, Decoded, Poison, RecordBlock};
use lake::Head;
use tokio_util::sync::CancellationToken;

use super::patience::{Component, Patience};
use crate::core::judge::{Candidate, Judged, judge};
use crate::core::rows::{Input, TableRows};
use crate::core::view::SourceColumns;
use crate::metrics::RouteMetrics;

/// A decision that stands in another partition than the message it is about: order would mean nothing then.
const WRONG_PARTITION: &str = "WRONG_PARTITION";

/// How a route reads its records.
pub(crate) enum Reading {
    /// As bytes.
    Raw,
    /// Decoded, every record a row source.
    Decoded(Box<BatchDecoder>, DeadLetters),
    /// Decoded decisions: only the first about each source offset counts.
    Decisions(Box<BatchDecoder>, DeadLetters),
}

/// Takes records in.
pub(crate) struct Intake {
    pub(crate) reading: Reading,
    pub(crate) metrics: RouteMetrics,
    pub(crate) patience: Patience,
}

impl Intake {
    /// Takes a block in; returns the head behind it, or `None` when `stop` came first, with nothing taken in.
    ///
    /// # Errors
    /// A dead letter could not be stored, or a batch does not have the contract's shape.
    pub(crate) async fn take(
        &mut self,
        block: &RecordBlock,
        mut head: Head,
        rows: &mut dyn TableRows,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Head>> {
        match &mut self.reading {
            Reading::Raw => {
                rows.append(&Input::Raw(block)).context("gather raw records")?;
            }
            Reading::Decoded(decoder, dead_letters) => {
                let Some(decoded) = decode(decoder, block, &self.patience, stop).await? else { return Ok(None) };
                bury(&decoded, block, dead_letters, self.metrics).await?;
                let accepted = decoded.batches.iter().map(|batch| (0..batch.rows.len() as u32).collect()).collect();
                append(&decoded, block, accepted, rows)?;
            }
            Reading::Decisions(decoder, dead_letters) => {
                let Some(decoded) = decode(decoder, block, &self.patience, stop).await? else { return Ok(None) };
                bury(&decoded, block, dead_letters, self.metrics).await?;
                let (candidates, misplaced) = candidates(&decoded, block.partition())?;
                bury_misplaced(&misplaced, block, dead_letters, self.metrics).await?;
                let judged = judge(&mut head, candidates, decoded.batches.len());
                note(&judged, block, self.metrics);
                append(&decoded, block, judged.accepted, rows)?;
            }
        }
        head.next = block.next_offset().get();
        self.metrics.read(block.len() as u64);
        Ok(Some(head))
    }
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

/// Sets aside what cannot be decoded, and returns when the broker has it: only then may the head pass.
async fn bury(
    decoded: &Decoded,
    block: &RecordBlock,
    dead_letters: &DeadLetters,
    metrics: RouteMetrics,
) -> anyhow::Result<()> {
    for (index, poison) in &decoded.poison {
        let message = poison.to_string();
        bury_one(*index, poison.code(), &message, block, dead_letters, metrics).await?;
    }
    Ok(())
}

async fn bury_misplaced(
    misplaced: &[u32],
    block: &RecordBlock,
    dead_letters: &DeadLetters,
    metrics: RouteMetrics,
) -> anyhow::Result<()> {
    for index in misplaced {
        let message = "the decision is about a message of another partition";
        bury_one(*index, WRONG_PARTITION, message, block, dead_letters, metrics).await?;
    }
    Ok(())
}

async fn bury_one(
    index: u32,
    code: &'static str,
    message: &str,
    block: &RecordBlock,
    dead_letters: &DeadLetters,
    metrics: RouteMetrics,
) -> anyhow::Result<()> {
    let record = block.get(index as usize);
    let source = block.topic_partition();
    dead_letters.send(&record, source, code, message).await.context("store a dead letter")?;
    metrics.dead_lettered(code);
    tracing::error!(
        route = metrics.0,
        kafka.topic = %source.topic,
        kafka.partition = source.partition,
        kafka.offset = record.offset,
        code,
        "record cannot be taken in and was set aside"
    );
    Ok(())
}

/// The decisions of a block, and the records of those that stand in the wrong partition.
fn candidates(decoded: &Decoded, partition: i32) -> anyhow::Result<(Vec<Candidate>, Vec<u32>)> {
    let mut candidates = Vec::new();
    let mut misplaced = Vec::new();
    for (batch, decoded) in (0..).zip(&decoded.batches) {
        let source = SourceColumns::of(&decoded.batch).context("read decisions")?;
        for (row, record) in (0..).zip(&decoded.rows) {
            if source.partition.value(row as usize) == partition {
                let source_offset = source.offset.value(row as usize);
                candidates.push(Candidate { record: *record, batch, row, source_offset });
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

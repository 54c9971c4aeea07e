//! Reads letters, marks and how far replays are decided.

use super::args::{Place, Selection};
use super::content::{Content, Decoder};
use super::filter::{Filter, Sender};
use super::ledger::{Ledger, Standing};
use super::letter::Letter;
use super::read::Letters;
use anyhow::Context;
use chrono::{DateTime, Utc};
use kafka_pipeline::dead_letter::Mark;
use kafka_pipeline::{KafkaConfig, NextOffset, RecordBlock, RecordRef, StartAt, TopicPartition, read_tail};
use meterway_schemas::counts;

/// The dead-letter topic as it stood when it was read.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Cluster.
    pub(crate) kafka: KafkaConfig,
    /// What became of the letters.
    pub(crate) ledger: Ledger,
    /// Partitions that can hold letters that are asked for, and where their reading ended.
    pub(crate) partitions: Vec<(i32, NextOffset)>,
    filter: Filter,
    decoder: Option<Decoder>,
}

impl Survey {
    /// Reads all marks of letters that can be asked for.
    ///
    /// # Errors
    /// When brokers or the registry do not answer, or are not named.
    pub(crate) async fn of(place: &Place, selection: &Selection, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let kafka = place.kafka.config()?;
        let filter = selection.filter(now);
        let needs_content = filter.device.is_some() || filter.tenant.is_some();
        let decoder = if needs_content { Some(place.decoder()?) } else { place.decoder().ok() };
        let mut survey = Self { kafka, ledger: Ledger::default(), partitions: Vec::new(), filter, decoder };
        let letters = Letters { kafka: &survey.kafka, topic: &place.topic };
        let partitions = letters.partitions().await?.into_iter().map(|(partition, ..)| partition);
        let partitions: Vec<i32> = partitions.filter(|partition| survey.filter.concerns(*partition)).collect();
        // Before the letters: what a decision set aside lies in front of it.
        survey.read_decided(place, &partitions).await?;
        for partition in partitions {
            let end = survey.read_marks(place, partition, survey.filter.since).await?;
            survey.partitions.push((partition, end));
        }
        Ok(survey)
    }

    async fn read_decided(&mut self, place: &Place, partitions: &[i32]) -> anyhow::Result<()> {
        // Without a registry replays stay "replayed": nothing is claimed that was not seen.
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        for partition in partitions {
            if let Some(offset) = last_decided(&self.kafka, &place.validated_topic, *partition, decoder).await? {
                self.ledger.decided(&place.raw_topic, *partition, offset);
            }
        }
        Ok(())
    }

    async fn read_marks(
        &mut self,
        place: &Place,
        partition: i32,
        since: Option<DateTime<Utc>>,
    ) -> anyhow::Result<NextOffset> {
        let letters = Letters { kafka: &self.kafka, topic: &place.topic };
        let ledger = &mut self.ledger;
        let note = async |block: &RecordBlock| {
            block.iter().for_each(|record| note(ledger, partition, &record));
            anyhow::Ok(())
        };
        letters.scan(partition, since, note).await
    }

    /// Takes in what was written to a partition since it was read.
    ///
    /// # Errors
    /// When brokers do not answer.
    pub(crate) async fn read_on(&mut self, topic: &str, partition: i32) -> anyhow::Result<()> {
        let Some(end) = self.partitions.iter_mut().find(|(number, _)| *number == partition).map(|(_, end)| end) else {
            return Ok(());
        };
        let at = TopicPartition::new(topic, partition);
        let read = || format!("read {at} from offset {end}", end = *end);
        let mut tail = read_tail(&self.kafka, &at, StartAt::Offset(*end)).await.with_context(read)?;
        while let Some(block) = tail.next().await.with_context(|| format!("read {at}"))? {
            block.iter().for_each(|record| note(&mut self.ledger, partition, &record));
            *end = block.next_offset();
        }
        Ok(())
    }

    /// Hands over every letter of a partition that fits filter and status, in the order of the log.
    ///
    /// # Errors
    /// When brokers or the registry do not answer, or `each` fails.
    pub(crate) async fn letters(
        &mut self,
        place: &Place,
        selection: &Selection,
        partition: i32,
        mut each: impl AsyncFnMut(Letter, Standing, &RecordRef<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Self { kafka, ledger, filter, decoder, .. } = self;
        let letters = Letters { kafka, topic: &place.topic };
        let visit = async |block: &RecordBlock| {
            for record in block.iter().filter(|record| !Mark::is(record)) {
                let letter = Letter::of(partition, &record);
                if !filter.admits(&letter) {
                    continue;
                }
                let standing = ledger.standing(&letter);
                if selection.admits(standing.status) && fits(filter, &letter, decoder.as_mut(), &record).await? {
                    each(letter, standing, &record).await?;
                }
            }
            anyhow::Ok(())
        };
        letters.scan(partition, filter.since, visit).await?;
        Ok(())
    }
}

fn note(ledger: &mut Ledger, partition: i32, record: &RecordRef<'_>) {
    if !Mark::is(record) {
        return ledger.letter(&Letter::of(partition, record));
    }
    match Mark::of(record) {
        Some(mark) => ledger.mark(partition, mark, DateTime::from_timestamp_millis(record.timestamp_ms)),
        None => tracing::warn!(kafka.partition = partition, kafka.offset = record.offset, "mark that cannot be read"),
    }
}

async fn fits(
    filter: &Filter,
    letter: &Letter,
    decoder: Option<&mut Decoder>,
    record: &RecordRef<'_>,
) -> anyhow::Result<bool> {
    let sender = match decoder {
        Some(decoder) if filter.needs_content(letter) => decoder.decode(record.payload).await?.sender(),
        _ => Sender::default(),
    };
    Ok(filter.admits_sender(letter, &sender))
}

/// The source offset of the last decision of a partition; `None` when there is none, or no such topic.
async fn last_decided(
    kafka: &KafkaConfig,
    topic: &str,
    partition: i32,
    decoder: &mut Decoder,
) -> anyhow::Result<Option<i64>> {
    let letters = Letters { kafka, topic };
    let Ok(partitions) = letters.partitions().await else { return Ok(None) };
    let Some((_, low, high)) = partitions.into_iter().find(|(number, ..)| *number == partition) else {
        return Ok(None);
    };
    let at = TopicPartition::new(topic, partition);
    // The last message need not be a decision: it may be out of its place, and so may some before it.
    let (mut to, mut messages) = (high, 1);
    while to > low {
        let from = low.max(to - messages);
        let last = last_between(kafka, &at, from, to, decoder).await.with_context(|| format!("read {at}"))?;
        if last.is_some() {
            return Ok(last);
        }
        (to, messages) = (from, messages * 2);
    }
    Ok(None)
}

/// The source offset of the last decision in `[from, to)`; holds one block of messages at a time.
async fn last_between(
    kafka: &KafkaConfig,
    at: &TopicPartition,
    from: i64,
    to: i64,
    decoder: &mut Decoder,
) -> anyhow::Result<Option<i64>> {
    let mut tail = read_tail(kafka, at, StartAt::Offset(NextOffset(from))).await?;
    let mut last = None;
    while let Some(block) = tail.next().await? {
        for record in block.iter().take_while(|record| record.offset < to) {
            let Content::Yes { value, .. } = decoder.decode(record.payload).await? else { continue };
            // Messages of older writers do not say.
            if counts(value["decision_offset"].as_i64().unwrap_or(-1), record.offset) {
                last = value["source_offset"].as_i64().max(last);
            }
        }
        if block.next_offset().get() >= to {
            break;
        }
    }
    Ok(last)
}

//! The topic of decisions, followed from end to end: every partition, only the canary's keys are decoded.

use super::metrics;
use super::shared::{Shared, now};
use crate::canary::core::known::{CHANNEL, Id};
use crate::canary::core::ledger::Stage;
use crate::verify::topics::unscaled;
use anyhow::{Context, anyhow};
use kafka_pipeline::{
    AvroReader, CodecError, Consumer, ConsumerConfig, Event, Events, KafkaConfig, OffsetReset, RecordBlock, Registry,
    StartAt, TopicPartition,
};
use meter_model::{Commodity, Kind, Verdict};
use meterway_schemas::{Source, VALIDATED_BATCH, counts};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often it is asked whether the end of a partition is reached.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize)]
#[serde(rename = "ValidatedBatch")]
struct Decided {
    device_id: String,
    /// Not used, but apache-avro cannot pass over an enum.
    #[serde(rename = "source")]
    _source: Source,
    source_partition: i32,
    source_offset: i64,
    readings: Vec<Accepted>,
    rejections: Vec<Rejected>,
    decision_offset: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "ValidatedReading")]
struct Accepted {
    channel: String,
    #[serde(rename = "kind")]
    _kind: Kind,
    start: i64,
    #[serde(deserialize_with = "unscaled")]
    value: i64,
    #[serde(rename = "verdict")]
    _verdict: Verdict,
    #[serde(rename = "commodity")]
    _commodity: Commodity,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "Rejection")]
struct Rejected {}

/// A follower of the topic.
pub(crate) struct Follower {
    shared: Shared,
    consumer: Consumer,
    events: Events,
    reader: AvroReader<Decided>,
    topic: String,
    /// Next offset to come of each partition.
    next: BTreeMap<i32, i64>,
    /// Which raw messages accepted a reading: a second decision about the same message is no second reading.
    sources: BTreeMap<Id, BTreeSet<(i32, i64)>>,
    /// Whether readings of an earlier run are followed too.
    adopts: bool,
}

impl Follower {
    /// Begins `back_us` before now, or at the end when that is zero. Nothing that is decided from here on is overlooked.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub(crate) async fn start(
        shared: Shared,
        kafka: &KafkaConfig,
        registry: Registry,
        topic: &str,
        back_us: i64,
    ) -> anyhow::Result<Self> {
        let reader = AvroReader::new(registry, VALIDATED_BATCH.avsc).context("prepare to read decisions")?;
        let partitions = i32::try_from(shared.devices.len()).context("count partitions")?;
        let all: Vec<_> = (0..partitions).map(|partition| TopicPartition::new(topic, partition)).collect();
        let settings = ConsumerConfig {
            reset: OffsetReset::Latest,
            lag_interval: Duration::ZERO,
            block_wait: Duration::from_millis(10),
            queue_blocks: 4,
            ..ConsumerConfig::default()
        };
        let (consumer, events) = Consumer::assign_later(kafka, settings, &all).context("open consumer")?;
        let mut next = BTreeMap::new();
        for at in all {
            let (_, high) = consumer.watermarks(&at).await.with_context(|| format!("ask for the end of {at}"))?;
            let since = match back_us {
                0 => None,
                back => consumer.offset_at(&at, (now() - back) / 1000).await.context("look for a time")?,
            };
            let from = since.map_or(high, |since| since.get());
            consumer.start(&at, StartAt::Offset(kafka_pipeline::NextOffset(from))).context("start reading")?;
            next.insert(at.partition, from);
        }
        let (topic, sources) = (topic.to_owned(), BTreeMap::new());
        Ok(Self { shared, consumer, events, reader, topic, next, sources, adopts: false })
    }

    /// Also follows what an earlier run sent.
    pub(crate) fn adopting(self) -> Self {
        Self { adopts: true, ..self }
    }

    /// Follows until the consumer fails.
    ///
    /// # Errors
    /// What ended the consumer; begin anew then.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                event = self.events.recv() => match event {
                    Some(Ok(Event::Records(block))) => self.read(&block).await?,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error).context("read decisions"),
                    None => return Err(anyhow!("the consumer of decisions has ended")),
                },
                _ = looks.tick() => self.look().await,
            }
        }
    }

    async fn read(&mut self, block: &RecordBlock) -> anyhow::Result<()> {
        for record in block.iter() {
            let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
            let Some((number, payload)) = key.and_then(|key| self.shared.device(key)).zip(record.payload) else {
                continue;
            };
            match self.reader.read(payload).await {
                Ok(decided)
                    if counts(decided.decision_offset, record.offset)
                        && self.shared.devices.get(number) == Some(&decided.device_id) =>
                {
                    self.judge(number, &decided)
                }
                Ok(_) => {}
                Err(CodecError::Poison(poison)) => tracing::warn!(%poison, "a decision cannot be read"),
                Err(error) => return Err(error).context("read a decision"),
            }
        }
        self.next.insert(block.partition(), block.next_offset().get());
        Ok(())
    }

    fn judge(&mut self, device: usize, decided: &Decided) {
        metrics::rejected(decided.rejections.len());
        for reading in decided.readings.iter().filter(|reading| reading.channel == CHANNEL) {
            let id = Id { start: reading.start, device };
            if self.adopts {
                self.shared.ledger().adopt(id, now());
            }
            let sources = self.sources.entry(id).or_default();
            sources.insert((decided.source_partition, decided.source_offset));
            let copies = u32::try_from(sources.len()).unwrap_or(u32::MAX);
            self.shared.saw(Stage::Topic, id, reading.value, copies);
        }
    }

    /// Tells of each partition whose end is reached that everything in it was seen.
    async fn look(&mut self) {
        let oldest = self.shared.ledger().oldest().unwrap_or(i64::MAX);
        self.sources.retain(|id, _| id.start >= oldest);
        for (partition, next) in &self.next {
            let (at, began) = (TopicPartition::new(self.topic.as_str(), *partition), now());
            match self.consumer.watermarks(&at).await {
                Ok((_, high)) if high <= *next => {
                    self.shared.looked(Stage::Topic, usize::try_from(*partition).ok(), began);
                }
                // Behind the end: what is missing may still come.
                Ok(_) => {}
                Err(error) => self.shared.failed(Stage::Topic, &anyhow::Error::new(error).context("ask for the end")),
            }
        }
    }
}

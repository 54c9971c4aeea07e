//! Reads the dead-letter topic.

use anyhow::Context;
use chrono::{DateTime, Utc};
use kafka_pipeline::{
    Admin, AdminError, Consumer, ConsumerConfig, KafkaConfig, NextOffset, RecordBlock, StartAt, TopicPartition,
    read_tail,
};

/// The dead-letter topic of a cluster.
#[derive(Debug)]
pub(crate) struct Letters<'a> {
    /// Cluster.
    pub kafka: &'a KafkaConfig,
    /// Topic.
    pub topic: &'a str,
}

/// What there is at an offset.
#[derive(Debug)]
pub(crate) enum Found {
    /// A record, the first of the block.
    Record(RecordBlock),
    /// None; why.
    Nothing(String),
}

impl Letters<'_> {
    /// The partitions with their low and high watermarks.
    ///
    /// # Errors
    /// When no broker answers or the topic does not exist.
    pub(crate) async fn partitions(&self) -> anyhow::Result<Vec<(i32, i64, i64)>> {
        let admin = Admin::connect(self.kafka).await.context("connect to kafka")?;
        match admin.watermarks(self.topic).await {
            Err(AdminError::UnknownTopic(topic)) => anyhow::bail!("topic {topic} does not exist"),
            other => other.with_context(|| format!("ask for the watermarks of {}", self.topic)),
        }
    }

    /// Hands over every block of a partition, from the first record of that time to the present end; returns that end.
    ///
    /// # Errors
    /// When brokers do not answer, or `each` fails.
    pub(crate) async fn scan(
        &self,
        partition: i32,
        since: Option<DateTime<Utc>>,
        mut each: impl AsyncFnMut(&RecordBlock) -> anyhow::Result<()>,
    ) -> anyhow::Result<NextOffset> {
        let at = TopicPartition::new(self.topic, partition);
        let read = || format!("read {at}");
        // When all records are older there is nothing to read, but an end.
        let from = self.start(&at, since).await.with_context(read)?.unwrap_or(StartAt::End);
        let mut tail = read_tail(self.kafka, &at, from).await.with_context(read)?;
        let mut end = tail.end();
        while let Some(block) = tail.next().await.with_context(read)? {
            each(&block).await?;
            end = end.max(block.next_offset());
        }
        Ok(end)
    }

    /// Where the records of that time begin; `None` when all are older.
    async fn start(&self, at: &TopicPartition, since: Option<DateTime<Utc>>) -> anyhow::Result<Option<StartAt>> {
        let Some(since) = since else { return Ok(Some(StartAt::Beginning)) };
        let config = ConsumerConfig { lag_interval: std::time::Duration::ZERO, ..ConsumerConfig::default() };
        let (consumer, _events) = Consumer::assign_later(self.kafka, config, [at])?;
        let first = consumer.offset_at(at, since.timestamp_millis().max(0)).await?;
        Ok(first.map(StartAt::Offset))
    }

    /// Reads the record at an offset.
    ///
    /// # Errors
    /// When brokers do not answer or the topic does not exist.
    pub(crate) async fn at(&self, partition: i32, offset: i64) -> anyhow::Result<Found> {
        let partitions = self.partitions().await?;
        let Some((_, low, high)) = partitions.iter().find(|(number, ..)| *number == partition) else {
            return Ok(Found::Nothing(format!("{} has {} partitions, counted from 0", self.topic, partitions.len())));
        };
        if offset < *low {
            return Ok(Found::Nothing(format!("partition {partition} begins at offset {low}: retention has taken it")));
        }
        if offset >= *high {
            return Ok(Found::Nothing(format!("partition {partition} ends before offset {high}")));
        }
        let at = TopicPartition::new(self.topic, partition);
        let read = || format!("read {at} from offset {offset}");
        let mut tail = read_tail(self.kafka, &at, StartAt::Offset(NextOffset(offset))).await.with_context(read)?;
        match tail.next().await.with_context(read)? {
            Some(block) if block.first_offset() == offset => Ok(Found::Record(block)),
            _ => Ok(Found::Nothing(format!("partition {partition} has no record at offset {offset}"))),
        }
    }
}

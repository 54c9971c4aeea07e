//! Looks in the topics for the messages of a request whose owner died: which of them did the broker take?

use super::publish::Outgoing;
use crate::{
    core::once::{Found, TAG_HEADER},
    metrics,
};
use anyhow::Context;
use kafka_pipeline::{
    Admin, Consumer, ConsumerConfig, KafkaConfig, NextOffset, StartAt, TopicPartition, partition_of, read_tail,
};
use std::{collections::BTreeSet, time::Duration};

/// How much older than the claim a message may look: how far the broker's clock may be behind ours, where the topic takes
/// the broker's time.
const SLACK_MS: i64 = 60_000;

/// The messages of a request that are stored already.
///
/// Reads, in each partition that the request's keys go to, from the first message with a time not before the claim, until
/// all are found or the end as it is now is reached. Holds one block at a time.
///
/// # Errors
/// When the broker does not answer.
pub(crate) async fn stored(
    kafka: &KafkaConfig,
    request: &str,
    messages: &[Outgoing],
    claimed_at_ms: i64,
) -> anyhow::Result<Found> {
    let mut found = Found::new(request, messages.len());
    let admin = Admin::connect(kafka).await.context("connect to kafka")?;
    let topics: BTreeSet<&str> = messages.iter().map(|message| &*message.topic).collect();
    for topic in topics {
        let marks = admin.watermarks(topic).await.with_context(|| format!("ask for the partitions of {topic}"))?;
        let partitions = i32::try_from(marks.len()).context("count partitions")?;
        let keys = messages.iter().filter(|message| &*message.topic == topic);
        let wanted: BTreeSet<i32> = keys.map(|message| partition_of(message.key.as_bytes(), partitions)).collect();
        for (partition, _, high) in marks.into_iter().filter(|(partition, ..)| wanted.contains(partition)) {
            let at = TopicPartition::new(topic, partition);
            search(kafka, &at, high, claimed_at_ms - SLACK_MS, &mut found).await?;
            if found.is_complete() {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

async fn search(
    kafka: &KafkaConfig,
    at: &TopicPartition,
    high: i64,
    from_ms: i64,
    found: &mut Found,
) -> anyhow::Result<()> {
    let Some(from) = first_since(kafka, at, from_ms).await? else { return Ok(()) };
    if from.get() >= high {
        return Ok(());
    }
    let mut blocks = read_tail(kafka, at, StartAt::Offset(from)).await.with_context(|| format!("read {at}"))?;
    while let Some(block) = blocks.next().await.with_context(|| format!("read {at}"))? {
        metrics::searched(block.len());
        block.iter().for_each(|record| record.header(TAG_HEADER).into_iter().for_each(|tag| found.observe(tag)));
        if found.is_complete() {
            break;
        }
    }
    Ok(())
}

/// The first message that is not older; `None` when all are.
async fn first_since(kafka: &KafkaConfig, at: &TopicPartition, from_ms: i64) -> anyhow::Result<Option<NextOffset>> {
    let settings = ConsumerConfig { lag_interval: Duration::ZERO, ..ConsumerConfig::default() };
    let (consumer, _events) = Consumer::assign_later(kafka, settings, [at])?;
    consumer.offset_at(at, from_ms).await.with_context(|| format!("look for the time of the claim in {at}"))
}

//! Where a partition goes on, and what it remembers: both from the tail of its own output.

use std::time::Instant;

use kafka_pipeline::{BatchDecoder, NextOffset, StartAt, TopicPartition, read_tail};
use meterway_schemas::VALIDATED_BATCH;

use super::line::{Line, LineError};
use super::memory::Held;
use crate::core::block::{Claim, Learning, learn};
use crate::core::checkpoint::{Checkpoint, OwnOutput, Resume, further_back, resume, tail_from};
use crate::core::decide::Validator;
use crate::core::replay::{Turn, Turns};
use crate::metrics;

/// A partition ready to go on.
pub(crate) struct Resumed {
    /// With the history of the decisions so far.
    pub(crate) validator: Validator,
    /// Where to begin in the raw partition.
    pub(crate) start: StartAt,
    /// The output behind the decisions that the history is from.
    pub(crate) output: OwnOutput,
    /// On the replay lane, the message that was judged last.
    pub(crate) newest: Option<Turn>,
    /// The history's share of the memory.
    pub(crate) memory: Held,
}

/// Reads the tail of a partition's output and finds where to go on. Cancel safe: it changes nothing outside.
pub(crate) async fn resume_partition(line: &Line, partition: i32) -> Result<Resumed, LineError> {
    let began = Instant::now();
    let memory = line.memory.hold();
    let mut validator = Validator::with_rules(line.settings, line.rules);
    validator.limit_memory(line.memory.share());
    let mut turns = Turns::default();
    let (checkpoint, output, learning) = rebuild(line, partition, &mut validator, &mut turns).await?;
    metrics::rebuilt(learning, began.elapsed());
    let raw = TopicPartition::new(line.topics.raw.as_str(), partition);
    let (low, high) = line.watermarks(&raw).await?;
    let committed = match checkpoint.next() {
        None => line.consumer.committed(&raw).await?.map(NextOffset::get),
        Some(_) => None,
    };
    let start = match resume(checkpoint, committed, low, high)? {
        Resume::At(offset) => StartAt::Offset(NextOffset(offset)),
        Resume::Fresh => StartAt::Beginning,
        Resume::Lost { at, count } => {
            metrics::lost(count);
            tracing::error!(
                kafka.topic = &*raw.topic,
                kafka.partition = partition,
                kafka.offset = at,
                records = count,
                "raw messages were removed before they were decided"
            );
            StartAt::Offset(NextOffset(at))
        }
    };
    if let StartAt::Offset(NextOffset(offset)) = start {
        metrics::resumed(partition, offset);
    }
    tracing::info!(
        kafka.partition = partition, start = ?start, raw.end = high, decisions = learning.decisions,
        repeated = learning.repeated, history.bytes = validator.history().bytes(),
        duration_ms = began.elapsed().as_millis() as u64, "partition resumes"
    );
    Ok(Resumed { validator, start, output, newest: turns.newest(), memory })
}

async fn rebuild(
    line: &Line,
    partition: i32,
    validator: &mut Validator,
    turns: &mut Turns,
) -> Result<(Checkpoint, OwnOutput, Learning), LineError> {
    let at = TopicPartition::new(line.topics.validated.as_str(), partition);
    let (low, high) = line.watermarks(&at).await?;
    let mut from = tail_from(low, high, line.window_messages);
    let mut decoder = BatchDecoder::new(line.registry.clone(), VALIDATED_BATCH.avsc)?;
    let (checkpoint, learned, end) = loop {
        let (mut checkpoint, mut learned) = (Checkpoint::default(), Learning::default());
        let mut tail = read_tail(&line.kafka, &at, StartAt::Offset(NextOffset(from))).await?;
        let mut end = tail.end().get();
        while let Some(block) = tail.next().await? {
            end = end.max(block.next_offset().get());
            let decoded = line.decode(&mut decoder, &block).await?;
            let holds = |claim: Claim| {
                let offset = block.get(claim.record).offset;
                checkpoint.observe(claim.source_offset, claim.decision_offset, offset).holds()
            };
            let learning = learn(validator, &decoded, partition, turns, holds)?;
            learned.decisions += learning.decisions;
            learned.repeated += learning.repeated;
            learned.unreadable += learning.unreadable;
            // A large window is a second of pure computing: let others run in between.
            tokio::task::yield_now().await;
        }
        // Nothing held, so nothing was learned that would be learned twice.
        match further_back(checkpoint, low, from, high) {
            Some(further) => from = further,
            None => break (checkpoint, learned, end),
        }
    };
    if learned.unreadable > 0 {
        tracing::error!(
            kafka.topic = &*at.topic,
            kafka.partition = partition,
            records = learned.unreadable,
            "output holds records that are no decisions"
        );
        if learned.decisions == 0 {
            return Err(LineError::NoDecision { at, records: learned.unreadable });
        }
    }
    Ok((checkpoint, OwnOutput::from_end(end), learned))
}

//! Where a partition goes on, and what it remembers: both from the tail of its own output.

use std::time::Instant;

use kafka_pipeline::{BatchDecoder, NextOffset, StartAt, TopicPartition, read_tail};
use meterway_schemas::VALIDATED_BATCH;

use super::line::{Line, LineError};
use super::memory::Held;
use crate::core::block::{Learning, learn};
use crate::core::checkpoint::{Checkpoint, OwnOutput, Place, RawLog, Resume, SOURCE_TOPIC_ID, resume, tail_from};
use crate::core::decide::Validator;
use crate::core::replay::{Turn, Turns};
use crate::metrics;

/// A partition ready to go on.
pub(crate) struct Resumed {
    /// With the history of the decisions so far.
    pub(crate) validator: Validator,
    /// Where to begin in the raw partition.
    pub(crate) start: NextOffset,
    /// First of the offsets before the start that were removed undecided.
    pub(crate) lost_from: Option<i64>,
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
    let tail = rebuild(line, partition, &mut validator, &mut turns).await?;
    metrics::rebuilt(tail.learning, began.elapsed());
    let raw = TopicPartition::new(line.topics.raw.as_str(), partition);
    let (low, high) = line.watermarks(&raw).await?;
    let log = RawLog { topic_id: &line.raw_id, low, high };
    let (start, lost_from) = match resume(tail.checkpoint, tail.stamped.as_deref(), log)? {
        Resume::At(offset) => (offset, None),
        Resume::Fresh { at } => {
            note_group(line, &raw, at).await?;
            (at, None)
        }
        Resume::Lost { from, at } => {
            note_loss(&raw, from, at);
            (at, Some(from))
        }
    };
    metrics::resumed(partition, start);
    tracing::info!(
        kafka.partition = partition,
        start,
        raw.end = high,
        decisions = tail.learning.decisions,
        repeated = tail.learning.repeated,
        history.bytes = validator.history().bytes(),
        duration_ms = began.elapsed().as_millis() as u64,
        "partition resumes"
    );
    let (start, newest) = (NextOffset(start), turns.newest());
    Ok(Resumed { validator, start, lost_from, output: tail.output, newest, memory })
}

/// Says so when messages are decided that the group has passed already.
async fn note_group(line: &Line, raw: &TopicPartition, at: i64) -> Result<(), LineError> {
    if let Some(NextOffset(committed)) = line.consumer.committed(raw).await?
        && committed > at
    {
        tracing::warn!(
            kafka.topic = &*raw.topic,
            kafka.partition = raw.partition,
            kafka.offset = at,
            committed,
            "there are no decisions although messages were decided before: deciding them again from the first one left"
        );
    }
    Ok(())
}

fn note_loss(raw: &TopicPartition, from: i64, at: i64) {
    metrics::lost(at - from);
    tracing::error!(
        kafka.topic = &*raw.topic,
        kafka.partition = raw.partition,
        kafka.offset = at,
        records = at - from,
        "raw messages were removed before they were decided; see docs/runbooks/retention-overrun.md"
    );
}

/// What the tail of an output says.
struct Tail {
    checkpoint: Checkpoint,
    output: OwnOutput,
    learning: Learning,
    /// The raw topic that the newest decisions say they are about.
    stamped: Option<String>,
}

async fn rebuild(line: &Line, partition: i32, validator: &mut Validator, turns: &mut Turns) -> Result<Tail, LineError> {
    let at = TopicPartition::new(line.topics.validated.as_str(), partition);
    let (low, high) = line.watermarks(&at).await?;
    let from = tail_from(low, high, line.window_messages);
    let mut tail = read_tail(&line.kafka, &at, StartAt::Offset(NextOffset(from))).await?;
    let mut decoder = BatchDecoder::new(line.registry.clone(), VALIDATED_BATCH.avsc)?;
    let (mut checkpoint, mut learned) = (Checkpoint::default(), Learning::default());
    let mut end = tail.end().get();
    let mut stamped = None;
    while let Some(block) = tail.next().await? {
        end = end.max(block.next_offset().get());
        for record in block.iter() {
            if let Some(id) = record.header(SOURCE_TOPIC_ID) {
                stamped = Some(String::from_utf8_lossy(id).into_owned());
            }
        }
        let decoded = line.decode(&mut decoder, &block).await?;
        let first = |offset| matches!(checkpoint.observe(offset), Place::First { .. });
        let learning = learn(validator, &decoded, partition, turns, first)?;
        learned.decisions += learning.decisions;
        learned.repeated += learning.repeated;
        learned.unreadable += learning.unreadable;
        // A large window is a second of pure computing: let others run in between.
        tokio::task::yield_now().await;
    }
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
    Ok(Tail { checkpoint, output: OwnOutput::from_end(end), learning: learned, stamped })
}

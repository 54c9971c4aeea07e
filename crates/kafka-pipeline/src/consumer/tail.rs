//! A bounded read: everything from a position to the end of a partition as it stood at the call.

use std::time::Duration;

use super::{Consumer, ConsumerConfig, ConsumerError, Event, Events, OffsetReset, StartAt};
use crate::config::KafkaConfig;
use crate::record::{NextOffset, RecordBlock, TopicPartition};

/// Blocks of a bounded read, oldest first; ends by itself.
#[derive(Debug)]
pub struct TailBlocks {
    consumer: Consumer,
    events: Events,
    end: NextOffset,
    finished: bool,
}

/// Reads a partition from a position up to its end at the time of the call (its high watermark). For rebuilding state
/// from an own output partition, for tables and for verification.
///
/// # Errors
/// [`ConsumerError::Query`] when the end cannot be found out; otherwise as [`Consumer::assign`].
pub async fn read_tail(kafka: &KafkaConfig, at: &TopicPartition, from: StartAt) -> Result<TailBlocks, ConsumerError> {
    let config = ConsumerConfig {
        partition_eof: true,
        reset: OffsetReset::Error,
        lag_interval: Duration::ZERO,
        block_wait: Duration::from_millis(5),
        ..ConsumerConfig::default()
    };
    // The end must be known before the reading begins: the end that the reading meets first may lie before it.
    let (consumer, events) = Consumer::assign_later(kafka, config, [at])?;
    let (low, high) = consumer.watermarks(at).await?;
    let from = if from == StartAt::Beginning { StartAt::Offset(NextOffset(low)) } else { from };
    let empty = low >= high || matches!(from, StartAt::Offset(next) if next.0 >= high) || from == StartAt::End;
    if !empty {
        consumer.start(at, from)?;
    }
    Ok(TailBlocks { consumer, events, end: NextOffset(high), finished: empty })
}

impl TailBlocks {
    /// The end of the read: the offset that the first record after the call got or will get.
    #[must_use]
    pub fn end(&self) -> NextOffset {
        self.end
    }

    /// The next block; `None` at the end. The last block may hold records written after the call.
    ///
    /// # Errors
    /// What [`Events::recv`] reports, and [`ConsumerError::Closed`] when the consumer ends before the end was reached.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn next(&mut self) -> Result<Option<RecordBlock>, ConsumerError> {
        while !self.finished {
            match self.events.recv().await {
                Some(Ok(Event::Records(block))) => {
                    self.finished = block.next_offset() >= self.end;
                    return Ok(Some(block));
                }
                // Also reached when the last offsets before the end hold no record, as after compaction.
                Some(Ok(Event::PartitionEof(..))) => self.finished = true,
                Some(Ok(Event::Assigned(_) | Event::Revoked(..))) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(ConsumerError::Closed),
            }
        }
        self.consumer.handle.shared.close();
        Ok(None)
    }

    /// Reads everything into memory; for tails that are known to be small.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn collect(mut self) -> Result<Vec<RecordBlock>, ConsumerError> {
        let mut blocks = Vec::new();
        while let Some(block) = self.next().await? {
            blocks.push(block);
        }
        Ok(blocks)
    }
}

//! The read side of one partition inside the poll thread: what to accept, and the block that is being filled.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers};

use super::config::{ConsumerConfig, OffsetReset};
use super::context::Context;
use super::shared::{Content, Delivery, Slot};
use crate::core::position::{Admission, Epoch, Position};
use crate::metrics;
use crate::record::{NextOffset, RecordBlockBuilder, TopicPartition};

/// When a block is full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockLimits {
    pub(crate) bytes: usize,
    pub(crate) records: usize,
    pub(crate) wait: Duration,
    /// Whether the client may move a position that does not exist to an older one, as the reset policy says.
    pub(crate) may_go_back: bool,
}

impl From<&ConsumerConfig> for BlockLimits {
    fn from(config: &ConsumerConfig) -> Self {
        Self {
            bytes: config.block_bytes,
            records: config.block_records,
            wait: config.block_wait,
            may_go_back: config.reset != OffsetReset::Error,
        }
    }
}

/// What came of asking a partition's queue once.
pub(crate) enum Polled {
    Nothing,
    /// A record went into the open block.
    Taken,
    /// A record completed a block.
    Complete(Delivery),
    /// The end of the partition was reached.
    End,
    Failed(KafkaError),
}

pub(crate) struct Flow {
    pub(crate) at: TopicPartition,
    pub(crate) slot: Arc<Slot>,
    /// Left alone because the service said so.
    pub(crate) paused: bool,
    queue: PartitionQueue<Context>,
    intake: Intake,
}

/// The part of a flow that takes records.
struct Intake {
    at: TopicPartition,
    slot: Arc<Slot>,
    position: Position,
    builder: RecordBlockBuilder,
    opened: Instant,
}

impl Flow {
    pub(crate) fn new(at: TopicPartition, slot: Arc<Slot>, queue: PartitionQueue<Context>) -> Self {
        let builder = RecordBlockBuilder::at(at.clone());
        let intake = Intake {
            at: at.clone(),
            slot: Arc::clone(&slot),
            position: Position::default(),
            builder,
            opened: Instant::now(),
        };
        Self { at, slot, paused: false, queue, intake }
    }

    /// Accepts records from `lowest` on, under a new epoch; what was collected before is forgotten.
    pub(crate) fn begin(&mut self, epoch: Epoch, lowest: i64) {
        self.intake.position.begin(epoch, lowest);
        self.intake.builder.clear();
        self.slot.position.store(lowest, Ordering::Relaxed);
    }

    /// Offset expected next.
    pub(crate) fn next(&self) -> i64 {
        self.intake.position.next()
    }

    /// Takes what comes next in the client's queue of this partition, without waiting.
    pub(crate) fn poll(&mut self, limits: BlockLimits, now: Instant) -> Polled {
        if self.paused {
            return Polled::Nothing;
        }
        match self.queue.poll(Duration::ZERO) {
            None => Polled::Nothing,
            Some(Ok(message)) => self.intake.push(&message, limits, now).map_or(Polled::Taken, Polled::Complete),
            Some(Err(KafkaError::PartitionEOF(_))) => Polled::End,
            Some(Err(error)) => Polled::Failed(error),
        }
    }

    pub(crate) fn push(
        &mut self,
        message: &BorrowedMessage<'_>,
        limits: BlockLimits,
        now: Instant,
    ) -> Option<Delivery> {
        self.intake.push(message, limits, now)
    }

    pub(crate) fn take_due(&mut self, limits: BlockLimits, now: Instant) -> Option<Delivery> {
        self.intake.take_due(limits, now)
    }

    pub(crate) fn due_at(&self, limits: BlockLimits) -> Option<Instant> {
        self.intake.due_at(limits)
    }

    pub(crate) fn take_block(&mut self) -> Option<Delivery> {
        self.intake.take_block()
    }

    pub(crate) fn end(&self) -> Option<Delivery> {
        self.intake.end()
    }
}

impl Intake {
    /// Takes a record; returns a block when one is complete.
    fn push(&mut self, message: &BorrowedMessage<'_>, limits: BlockLimits, now: Instant) -> Option<Delivery> {
        let from = self.position.next();
        let before = match self.position.admit(message.offset(), limits.may_go_back) {
            Admission::NotStarted | Admission::LeftOver => return None,
            Admission::Next => None,
            Admission::WentBack => {
                tracing::warn!(partition = %self.at, from, to = message.offset(), "position was reset");
                self.take_block()
            }
        };
        if self.builder.is_empty() {
            self.opened = now;
        }
        if let Some(headers) = message.headers() {
            copy_headers(headers, &mut self.builder);
        }
        let timestamp_ms = message.timestamp().to_millis().unwrap_or(-1);
        self.builder.finish_record(message.offset(), timestamp_ms, message.key(), message.payload());
        let full = self.builder.bytes() >= limits.bytes || self.builder.len() >= limits.records;
        if full && before.is_none() { self.take_block() } else { before }
    }

    /// The open block, when its first record has waited long enough.
    fn take_due(&mut self, limits: BlockLimits, now: Instant) -> Option<Delivery> {
        if self.builder.is_empty() || now.duration_since(self.opened) < limits.wait { None } else { self.take_block() }
    }

    /// When the open block is due; `None` without one.
    fn due_at(&self, limits: BlockLimits) -> Option<Instant> {
        (!self.builder.is_empty()).then(|| self.opened + limits.wait)
    }

    /// The open block, as it is.
    fn take_block(&mut self) -> Option<Delivery> {
        let epoch = self.position.epoch()?;
        if self.builder.is_empty() {
            return None;
        }
        let block = self.builder.take();
        self.slot.position.store(block.next_offset().0, Ordering::Relaxed);
        Some(Delivery { slot: Arc::clone(&self.slot), epoch, content: Content::Records(block) })
    }

    /// The word that the end was reached, to go behind the records before it.
    fn end(&self) -> Option<Delivery> {
        let epoch = self.position.epoch()?;
        let content = Content::End(self.at.clone(), NextOffset(self.position.next().max(0)));
        Some(Delivery { slot: Arc::clone(&self.slot), epoch, content })
    }
}

fn copy_headers(headers: &BorrowedHeaders, builder: &mut RecordBlockBuilder) {
    for index in 0..headers.count() {
        // The client library panics on a header name that is not UTF-8. Any producer can send one, and a panic would stop
        // this consumer on that record for ever.
        let header = catch_unwind(AssertUnwindSafe(|| headers.try_get(index)));
        match header {
            Ok(Some(header)) => builder.push_header(header.key, header.value),
            Ok(None) => {}
            Err(_) => {
                metrics::unreadable_headers();
                builder.push_header("\u{fffd}", None);
            }
        }
    }
}

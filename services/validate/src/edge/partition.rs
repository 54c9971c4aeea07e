//! One assigned partition: blocks in, decisions out, in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_pipeline::{
    BatchDecoder, Delivered, DeliveryError, DeliveryReceipt, NextOffset, ProducerRecord, RecordBlock, TopicPartition,
};
use meterway_schemas::READING_BATCH;
use service_runtime::fail_point;
use tokio_util::sync::CancellationToken;

use super::line::{Line, LineError};
use super::memory::Held;
use super::queue::BlockReceiver;
use super::resume::{Resumed, resume_partition};
use crate::config::Lane;
use crate::core::block::{BlockDecider, DecidedBlock, has_unknown_device};
use crate::core::flight::{Flight, Sent};
use crate::metrics;

/// Blocks whose decisions may be under way at once. The producer's queue is bounded too; this bounds what a crash repeats.
const MAX_IN_FLIGHT: usize = 64;

/// Works on a partition until it is stopped.
pub(crate) struct PartitionWorker {
    pub(crate) line: Arc<Line>,
    /// Partition of the raw topic.
    pub(crate) at: TopicPartition,
    pub(crate) blocks: BlockReceiver,
    pub(crate) stop: CancellationToken,
}

impl PartitionWorker {
    /// Resumes the partition and decides about its messages. After `stop` it waits a bounded time for decisions under way
    /// and returns the next offset to decide, as far as it is known to be delivered.
    pub(crate) async fn run(mut self) -> Result<Option<NextOffset>, LineError> {
        let stop = self.stop.clone();
        let resumed = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            resumed = resume_partition(&self.line, self.at.partition) => resumed?,
        };
        let mut writer = Writer::new(&self, resumed)?;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                delivered = writer.next_delivered(), if writer.flight.is_busy() => writer.advance(delivered?).await?,
                block = self.blocks.recv(), if !writer.flight.is_full() => match block {
                    Some(block) => tokio::select! {
                        biased;
                        // What was sent of the block is a prefix of its decisions, which is all that a successor needs.
                        () = stop.cancelled() => break,
                        processed = writer.process(&block) => processed?,
                    },
                    None => break,
                },
            }
        }
        writer.drain().await
    }
}

/// Decides and writes.
struct Writer {
    line: Arc<Line>,
    at: TopicPartition,
    decoder: BatchDecoder,
    decider: BlockDecider,
    decided: DecidedBlock,
    flight: Flight,
    /// Of the last decision of each block of the flight.
    receipts: VecDeque<DeliveryReceipt>,
    _memory: Held,
}

impl Writer {
    fn new(worker: &PartitionWorker, resumed: Resumed) -> Result<Self, LineError> {
        let line = Arc::clone(&worker.line);
        let decoder = BatchDecoder::new(line.registry.clone(), READING_BATCH.avsc)?;
        line.consumer.start(&worker.at, resumed.start)?;
        let decider = BlockDecider::new(resumed.validator, line.schema_id, resumed.output.next());
        Ok(Self {
            decider: match line.lane {
                Lane::Live => decider,
                Lane::Replay => decider.on_the_replay_lane(resumed.newest),
            },
            decoder,
            line,
            at: worker.at.clone(),
            decided: DecidedBlock::default(),
            flight: Flight::new(resumed.output, MAX_IN_FLIGHT),
            receipts: VecDeque::new(),
            _memory: resumed.memory,
        })
    }

    /// Decides about a block and sends the decisions, dead letters first.
    async fn process(&mut self, block: &RecordBlock) -> Result<(), LineError> {
        let decoded = self.line.decode(&mut self.decoder, block).await?;
        let unknown = has_unknown_device(&decoded, &self.line.devices.table())?;
        if unknown {
            self.line.devices.refresh().await;
        }
        let began = Instant::now();
        let now = self.line.clock.now_micros();
        self.decider.limit_memory(self.line.memory.share());
        {
            let devices = self.line.devices.table();
            self.decider.decide(&devices, now, (block, &decoded), &mut self.decided)?;
        }
        metrics::block_decided(&self.decided.tally, began.elapsed());
        metrics::replayed(&self.decided.outcomes);
        metrics::history(self.at.partition, self.decider.validator().history());
        self.send_dead_letters(block).await?;
        self.send_decisions(block).await
    }

    /// Copies what is rejected, and waits until it is stored: a decision must not claim what is not so.
    async fn send_dead_letters(&self, block: &RecordBlock) -> Result<(), LineError> {
        if self.decided.dead_letters.is_empty() {
            return Ok(());
        }
        let group = self.line.producer.group();
        for letter in &self.decided.dead_letters {
            let record = block.get(letter.record);
            let code = letter.code.as_str();
            self.line.dead_letters.send_in(&group, &record, &self.at, code, &letter.message).await?;
        }
        group.delivered().await?;
        fail_point("validate.after_dead_letters").await;
        Ok(())
    }

    async fn send_decisions(&mut self, block: &RecordBlock) -> Result<(), LineError> {
        let group = self.line.producer.group();
        let decisions = self.decided.decisions().len();
        for (number, (record, bytes)) in self.decided.decisions().enumerate() {
            let raw = block.get(record);
            let decision = ProducerRecord {
                topic: &self.line.topics.validated,
                partition: Some(self.at.partition),
                key: raw.key,
                payload: Some(bytes),
                ..ProducerRecord::default()
            };
            if number + 1 < decisions {
                group.send(decision).await?;
            } else {
                let receipt = self.line.producer.send(decision).await?;
                self.receipts.push_back(receipt);
                let next = block.next_offset().get();
                self.flight.sent(Sent { decisions, next, timestamp_ms: raw.timestamp_ms });
            }
        }
        fail_point("validate.after_send").await;
        Ok(())
    }

    /// Waits for the oldest block under way; for ever when there is none. Cancel safe.
    async fn next_delivered(&mut self) -> Result<Delivered, DeliveryError> {
        match self.receipts.front_mut() {
            Some(oldest) => oldest.await,
            None => std::future::pending().await,
        }
    }

    /// Notes that the oldest block under way was delivered.
    async fn advance(&mut self, delivered: Delivered) -> Result<(), LineError> {
        self.receipts.pop_front();
        let Some(block) = self.flight.delivered(delivered.offset)? else { return Ok(()) };
        fail_point("validate.after_delivery").await;
        self.line.consumer.commit(&[(self.at.clone(), NextOffset(block.next))]);
        let now_ms = self.line.clock.now_micros() / 1_000;
        let delay_ms = u64::try_from(now_ms - block.timestamp_ms).unwrap_or(0);
        metrics::delay(self.at.partition, Duration::from_millis(delay_ms));
        Ok(())
    }

    /// Waits for what is under way, but not longer than the rebalance may take.
    async fn drain(mut self) -> Result<Option<NextOffset>, LineError> {
        let deadline = self.line.drain_timeout;
        let drained = tokio::time::timeout(deadline, async {
            while self.flight.is_busy() {
                let delivered = self.next_delivered().await?;
                self.advance(delivered).await?;
            }
            Ok::<(), LineError>(())
        });
        match drained.await {
            Ok(drained) => drained?,
            Err(_elapsed) => tracing::warn!(
                kafka.partition = self.at.partition,
                blocks = self.flight.len(),
                "abandon decisions under way: the next owner finds those that arrived"
            ),
        }
        metrics::history_released(self.at.partition);
        Ok(self.flight.done().map(NextOffset))
    }
}

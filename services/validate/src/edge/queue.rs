//! Blocks on their way to a partition: bounded by pausing the partition, never by making the other partitions wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_pipeline::{Consumer, RecordBlock, TopicPartition};
use tokio::sync::mpsc;

/// Pauses and resumes a partition. The consumer, or a test's double.
pub(crate) trait Valve: Send + Sync {
    /// Stops fetching.
    fn pause(&self);
    /// Fetches again.
    fn resume(&self);
}

/// The valve of a partition of a consumer.
pub(crate) struct ConsumerValve {
    pub(crate) consumer: Consumer,
    pub(crate) at: TopicPartition,
}

impl Valve for ConsumerValve {
    fn pause(&self) {
        // A closed consumer fetches nothing; its events tell the assignment.
        let _closed = self.consumer.pause(&self.at);
    }

    fn resume(&self) {
        let _closed = self.consumer.resume(&self.at);
    }
}

#[derive(Debug, Default)]
struct Level {
    blocks: usize,
    paused: bool,
}

struct Gate {
    limit: usize,
    level: Mutex<Level>,
    valve: Box<dyn Valve>,
}

impl Gate {
    /// The valve is turned under the lock, so that it ends up as the level says.
    fn level(&self) -> MutexGuard<'_, Level> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that blocks enter by.
pub(crate) struct BlockSender {
    gate: Arc<Gate>,
    blocks: mpsc::UnboundedSender<RecordBlock>,
}

/// The end that blocks leave by.
pub(crate) struct BlockReceiver {
    gate: Arc<Gate>,
    blocks: mpsc::UnboundedReceiver<RecordBlock>,
}

/// A queue that pauses its partition at `limit` blocks. What the consumer had fetched before still enters, so it holds at
/// most `limit` and the consumer's own queue.
pub(crate) fn queue(limit: usize, valve: Box<dyn Valve>) -> (BlockSender, BlockReceiver) {
    let gate = Arc::new(Gate { limit: limit.max(1), level: Mutex::default(), valve });
    let (tx, rx) = mpsc::unbounded_channel();
    (BlockSender { gate: Arc::clone(&gate), blocks: tx }, BlockReceiver { gate, blocks: rx })
}

impl BlockSender {
    /// Queues a block. One whose receiver has ended is dropped: its partition has ended too.
    pub(crate) fn send(&self, block: RecordBlock) {
        let mut level = self.gate.level();
        level.blocks += 1;
        if level.blocks >= self.gate.limit && !level.paused {
            level.paused = true;
            self.gate.valve.pause();
        }
        let _ended = self.blocks.send(block);
    }
}

impl BlockReceiver {
    /// The next block; `None` when the sender is gone and all were taken. Cancel safe.
    pub(crate) async fn recv(&mut self) -> Option<RecordBlock> {
        let block = self.blocks.recv().await?;
        let mut level = self.gate.level();
        level.blocks -= 1;
        if level.paused && level.blocks <= self.gate.limit / 2 {
            level.paused = false;
            self.gate.valve.resume();
        }
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_pipeline::RecordBlockBuilder;

    #[derive(Default, Clone)]
    struct Recorded(Arc<Mutex<Vec<&'static str>>>);

    impl Valve for Recorded {
        fn pause(&self) {
            self.0.lock().unwrap().push("pause");
        }

        fn resume(&self) {
            self.0.lock().unwrap().push("resume");
        }
    }

    #[tokio::test]
    async fn full_queue_pauses_its_partition_until_it_is_half_empty() {
        let valve = Recorded::default();
        let (tx, mut rx) = queue(4, Box::new(valve.clone()));
        let block = || RecordBlockBuilder::new("t", 0).build();
        (0..3).for_each(|_| tx.send(block()));
        assert_eq!(*valve.0.lock().unwrap(), Vec::<&str>::new());
        (0..3).for_each(|_| tx.send(block()));
        assert_eq!(*valve.0.lock().unwrap(), ["pause"], "what was fetched before still enters");
        for _ in 0..3 {
            rx.recv().await;
        }
        assert_eq!(*valve.0.lock().unwrap(), ["pause"]);
        rx.recv().await;
        assert_eq!(*valve.0.lock().unwrap(), ["pause", "resume"]);
        drop(tx);
        rx.recv().await;
        rx.recv().await;
        assert!(rx.recv().await.is_none());
    }
}

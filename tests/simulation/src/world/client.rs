//! The consuming side of a process: what was fetched ahead, behind the real fence of `kafka-pipeline`.

use std::collections::{BTreeMap, VecDeque};

use kafka_pipeline::core::position::{Admission, Epoch, Position};

use super::log::{Log, OutOfRange};

/// Blocks that may wait.
const QUEUE: usize = 3;

/// Records of one partition, `from..to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Partition.
    pub partition: usize,
    /// First offset.
    pub from: i64,
    /// Offset behind the last.
    pub to: i64,
    /// Which topic of that name.
    pub generation: usize,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Client {
    epochs: BTreeMap<usize, Epoch>,
    positions: BTreeMap<usize, (Position, usize)>,
    queue: VecDeque<(Epoch, Block)>,
}

impl Client {
    /// Says where a partition begins. Nothing that was fetched before comes out any more.
    pub fn start(&mut self, partition: usize, at: i64, generation: usize) {
        let epoch = self.renew(partition);
        let (position, topic) = self.positions.entry(partition).or_default();
        position.begin(epoch, at);
        *topic = generation;
    }

    /// The partition has left.
    pub fn stop(&mut self, partition: usize) {
        self.renew(partition);
        self.positions.remove(&partition);
    }

    fn renew(&mut self, partition: usize) -> Epoch {
        let epoch = self.epochs.entry(partition).or_default();
        *epoch = epoch.next();
        *epoch
    }

    /// Fetches the next records of one of the partitions; whether there were some. A topic that was created again is not
    /// read on.
    pub fn fetch<T>(&mut self, logs: &[Log<T>], generation: usize, n: u8) -> Result<bool, OutOfRange> {
        if self.queue.len() >= QUEUE || self.positions.is_empty() {
            return Ok(false);
        }
        let started = self.positions.len();
        for turn in 0..started {
            let partition = *self.positions.keys().nth((turn + usize::from(n)) % started).unwrap_or(&0);
            let (position, topic) = self.positions.entry(partition).or_default();
            let Some(epoch) = position.epoch() else { continue };
            if *topic != generation {
                return Err(OutOfRange);
            }
            let (from, log) = (position.next(), &logs[partition]);
            log.check(from)?;
            let to = log.high().min(from + 1 + i64::from(n % 5));
            if to > from {
                let taken = (from..to).all(|offset| position.admit(offset, false) == Admission::Next);
                debug_assert!(taken, "the log is read in order");
                self.queue.push_back((epoch, Block { partition, from, to, generation }));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The next block that still counts.
    pub fn receive(&mut self) -> Option<Block> {
        while let Some((epoch, block)) = self.queue.pop_front() {
            if self.epochs.get(&block.partition).is_some_and(|current| current.covers(epoch)) {
                return Some(block);
            }
        }
        None
    }
}

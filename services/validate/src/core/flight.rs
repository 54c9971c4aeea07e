//! Decisions on their way to the output: what is under way, and how far the source is done.
//!
//! Guarantees: the source is done up to an offset only when every decision before it was delivered, and the decisions
//! follow one another in the output; anything in between ends with [`Foreign`].

use std::collections::VecDeque;

use super::checkpoint::{Foreign, OwnOutput};

/// The decisions about one block of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// How many they are.
    pub decisions: usize,
    /// Offset of the source behind the block.
    pub next: i64,
    /// When the last message of the block was produced; milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
}

/// The blocks of one partition whose decisions are under way, oldest first.
#[derive(Debug)]
pub struct Flight {
    output: OwnOutput,
    under_way: VecDeque<Sent>,
    limit: usize,
    done: Option<i64>,
}

impl Flight {
    /// Nothing under way; decisions will follow the `output`. At most `limit` blocks shall be under way.
    pub fn new(output: OwnOutput, limit: usize) -> Self {
        Self { output, under_way: VecDeque::new(), limit, done: None }
    }

    /// Whether something is under way.
    pub fn is_busy(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Whether the next block has to wait.
    pub fn is_full(&self) -> bool {
        self.under_way.len() >= self.limit
    }

    /// Number of blocks under way.
    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Takes note that the decisions about a block were handed to the producer.
    pub fn sent(&mut self, block: Sent) {
        self.under_way.push_back(block);
    }

    /// Takes note that the last decision about the oldest block arrived at an offset of the output; returns that block.
    /// Those before it went to the same partition, so they arrived when it did.
    ///
    /// # Errors
    /// [`Foreign`] when something stands between our decisions.
    pub fn delivered(&mut self, offset: i64) -> Result<Option<Sent>, Foreign> {
        let Some(block) = self.under_way.pop_front() else { return Ok(None) };
        self.output.observe(block.decisions, offset)?;
        self.done = Some(block.next);
        Ok(Some(block))
    }

    /// Next offset of the source to decide, as far as it is known to be delivered; `None` when nothing was.
    pub fn done(&self) -> Option<i64> {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Blocks are sent and delivered in any rhythm: the source is done exactly up to the last delivered block, and never
        /// beyond a decision of somebody else.
        #[test]
        fn the_source_is_done_only_up_to_what_was_delivered(
            rhythm in prop::collection::vec((any::<bool>(), 1usize..4), 0..80), stranger in 0usize..60,
        ) {
            let mut flight = Flight::new(OwnOutput::from_end(0), 5);
            let (mut source, mut log, mut delivered) = (0i64, 0i64, 0usize);
            let mut expected = std::collections::VecDeque::new();
            for (send, decisions) in rhythm {
                if send && !flight.is_full() {
                    source += decisions as i64;
                    flight.sent(Sent { decisions, next: source, timestamp_ms: 0 });
                    expected.push_back((decisions, source));
                } else if let Some((decisions, next)) = expected.pop_front() {
                    log += decisions as i64;
                    delivered += 1;
                    if delivered == stranger {
                        log += 1;
                        let before = flight.done();
                        prop_assert!(flight.delivered(log - 1).is_err());
                        prop_assert_eq!(flight.done(), before);
                        break;
                    }
                    prop_assert_eq!(flight.delivered(log - 1).unwrap().map(|block| block.next), Some(next));
                    prop_assert_eq!(flight.done(), Some(next));
                }
                prop_assert_eq!(flight.len(), expected.len());
                prop_assert!(flight.len() <= 5);
            }
        }
    }
}

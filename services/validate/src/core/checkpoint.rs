//! The output is the checkpoint: where to go on after a restart stands in the last decisions.
//!
//! Guarantees, whatever writers crashed or lingered: if each writer starts behind the highest source offset that holds in
//! the output, writes without gaps from there, and says with each message which offset of the output it counts on, then
//! the messages that lie where they were to lie are the decisions: one about each source offset, in the order of the
//! offsets, none missing, and each made in knowledge of all before it. Every other message counts for nothing, for every
//! reader.
//!
//! Does not do: prevent a second writer. It notices one ([`Foreign`]), because its own messages then no longer follow one
//! another in the output, and none of them counts from there on.

use meterway_schemas::counts;

/// The highest source offset seen in an output partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkpoint {
    highest: Option<i64>,
}

/// How a message stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The decision about its source offset.
    First {
        /// Source offsets left out before it: records that the raw topic no longer had, or never (a transaction's marks).
        missing: i64,
    },
    /// About an offset that was decided before.
    Repeated,
    /// Not where its writer counted on: made without knowing what came between.
    Displaced,
}

impl Place {
    /// Whether the message is a decision.
    pub fn holds(self) -> bool {
        matches!(self, Self::First { .. })
    }
}

impl Checkpoint {
    /// Takes the next message of the log: what it is about, the offset that its writer counted on, and its offset.
    pub fn observe(&mut self, source_offset: i64, decision_offset: i64, offset: i64) -> Place {
        match self.highest {
            _ if !counts(decision_offset, offset) => Place::Displaced,
            Some(highest) if source_offset <= highest => Place::Repeated,
            before => {
                self.highest = Some(source_offset);
                Place::First { missing: before.map_or(0, |highest| source_offset - highest - 1) }
            }
        }
    }

    /// The source offset to decide next; `None` when there is no decision yet.
    pub fn next(&self) -> Option<i64> {
        self.highest.map(|highest| highest + 1)
    }
}

/// Where to begin reading an output that holds the offsets `[low, high)`, to see its last `window` messages.
pub fn tail_from(low: i64, high: i64, window: u32) -> i64 {
    low.max(high - i64::from(window))
}

/// Where to begin anew when no message of `[from, high)` was a decision: twice as far back, until there is nothing older.
pub fn further_back(checkpoint: Checkpoint, low: i64, from: i64, high: i64) -> Option<i64> {
    (checkpoint.next().is_none() && from > low).then(|| low.max(from - (high - from).max(1)))
}

/// Where to begin reading the raw partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Behind the last decision.
    At(i64),
    /// At the first record that is left: those before it were removed undecided.
    Lost {
        /// First record left.
        at: i64,
        /// How many offsets nobody decided about.
        count: i64,
    },
    /// Nothing was ever decided: at the beginning.
    Fresh,
}

/// The decisions don't belong to this raw partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "decisions reach source offset {decided}, but the raw partition ends at {end}: was the raw topic created anew?"
)]
pub struct Mismatch {
    /// Highest source offset decided.
    pub decided: i64,
    /// Next offset that the raw partition will assign.
    pub end: i64,
}

/// Finds where to begin in a raw partition that holds the offsets `[low, high)`. Without decisions the group's own position
/// is all there is: retention may have emptied the output.
///
/// # Errors
/// [`Mismatch`] when decisions exist about offsets that the partition has not reached.
pub fn resume(checkpoint: Checkpoint, committed: Option<i64>, low: i64, high: i64) -> Result<Resume, Mismatch> {
    match checkpoint.next().or(committed) {
        None => Ok(Resume::Fresh),
        Some(next) if next > high => Err(Mismatch { decided: next - 1, end: high }),
        Some(next) if next < low => Ok(Resume::Lost { at: low, count: low - next }),
        Some(next) => Ok(Resume::At(next)),
    }
}

/// Follows the offsets that our own decisions got in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnOutput {
    next: i64,
}

/// Somebody else wrote into the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another writer is active: our decision got offset {found}, expected {expected}")]
pub struct Foreign {
    /// Offset that our decision should have got.
    pub expected: i64,
    /// Offset that it got.
    pub found: i64,
}

impl OwnOutput {
    /// Starts at the end of the output that the state was rebuilt from.
    pub fn from_end(end: i64) -> Self {
        Self { next: end }
    }

    /// Offset of our next decision that is not known to have arrived.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Takes the delivery report of the last of the next `count` decisions. A negative offset means that the broker had
    /// it already and did not say where.
    ///
    /// # Errors
    /// [`Foreign`] when something stands between.
    pub fn observe(&mut self, count: usize, offset: i64) -> Result<(), Foreign> {
        self.next += count as i64;
        let expected = self.next - 1;
        if offset < 0 || offset == expected { Ok(()) } else { Err(Foreign { expected, found: offset }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What happens next in the model of one partition.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// A new writer reads the output and takes over; the old ones may linger.
        Start,
        /// One of the writers appends its next decision.
        Write(usize),
        /// One of the writers dies, with whatever it had not written.
        Crash(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => Just(Step::Start),
            6 => (0usize..4).prop_map(Step::Write),
            1 => (0usize..4).prop_map(Step::Crash),
        ]
    }

    /// A message as the model needs it.
    #[derive(Debug, Clone, Copy)]
    struct Message {
        source: i64,
        counts_on: i64,
        /// Number of the message before it in its writer's mind.
        behind: usize,
    }

    /// The numbers of the messages that hold, and the checkpoint behind them.
    fn decisions(log: &[Message]) -> (Vec<usize>, Checkpoint) {
        let mut checkpoint = Checkpoint::default();
        let holds = (0..log.len()).filter(|at| {
            let message = log[*at];
            checkpoint.observe(message.source, message.counts_on, *at as i64).holds()
        });
        (holds.collect(), checkpoint)
    }

    /// Before the first message.
    const NOTHING: usize = usize::MAX;

    proptest! {
        #[test]
        fn each_decision_follows_in_order_and_knows_all_before_it(steps in prop::collection::vec(step(), 0..200)) {
            let mut log: Vec<Message> = Vec::new();
            // What each writes next.
            let mut writers: Vec<Message> = Vec::new();
            for step in steps {
                match step {
                    Step::Start => {
                        let (holding, checkpoint) = decisions(&log);
                        let behind = holding.last().copied().unwrap_or(NOTHING);
                        let source = checkpoint.next().unwrap_or(0);
                        writers.push(Message { source, counts_on: log.len() as i64, behind });
                    }
                    Step::Write(which) if !writers.is_empty() => {
                        let which = which % writers.len();
                        let Message { source, counts_on, .. } = writers[which];
                        let behind = log.len();
                        log.push(writers[which]);
                        writers[which] = Message { source: source + 1, counts_on: counts_on + 1, behind };
                    }
                    Step::Crash(which) if !writers.is_empty() => {
                        writers.remove(which % writers.len());
                    }
                    Step::Write(_) | Step::Crash(_) => {}
                }
            }
            let (holding, checkpoint) = decisions(&log);
            let sources: Vec<i64> = holding.iter().map(|at| log[*at].source).collect();
            prop_assert_eq!(&sources, &(0..checkpoint.next().unwrap_or(0)).collect::<Vec<_>>());
            let before: Vec<usize> = std::iter::once(NOTHING).chain(holding.iter().copied()).collect();
            for (at, before) in holding.iter().zip(before) {
                prop_assert_eq!(log[*at].behind, before, "decision at {} did not know the one before it", at);
            }
        }

        #[test]
        fn alone_every_message_holds(restarts in prop::collection::vec(0usize..20, 1..10)) {
            let mut log: Vec<Message> = Vec::new();
            for messages in restarts {
                let source = decisions(&log).1.next().unwrap_or(0);
                let end = log.len() as i64;
                log.extend((0..messages as i64).map(|n| Message { source: source + n, counts_on: end + n, behind: NOTHING }));
            }
            prop_assert_eq!(decisions(&log).0.len(), log.len());
        }

        #[test]
        fn lingering_writer_is_noticed_with_the_next_delivery(own in prop::collection::vec(0i64..3, 1..50), end in 0i64..100) {
            let (mut output, mut offset) = (OwnOutput::from_end(end), end);
            for strangers in own {
                offset += strangers;
                let last = offset + 4;
                let expected = if strangers == 0 { Ok(()) } else { Err(Foreign { expected: last - strangers, found: last }) };
                prop_assert_eq!(output.observe(5, last), expected);
                if strangers > 0 {
                    break;
                }
                offset = last + 1;
            }
        }
    }

    #[test]
    fn hole_in_the_source_is_counted() {
        let mut checkpoint = Checkpoint::default();
        assert_eq!(checkpoint.observe(7, 0, 0), Place::First { missing: 0 });
        assert_eq!(checkpoint.observe(10, 1, 1), Place::First { missing: 2 });
        assert_eq!(checkpoint.observe(9, 2, 2), Place::Repeated);
        assert_eq!(checkpoint.observe(11, 2, 3), Place::Displaced);
        assert_eq!(checkpoint.next(), Some(11));
    }

    #[test]
    fn messages_of_older_writers_always_count() {
        assert_eq!(Checkpoint::default().observe(7, -1, 40), Place::First { missing: 0 });
    }

    #[test]
    fn resumes_behind_the_last_decision_that_the_raw_partition_allows() {
        let mut checkpoint = Checkpoint::default();
        assert_eq!(resume(checkpoint, None, 0, 50), Ok(Resume::Fresh));
        assert_eq!(resume(checkpoint, Some(7), 0, 50), Ok(Resume::At(7)));
        assert_eq!(resume(checkpoint, Some(7), 30, 50), Ok(Resume::Lost { at: 30, count: 23 }));
        checkpoint.observe(19, 0, 0);
        assert_eq!(resume(checkpoint, Some(7), 0, 50), Ok(Resume::At(20)));
        assert_eq!(resume(checkpoint, None, 0, 20), Ok(Resume::At(20)));
        assert_eq!(resume(checkpoint, None, 30, 50), Ok(Resume::Lost { at: 30, count: 10 }));
        assert_eq!(resume(checkpoint, None, 0, 5), Err(Mismatch { decided: 19, end: 5 }));
    }

    #[test]
    fn a_window_without_a_decision_is_widened_to_the_beginning() {
        let (low, high) = (10, 1_000);
        let mut from = tail_from(low, high, 3);
        let mut looks = 0;
        while let Some(further) = further_back(Checkpoint::default(), low, from, high) {
            assert!(further < from);
            (from, looks) = (further, looks + 1);
        }
        assert_eq!((from, looks), (low, 9));
        let mut found = Checkpoint::default();
        found.observe(5, 900, 900);
        assert_eq!(further_back(found, low, 900, high), None);
    }

    #[test]
    fn delivery_without_an_offset_keeps_the_count() {
        let mut output = OwnOutput::from_end(5);
        assert_eq!(output.observe(1, -1), Ok(()));
        assert_eq!(output.observe(1, 6), Ok(()));
        assert_eq!(output.observe(1, 8), Err(Foreign { expected: 7, found: 8 }));
    }
}

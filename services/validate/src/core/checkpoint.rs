//! The output is the checkpoint: where to go on after a restart stands in the last decisions.
//!
//! Guarantees, whatever writers crashed or lingered: if each writer starts behind the highest source offset that it finds
//! in the output, and writes without holes from there, then the *first* decisions about each source offset appear in the
//! log in the order of the offsets, none missing. Later decisions about the same offset are re-emissions that every
//! reader drops.
//!
//! Does not do: prevent a second writer. It notices one ([`Foreign`]), because its own decisions then no longer follow one
//! another in the output, and its state may no longer be that of the first decisions.

/// The highest source offset seen in an output partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkpoint {
    highest: Option<i64>,
}

/// How a decision stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first decision about its source offset.
    First {
        /// Source offsets left out before it: records that the raw topic no longer had, or never (a transaction's marks).
        missing: i64,
    },
    /// A decision about an offset that was decided before.
    Repeated,
}

impl Checkpoint {
    /// Takes the next decision of the log.
    pub fn observe(&mut self, source_offset: i64) -> Place {
        match self.highest {
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

/// Where to begin reading an output that holds the offsets `[low, high)`, to see its last `window` decisions.
pub fn tail_from(low: i64, high: i64, window: u32) -> i64 {
    low.max(high - i64::from(window))
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
    /// There are no decisions: at the group's offset if it has one, else at the beginning.
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

/// Finds where to begin in a raw partition that holds the offsets `[low, high)`.
///
/// # Errors
/// [`Mismatch`] when decisions exist about offsets that the partition has not reached.
pub fn resume(checkpoint: Checkpoint, low: i64, high: i64) -> Result<Resume, Mismatch> {
    match checkpoint.next() {
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

    fn first_decisions(log: &[i64]) -> Vec<i64> {
        let mut checkpoint = Checkpoint::default();
        log.iter().copied().filter(|offset| checkpoint.observe(*offset) == Place::First { missing: 0 }).collect()
    }

    proptest! {
        #[test]
        fn crashes_and_lingering_writers_leave_one_first_decision_per_offset_in_order(
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut log: Vec<i64> = Vec::new();
            let mut writers: Vec<i64> = Vec::new();
            for step in steps {
                match step {
                    Step::Start => {
                        let mut checkpoint = Checkpoint::default();
                        log.iter().for_each(|offset| { checkpoint.observe(*offset); });
                        writers.push(checkpoint.next().unwrap_or(0));
                    }
                    Step::Write(which) if !writers.is_empty() => {
                        let which = which % writers.len();
                        log.push(writers[which]);
                        writers[which] += 1;
                    }
                    Step::Crash(which) if !writers.is_empty() => {
                        writers.remove(which % writers.len());
                    }
                    Step::Write(_) | Step::Crash(_) => {}
                }
            }
            let highest = log.iter().max().map_or(0, |highest| highest + 1);
            prop_assert_eq!(first_decisions(&log), (0..highest).collect::<Vec<_>>());
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
        assert_eq!(checkpoint.observe(7), Place::First { missing: 0 });
        assert_eq!(checkpoint.observe(10), Place::First { missing: 2 });
        assert_eq!(checkpoint.observe(9), Place::Repeated);
        assert_eq!(checkpoint.next(), Some(11));
    }

    #[test]
    fn resumes_behind_the_last_decision_that_the_raw_partition_allows() {
        let mut checkpoint = Checkpoint::default();
        assert_eq!(resume(checkpoint, 0, 50), Ok(Resume::Fresh));
        checkpoint.observe(19);
        assert_eq!(resume(checkpoint, 0, 50), Ok(Resume::At(20)));
        assert_eq!(resume(checkpoint, 0, 20), Ok(Resume::At(20)));
        assert_eq!(resume(checkpoint, 30, 50), Ok(Resume::Lost { at: 30, count: 10 }));
        assert_eq!(resume(checkpoint, 0, 5), Err(Mismatch { decided: 19, end: 5 }));
    }

    #[test]
    fn delivery_without_an_offset_keeps_the_count() {
        let mut output = OwnOutput::from_end(5);
        assert_eq!(output.observe(1, -1), Ok(()));
        assert_eq!(output.observe(1, 6), Ok(()));
        assert_eq!(output.observe(1, 8), Err(Foreign { expected: 7, found: 8 }));
    }
}

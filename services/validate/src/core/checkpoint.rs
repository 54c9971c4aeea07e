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
        /// First offset that nobody decided about.
        from: i64,
        /// First record left.
        at: i64,
    },
    /// There are no decisions: at the first record that is left. Not at the group's offset: when the output was created
    /// again, or its retention is shorter than the raw topic's, decisions that nobody has taken in may be gone, and only
    /// deciding again brings them back. Whoever took them in drops the second decision.
    Fresh {
        /// First record left.
        at: i64,
    },
}

/// Header of decisions: id of the raw topic they are about. The last decision of every block has it.
pub const SOURCE_TOPIC_ID: &str = "x-source-topic-id";
/// Header of the first decision behind a gap: the first of the source offsets before it that retention removed undecided.
pub const SOURCE_LOST_FROM: &str = "x-source-lost-from";

/// A raw partition as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawLog<'a> {
    /// Id of its topic.
    pub topic_id: &'a str,
    /// First offset left.
    pub low: i64,
    /// Next offset that it will assign.
    pub high: i64,
}

/// The decisions are not about this raw partition. Going on would leave messages out, so an operator has to decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The raw topic was created again.
    #[error(
        "the decisions are about a raw topic with the id {decided}, the topic of that name now has the id {found}: it was \
         created again; see docs/runbooks/topic-replaced.md"
    )]
    Replaced {
        /// Id of the topic that was decided about.
        decided: String,
        /// Id of the topic that exists.
        found: String,
    },
    /// The raw topic lost its end.
    #[error(
        "decisions reach source offset {decided}, but the raw partition ends at {end}: records were removed from its end; \
         see docs/runbooks/topic-truncated.md"
    )]
    Truncated {
        /// Highest source offset decided.
        decided: i64,
        /// Next offset that the raw partition will assign.
        end: i64,
    },
}

impl Refused {
    /// Every value of [`Self::reason`].
    pub const REASONS: [&'static str; 2] = ["replaced", "truncated"];

    /// One word of a closed list, for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Replaced { .. } => "replaced",
            Self::Truncated { .. } => "truncated",
        }
    }
}

/// Finds where to begin in a raw partition. `stamped` is the topic id that the newest decisions name; those of
/// releases without that header name none.
///
/// Records that retention removed are passed over, not waited for: every hour of waiting loses more of them. The gap
/// stands in the next decision ([`SOURCE_LOST_FROM`]) and is counted by everybody who reads the decisions.
///
/// # Errors
/// [`Refused`] when the decisions are about something else than this partition.
pub fn resume(checkpoint: Checkpoint, stamped: Option<&str>, raw: RawLog<'_>) -> Result<Resume, Refused> {
    let RawLog { topic_id, low, high } = raw;
    match (checkpoint.next(), stamped) {
        (None, _) => Ok(Resume::Fresh { at: low }),
        (Some(_), Some(decided)) if decided != topic_id => {
            Err(Refused::Replaced { decided: decided.to_owned(), found: topic_id.to_owned() })
        }
        (Some(next), _) if next > high => Err(Refused::Truncated { decided: next - 1, end: high }),
        (Some(next), _) if next < low => Ok(Resume::Lost { from: next, at: low }),
        (Some(next), _) => Ok(Resume::At(next)),
    }
}

/// Follows the offsets that our own decisions got in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnOutput {
    next: i64,
}

/// Somebody else wrote into the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "another writer is active, or the topic of decisions was created again: our decision got offset {found}, expected {expected}"
)]
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
        let raw = |low, high| RawLog { topic_id: "a", low, high };
        assert_eq!(resume(checkpoint, None, raw(7, 50)), Ok(Resume::Fresh { at: 7 }));
        checkpoint.observe(19);
        assert_eq!(resume(checkpoint, Some("a"), raw(0, 50)), Ok(Resume::At(20)));
        assert_eq!(resume(checkpoint, None, raw(0, 20)), Ok(Resume::At(20)));
        assert_eq!(resume(checkpoint, Some("a"), raw(30, 50)), Ok(Resume::Lost { from: 20, at: 30 }));
        let truncated = resume(checkpoint, Some("a"), raw(0, 5)).unwrap_err();
        assert_eq!(truncated, Refused::Truncated { decided: 19, end: 5 });
        let replaced = resume(checkpoint, Some("b"), raw(0, 50)).unwrap_err();
        assert_eq!([replaced.reason(), truncated.reason()], Refused::REASONS);
        assert!(replaced.to_string().contains("docs/runbooks/topic-replaced.md"));
        assert!(truncated.to_string().contains("docs/runbooks/topic-truncated.md"));
    }

    #[test]
    fn an_output_without_decisions_says_nothing_about_the_raw_topic() {
        let raw = RawLog { topic_id: "b", low: 3, high: 9 };
        assert_eq!(resume(Checkpoint::default(), Some("a"), raw), Ok(Resume::Fresh { at: 3 }));
    }

    #[test]
    fn delivery_without_an_offset_keeps_the_count() {
        let mut output = OwnOutput::from_end(5);
        assert_eq!(output.observe(1, -1), Ok(()));
        assert_eq!(output.observe(1, 6), Ok(()));
        assert_eq!(output.observe(1, 8), Err(Foreign { expected: 7, found: 8 }));
    }
}

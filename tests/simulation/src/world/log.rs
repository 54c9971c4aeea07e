//! Topics: records with offsets that the leader gives, and what the first decisions among them are.

use std::collections::BTreeSet;

use validate::core::history::Known;
use validate::core::rules::RuleSet;

/// A partition. Remembers what retention has removed, for the oracle.
#[derive(Debug, Clone)]
pub struct Log<T> {
    records: Vec<T>,
    low: i64,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { records: Vec::new(), low: 0 }
    }
}

/// The position does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange;

impl<T> Log<T> {
    /// Adds a record; returns its offset.
    pub fn append(&mut self, record: T) -> i64 {
        self.records.push(record);
        self.high() - 1
    }

    /// Oldest offset.
    pub fn low(&self) -> i64 {
        self.low
    }

    /// Offset that the next record gets.
    pub fn high(&self) -> i64 {
        self.records.len() as i64
    }

    /// Removes records from the beginning; returns the oldest offset left.
    pub fn expire(&mut self, records: i64) -> i64 {
        self.low = self.high().min(self.low + records);
        self.low
    }

    /// The record at an offset that exists.
    pub fn get(&self, offset: i64) -> Option<&T> {
        if offset < self.low { None } else { self.records.get(offset as usize) }
    }

    /// Checks a position to read from.
    pub fn check(&self, position: i64) -> Result<(), OutOfRange> {
        if position < self.low || position > self.high() { Err(OutOfRange) } else { Ok(()) }
    }

    /// Every record that was ever written.
    pub fn all(&self) -> &[T] {
        &self.records
    }
}

/// A reading: slot of half an hour, value in thousandths, and whether its unit is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawReading {
    /// Number of the half-hour.
    pub slot: i64,
    /// Thousandths of a unit.
    pub thousandths: i64,
    /// Whether it comes in a unit that the channel does not have.
    pub wrong_unit: bool,
}

/// A delivery of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// The gateway's number of it.
    pub id: u64,
    /// Device.
    pub device: u8,
    /// Readings; none for bytes that are no message.
    pub readings: Vec<RawReading>,
}

/// An accepted reading of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedReading {
    /// Index in the raw message.
    pub index: i32,
    /// Key, value and version.
    pub known: Known,
    /// Rules it failed.
    pub failed: RuleSet,
}

/// A message of the topic of decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Offset of the raw message.
    pub source_offset: i64,
    /// Offset that the writer counts on.
    pub decision_offset: i64,
    /// Device.
    pub device: u8,
    /// Accepted readings.
    pub accepted: Vec<AcceptedReading>,
    /// Indexes of rejected readings; -1 for the whole message.
    pub rejected: Vec<i32>,
}

impl Decision {
    /// Whether it is a decision when it lies there. Said here once more, so that a mistake of the product's is seen.
    pub fn counts_at(&self, offset: i64) -> bool {
        self.decision_offset == -1 || self.decision_offset == offset
    }
}

/// What a message of the topic of decisions is to the oracle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The first one about its offset.
    First,
    /// A later one.
    Repeated,
    /// None: not where its writer counted on.
    Displaced,
}

/// Which raw offsets may be left without a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holes {
    /// None.
    Forbidden,
    /// Those that retention took below this one, and that were reported.
    Below(i64),
    /// Any. Who deletes the topic of decisions while two writers write may lose some: an offset of the old topic can be
    /// right in the new one. Sinks refuse the new topic, and `verify` names what has no decision.
    Excused,
}

impl Holes {
    fn may_end_at(self, offset: i64) -> bool {
        match self {
            Self::Forbidden => false,
            Self::Below(low) => offset <= low,
            Self::Excused => true,
        }
    }
}

/// The first decisions of a partition, over the whole life of the pipeline.
#[derive(Debug, Clone, Default)]
pub struct FirstDecisions {
    next: i64,
    /// Source offsets that were left out.
    pub left_out: Vec<i64>,
    /// Rows of `readings`, by source offset and index.
    pub accepted: BTreeSet<(i64, i32)>,
    /// Rows of `rejected`.
    pub rejected: BTreeSet<(i64, i32)>,
    versions: BTreeSet<(u8, i64, i32)>,
}

impl FirstDecisions {
    /// Source offset behind the last decision.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Takes the next message of the topic, at `lies`, and checks what must hold when it is there.
    pub fn observe(
        &mut self,
        (decision, lies): (&Decision, i64),
        raw: Option<&RawMessage>,
        letter: bool,
        holes: Holes,
        one_mind: bool,
    ) -> Result<Standing, String> {
        let offset = decision.source_offset;
        if !decision.counts_at(lies) {
            return Ok(Standing::Displaced);
        }
        if offset < self.next {
            return Ok(Standing::Repeated);
        }
        if offset > self.next && !holes.may_end_at(offset) {
            return Err(format!("raw offsets {}..{offset} have no decision", self.next));
        }
        if holes != Holes::Excused {
            self.left_out.extend(self.next..offset);
        }
        self.next = offset + 1;
        self.check(decision, raw, letter)?;
        for reading in &decision.accepted {
            self.accepted.insert((offset, reading.index));
            let version = (decision.device, reading.known.start, reading.known.version);
            if !self.versions.insert(version) && one_mind {
                return Err(format!("reading {} is accepted a second time", reading.index));
            }
        }
        self.rejected.extend(decision.rejected.iter().map(|index| (offset, *index)));
        Ok(Standing::First)
    }

    fn check(&self, decision: &Decision, raw: Option<&RawMessage>, letter: bool) -> Result<(), String> {
        let raw = raw.ok_or("it is about a message that does not exist")?;
        let mut about: Vec<i32> = decision.accepted.iter().map(|reading| reading.index).collect();
        about.extend(&decision.rejected);
        about.sort_unstable();
        let every: Vec<i32> = (0..raw.readings.len() as i32).collect();
        if about != [-1] && (about != every || every.is_empty()) {
            return Err(format!("it is about readings {about:?} of {}", every.len()));
        }
        if !decision.rejected.is_empty() && !letter {
            return Err("it rejects what is not among the dead letters".to_owned());
        }
        Ok(())
    }
}

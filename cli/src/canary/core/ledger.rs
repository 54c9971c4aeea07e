//! What was sent, where it was seen, and what that means.
//!
//! A reading is missing at a stage when the stage was looked at successfully after the reading's time was up, and did not
//! have it: a stage that cannot be reached makes nothing missing. What the ledger does not hold (readings of a run before)
//! is never missing. Memory: at most `capacity` readings.

use super::known::Id;
use std::collections::BTreeMap;

/// A place on the way of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// The topic of decisions.
    Topic,
    /// The lake.
    Lake,
    /// The warehouse.
    Warehouse,
    /// The live status.
    Live,
}

impl Stage {
    /// In the direction of flow.
    pub(crate) const ALL: [Self; 4] = [Self::Topic, Self::Lake, Self::Warehouse, Self::Live];

    /// Label in metrics and tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Lake => "lake",
            Self::Warehouse => "warehouse",
            Self::Live => "live",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// Bounds of the ledger; times in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a reading may take to a stage before it is missing there.
    pub(crate) patience: i64,
    /// How long a reading is remembered, to see it come late or twice; longer than `patience`.
    pub(crate) memory: i64,
    /// Readings remembered at most.
    pub(crate) capacity: usize,
}

/// What a reading is at a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mark {
    copies: u32,
    missing: bool,
    corrupted: bool,
}

/// A reading on its way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Entry {
    /// Whether its store was confirmed: only then it can be missing.
    confirmed: bool,
    marks: [Mark; 4],
}

/// A stage's figures since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub(crate) struct Figures {
    /// Readings seen there.
    pub(crate) seen: u64,
    /// Readings that became missing there, those that came late among them.
    pub(crate) missing: u64,
    /// Readings that had been missing and came.
    pub(crate) late: u64,
    /// Copies beyond the first.
    pub(crate) duplicates: u64,
    /// Readings with another value than was sent.
    pub(crate) corrupted: u64,
    /// Longest time from sending to seeing, in microseconds.
    pub(crate) slowest: i64,
}

/// What a sighting was; for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sighting {
    /// Time from sending to seeing, when this was the first.
    pub(crate) latency: Option<i64>,
    /// Copies that were not known before, beyond the first.
    pub(crate) duplicates: u32,
    /// The value is wrong, which was not known before.
    pub(crate) corrupted: bool,
}

/// A reading as it was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Which.
    pub(crate) id: Id,
    /// How often it is there.
    pub(crate) copies: u32,
    /// Whether the value is the one that was sent.
    pub(crate) right: bool,
}

/// Readings on their way, and the figures of the stages.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    limits: Limits,
    stages: Vec<Stage>,
    open: BTreeMap<Id, Entry>,
    figures: [Figures; 4],
    sent: u64,
}

impl Ledger {
    /// An empty one, for the stages that are looked at.
    pub(crate) fn new(stages: Vec<Stage>, limits: Limits) -> Self {
        Self { limits, stages, open: BTreeMap::new(), figures: Default::default(), sent: 0 }
    }

    /// Notes a reading before it is sent, so that no sighting comes too early; false when there is no room.
    pub(crate) fn begin(&mut self, id: Id) -> bool {
        let room = self.open.len() < self.limits.capacity;
        if room {
            self.open.entry(id).or_default();
        }
        room
    }

    /// Its store was confirmed: from now on it must arrive.
    pub(crate) fn confirm(&mut self, id: Id) {
        if let Some(entry) = self.open.get_mut(&id).filter(|entry| !entry.confirmed) {
            entry.confirmed = true;
            self.sent += 1;
        }
    }

    /// Its store was not confirmed: it may arrive or not.
    pub(crate) fn abandon(&mut self, id: Id) {
        if self.open.get(&id).is_some_and(|entry| !entry.confirmed) {
            self.open.remove(&id);
        }
    }

    /// Takes over a reading that an earlier run sent, and that is known to be on its way.
    pub(crate) fn adopt(&mut self, id: Id, now: i64) {
        if now - id.start < self.limits.patience && !self.open.contains_key(&id) && self.begin(id) {
            self.confirm(id);
        }
    }

    /// A stage has a reading. What is not in the ledger is no business of this run.
    pub(crate) fn saw(&mut self, stage: Stage, seen: Seen, now: i64) -> Sighting {
        let Some(entry) = self.open.get_mut(&seen.id) else { return Sighting::default() };
        let (mark, figures) = (&mut entry.marks[stage.index()], &mut self.figures[stage.index()]);
        let mut sighting = Sighting::default();
        if mark.copies == 0 && seen.copies > 0 {
            let latency = (now - seen.id.start).max(0);
            sighting.latency = Some(latency);
            figures.seen += 1;
            figures.slowest = figures.slowest.max(latency);
            figures.late += u64::from(std::mem::take(&mut mark.missing));
        }
        sighting.duplicates = seen.copies.saturating_sub(mark.copies.max(1));
        mark.copies = mark.copies.max(seen.copies);
        sighting.corrupted = !seen.right && !mark.corrupted;
        mark.corrupted |= !seen.right;
        figures.duplicates += u64::from(sighting.duplicates);
        figures.corrupted += u64::from(sighting.corrupted);
        sighting
    }

    /// The live status of a device has this reading or a later one: with it, all before have been there.
    pub(crate) fn saw_up_to(&mut self, stage: Stage, newest: Id, right: bool, now: i64) -> Vec<Sighting> {
        let waiting = |(id, entry): (&Id, &Entry)| {
            let new = entry.marks[stage.index()].copies == 0 || (*id == newest && !right);
            (id.device == newest.device && new).then_some(*id)
        };
        let ids: Vec<Id> = self.open.range(..=newest).filter_map(waiting).collect();
        let seen = |id: Id| Seen { id, copies: 1, right: right || id != newest };
        ids.into_iter().map(|id| self.saw(stage, seen(id), now)).collect()
    }

    /// The stage was looked at, for one device or all, and everything it had was told. Returns how many readings it does
    /// not have though their time is up, that were not missing before.
    pub(crate) fn looked(&mut self, stage: Stage, device: Option<usize>, now: i64) -> u64 {
        if !self.stages.contains(&stage) {
            return 0;
        }
        let mut missing = 0;
        for (id, entry) in &mut self.open {
            let mark = &mut entry.marks[stage.index()];
            let overdue = now - id.start >= self.limits.patience;
            let concerned = device.is_none_or(|device| device == id.device);
            if concerned && overdue && entry.confirmed && mark.copies == 0 && !mark.missing {
                mark.missing = true;
                missing += 1;
            }
        }
        self.figures[stage.index()].missing += missing;
        missing
    }

    /// Forgets what is old.
    pub(crate) fn forget(&mut self, now: i64) {
        let memory = self.limits.memory;
        self.open.retain(|id, entry| now - id.start < memory || !entry.confirmed && now - id.start < 2 * memory);
    }

    /// Readings that are missing at a stage now.
    pub(crate) fn missing(&self, stage: Stage) -> usize {
        self.open.values().filter(|entry| entry.marks[stage.index()].missing).count()
    }

    /// Whether every reading was seen, or found missing, at every stage.
    pub(crate) fn is_settled(&self) -> bool {
        let settled = |entry: &Entry, stage: &Stage| {
            let mark = entry.marks[stage.index()];
            mark.copies > 0 || mark.missing
        };
        self.open.values().all(|entry| self.stages.iter().all(|stage| settled(entry, stage)))
    }

    /// Start of the oldest reading that is remembered.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.open.keys().next().map(|id| id.start)
    }

    /// Readings whose store was confirmed, or that were taken over.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// The stages that are looked at.
    pub(crate) fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Figures of a stage.
    pub(crate) fn figures(&self, stage: Stage) -> Figures {
        self.figures[stage.index()]
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;

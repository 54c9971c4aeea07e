//! Faults to come, and what happened so far.
//!
//! Every fault strikes a transaction that has run a COPY, which is a load or the retry of a file; other statements of the
//! loader (devices, notices) are left alone, so that "the next three" are the next three loads.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// Where a transaction meets a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictAt {
    /// At the COPY.
    Copy,
    /// At the first write behind the COPY.
    Write,
    /// At the COMMIT, which then has not happened.
    Commit,
}

/// Where the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutAt {
    /// When the rows are staged, before the COPY is answered.
    Copy,
    /// Before the COMMIT is passed on: nothing happened.
    BeforeCommit,
    /// While the COMMIT is under way: it is passed on when another session asks for a table that this one has locked.
    DuringCommit,
    /// When the COMMIT has succeeded, before its answer.
    AfterCommit,
}

/// Something that goes wrong once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", content = "at", rename_all = "snake_case")]
pub enum Fault {
    /// Error 1023.
    Conflict(ConflictAt),
    /// The connection ends without an answer.
    Cut(CutAt),
}

/// Faults to come in the order in which they were asked for, and counts by name.
#[derive(Debug, Default)]
pub struct Faults {
    pending: VecDeque<Fault>,
    counts: BTreeMap<&'static str, u64>,
}

impl Faults {
    /// Asks for a fault, so often.
    pub fn plan(&mut self, fault: Fault, count: usize) {
        self.pending.extend(std::iter::repeat_n(fault, count));
    }

    /// Forgets what was asked for.
    pub fn clear(&mut self) {
        self.pending.clear();
    }

    /// Faults that have not struck.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether the first fault to come strikes here; it is used up then. Only the first: faults strike in order.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        let here = self.pending.front() == Some(&fault);
        if here {
            self.pending.pop_front();
            self.count(fault.name(), 1);
        }
        here
    }

    /// Adds to a count.
    pub fn count(&mut self, what: &'static str, by: u64) {
        *self.counts.entry(what).or_default() += by;
    }

    /// The counts by name.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }
}

impl Fault {
    /// Name of its count.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conflict(ConflictAt::Copy) => "conflict_copy",
            Self::Conflict(ConflictAt::Write) => "conflict_write",
            Self::Conflict(ConflictAt::Commit) => "conflict_commit",
            Self::Cut(CutAt::Copy) => "cut_copy",
            Self::Cut(CutAt::BeforeCommit) => "cut_before_commit",
            Self::Cut(CutAt::DuringCommit) => "cut_during_commit",
            Self::Cut(CutAt::AfterCommit) => "cut_after_commit",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_in_order_and_once() {
        let mut faults = Faults::default();
        faults.plan(Fault::Conflict(ConflictAt::Copy), 2);
        faults.plan(Fault::Cut(CutAt::AfterCommit), 1);
        assert!(!faults.strikes(Fault::Cut(CutAt::AfterCommit)), "not before the conflicts");
        assert!(faults.strikes(Fault::Conflict(ConflictAt::Copy)));
        assert!(faults.strikes(Fault::Conflict(ConflictAt::Copy)));
        assert!(!faults.strikes(Fault::Conflict(ConflictAt::Copy)));
        assert!(faults.strikes(Fault::Cut(CutAt::AfterCommit)));
        assert_eq!(faults.pending(), 0);
        assert_eq!(faults.counts()["conflict_copy"], 2);
    }

    #[test]
    fn the_names_of_the_control_endpoint_are_fixed() {
        let json = serde_json::to_string(&Fault::Cut(CutAt::DuringCommit)).unwrap();
        assert_eq!(json, r#"{"fault":"cut","at":"during_commit"}"#);
    }
}

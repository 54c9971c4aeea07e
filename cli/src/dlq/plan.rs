//! Which letters a run takes, and why it leaves the others. Pure.

use super::ledger::{Claim, DUPLICATE, Entry, Ledger, Standing, Status};
use super::letter::{Letter, Source};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::HashSet;
use std::time::Duration;

/// What is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// Also letters that were replayed or dropped before.
    pub again: bool,
    /// Also letters that only say that all is stored.
    pub duplicates: bool,
    /// How often a message may be replayed; `None` when the letters are to be dropped.
    pub max_replays: Option<u32>,
    /// Topic of decisions, which are not to be sent again: their order is what they mean.
    pub validated_topic: String,
    /// Now.
    pub now: DateTime<Utc>,
    /// How long a claim without a replay holds.
    pub claim_timeout: Duration,
}

/// A letter to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The letter.
    pub letter: Letter,
    /// Where it came from.
    pub source: Source,
    /// Which replay of its message it will be.
    pub count: u32,
    /// How much had been done about its message when it was chosen.
    pub settled: u32,
    /// Claims of runs that stopped in the middle: their replays may be in the source topic.
    pub uncertain: Vec<Claim>,
}

/// Why a letter is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Left {
    /// It was replayed.
    Replayed,
    /// It was dropped.
    Dropped,
    /// What it holds is stored.
    Resolved,
    /// Its message is taken by another letter of this run.
    Copy,
    /// Another run has claimed it.
    Claimed,
    /// Its message went round too often.
    TooOften,
    /// It does not say where it came from.
    NoSource,
    /// It is a decision.
    Decision,
}

impl Left {
    /// Whether somebody has to do something about it.
    pub(crate) fn is_refusal(self) -> bool {
        matches!(self, Self::Claimed | Self::TooOften | Self::NoSource | Self::Decision)
    }

    /// For people.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Replayed => "replayed before",
            Self::Dropped => "dropped before",
            Self::Resolved => "what they hold is stored",
            Self::Copy => "copies of other letters",
            Self::Claimed => "claimed by another run: try again when it has ended, or 5 minutes after it died",
            Self::TooOften => "replayed as often as --max-replays allows",
            Self::NoSource => "they do not say where they came from",
            Self::Decision => "decisions: replay their raw messages from the landing table instead",
        }
    }
}

/// Judges letters in the order of the log.
#[derive(Debug)]
pub(crate) struct Planner {
    policy: Policy,
    taken: HashSet<Source>,
}

impl Planner {
    /// A planner for one run.
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, taken: HashSet::new() }
    }

    /// Whether to take a letter.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn judge(&mut self, letter: Letter, standing: &Standing, ledger: &Ledger) -> Result<Chosen, Left> {
        let entry = ledger.entry(&letter);
        self.by_status(&letter, standing.status, entry)?;
        let source = letter.source.clone().ok_or(Left::NoSource)?;
        let count = entry.map_or(0, |entry| entry.count).max(letter.replays).saturating_add(1);
        if let Some(most) = self.policy.max_replays {
            if source.topic == self.policy.validated_topic {
                return Err(Left::Decision);
            }
            if count > most {
                return Err(Left::TooOften);
            }
        }
        if !self.taken.insert(source.clone()) {
            return Err(Left::Copy);
        }
        let unsettled = entry.filter(|_| standing.status == Status::Replaying);
        let uncertain = unsettled.map(|entry| entry.claims.clone()).unwrap_or_default();
        let settled = entry.map_or(0, |entry| entry.settled);
        Ok(Chosen { letter, source, count, settled, uncertain })
    }

    fn by_status(&self, letter: &Letter, status: Status, entry: Option<&Entry>) -> Result<(), Left> {
        let Policy { again, duplicates, now, claim_timeout, .. } = self.policy;
        match status {
            Status::Open => Ok(()),
            Status::Replaying => {
                let mut claims = entry.into_iter().flat_map(|entry| &entry.claims);
                if claims.any(|claim| claim.is_live(now, claim_timeout)) { Err(Left::Claimed) } else { Ok(()) }
            }
            _ if again => Ok(()),
            Status::Resolved if duplicates && letter.code.as_deref() == Some(DUPLICATE) => Ok(()),
            Status::Resolved => Err(Left::Resolved),
            Status::Replayed => Err(Left::Replayed),
            Status::Dropped => Err(Left::Dropped),
        }
    }
}

/// Divides what was chosen into runs of at most so many letters and bytes.
pub(crate) fn batches(chosen: &[Chosen], letters: usize, bytes: usize) -> Vec<&[Chosen]> {
    let (mut batches, mut from, mut held) = (Vec::new(), 0, 0);
    for (index, one) in chosen.iter().enumerate() {
        let size = one.letter.size.unwrap_or(0);
        if index > from && (index - from >= letters || held + size > bytes) {
            batches.push(&chosen[from..index]);
            (from, held) = (index, 0);
        }
        held += size;
    }
    if from < chosen.len() {
        batches.push(&chosen[from..]);
    }
    batches
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

//! What became of the letters, from the marks beside them and from what their replays became. Pure: fed record by record
//! in the order of the log.
//!
//! Everything is noted by the message that a letter holds, not by the letter: a service that died may have written a
//! letter twice, and the copies share their fate.

use super::letter::{Letter, Source};
use chrono::{DateTime, Utc};
use kafka_pipeline::dead_letter::{Deed, Mark};
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;

/// Code of a letter whose message is stored: every reading that was not accepted then had been accepted before.
pub(crate) const DUPLICATE: &str = "DUPLICATE";

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Nobody has done anything.
    Open,
    /// A run has claimed it and not finished: it is at work, or it died.
    Replaying,
    /// Sent back; not decided yet, or set aside again as another letter.
    Replayed,
    /// Nothing is left to do: what it holds is stored.
    Resolved,
    /// Somebody decided that it needs no replay.
    Dropped,
}

impl Status {
    /// The name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replaying => "replaying",
            Self::Replayed => "replayed",
            Self::Resolved => "resolved",
            Self::Dropped => "dropped",
        }
    }
}

/// A letter's status with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Standing {
    /// What became of it.
    pub status: Status,
    /// The letter that its replay became, `partition:offset`.
    pub became: Option<String>,
    /// Who did the last thing that was done.
    pub by: Option<String>,
    /// When.
    pub since: Option<DateTime<Utc>>,
    /// Why, when somebody said.
    pub because: Option<String>,
    /// Where the last replay was stored: partition and offset of the source topic.
    pub replayed_to: Option<(i32, i64)>,
}

/// A claim that no replay has followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The run that made it.
    pub run: String,
    /// Who ran it.
    pub by: String,
    /// When.
    pub at: Option<DateTime<Utc>>,
    /// The letter claimed: partition and offset.
    pub letter: (i32, i64),
    /// Which replay of the message it was to be.
    pub count: u32,
}

impl Claim {
    /// Whether its run may still be at work.
    pub(crate) fn is_live(&self, now: DateTime<Utc>, timeout: Duration) -> bool {
        self.at.is_some_and(|at| (now - at).to_std().is_ok_and(|age| age < timeout) || at > now)
    }
}

/// A letter that a replay became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Again {
    letter: (i32, i64),
    code: Option<String>,
    /// Which replay it was.
    count: u32,
}

/// What is known of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Claims since the last replay, in the order of the log.
    pub claims: Vec<Claim>,
    /// The last mark.
    pub last: Option<(Mark, Option<DateTime<Utc>>)>,
    /// The newest letter that a replay became.
    pub again: Option<Again>,
    /// Replays so far.
    pub count: u32,
    /// Marks that say something was done: replayed, dropped.
    pub settled: u32,
}

/// What became of all letters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    entries: HashMap<Source, Entry>,
    /// The message behind a letter that was marked.
    of_letter: HashMap<(i32, i64), Source>,
    /// Highest source offset that is known to be decided, by topic and partition.
    decided: HashMap<(String, i32), i64>,
}

impl Ledger {
    /// Notes how far the messages of a topic's partition are decided. Must have been looked up before the letters are
    /// read: a decision comes behind its letter.
    pub(crate) fn decided(&mut self, topic: &str, partition: i32, offset: i64) {
        self.decided.insert((topic.to_owned(), partition), offset);
    }

    /// Takes a mark in.
    pub(crate) fn mark(&mut self, partition: i32, mark: Mark, at: Option<DateTime<Utc>>) {
        let (topic, source_partition, offset) = mark.source.clone();
        let source = Source { topic, partition: source_partition, offset };
        let letter = (partition, mark.letter);
        self.of_letter.insert(letter, source.clone());
        let entry = self.entries.entry(source).or_default();
        match mark.deed {
            Deed::Claimed => {
                let Mark { run, by, count, .. } = mark.clone();
                entry.claims.push(Claim { run, by, at, letter, count });
            }
            Deed::Replayed => {
                entry.claims.clear();
                entry.count = entry.count.max(mark.count);
                entry.settled += 1;
            }
            Deed::Dropped => entry.settled += 1,
        }
        entry.last = Some((mark, at));
    }

    /// Takes a letter in: it may be what a replay became.
    pub(crate) fn letter(&mut self, letter: &Letter) {
        let Some(source) = letter.replay_of.and_then(|of| self.of_letter.get(&of)) else { return };
        let entry = self.entries.entry(source.clone()).or_default();
        let (at, code) = ((letter.partition, letter.offset), letter.code.clone());
        entry.again = Some(Again { letter: at, code, count: letter.replays });
    }

    /// What is known of a letter's message.
    pub(crate) fn entry(&self, letter: &Letter) -> Option<&Entry> {
        self.entries.get(letter.source.as_ref()?)
    }

    /// Whether the claim of a run holds: nothing was done since the run chose the letter, when `settled` things had been
    /// done, and it is the first of the claims that may be at work.
    pub(crate) fn holds(
        &self,
        letter: &Letter,
        settled: u32,
        run: &str,
        now: DateTime<Utc>,
        timeout: Duration,
    ) -> bool {
        let Some(entry) = self.entry(letter).filter(|entry| entry.settled == settled) else { return false };
        let mut rivals = entry.claims.iter().filter(|claim| claim.run == run || claim.is_live(now, timeout));
        rivals.next().is_some_and(|first| first.run == run)
    }

    /// What became of a letter.
    pub(crate) fn standing(&self, letter: &Letter) -> Standing {
        let untouched = if letter.code.as_deref() == Some(DUPLICATE) { Status::Resolved } else { Status::Open };
        let nothing =
            Standing { status: untouched, became: None, by: None, since: None, because: None, replayed_to: None };
        let Some(entry) = self.entry(letter) else { return nothing };
        let Some((mark, at)) = &entry.last else { return nothing };
        let named = |text: &str| (!text.is_empty()).then(|| super::letter::printable(text.as_bytes()));
        Standing {
            status: self.status(entry, mark, letter),
            became: entry.again.as_ref().map(|again| format!("{}:{}", again.letter.0, again.letter.1)),
            by: named(&mark.by),
            since: *at,
            because: named(&mark.reason),
            replayed_to: mark.to,
        }
    }

    fn status(&self, entry: &Entry, mark: &Mark, letter: &Letter) -> Status {
        match mark.deed {
            Deed::Claimed => Status::Replaying,
            Deed::Dropped => Status::Dropped,
            // A letter of an earlier replay says nothing of this one.
            Deed::Replayed => match entry.again.as_ref().filter(|again| again.count >= mark.count) {
                Some(again) if again.code.as_deref() == Some(DUPLICATE) => Status::Resolved,
                Some(_) => Status::Replayed,
                None if self.is_decided(letter, mark.to) => Status::Resolved,
                None => Status::Replayed,
            },
        }
    }

    fn is_decided(&self, letter: &Letter, to: Option<(i32, i64)>) -> bool {
        let (Some(source), Some((partition, offset))) = (&letter.source, to) else { return false };
        self.decided.get(&(source.topic.clone(), partition)).is_some_and(|decided| *decided >= offset)
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;

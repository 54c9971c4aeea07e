//! The newest letters, and counts of all. Pure.

use super::ledger::{Standing, Status};
use super::letter::Letter;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A letter, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Known {
    /// The letter.
    #[serde(flatten)]
    pub letter: Letter,
    /// What became of it.
    #[serde(flatten)]
    pub standing: Standing,
}

/// The newest letters, up to a limit, in the order in which they were set aside.
#[derive(Debug)]
pub(crate) struct Newest {
    limit: usize,
    /// Matching letters, also those that are no longer kept.
    pub matching: u64,
    letters: BTreeMap<(Option<DateTime<Utc>>, i32, i64), Known>,
}

impl Newest {
    /// Keeps up to `limit` letters.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, matching: 0, letters: BTreeMap::new() }
    }

    /// Takes a letter in.
    pub(crate) fn push(&mut self, known: Known) {
        self.matching += 1;
        let letter = &known.letter;
        self.letters.insert((letter.at, letter.partition, letter.offset), known);
        if self.letters.len() > self.limit {
            self.letters.pop_first();
        }
    }

    /// What was kept, oldest first.
    pub(crate) fn into_letters(self) -> Vec<Known> {
        self.letters.into_values().collect()
    }
}

/// The letters of one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CodeCount {
    /// The code; `None` for letters that name none.
    pub code: Option<String>,
    /// Letters.
    pub letters: u64,
    /// Those of which nobody has done anything yet.
    pub open: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Distinct keys, which are devices.
    pub keys: usize,
    /// The oldest.
    pub first: Option<DateTime<Utc>>,
    /// The newest.
    pub last: Option<DateTime<Utc>>,
}

/// Counts letters by code.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<Option<String>, (CodeCount, BTreeSet<Option<String>>)>);

impl Counts {
    /// Takes a letter in.
    pub(crate) fn push(&mut self, known: &Known) {
        let letter = &known.letter;
        let (count, keys) =
            self.0.entry(letter.code.clone()).or_insert_with(|| (CodeCount::of(letter), Default::default()));
        count.letters += 1;
        count.open += u64::from(known.standing.status == Status::Open);
        count.bytes += letter.size.unwrap_or(0) as u64;
        count.first = count.first.into_iter().chain(letter.at).min();
        count.last = count.last.max(letter.at);
        keys.insert(letter.key.clone());
        count.keys = keys.len();
    }

    /// The counts, most letters first.
    pub(crate) fn into_counts(self) -> Vec<CodeCount> {
        let mut counts: Vec<_> = self.0.into_values().map(|(count, _)| count).collect();
        counts.sort_by(|left, right| right.letters.cmp(&left.letters).then_with(|| left.code.cmp(&right.code)));
        counts
    }
}

impl CodeCount {
    fn of(letter: &Letter) -> Self {
        Self { code: letter.code.clone(), letters: 0, open: 0, bytes: 0, keys: 0, first: None, last: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Ledger;
    use super::*;
    use kafka_pipeline::RecordBlockBuilder;
    use proptest::prelude::*;

    fn letter(code: Option<&str>, seconds: i64, offset: i64) -> Letter {
        let mut block = RecordBlockBuilder::new("rejected", 0);
        block.push(offset, 1_000 * seconds, Some(b"dev-1"), Some(b"\x00\x01"), &[]);
        Letter { code: code.map(str::to_owned), ..Letter::of(0, &block.build().get(0)) }
    }

    fn known(letter: Letter) -> Known {
        Known { standing: Ledger::default().standing(&letter), letter }
    }

    #[test]
    fn counts_are_by_code_with_the_most_frequent_first() {
        let mut counts = Counts::default();
        for letter in [letter(Some("A"), 5, 0), letter(Some("B"), 9, 1), letter(Some("B"), 7, 2), letter(None, 1, 3)] {
            counts.push(&known(letter));
        }
        let counts = counts.into_counts();
        let brief: Vec<_> = counts.iter().map(|count| (count.code.as_deref(), count.letters, count.keys)).collect();
        assert_eq!(brief, [(Some("B"), 2, 1), (None, 1, 1), (Some("A"), 1, 1)]);
        assert_eq!((counts[0].bytes, counts[0].first), (4, DateTime::from_timestamp(7, 0)));
        assert_eq!(counts[0].last, DateTime::from_timestamp(9, 0));
    }

    proptest! {
        #[test]
        fn the_newest_are_kept_whatever_the_order_of_arrival(
            seconds in proptest::collection::vec(0..50_i64, 0..60),
            limit in 1..20_usize,
        ) {
            let mut newest = Newest::new(limit);
            for (offset, second) in (0..).zip(&seconds) {
                newest.push(known(letter(None, *second, offset)));
            }
            prop_assert_eq!(newest.matching, seconds.len() as u64);
            let mut expected: Vec<_> = seconds.iter().zip(0..).map(|(second, offset)| (*second, offset)).collect();
            expected.sort_unstable();
            let kept: Vec<_> = newest.into_letters().iter()
                .map(|known| (known.letter.at.unwrap().timestamp(), known.letter.offset)).collect();
            prop_assert_eq!(&kept[..], &expected[expected.len().saturating_sub(limit)..]);
        }
    }
}

//! Counting without order: how many readings, and a checksum that does not care in which order they came.

use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// What identifies a reading and the value it carries.
#[derive(Debug, Clone, Copy)]
pub struct Fact<'a> {
    /// Tenant.
    pub tenant_id: &'a str,
    /// Device.
    pub device_id: &'a str,
    /// Channel.
    pub channel: &'a str,
    /// INTERVAL, REGISTER or GAUGE.
    pub kind: &'a str,
    /// UTC microseconds.
    pub start: i64,
    /// Unscaled decimal(18,6).
    pub value: i64,
}

impl Fact<'_> {
    /// 128 bits of the natural key and the value. Texts end with a byte that UTF-8 does not use, so that no two facts
    /// share their bytes.
    pub fn digest(&self) -> u128 {
        let mut hasher = Xxh3::new();
        for text in [self.tenant_id, self.device_id, self.channel, self.kind] {
            hasher.update(text.as_bytes());
            hasher.update(&[0xff]);
        }
        hasher.update(&self.start.to_le_bytes());
        hasher.update(&self.value.to_le_bytes());
        hasher.digest128()
    }
}

/// Number and checksum of a set of facts. The checksum is the sum of the digests modulo 2^128: independent of order,
/// and, unlike an exclusive or, changed by a fact that comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Sum of their digests.
    pub checksum: u128,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, digest: u128) {
        self.count += 1;
        self.checksum = self.checksum.wrapping_add(digest);
    }

    /// Counts all of another tally.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.checksum = self.checksum.wrapping_add(other.checksum);
    }
}

/// A source partition and a local day (days since 1970-01-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub(crate) struct Cell {
    /// Partition of the raw message.
    pub(crate) partition: i32,
    /// Local day of the reading; `None` where a reading has no local day.
    pub(crate) local_day: Option<i32>,
}

/// A tally for each cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tallies(BTreeMap<Cell, Tally>);

impl Tallies {
    /// Counts one fact.
    pub(crate) fn add(&mut self, cell: Cell, digest: u128) {
        self.0.entry(cell).or_default().add(digest);
    }

    /// Counts all of the others.
    pub(crate) fn merge(&mut self, others: Self) {
        for (cell, tally) in others.0 {
            self.0.entry(cell).or_default().merge(tally);
        }
    }

    /// Over all cells.
    pub(crate) fn total(&self) -> Tally {
        self.0.values().fold(Tally::default(), |mut total, tally| {
            total.merge(*tally);
            total
        })
    }

    /// Cells in which the two sides do not hold the same, with both tallies.
    pub(crate) fn differences(&self, other: &Self) -> Vec<(Cell, Tally, Tally)> {
        let cells: std::collections::BTreeSet<Cell> = self.0.keys().chain(other.0.keys()).copied().collect();
        cells
            .into_iter()
            .map(|cell| (cell, self.get(cell), other.get(cell)))
            .filter(|(_, mine, theirs)| mine != theirs)
            .collect()
    }

    fn get(&self, cell: Cell) -> Tally {
        self.0.get(&cell).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tallies(digests: &[(i32, u128)]) -> Tallies {
        let mut tallies = Tallies::default();
        for (partition, digest) in digests {
            tallies.add(Cell { partition: *partition, local_day: None }, *digest);
        }
        tallies
    }

    #[test]
    fn a_fact_that_comes_twice_or_changes_its_value_is_seen() {
        let fact = Fact { tenant_id: "t", device_id: "d", channel: "c", kind: "GAUGE", start: 1, value: 2 };
        let digest = fact.digest();
        assert_ne!(tallies(&[(0, digest)]), tallies(&[(0, digest), (0, digest)]));
        assert_ne!(digest, Fact { value: 3, ..fact }.digest());
    }

    #[test]
    fn texts_do_not_run_into_one_another() {
        let fact = Fact { tenant_id: "ab", device_id: "c", channel: "", kind: "", start: 0, value: 0 };
        assert_ne!(fact.digest(), Fact { tenant_id: "a", device_id: "bc", ..fact }.digest());
    }

    proptest! {
        #[test]
        fn order_does_not_matter(mut digests in prop::collection::vec((0i32..3, any::<u128>()), 0..60), seed in any::<u64>()) {
            let before = tallies(&digests);
            digests.sort_by_key(|(p, d)| (d.wrapping_mul(u128::from(seed) | 1), *p));
            prop_assert!(before.differences(&tallies(&digests)).is_empty());
        }

        #[test]
        fn a_missing_fact_is_a_difference_in_its_cell(digests in prop::collection::vec((0i32..3, any::<u128>()), 1..60), pick in any::<prop::sample::Index>()) {
            let mut fewer = digests.clone();
            let (partition, _) = fewer.remove(pick.index(digests.len()));
            let differences = tallies(&digests).differences(&tallies(&fewer));
            prop_assert_eq!(differences.len(), 1);
            prop_assert_eq!(differences[0].0.partition, partition);
        }
    }
}

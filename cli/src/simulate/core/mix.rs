//! Deterministic pseudo-randomness by position instead of by sequence: the value of one slot never depends on how many
//! others were asked for before, so any part of a series can be made again on its own.

/// Scrambles a number (the finaliser of SplitMix64): near-by inputs give unrelated outputs.
pub(crate) const fn mix(value: u64) -> u64 {
    let mut x = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Scrambles two numbers into one.
pub(crate) const fn mix2(a: u64, b: u64) -> u64 {
    mix(mix(a) ^ b)
}

/// A number of `[low, high)`; `low` when the range is empty.
pub(crate) const fn between(random: u64, low: i64, high: i64) -> i64 {
    if high <= low {
        return low;
    }
    low + (random % (high - low) as u64) as i64
}

/// Stream of numbers for choices that are made in a fixed order, such as the plan of faults.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Stream named by a seed and a purpose.
    pub(crate) const fn new(seed: u64, purpose: u64) -> Self {
        Self(mix2(seed, purpose))
    }

    /// The next number.
    pub(crate) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    /// The next number of `[low, high)`.
    pub(crate) const fn between(&mut self, low: i64, high: i64) -> i64 {
        between(self.roll(), low, high)
    }

    /// Puts the items into a random order (Fisher-Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.roll() % (last as u64 + 1)) as usize);
        }
    }
}

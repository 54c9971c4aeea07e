//! Small integers for tuples that repeat: what a thousand rows say alike is kept once, and a row holds four bytes of it.

use std::hash::Hash;

use ahash::RandomState;
use hashbrown::HashTable;

/// Tuples by code and codes by tuple.
pub struct Repeats<T> {
    codes: HashTable<u32>,
    hasher: RandomState,
    tuples: Vec<T>,
}

impl<T> Default for Repeats<T> {
    fn default() -> Self {
        Self { codes: HashTable::new(), hasher: RandomState::new(), tuples: Vec::new() }
    }
}

impl<T> std::fmt::Debug for Repeats<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repeats").field("tuples", &self.tuples.len()).finish_non_exhaustive()
    }
}

impl<T: Copy + Eq + Hash> Repeats<T> {
    /// The code of a tuple that most often is that of the row before, whose code is `last`.
    ///
    /// # Panics
    /// With 2^32 different tuples, which no memory holds.
    pub fn code_after(&mut self, last: Option<u32>, tuple: T) -> u32 {
        if let Some(last) = last
            && self.tuples[last as usize] == tuple
        {
            return last;
        }
        let hash = self.hasher.hash_one(tuple);
        if let Some(code) = self.codes.find(hash, |code| self.tuples[*code as usize] == tuple) {
            return *code;
        }
        let code = u32::try_from(self.tuples.len()).expect("fewer tuples than bytes");
        self.tuples.push(tuple);
        let (hasher, tuples) = (&self.hasher, &self.tuples);
        self.codes.insert_unique(hash, code, |code| hasher.hash_one(tuples[*code as usize]));
        code
    }

    /// The tuple of a code.
    pub fn tuple(&self, code: u32) -> T {
        self.tuples[code as usize]
    }

    /// All tuples, at the positions of their codes.
    pub fn tuples(&self) -> &[T] {
        &self.tuples
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.tuples.capacity() * (size_of::<T>() + size_of::<u32>())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn codes_stand_for_their_tuples(tuples in proptest::collection::vec((0..3i32, 0..3i32), 0..60)) {
            let mut repeats = Repeats::default();
            let mut last = None;
            let codes: Vec<u32> = tuples.iter().map(|tuple| { let code = repeats.code_after(last, *tuple); last = Some(code); code }).collect();
            for (code, tuple) in codes.iter().zip(&tuples) {
                prop_assert_eq!(repeats.tuple(*code), *tuple);
                prop_assert_eq!(repeats.code_after(None, *tuple), *code);
            }
            let mut different = tuples.clone();
            different.sort_unstable();
            different.dedup();
            prop_assert_eq!(repeats.tuples().len(), different.len());
        }
    }
}

//! What is known of consecutive slots of time: three states in two bits, the newest slots only.

/// What is known of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Nothing was heard, or it lies outside the window.
    Unknown,
    /// The value reached the limit.
    Above,
    /// The value stayed below the limit.
    Below,
}

/// A window over the newest slots, whatever order they are told in. Slots are numbered by their start divided by their
/// length; older ones fall out as newer ones arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotWindow {
    above: Box<[u64]>,
    below: Box<[u64]>,
    newest: i64,
}

impl SlotWindow {
    /// A window of at least `slots` slots.
    pub fn new(slots: usize) -> Self {
        let words = slots.div_ceil(64).max(1);
        Self { above: vec![0; words].into(), below: vec![0; words].into(), newest: i64::MIN }
    }

    /// Number of the newest slot told; `None` before the first.
    pub fn newest(&self) -> Option<i64> {
        (self.newest != i64::MIN).then_some(self.newest)
    }

    /// What is known of the slot.
    pub fn get(&self, slot: i64) -> Slot {
        if !self.holds(slot) {
            return Slot::Unknown;
        }
        let (word, mask) = self.place(slot);
        match (self.above[word] & mask != 0, self.below[word] & mask != 0) {
            (true, _) => Slot::Above,
            (false, true) => Slot::Below,
            (false, false) => Slot::Unknown,
        }
    }

    /// Notes a slot, also over what was noted before; `false` when it has already fallen out of the window.
    pub fn set(&mut self, slot: i64, above: bool) -> bool {
        if slot > self.newest {
            self.advance(slot);
        } else if !self.holds(slot) {
            return false;
        }
        let (word, mask) = self.place(slot);
        let (on, off) = if above { (&mut self.above, &mut self.below) } else { (&mut self.below, &mut self.above) };
        on[word] |= mask;
        off[word] &= !mask;
        true
    }

    /// First slot and length of the unbroken run of [`Slot::Above`] that holds `slot`; length 0 when it isn't above.
    pub fn run_around(&self, slot: i64) -> (i64, i64) {
        let is_above = |slot: &i64| self.get(*slot) == Slot::Above;
        let before = (1..=self.capacity()).map(|back| slot - back).take_while(is_above).count() as i64;
        let from_here = (slot..=self.newest).take_while(is_above).count() as i64;
        if from_here == 0 { (slot, 0) } else { (slot - before, before + from_here) }
    }

    fn capacity(&self) -> i64 {
        self.above.len() as i64 * 64
    }

    fn holds(&self, slot: i64) -> bool {
        self.newest != i64::MIN && slot <= self.newest && slot > self.newest - self.capacity()
    }

    fn place(&self, slot: i64) -> (usize, u64) {
        let index = slot.rem_euclid(self.capacity()) as usize;
        (index / 64, 1 << (index % 64))
    }

    /// Makes `slot` the newest and forgets what its place and those before it held a window ago.
    fn advance(&mut self, slot: i64) {
        let first = if self.newest == i64::MIN { slot } else { self.newest + 1 };
        if slot - first >= self.capacity() {
            self.above.fill(0);
            self.below.fill(0);
        } else {
            for passed in first..=slot {
                let (word, mask) = self.place(passed);
                self.above[word] &= !mask;
                self.below[word] &= !mask;
            }
        }
        self.newest = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_run_ends_at_what_is_below_or_unknown() {
        let mut window = SlotWindow::new(24);
        for slot in [10, 11, 12, 14, 15] {
            assert!(window.set(slot, true));
        }
        assert_eq!(window.run_around(11), (10, 3));
        assert_eq!(window.run_around(15), (14, 2), "13 is unknown");
        window.set(13, true);
        assert_eq!(window.run_around(10), (10, 6), "a late slot joins the runs");
        window.set(12, false);
        assert_eq!(window.run_around(15), (13, 3), "a correction parts them");
        assert_eq!(window.run_around(12), (12, 0));
    }

    #[test]
    fn a_slot_that_fell_out_is_refused_and_unknown() {
        let mut window = SlotWindow::new(64);
        window.set(0, true);
        window.set(64, true);
        assert_eq!(window.get(0), Slot::Unknown);
        assert!(!window.set(0, true));
        window.set(1_000_000, false);
        assert_eq!((window.get(64), window.get(1_000_000)), (Slot::Unknown, Slot::Below));
    }

    proptest! {
        #[test]
        fn it_knows_what_a_map_of_the_newest_slots_knows(told in prop::collection::vec((-200i64..200, any::<bool>()), 1..200)) {
            let mut window = SlotWindow::new(64);
            let mut map = BTreeMap::new();
            for (slot, above) in told {
                let newest = map.keys().next_back().copied().unwrap_or(slot).max(slot);
                let kept = slot > newest - 64;
                prop_assert_eq!(window.set(slot, above), kept);
                if kept {
                    map.insert(slot, above);
                }
                map.retain(|slot, _| *slot > newest - 64);
            }
            for slot in -300..300 {
                let expected = match map.get(&slot) { None => Slot::Unknown, Some(true) => Slot::Above, Some(false) => Slot::Below };
                prop_assert_eq!(window.get(slot), expected);
            }
        }
    }
}

//! The readings of a channel that are remembered by their natural key.
//!
//! What a window costs decides how many devices one process can serve, so the usual case (a fixed interval, whole
//! seconds, three decimals, never corrected) takes 8 bytes a reading; a channel that leaves it takes 24 from then on.

use std::collections::VecDeque;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// Narrow values count thousandths of a unit: what dials and interval meters resolve.
const NARROW_UNIT: i64 = 1_000;

/// An accepted reading as a window remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Start; UTC microseconds.
    pub start: i64,
    /// Value in millionths.
    pub value: i64,
    /// Length in seconds; 0 unless an interval.
    pub duration_s: i32,
    /// Version of the value.
    pub version: i32,
}

impl Known {
    /// End of the interval, or the instant itself; UTC microseconds.
    pub fn end(&self) -> i64 {
        end_of(self.start, self.duration_s)
    }
}

/// End of an interval; UTC microseconds.
pub fn end_of(start: i64, duration_s: i32) -> i64 {
    start.saturating_add(i64::from(duration_s) * MICROS_PER_SECOND)
}

/// What a window knows around an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// The last reading that starts before it.
    pub before: Option<Known>,
    /// The reading that starts at it.
    pub same: Option<Known>,
    /// The first reading that starts after it.
    pub after: Option<Known>,
}

/// The readings with the latest starts, each start once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window(Layout);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Layout {
    /// All of one length and version 1: seconds since 1970 and thousandths.
    Narrow {
        duration_s: i32,
        entries: VecDeque<(u32, i32)>,
    },
    Wide(VecDeque<Known>),
}

impl Window {
    /// A window without a reading.
    pub(super) const fn new() -> Self {
        Self(Layout::Narrow { duration_s: 0, entries: VecDeque::new() })
    }

    /// Readings in it.
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Layout::Narrow { entries, .. } => entries.len(),
            Layout::Wide(entries) => entries.len(),
        }
    }

    /// Whether it holds no reading.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that its readings occupy, spare capacity included.
    pub(super) fn bytes(&self) -> usize {
        match &self.0 {
            Layout::Narrow { entries, .. } => entries.capacity() * size_of::<(u32, i32)>(),
            Layout::Wide(entries) => entries.capacity() * size_of::<Known>(),
        }
    }

    /// The earliest start it holds. Of earlier ones it knows nothing.
    pub(super) fn floor(&self) -> Option<i64> {
        (!self.is_empty()).then(|| self.get(0).start)
    }

    /// What it knows around an instant.
    pub(super) fn around(&self, start: i64) -> Neighbours {
        let position = self.position(start);
        let at = |index: usize| (index < self.len()).then(|| self.get(index));
        let same = at(position).filter(|known| known.start == start);
        Neighbours {
            before: position.checked_sub(1).map(|index| self.get(index)),
            same,
            after: at(position + usize::from(same.is_some())),
        }
    }

    /// The readings that start before an instant, latest first.
    pub(super) fn before(&self, start: i64) -> impl Iterator<Item = Known> {
        (0..self.position(start)).rev().map(|index| self.get(index))
    }

    /// Remembers a reading in place of an older version of it. Beyond `limit` readings the earliest start is forgotten,
    /// which may be this one.
    pub(super) fn put(&mut self, known: Known, limit: usize) {
        if !self.takes(&known) {
            self.widen();
        }
        let position = self.position(known.start);
        if position < self.len() && self.get(position).start == known.start {
            self.set(position, known);
        } else if self.len() < limit {
            self.insert(position, known);
        } else if position > 0 {
            // Forgotten before remembered, so that a full window does not double its buffer for one reading.
            self.pop_front();
            self.insert(position - 1, known);
        }
    }

    fn takes(&mut self, known: &Known) -> bool {
        match &mut self.0 {
            Layout::Wide(_) => true,
            Layout::Narrow { duration_s, entries } => {
                if entries.is_empty() {
                    *duration_s = known.duration_s;
                }
                *duration_s == known.duration_s && narrow(known).is_some()
            }
        }
    }

    fn widen(&mut self) {
        let wide = (0..self.len()).map(|index| self.get(index)).collect();
        self.0 = Layout::Wide(wide);
    }

    /// Index of the first reading that does not start before the instant. Readings mostly come in order, behind the last.
    fn position(&self, start: i64) -> usize {
        match self.len().checked_sub(1) {
            Some(last) if self.get(last).start >= start => match &self.0 {
                Layout::Narrow { entries, .. } => entries.partition_point(|(s, _)| micros(*s) < start),
                Layout::Wide(entries) => entries.partition_point(|known| known.start < start),
            },
            _ => self.len(),
        }
    }

    fn get(&self, index: usize) -> Known {
        match &self.0 {
            Layout::Wide(entries) => entries[index],
            Layout::Narrow { duration_s, entries } => {
                let (second, thousandths) = entries[index];
                let value = i64::from(thousandths) * NARROW_UNIT;
                Known { start: micros(second), value, duration_s: *duration_s, version: 1 }
            }
        }
    }

    fn set(&mut self, index: usize, known: Known) {
        match &mut self.0 {
            Layout::Wide(entries) => entries[index] = known,
            Layout::Narrow { entries, .. } => entries[index] = narrow(&known).expect("widened when it does not fit"),
        }
    }

    fn insert(&mut self, index: usize, known: Known) {
        match &mut self.0 {
            Layout::Wide(entries) => entries.insert(index, known),
            Layout::Narrow { entries, .. } => {
                entries.insert(index, narrow(&known).expect("widened when it does not fit"));
            }
        }
    }

    fn pop_front(&mut self) {
        match &mut self.0 {
            Layout::Wide(entries) => drop(entries.pop_front()),
            Layout::Narrow { entries, .. } => drop(entries.pop_front()),
        }
    }
}

fn micros(second: u32) -> i64 {
    i64::from(second) * MICROS_PER_SECOND
}

/// The reading in eight bytes, if it is of the usual sort.
fn narrow(known: &Known) -> Option<(u32, i32)> {
    if known.version != 1 || known.start % MICROS_PER_SECOND != 0 || known.value % NARROW_UNIT != 0 {
        return None;
    }
    let second = u32::try_from(known.start / MICROS_PER_SECOND).ok()?;
    Some((second, i32::try_from(known.value / NARROW_UNIT).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn known() -> impl Strategy<Value = Known> {
        let usual = (0i64..40, 0i64..9).prop_map(|(slot, value)| Known {
            start: slot * 1_800_000_000,
            value: value * 1_000,
            duration_s: 1_800,
            version: 1,
        });
        let odd =
            (0i64..40, any::<i64>(), 0i32..3, 1i32..4, 0i64..3).prop_map(|(slot, value, length, version, off)| Known {
                start: slot * 1_800_000_000 + off,
                value,
                duration_s: 900 * length,
                version,
            });
        prop_oneof![8 => usual, 1 => odd]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn holds_what_a_sorted_map_of_the_latest_starts_would(
            readings in prop::collection::vec(known(), 0..80), limit in 1usize..24, asked in 0i64..40,
        ) {
            let (mut window, mut model) = (Window::new(), BTreeMap::new());
            for known in readings {
                window.put(known, limit);
                model.insert(known.start, known);
                if model.len() > limit {
                    model.pop_first();
                }
            }
            let start = asked * 1_800_000_000;
            let expected = Neighbours {
                before: model.range(..start).next_back().map(|(_, known)| *known),
                same: model.get(&start).copied(),
                after: model.range(start + 1..).next().map(|(_, known)| *known),
            };
            prop_assert_eq!(window.around(start), expected);
            prop_assert_eq!(window.len(), model.len());
            prop_assert_eq!(window.floor(), model.keys().next().copied());
            let earlier: Vec<_> = model.range(..start).rev().map(|(_, known)| *known).collect();
            prop_assert_eq!(window.before(start).collect::<Vec<_>>(), earlier);
        }
    }

    #[test]
    fn half_hours_of_ten_days_take_four_kibibytes() {
        let mut window = Window::new();
        for slot in 0..5_000 {
            let start = slot * 1_800_000_000;
            window.put(Known { start, value: slot * 1_000, duration_s: 1_800, version: 1 }, 512);
        }
        assert_eq!((window.len(), window.bytes()), (512, 4_096));
    }
}

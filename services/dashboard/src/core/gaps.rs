//! The intervals that are missing between two instants.

/// A hole: nothing begins in `from..to`, though so many intervals should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Begin; seconds since 1970-01-01.
    pub from: i64,
    /// End.
    pub to: i64,
    /// Intervals missing.
    pub intervals: i64,
}

/// The holes in `from..to`, given the ascending starts of the intervals that are there and their length. Whole intervals
/// only; an interval that is longer or shorter than it should be makes no hole by itself.
pub fn gaps(starts: &[i64], from: i64, to: i64, interval_s: i64) -> Vec<Gap> {
    if interval_s <= 0 || from >= to {
        return Vec::new();
    }
    let mut holes = Vec::new();
    let mut next = from;
    for start in starts.iter().copied().filter(|start| (from..to).contains(start)).chain([to]) {
        let intervals = (start - next) / interval_s;
        if intervals > 0 {
            holes.push(Gap { from: next, to: next + intervals * interval_s, intervals });
        }
        next = next.max(start + interval_s);
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn holes_at_the_edges_and_between() {
        assert_eq!(
            gaps(&[20, 30, 60], 0, 100, 10),
            [
                Gap { from: 0, to: 20, intervals: 2 },
                Gap { from: 40, to: 60, intervals: 2 },
                Gap { from: 70, to: 100, intervals: 3 }
            ]
        );
        assert!(gaps(&[0, 10], 0, 20, 10).is_empty());
        assert_eq!(gaps(&[], 0, 30, 10).len(), 1);
        assert!(gaps(&[5], 0, 30, 0).is_empty());
    }

    proptest! {
        #[test]
        fn delivered_and_missing_make_the_whole(present in proptest::collection::btree_set(0..200_i64, 0..200)) {
            let starts: Vec<i64> = present.iter().map(|index| index * 900).collect();
            let holes = gaps(&starts, 0, 200 * 900, 900);
            prop_assert_eq!(holes.iter().map(|hole| hole.intervals).sum::<i64>() + present.len() as i64, 200);
            for hole in holes {
                prop_assert!(starts.iter().all(|start| !(hole.from..hole.to).contains(start)));
            }
        }
    }
}

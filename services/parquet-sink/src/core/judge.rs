//! Which decisions are taken in: those that lie where their writer counted on, the first about each source offset, in the
//! order of the log.

use lake::{Head, Verdict};

/// A decoded decision: where it stands and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Position of the message in its block; rises with the log.
    pub record: u32,
    /// Which decoded batch it is in.
    pub batch: u32,
    /// Row of that batch.
    pub row: u32,
    /// Offset of the raw message it decides about.
    pub source_offset: i64,
    /// Whether it lies where its writer counted on.
    pub counts: bool,
}

/// What became of the decisions of a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Rows to take, ascending, for each batch.
    pub accepted: Vec<Vec<u32>>,
    /// Messages dropped: not where they were to lie, or about what was decided before.
    pub re_emitted: u64,
    /// Holes in the sequence of source offsets.
    pub gaps: u64,
    /// Source offsets in those holes.
    pub missing: u64,
}

/// Judges decisions in the order of the log, whatever order the decoder gave them in, and raises the watermark.
pub fn judge(head: &mut Head, mut candidates: Vec<Candidate>, batches: usize) -> Judged {
    if !candidates.is_sorted_by_key(|candidate| candidate.record) {
        candidates.sort_by_key(|candidate| candidate.record);
    }
    let mut judged = Judged { accepted: vec![Vec::new(); batches], ..Judged::default() };
    for candidate in candidates {
        let verdict = if candidate.counts { head.judge(candidate.source_offset) } else { Verdict::ReEmission };
        match verdict {
            Verdict::ReEmission => {
                judged.re_emitted += 1;
                continue;
            }
            Verdict::First => {}
            Verdict::FirstAfterGap { missing } => {
                judged.gaps += 1;
                judged.missing += missing;
            }
        }
        judged.accepted[candidate.batch as usize].push(candidate.row);
    }
    judged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(record: u32, batch: u32, row: u32, source_offset: i64) -> Candidate {
        Candidate { record, batch, row, source_offset, counts: true }
    }

    #[test]
    fn batches_of_two_schemas_are_judged_in_the_order_of_the_log() {
        let mut head = Head { next: 0, watermark: 9 };
        // The decoder grouped by schema: batch 0 has records 0 and 2, batch 1 has records 1 and 3.
        let candidates =
            vec![candidate(0, 0, 0, 10), candidate(2, 0, 1, 12), candidate(1, 1, 0, 11), candidate(3, 1, 1, 12)];
        let judged = judge(&mut head, candidates, 2);
        assert_eq!(judged.accepted, [vec![0, 1], vec![0]]);
        assert_eq!((judged.re_emitted, judged.gaps, head.watermark), (1, 0, 12));
    }

    #[test]
    fn a_message_out_of_its_place_decides_nothing() {
        let mut head = Head { next: 0, watermark: 9 };
        let displaced = Candidate { counts: false, ..candidate(0, 0, 0, 10) };
        let judged = judge(&mut head, vec![displaced, candidate(1, 0, 1, 10)], 1);
        assert_eq!((judged.accepted, judged.re_emitted, judged.gaps), (vec![vec![1]], 1, 0));
    }

    #[test]
    fn gaps_are_counted_and_taken_in() {
        let mut head = Head { next: 0, watermark: 9 };
        let judged = judge(&mut head, vec![candidate(0, 0, 0, 13), candidate(1, 0, 1, 14), candidate(2, 0, 2, 20)], 1);
        assert_eq!(judged, Judged { accepted: vec![vec![0, 1, 2]], re_emitted: 0, gaps: 2, missing: 8 });
    }

    proptest! {
        /// Replaying any part of the log again after it was taken in takes nothing in.
        #[test]
        fn a_replay_takes_nothing_in(steps in proptest::collection::vec(1..4i64, 1..50), replay_from in 0..50usize) {
            let offsets: Vec<i64> = steps.iter().scan(-1, |at, step| { *at += step; Some(*at) }).collect();
            let all = |from: usize| -> Vec<Candidate> {
                (0..).zip(&offsets[from..]).map(|(i, offset)| candidate(i, 0, i, *offset)).collect()
            };
            let mut head = Head::starting_at(0);
            let first = judge(&mut head, all(0), 1);
            prop_assert_eq!(first.accepted[0].len(), offsets.len());
            let again = judge(&mut head, all(replay_from.min(offsets.len())), 1);
            prop_assert!(again.accepted[0].is_empty());
        }
    }
}

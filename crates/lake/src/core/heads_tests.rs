use proptest::collection::vec;
use proptest::prelude::*;

use super::heads::{Advance, AdvanceError, Head, HeadKey, HeadSet, NO_WATERMARK, Verdict};

fn key(partition: i32) -> HeadKey {
    HeadKey::new("meter.readings.validated.v1", "id-1", partition)
}

fn head(next: i64, watermark: i64) -> Head {
    Head { next, watermark }
}

fn advance(partition: i32, from: Option<i64>, to: Head) -> Advance {
    Advance { key: key(partition), from, to }
}

#[test]
fn a_head_moves_only_from_where_it_stands() {
    let heads = HeadSet::from_iter([(key(0), head(10, 7))]);
    let moved = heads.advance(&[advance(0, Some(10), head(12, 9))]).unwrap();
    assert_eq!(moved.get(&key(0)).unwrap(), Some(head(12, 9)));
    assert_eq!(
        heads.advance(&[advance(0, Some(9), head(12, 9))]),
        Err(AdvanceError::Moved { key: key(0), expected: Some(9), found: Some(10) })
    );
    assert_eq!(
        heads.advance(&[advance(0, None, head(12, 9))]),
        Err(AdvanceError::Moved { key: key(0), expected: None, found: Some(10) })
    );
    assert!(matches!(heads.advance(&[advance(0, Some(10), head(9, 9))]), Err(AdvanceError::Backwards { .. })));
    assert!(matches!(heads.advance(&[advance(0, Some(10), head(11, 6))]), Err(AdvanceError::Backwards { .. })));
}

#[test]
fn one_refused_advance_refuses_all() {
    let heads = HeadSet::from_iter([(key(0), head(10, 7)), (key(1), head(3, 2))]);
    let wishes = [advance(1, Some(3), head(4, 3)), advance(0, Some(1), head(11, 8))];
    assert!(heads.advance(&wishes).is_err());
    assert_eq!(heads.get(&key(1)).unwrap(), Some(head(3, 2)));
}

#[test]
fn a_topic_created_again_is_recognised() {
    let heads = HeadSet::from_iter([(key(0), head(10, 7))]);
    let other = HeadKey::new("meter.readings.validated.v1", "id-2", 0);
    let error = heads.get(&other).unwrap_err();
    assert_eq!((&*error.known, &*error.found), ("id-1", "id-2"));
    assert_eq!(heads.get(&HeadKey::new("other.topic", "id-2", 0)), Ok(None));
}

#[test]
fn decisions_are_judged_against_the_watermark() {
    let mut head = Head::starting_at(0);
    assert_eq!(head.judge(41), Verdict::First, "the start of the source is unknown");
    assert_eq!(head.judge(42), Verdict::First);
    assert_eq!(head.judge(42), Verdict::ReEmission);
    assert_eq!(head.judge(7), Verdict::ReEmission);
    assert_eq!(head.judge(46), Verdict::FirstAfterGap { missing: 3 });
    assert_eq!(head.watermark, 46);
}

#[test]
fn a_summary_of_another_version_is_refused() {
    assert!(HeadSet::from_summary(r#"{"v":2,"topics":[]}"#).unwrap_err().contains("version 2"));
    assert!(HeadSet::from_summary("{}").is_err());
}

#[test]
fn the_summary_is_pinned() {
    let heads = HeadSet::from_iter([(key(0), head(10, 7)), (key(1), head(3, NO_WATERMARK))]);
    assert_eq!(
        heads.to_summary(),
        r#"{"v":1,"topics":[{"id":"id-1","name":"meter.readings.validated.v1","heads":[[0,10,7],[1,3,-1]]}]}"#
    );
}

prop_compose! {
    fn any_heads()(entries in vec((0..3u8, 0..40i32, 0..i64::MAX, -1..i64::MAX), 0..60)) -> HeadSet {
        entries
            .into_iter()
            .map(|(topic, partition, next, watermark)| {
                (HeadKey::new(&format!("topic-{topic}"), &format!("id-{topic}"), partition), Head { next, watermark })
            })
            .collect()
    }
}

proptest! {
    #[test]
    fn summaries_round_trip(heads in any_heads()) {
        prop_assert_eq!(HeadSet::from_summary(&heads.to_summary()), Ok(heads));
    }

    /// However writers interleave, the ranges that were accepted for a partition join without overlap or hole.
    #[test]
    fn accepted_ranges_are_contiguous(steps in vec((0..4usize, 1..50i64), 1..80)) {
        let mut table = HeadSet::default();
        let mut views = vec![HeadSet::default(); 4];
        let mut accepted: Vec<(Option<i64>, i64)> = Vec::new();
        for (writer, count) in steps {
            let from = views[writer].get(&key(0)).unwrap().map(|head| head.next);
            let to = head(from.unwrap_or(0) + count, NO_WATERMARK);
            match table.advance(&[advance(0, from, to)]) {
                Ok(next) => {
                    accepted.push((from, to.next));
                    table = next;
                    views[writer] = table.clone();
                }
                Err(AdvanceError::Moved { .. }) => views[writer] = table.clone(),
                Err(error) => prop_assert!(false, "unexpected {error}"),
            }
        }
        let mut position = None;
        for (from, next) in accepted {
            prop_assert_eq!(from, position);
            position = Some(next);
        }
    }

    /// Whatever is emitted again, each source offset is taken in at most once, and gaps account for every hole.
    #[test]
    fn each_source_offset_is_first_at_most_once(offsets in vec(0..60i64, 1..200)) {
        let mut state = Head::starting_at(0);
        let mut firsts = Vec::new();
        let mut missing_total = 0;
        for offset in offsets {
            match state.judge(offset) {
                Verdict::First => firsts.push(offset),
                Verdict::FirstAfterGap { missing } => {
                    missing_total += missing;
                    firsts.push(offset);
                }
                Verdict::ReEmission => prop_assert!(firsts.last().is_some_and(|last| offset <= *last)),
            }
        }
        prop_assert!(firsts.windows(2).all(|pair| pair[0] < pair[1]));
        let span = firsts[firsts.len() - 1] - firsts[0] + 1;
        prop_assert_eq!(span as u64, firsts.len() as u64 + missing_total);
    }
}

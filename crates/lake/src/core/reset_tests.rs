use proptest::prelude::*;

use super::gap::{Gap, Offsets};
use super::heads::{Head, HeadKey, HeadSet, NO_WATERMARK, Verdict};
use super::reset::{Feed, Log, ResetRefused, Target, plan};

const DECISIONS: Feed = Feed::Decisions { renewed: false };

fn key(id: &str, partition: i32) -> HeadKey {
    HeadKey::new("meter.readings.validated.v1", id, partition)
}

fn log(id: &str, partition: i32, low: i64, high: i64) -> Log {
    Log { key: key(id, partition), low, high, cut: None }
}

fn standing(next: i64, watermark: i64) -> HeadSet {
    HeadSet::from_iter([(key("a", 0), Head { next, watermark })])
}

fn only(heads: &HeadSet, log: Log, target: Target, feed: Feed) -> Result<Gap, ResetRefused> {
    let whole = &*log.key.topic_id == "b";
    let mut planned = plan(heads, (&[log], whole), target, feed)?;
    assert_eq!(planned.gaps.len(), 1);
    Ok(planned.gaps.remove(0))
}

#[test]
fn what_retention_removed_is_lost_and_counted() {
    let gap = only(&standing(10, 7), log("a", 0, 25, 40), Target::Earliest, Feed::Records).unwrap();
    assert_eq!(gap.lost, Some(Offsets { from: 10, to: 25 }));
    assert_eq!((gap.lost.unwrap().count(), gap.again, gap.removed, gap.lost_behind), (15, None, None, None));
}

#[test]
fn a_topic_created_again_retires_the_old_heads_of_all_partitions() {
    let heads: HeadSet =
        [0, 1].map(|partition| (key("a", partition), Head { next: 10, watermark: 7 })).into_iter().collect();
    let logs = [log("b", 0, 0, 3), log("b", 1, 2, 2)];
    let planned = plan(&heads, (&logs, true), Target::Earliest, DECISIONS).unwrap();
    let expected: HeadSet =
        [(key("b", 0), Head { next: 0, watermark: 7 }), (key("b", 1), Head { next: 2, watermark: 7 })]
            .into_iter()
            .collect();
    assert_eq!(planned.heads, expected, "the watermark stays: decisions are about the same raw messages");
    assert_eq!(planned.gaps[0].lost_behind, Some(10));
    assert_eq!(planned.gaps[1].lost, Some(Offsets { from: 0, to: 2 }));
    let refused = plan(&heads, (&logs[..1], false), Target::Earliest, DECISIONS);
    assert!(matches!(refused, Err(ResetRefused::WholeTopic(_))), "{refused:?}");
}

#[test]
fn the_watermark_is_forgotten_only_with_a_new_topic() {
    let renewed = Feed::Decisions { renewed: true };
    let gap = only(&standing(10, 7), log("b", 0, 0, 3), Target::Earliest, renewed).unwrap();
    assert_eq!(gap.now.watermark, NO_WATERMARK);
    let refused = only(&standing(10, 7), log("a", 0, 0, 30), Target::Latest, renewed);
    assert!(matches!(refused, Err(ResetRefused::WatermarkStillHolds(_))), "{refused:?}");
}

#[test]
fn records_are_not_read_twice_and_decisions_may_be() {
    let back = |feed| only(&standing(10, 7), log("a", 0, 0, 40), Target::Offset(4), feed);
    assert!(matches!(back(Feed::Records), Err(ResetRefused::WouldDouble { from: 4, to: 10, safe: 10, .. })));
    let gap = back(DECISIONS).unwrap();
    assert_eq!((gap.again, gap.now.watermark, gap.lost), (Some(Offsets { from: 4, to: 10 }), 7, None));
}

#[test]
fn behind_the_end_of_a_truncated_log_nothing_is_read_twice() {
    let at_end = only(&standing(10, NO_WATERMARK), log("a", 0, 0, 6), Target::Latest, Feed::Records).unwrap();
    assert_eq!((at_end.removed, at_end.again, at_end.lost), (Some(Offsets { from: 6, to: 10 }), None, None));
    let before = only(&standing(10, NO_WATERMARK), log("a", 0, 0, 6), Target::Offset(5), Feed::Records);
    assert!(matches!(before, Err(ResetRefused::WouldDouble { from: 5, to: 6, safe: 6, .. })), "{before:?}");
}

#[test]
fn a_truncated_log_that_has_grown_is_read_from_where_it_was_cut() {
    let grown = Log { cut: Some(6), ..log("a", 0, 0, 40) };
    let gap = only(&standing(10, NO_WATERMARK), grown.clone(), Target::Offset(6), Feed::Records).unwrap();
    assert_eq!((gap.removed, gap.again, gap.lost), (Some(Offsets { from: 6, to: 10 }), None, None));
    let before = only(&standing(10, NO_WATERMARK), grown, Target::Offset(5), Feed::Records);
    assert!(matches!(before, Err(ResetRefused::WouldDouble { from: 5, to: 6, safe: 6, .. })), "{before:?}");
}

#[test]
fn offsets_outside_the_log_and_moves_that_are_none_are_seen() {
    let outside = only(&standing(10, 7), log("a", 0, 5, 40), Target::Offset(4), DECISIONS);
    assert!(matches!(outside, Err(ResetRefused::NotInLog { low: 5, high: 40, .. })), "{outside:?}");
    let same = plan(&standing(10, 7), (&[log("a", 0, 0, 40)], true), Target::Offset(10), DECISIONS).unwrap();
    assert_eq!((same.gaps.len(), same.heads), (0, standing(10, 7)));
}

#[test]
fn without_a_partition_only_heads_that_cannot_go_on_are_moved() {
    let heads: HeadSet = [0, 1].map(|partition| (key("a", partition), Head::starting_at(10))).into_iter().collect();
    let logs = [log("a", 0, 25, 40), log("a", 1, 0, 40)];
    let planned = plan(&heads, (&logs, true), Target::Earliest, Feed::Records).unwrap();
    assert_eq!(planned.gaps.iter().map(|gap| gap.partition).collect::<Vec<_>>(), [0]);
    assert_eq!(planned.heads.get(&key("a", 1)), Ok(Some(Head::starting_at(10))));
}

#[test]
fn targets_are_read() {
    assert_eq!("earliest".parse(), Ok(Target::Earliest));
    assert_eq!("latest".parse(), Ok(Target::Latest));
    assert_eq!("17".parse(), Ok(Target::Offset(17)));
    assert!("-1".parse::<Target>().is_err() && "yesterday".parse::<Target>().is_err());
}

/// What a table ends up with when it reads a log of decisions: source offsets in order, as often as taken in.
fn take(log: &[i64], head: &mut Head, rows: &mut Vec<i64>, until: usize) {
    while (head.next as usize) < until {
        let source = log[head.next as usize];
        if head.judge(source) != Verdict::ReEmission {
            rows.push(source);
        }
        head.next += 1;
    }
}

fn log_of_forty() -> Log {
    log("a", 0, 0, 40)
}

proptest! {
    /// However the head of a table of decisions is moved within its log, no source offset is taken in twice, and what is
    /// missing afterwards was announced as lost.
    #[test]
    fn moved_heads_double_nothing_and_own_up_to_what_they_lose(
        read in 0..40usize,
        to in 0..=40i64,
        re_emitted in prop::collection::vec((0..40usize, 1..6usize), 0..4),
    ) {
        // A log in which writers repeat a few decisions, as a restart of validate does.
        let mut log: Vec<i64> = (0..40).collect();
        for (at, back) in re_emitted {
            let from = log[at] - (back as i64).min(log[at]);
            let again: Vec<i64> = (from..=log[at]).collect();
            log.splice(at + 1..at + 1, again);
        }
        log.truncate(40);
        let (mut head, mut rows) = (Head::starting_at(0), Vec::new());
        take(&log, &mut head, &mut rows, read);
        let heads = HeadSet::from_iter([(key("a", 0), head)]);
        let planned = plan(&heads, (&[log_of_forty()], false), Target::Offset(to), DECISIONS).unwrap();
        let mut moved = planned.heads.get(&key("a", 0)).unwrap().unwrap();
        take(&log, &mut moved, &mut rows, 40);
        prop_assert!(rows.windows(2).all(|pair| pair[0] < pair[1]), "each once, in order: {rows:?}");
        let lost = planned.gaps.first().and_then(|gap| gap.lost);
        let announced = |source: i64| lost.is_some_and(|lost| log[lost.from as usize..lost.to as usize].contains(&source));
        for source in log.iter().filter(|source| !rows.contains(source)) {
            prop_assert!(announced(*source), "{source} is missing and nobody was told");
        }
    }
}

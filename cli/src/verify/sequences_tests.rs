use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const LATER: i64 = i64::MAX;

fn message(at_ms: i64, sequence: i64, content: u64) -> Numbered {
    // A gateway's devices take turns.
    Numbered { at_ms, sequence, device: (sequence % 3).unsigned_abs(), content }
}

fn of(messages: &[Numbered], settled_ms: i64) -> Gateway {
    let mut sequences = Sequences::default();
    messages.iter().for_each(|message| sequences.add("t", "g", *message));
    let mut summary = sequences.summary(settled_ms);
    summary.findings.pop().unwrap_or_default()
}

/// A counter's messages from one number to another, ten seconds apart.
fn run(from: i64, to: i64, began_ms: i64, salt: u64) -> Vec<Numbered> {
    (from..=to).map(|n| message(began_ms + 10_000 * (n - from), n, n.unsigned_abs() + salt)).collect()
}

#[test]
fn a_gap_is_what_lies_between() {
    let gateway = of(&[run(1, 5, 0, 0), run(9, 10, 90_000, 0)].concat(), LATER);
    assert_eq!((gateway.missing, gateway.restarts, gateway.repeats), (3, 0, 0));
    assert_eq!(gateway.gaps, [Gap { from: 6, to: 8 }]);
    assert_eq!(of(&run(1_000, 2_000, 0, 0), LATER), Gateway::default(), "what was before the window is not missing");
}

#[test]
fn what_may_still_come_is_not_missing_yet() {
    let gateway = of(&[message(0, 1, 1), message(50, 3, 3)], 50);
    assert_eq!((gateway.missing, gateway.unsettled), (0, 1));
    assert_eq!(of(&[message(0, 1, 1), message(50, 3, 3)], 51).missing, 1);
}

#[test]
fn repeats_parts_and_conflicts_are_told_apart() {
    let first = message(0, 7, 1);
    assert_eq!(of(&[first, Numbered { at_ms: 9_000, ..first }], LATER).repeats, 1);
    assert_eq!(of(&[first, Numbered { content: 2, ..first }], LATER), Gateway::default(), "a delivery in two parts");
    assert_eq!(of(&[first, Numbered { content: 2, device: 99, ..first }], LATER).conflicts, 1);
}

#[test]
fn a_counter_that_begins_anew_is_no_gap() {
    for known_first in [1, 400] {
        let gateway = of(&[run(known_first, 500, 0, 0), run(1, 300, 10_000_000, 5_000)].concat(), LATER);
        assert_eq!((gateway.restarts, gateway.missing, gateway.repeats), (1, 0, 0), "from {known_first}");
    }
    let short = of(&[run(1, 3, 0, 0), run(1, 3, 100_000, 50), run(1, 3, 200_000, 90)].concat(), LATER);
    assert_eq!((short.restarts, short.missing, short.conflicts), (2, 0, 0));
}

#[test]
fn a_repetition_of_the_first_is_no_new_beginning() {
    let gateway = of(&[run(1, 5, 0, 0), vec![message(60_000, 1, 1)], run(6, 9, 70_000, 0)].concat(), LATER);
    assert_eq!((gateway.restarts, gateway.repeats, gateway.missing), (0, 1, 0));
}

#[test]
fn a_latecomer_of_the_run_before_fills_its_gap() {
    let mut all = [run(1, 500, 0, 0), run(1, 10, 10_000_000, 5_000)].concat();
    let late = all.remove(300);
    all.push(Numbered { at_ms: 10_050_000, ..late });
    let gateway = of(&all, LATER);
    assert_eq!((gateway.restarts, gateway.missing, gateway.unsettled), (1, 0, 0));
}

#[test]
fn what_does_not_count_is_counted_apart() {
    let mut sequences = Sequences::default();
    sequences.add("t", "", message(0, 5, 0));
    sequences.add("t", "g", message(0, 0, 0));
    let summary = sequences.summary(LATER);
    assert_eq!((summary.uncounted, summary.gateways), (2, 0));
}

proptest! {
    /// Whatever the order in which partitions are read, and however the messages are mixed within a short time: missing is
    /// exactly what was taken out between the first and the last.
    #[test]
    fn missing_is_what_was_lost(
        first in 1i64..1_000,
        length in 2i64..200,
        lost in prop::collection::btree_set(0i64..200, 0..20),
        jitter in prop::collection::vec(0i64..25_000, 200),
        seed in any::<u64>(),
    ) {
        let lost: BTreeSet<i64> = lost.into_iter().map(|n| first + n).collect();
        let mut kept: Vec<Numbered> = run(first, first + length, 0, 0);
        kept.iter_mut().zip(&jitter).for_each(|(message, jitter)| message.at_ms += jitter);
        kept.retain(|message| !lost.contains(&message.sequence));
        prop_assume!(!kept.is_empty());
        let (low, high) = (kept.iter().map(|m| m.sequence).min().unwrap(), kept.iter().map(|m| m.sequence).max().unwrap());
        kept.sort_by_key(|message| message.content.wrapping_mul(seed | 1));
        let gateway = of(&kept, LATER);
        prop_assert_eq!(gateway.missing, lost.range(low..=high).count() as u64);
        prop_assert_eq!((gateway.repeats, gateway.conflicts, gateway.restarts), (0, 0, 0));
        prop_assert_eq!(gateway.gaps.iter().map(|gap| gap.to - gap.from + 1).sum::<i64>() <= gateway.missing as i64, true);
    }
}

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const LIMITS: Limits = Limits { patience: 100, memory: 1_000, capacity: 50 };

fn id(start: i64, device: usize) -> Id {
    Id { start, device }
}

fn ledger() -> Ledger {
    Ledger::new(Stage::ALL.to_vec(), LIMITS)
}

fn sent(ledger: &mut Ledger, id: Id) {
    assert!(ledger.begin(id));
    ledger.confirm(id);
}

fn once(id: Id) -> Seen {
    Seen { id, copies: 1, right: true }
}

#[test]
fn a_reading_that_a_stage_does_not_have_in_time_is_missing_there_alone() {
    let mut ledger = ledger();
    sent(&mut ledger, id(0, 0));
    ledger.saw(Stage::Topic, once(id(0, 0)), 10);
    assert_eq!(ledger.looked(Stage::Lake, None, 99), 0, "its time is not up");
    assert_eq!(ledger.looked(Stage::Lake, Some(1), 100), 0, "another device was looked at");
    assert_eq!(ledger.looked(Stage::Lake, Some(0), 100), 1);
    assert_eq!(ledger.looked(Stage::Lake, None, 101), 0, "counted once");
    assert_eq!(ledger.looked(Stage::Topic, None, 101), 0);
    assert_eq!((ledger.missing(Stage::Lake), ledger.missing(Stage::Topic)), (1, 0));
    let late = ledger.saw(Stage::Lake, once(id(0, 0)), 150);
    assert_eq!((late.latency, ledger.missing(Stage::Lake)), (Some(150), 0));
    assert_eq!((ledger.figures(Stage::Lake).missing, ledger.figures(Stage::Lake).late), (1, 1));
}

#[test]
fn a_stage_that_cannot_be_looked_at_makes_nothing_missing() {
    let mut ledger = ledger();
    sent(&mut ledger, id(0, 0));
    ledger.forget(LIMITS.memory);
    assert!(Stage::ALL.iter().all(|stage| ledger.figures(*stage) == Figures::default()));
}

#[test]
fn what_was_never_confirmed_may_be_lost() {
    let mut ledger = ledger();
    assert!(ledger.begin(id(0, 0)));
    assert_eq!(ledger.looked(Stage::Topic, None, 500), 0);
    ledger.abandon(id(0, 0));
    assert!(ledger.is_settled() && ledger.sent() == 0);
    assert_eq!(ledger.saw(Stage::Topic, Seen { copies: 9, ..once(id(0, 0)) }, 1), Sighting::default());
}

#[test]
fn copies_and_wrong_values_are_counted_once() {
    let mut ledger = ledger();
    sent(&mut ledger, id(0, 0));
    let seen = |copies, right| Seen { id: id(0, 0), copies, right };
    assert_eq!(ledger.saw(Stage::Warehouse, seen(1, true), 1).duplicates, 0);
    assert_eq!(ledger.saw(Stage::Warehouse, seen(3, true), 2).duplicates, 2);
    assert_eq!(ledger.saw(Stage::Warehouse, seen(3, false), 3).duplicates, 0);
    assert!(!ledger.saw(Stage::Warehouse, seen(3, false), 4).corrupted, "known already");
    let figures = ledger.figures(Stage::Warehouse);
    assert_eq!((figures.seen, figures.duplicates, figures.corrupted), (1, 2, 1));
}

#[test]
fn the_live_status_has_seen_what_it_has_overwritten() {
    let mut ledger = ledger();
    for (start, device) in [(0, 0), (5, 1), (10, 0), (20, 0)] {
        sent(&mut ledger, id(start, device));
    }
    assert_eq!(ledger.saw_up_to(Stage::Live, id(10, 0), true, 30).len(), 2);
    assert_eq!(ledger.saw_up_to(Stage::Live, id(10, 0), true, 31).len(), 0);
    assert_eq!(ledger.looked(Stage::Live, None, 200), 2);
    let wrong = ledger.saw_up_to(Stage::Live, id(20, 0), false, 201);
    assert_eq!(wrong.iter().filter(|sighting| sighting.corrupted).count(), 1);
}

#[test]
fn an_earlier_run_is_followed_as_far_as_it_is_fresh() {
    let mut ledger = ledger();
    ledger.adopt(id(0, 0), 100);
    assert_eq!(ledger.sent(), 0, "its time was up before this run began");
    ledger.adopt(id(50, 0), 100);
    ledger.adopt(id(50, 0), 101);
    assert_eq!(ledger.sent(), 1);
    assert_eq!(ledger.looked(Stage::Lake, None, 150), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    Fail(usize),
    See(Stage, prop::sample::Index),
    Look(Stage),
    Wait(i64),
}

fn stage() -> impl Strategy<Value = Stage> {
    prop::sample::select(Stage::ALL.to_vec())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..3).prop_map(Step::Send),
        1 => (0usize..3).prop_map(Step::Fail),
        8 => (stage(), any::<prop::sample::Index>()).prop_map(|(stage, index)| Step::See(stage, index)),
        4 => stage().prop_map(Step::Look),
        4 => (0i64..80).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Against a model that remembers everything: a reading is missing if and only if it was confirmed, its time was up at
    /// a look, and the stage had not shown it; seen is seen once; memory has an end.
    #[test]
    fn missing_means_missing(steps in prop::collection::vec(step(), 1..150)) {
        let mut ledger = ledger();
        let mut now = 0i64;
        let mut confirmed: Vec<Id> = Vec::new();
        let mut known: BTreeSet<(Stage, Id)> = BTreeSet::new();
        let mut missed: BTreeSet<(Stage, Id)> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Send(device) if ledger.begin(id(now, device)) => {
                    if !confirmed.contains(&id(now, device)) {
                        confirmed.push(id(now, device));
                    }
                    ledger.confirm(id(now, device));
                }
                Step::Send(_) => {}
                Step::Fail(device) => {
                    if !confirmed.contains(&id(now, device)) && ledger.begin(id(now, device)) {
                        ledger.abandon(id(now, device));
                    }
                }
                Step::See(stage, index) if !confirmed.is_empty() => {
                    let which = *index.get(&confirmed);
                    let sighting = ledger.saw(stage, once(which), now);
                    let fresh = now - which.start < LIMITS.memory;
                    prop_assert_eq!(sighting.latency.is_some(), fresh && known.insert((stage, which)));
                    prop_assert_eq!((sighting.duplicates, sighting.corrupted), (0, false));
                }
                Step::See(..) => {}
                Step::Look(stage) => {
                    let expected: Vec<Id> = confirmed
                        .iter()
                        .copied()
                        .filter(|id| (LIMITS.patience..LIMITS.memory).contains(&(now - id.start)))
                        .filter(|id| !known.contains(&(stage, *id)) && !missed.contains(&(stage, *id)))
                        .collect();
                    prop_assert_eq!(ledger.looked(stage, None, now), expected.len() as u64);
                    missed.extend(expected.into_iter().map(|id| (stage, id)));
                }
                Step::Wait(micros) => {
                    now += micros;
                    ledger.forget(now);
                }
            }
            prop_assert!(ledger.open.len() <= LIMITS.capacity);
            prop_assert_eq!(ledger.sent(), confirmed.len() as u64);
        }
        for stage in Stage::ALL {
            prop_assert_eq!(ledger.figures(stage).missing, missed.iter().filter(|(at, _)| *at == stage).count() as u64);
        }
    }
}

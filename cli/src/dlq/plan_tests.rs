use super::*;
use kafka_pipeline::dead_letter::{Deed, Mark};
use proptest::prelude::*;

const RAW: &str = "raw";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(10_000, 0).unwrap()
}

fn policy() -> Policy {
    Policy {
        again: false,
        duplicates: false,
        max_replays: Some(3),
        validated_topic: "validated".into(),
        now: now(),
        claim_timeout: Duration::from_secs(300),
    }
}

fn letter(offset: i64, topic: &str, code: &str) -> Letter {
    Letter {
        at: Some(now()),
        partition: 0,
        offset,
        source: Some(Source { topic: topic.into(), partition: 0, offset: offset + 100 }),
        code: Some(code.into()),
        message: String::new(),
        stage: None,
        key: None,
        size: Some(10),
        replays: 0,
        replay_of: None,
    }
}

fn marked(ledger: &mut Ledger, letter: &Letter, deed: Deed, seconds_ago: i64, count: u32) {
    let Source { topic, partition, offset } = letter.source.clone().unwrap();
    let mark = Mark {
        deed,
        letter: letter.offset,
        source: (topic, partition, offset),
        run: "run".into(),
        by: "sre".into(),
        reason: String::new(),
        to: None,
        count,
    };
    ledger.mark(0, mark, Some(now() - chrono::Duration::seconds(seconds_ago)));
}

fn judged(policy: Policy, ledger: &Ledger, letter: &Letter) -> Result<u32, Left> {
    let standing = ledger.standing(letter);
    Planner::new(policy).judge(letter.clone(), &standing, ledger).map(|chosen| chosen.count)
}

#[test]
fn what_was_handled_is_left_alone_unless_asked_for_again() {
    let mut ledger = Ledger::default();
    let (open, replayed, dropped) = (letter(1, RAW, "A"), letter(2, RAW, "A"), letter(3, RAW, "A"));
    marked(&mut ledger, &replayed, Deed::Replayed, 0, 1);
    marked(&mut ledger, &dropped, Deed::Dropped, 0, 0);
    let all = [&open, &replayed, &dropped];
    assert_eq!(all.map(|one| judged(policy(), &ledger, one)), [Ok(1), Err(Left::Replayed), Err(Left::Dropped)]);
    let again = Policy { again: true, ..policy() };
    assert_eq!(all.map(|one| judged(again.clone(), &ledger, one)), [Ok(1), Ok(2), Ok(1)], "and the count goes on");
}

#[test]
fn a_message_goes_round_three_times_and_no_more() {
    let ledger = Ledger::default();
    let round = |replays| judged(policy(), &ledger, &Letter { replays, ..letter(1, RAW, "A") });
    assert_eq!([0, 2, 3, u32::MAX].map(round), [Ok(1), Ok(3), Err(Left::TooOften), Err(Left::TooOften)]);
    let to_drop = Policy { max_replays: None, ..policy() };
    assert!(judged(to_drop, &ledger, &Letter { replays: 9, ..letter(1, RAW, "A") }).is_ok(), "but may be dropped");
}

#[test]
fn duplicates_and_decisions_are_not_sent_back() {
    let ledger = Ledger::default();
    assert_eq!(judged(policy(), &ledger, &letter(1, RAW, "DUPLICATE")), Err(Left::Resolved));
    let named = Policy { duplicates: true, ..policy() };
    assert_eq!(judged(named, &ledger, &letter(1, RAW, "DUPLICATE")), Ok(1));
    assert_eq!(judged(policy(), &ledger, &letter(1, "validated", "TRUNCATED")), Err(Left::Decision));
    assert_eq!(judged(policy(), &ledger, &Letter { source: None, ..letter(1, RAW, "A") }), Err(Left::NoSource));
}

#[test]
fn a_run_at_work_is_left_its_letters_and_those_of_a_dead_one_are_looked_for() {
    let (mut ledger, claimed) = (Ledger::default(), letter(1, RAW, "A"));
    marked(&mut ledger, &claimed, Deed::Claimed, 299, 1);
    assert_eq!(judged(policy(), &ledger, &claimed), Err(Left::Claimed));
    let mut ledger = Ledger::default();
    marked(&mut ledger, &claimed, Deed::Claimed, 301, 1);
    let standing = ledger.standing(&claimed);
    let chosen = Planner::new(policy()).judge(claimed, &standing, &ledger).unwrap();
    assert_eq!(chosen.uncertain.iter().map(|claim| claim.letter).collect::<Vec<_>>(), [(0, 1)]);
}

#[test]
fn a_message_is_taken_once_however_many_letters_it_has() {
    let (ledger, mut planner) = (Ledger::default(), Planner::new(policy()));
    let (first, mut copy) = (letter(1, RAW, "A"), letter(2, RAW, "A"));
    copy.source.clone_from(&first.source);
    let mut take = |letter: Letter| planner.judge(letter.clone(), &ledger.standing(&letter), &ledger).map(drop);
    assert_eq!((take(first), take(copy)), (Ok(()), Err(Left::Copy)));
}

proptest! {
    #[test]
    fn batches_are_bounded_and_lose_nothing(
        sizes in proptest::collection::vec(0..50usize, 0..40),
        letters in 1..6usize,
        bytes in 1..100usize,
    ) {
        let one = |(offset, size): (i64, &usize)| {
            let letter = Letter { size: Some(*size), ..letter(offset, RAW, "A") };
            Chosen { source: letter.source.clone().unwrap(), letter, count: 1, settled: 0, uncertain: Vec::new() }
        };
        let chosen: Vec<Chosen> = (0..).zip(&sizes).map(one).collect();
        let batches = batches(&chosen, letters, bytes);
        prop_assert_eq!(batches.concat(), &chosen[..]);
        for batch in batches {
            let held: usize = batch.iter().filter_map(|one| one.letter.size).sum();
            prop_assert!(batch.len() <= letters && (held <= bytes || batch.len() == 1));
        }
    }
}

use super::*;
use proptest::prelude::*;

const TIMEOUT: Duration = Duration::from_secs(300);

fn at(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

/// A letter about message `source` of the raw partition 1.
fn letter(offset: i64, source: i64, code: &str) -> Letter {
    Letter {
        at: at(0),
        partition: 1,
        offset,
        source: Some(Source { topic: "raw".into(), partition: 1, offset: source }),
        code: Some(code.into()),
        message: String::new(),
        stage: Some("validate".into()),
        key: None,
        size: None,
        replays: 0,
        replay_of: None,
    }
}

fn mark(deed: Deed, of: &Letter, run: &str) -> Mark {
    let source = of.source.clone().unwrap();
    Mark {
        deed,
        letter: of.offset,
        source: (source.topic, source.partition, source.offset),
        run: run.into(),
        by: "sre".into(),
        reason: "because".into(),
        to: (deed == Deed::Replayed).then_some((1, 500)),
        count: 1,
    }
}

fn status(ledger: &Ledger, letter: &Letter) -> Status {
    ledger.standing(letter).status
}

#[test]
fn a_letter_is_open_until_somebody_does_something() {
    let (mut ledger, open) = (Ledger::default(), letter(7, 40, "TRUNCATED"));
    assert_eq!(status(&ledger, &open), Status::Open);
    assert_eq!(status(&ledger, &letter(8, 41, DUPLICATE)), Status::Resolved, "what it holds is stored");
    ledger.mark(1, mark(Deed::Claimed, &open, "a"), at(10));
    assert_eq!(status(&ledger, &open), Status::Replaying);
    ledger.mark(1, mark(Deed::Replayed, &open, "a"), at(11));
    assert_eq!(status(&ledger, &open), Status::Replayed);
    ledger.mark(1, mark(Deed::Dropped, &open, "b"), at(12));
    let standing = ledger.standing(&open);
    assert_eq!((standing.status, standing.by.as_deref(), standing.since), (Status::Dropped, Some("sre"), at(12)));
    assert_eq!(standing.because.as_deref(), Some("because"));
}

#[test]
fn a_replay_is_resolved_when_it_was_decided_and_became_no_letter() {
    let (mut ledger, replayed) = (Ledger::default(), letter(7, 40, "UNKNOWN_DEVICE"));
    ledger.mark(1, mark(Deed::Replayed, &replayed, "a"), at(10));
    ledger.decided("raw", 1, 499);
    assert_eq!(status(&ledger, &replayed), Status::Replayed, "not decided yet");
    ledger.decided("raw", 1, 500);
    assert_eq!(status(&ledger, &replayed), Status::Resolved);
    let again = Letter { replay_of: Some((1, 7)), replays: 1, ..letter(9, 500, "UNKNOWN_DEVICE") };
    ledger.letter(&again);
    let standing = ledger.standing(&replayed);
    assert_eq!((standing.status, standing.became.as_deref()), (Status::Replayed, Some("1:9")), "set aside again");
    assert_eq!(status(&ledger, &again), Status::Open, "which is the one to look at");
    ledger.letter(&Letter { code: Some(DUPLICATE.into()), offset: 10, ..again });
    assert_eq!(status(&ledger, &replayed), Status::Resolved, "all that was left had been accepted before");
}

#[test]
fn what_an_earlier_replay_became_says_nothing_of_a_later_one() {
    let (mut ledger, replayed) = (Ledger::default(), letter(7, 40, "UNKNOWN_DEVICE"));
    ledger.decided("raw", 1, 500);
    ledger.mark(1, mark(Deed::Claimed, &replayed, "a"), at(9));
    // validate may be quicker than the mark that closes the replay.
    ledger.letter(&Letter { replay_of: Some((1, 7)), replays: 1, ..letter(9, 500, "UNKNOWN_DEVICE") });
    ledger.mark(1, mark(Deed::Replayed, &replayed, "a"), at(10));
    assert_eq!(status(&ledger, &replayed), Status::Replayed);
    ledger.mark(1, Mark { count: 2, ..mark(Deed::Replayed, &replayed, "b") }, at(11));
    assert_eq!(status(&ledger, &replayed), Status::Resolved);
}

#[test]
fn copies_of_a_letter_share_its_fate() {
    let (mut ledger, first, copy) = (Ledger::default(), letter(7, 40, "TRUNCATED"), letter(8, 40, "TRUNCATED"));
    ledger.mark(1, mark(Deed::Dropped, &first, "a"), at(1));
    assert_eq!((status(&ledger, &copy), status(&ledger, &letter(9, 41, "TRUNCATED"))), (Status::Dropped, Status::Open));
}

#[test]
fn the_first_claim_that_may_be_at_work_holds() {
    let (mut ledger, claimed) = (Ledger::default(), letter(7, 40, "TRUNCATED"));
    let now = at(1_000).unwrap();
    ledger.mark(1, mark(Deed::Claimed, &claimed, "dead"), at(600));
    ledger.mark(1, mark(Deed::Claimed, &claimed, "first"), at(990));
    ledger.mark(1, mark(Deed::Claimed, &claimed, "second"), at(991));
    let holds = |ledger: &Ledger, run| ledger.holds(&claimed, 0, run, now, TIMEOUT);
    assert_eq!((holds(&ledger, "first"), holds(&ledger, "second")), (true, false));
    let mut done = ledger.clone();
    done.mark(1, mark(Deed::Replayed, &claimed, "first"), at(992));
    done.mark(1, mark(Deed::Claimed, &claimed, "late"), at(992));
    assert!(!holds(&done, "second") && !holds(&done, "late"), "whoever chose it before the replay has to leave it");
    ledger.mark(1, mark(Deed::Dropped, &claimed, "other"), at(993));
    assert!(!holds(&ledger, "first"), "dropped meanwhile");
}

/// Where a run stands with the one letter of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Idle,
    /// It has chosen the letter, when so much had been done.
    Chosen(u32),
    Claimed(u32),
    Sent,
    Done,
}

proptest! {
    /// However the steps of runs interleave that are all at work, one of them sends.
    #[test]
    fn of_runs_that_compete_one_sends(steps in proptest::collection::vec(0..4usize, 0..60)) {
        let (open, now) = (letter(7, 40, "TRUNCATED"), at(100));
        let (mut log, mut runs, mut sent) = (Vec::new(), [Run::Idle; 4], 0);
        let all = (0..4).cycle().take(20);
        for run in steps.into_iter().chain(all) {
            let mut ledger = Ledger::default();
            log.iter().for_each(|mark: &Mark| ledger.mark(1, mark.clone(), now));
            let name = run.to_string();
            runs[run] = match runs[run] {
                Run::Idle if status(&ledger, &open) == Status::Open => {
                    Run::Chosen(ledger.entry(&open).map_or(0, |entry| entry.settled))
                }
                Run::Chosen(settled) => {
                    log.push(mark(Deed::Claimed, &open, &name));
                    Run::Claimed(settled)
                }
                Run::Claimed(settled) if ledger.holds(&open, settled, &name, now.unwrap(), TIMEOUT) => {
                    sent += 1;
                    Run::Sent
                }
                Run::Sent => {
                    log.push(mark(Deed::Replayed, &open, &name));
                    Run::Done
                }
                Run::Idle | Run::Claimed(_) | Run::Done => Run::Done,
            };
        }
        prop_assert_eq!(sent, 1);
    }
}

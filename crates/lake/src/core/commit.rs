//! What the outcome of a commit attempt means: a state machine without IO.
//!
//! An attempt begins by comparing the table with its base ([`begin`]). When the catalog's answer is an error, [`meaning`]
//! says whether the table has to be asked, and [`settle`] reads the answer out of its history: a commit is recognised by
//! the id that its writer chose, never by what it contains.

use uuid::Uuid;

/// How far a commit has come, which decides what its error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was sent to the catalog.
    NotSent,
    /// The table did not stand where it should, or the catalog refused because it moved meanwhile.
    Refused,
    /// The catalog was asked to commit, and its answer was neither yes nor no.
    Sent,
}

/// What to do with a request when the table has just been loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// The table stands at the base: commit.
    Append,
    /// It has moved on, by an earlier attempt of the same request or by somebody else: see [`settle`].
    Settle,
}

/// Compares the table's current snapshot with the one that the heads were read from.
pub fn begin(base: Option<i64>, current: Option<i64>) -> Begin {
    if current == base { Begin::Append } else { Begin::Settle }
}

/// What an error of the catalog means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The commit has certainly not happened and will not: the same request can be made again.
    NotSent,
    /// The table's history tells: see [`settle`].
    Settle,
    /// It may have happened, or may yet happen. The same request is made again: the catalog takes only one of the two.
    Unknown,
}

/// Finds out what an error means. `current` is the table's current snapshot, read after the error; `None` when it could
/// not be read.
pub fn meaning(progress: Progress, base: Option<i64>, current: Option<Option<i64>>) -> Meaning {
    match (progress, current) {
        (Progress::NotSent, _) => Meaning::NotSent,
        (_, None) => Meaning::Unknown,
        (Progress::Refused, Some(_)) => Meaning::Settle,
        (Progress::Sent, Some(current)) if current != base => Meaning::Settle,
        // It may still be on its way to the catalog; if it arrives later, the next attempt is refused and finds it.
        (Progress::Sent, Some(_)) => Meaning::Unknown,
    }
}

/// Where a commit stands in the history of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It made the current snapshot.
    Current(i64),
    /// It made this snapshot, and others went on from there: what the heads are now only the table knows.
    Behind(i64),
    /// It is not there.
    Absent,
}

/// Looks for a commit among the snapshots since its base. `history` is each snapshot with the id of its commit, newest
/// first.
pub fn settle(
    history: impl IntoIterator<Item = (i64, Option<Uuid>)>,
    base: Option<i64>,
    commit_id: Uuid,
) -> Settlement {
    let since = history.into_iter().take_while(|(snapshot, _)| Some(*snapshot) != base);
    match since.enumerate().find(|(_, (_, commit))| *commit == Some(commit_id)) {
        Some((0, (snapshot, _))) => Settlement::Current(snapshot),
        Some((_, (snapshot, _))) => Settlement::Behind(snapshot),
        None => Settlement::Absent,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn a_commit_is_looked_for_only_behind_its_base() {
        let history = [(4, Some(id(40))), (3, None), (2, Some(id(20))), (1, Some(id(10)))];
        assert_eq!(settle(history, Some(3), id(40)), Settlement::Current(4));
        assert_eq!(settle(history, Some(1), id(20)), Settlement::Behind(2));
        assert_eq!(settle(history, Some(3), id(20)), Settlement::Absent);
        assert_eq!(settle(history, None, id(10)), Settlement::Behind(1));
        assert_eq!(settle([], None, id(10)), Settlement::Absent);
    }

    #[test]
    fn silence_is_unknown_and_a_refusal_is_not() {
        assert_eq!(meaning(Progress::NotSent, Some(1), Some(Some(2))), Meaning::NotSent);
        assert_eq!(meaning(Progress::Sent, Some(1), None), Meaning::Unknown);
        assert_eq!(meaning(Progress::Sent, Some(1), Some(Some(1))), Meaning::Unknown);
        assert_eq!(meaning(Progress::Sent, Some(1), Some(Some(2))), Meaning::Settle);
        assert_eq!(meaning(Progress::Refused, Some(1), Some(Some(1))), Meaning::Settle);
        assert_eq!(meaning(Progress::Refused, Some(1), None), Meaning::Unknown);
    }

    /// What can happen to an attempt on its way to a catalog that compares and sets.
    #[derive(Debug, Clone, Copy)]
    enum Fate {
        Done,
        AnswerLost,
        RequestLost,
        Late,
    }

    fn attempt() -> impl Strategy<Value = (usize, Fate)> {
        let fate = prop_oneof![
            3 => Just(Fate::Done),
            1 => Just(Fate::AnswerLost),
            1 => Just(Fate::RequestLost),
            1 => Just(Fate::Late),
        ];
        (0..3usize, fate)
    }

    /// A writer that makes the same request until it is settled.
    struct Writer {
        base: Option<i64>,
        commit_id: Uuid,
    }

    proptest! {
        /// Three writers, each repeating its request until it knows: no commit is in the table twice, and what a writer is
        /// told is so.
        #[test]
        fn no_request_is_committed_twice_and_none_is_settled_wrongly(attempts in vec(attempt(), 1..120)) {
            let mut table: Vec<(i64, Option<Uuid>)> = Vec::new();
            let mut late: Vec<(Option<i64>, Uuid)> = Vec::new();
            let mut ids = 100;
            let mut fresh = |table: &[(i64, Option<Uuid>)]| {
                ids += 1;
                Writer { base: table.last().map(|(snapshot, _)| *snapshot), commit_id: id(ids) }
            };
            let mut writers: Vec<Writer> = (0..3).map(|_| fresh(&table)).collect();
            let set = |table: &mut Vec<(i64, Option<Uuid>)>, base: Option<i64>, commit_id: Uuid| {
                let stands = table.last().map(|(snapshot, _)| *snapshot) == base;
                if stands {
                    table.push((table.len() as i64, Some(commit_id)));
                }
                stands
            };
            for (who, fate) in attempts {
                let Writer { base, commit_id } = writers[who];
                let current = table.last().map(|(snapshot, _)| *snapshot);
                let told = if begin(base, current) == Begin::Settle {
                    Some(settle(table.iter().rev().copied(), base, commit_id))
                } else {
                    let progress = match fate {
                        Fate::Done => { prop_assert!(set(&mut table, base, commit_id)); None }
                        Fate::AnswerLost => { prop_assert!(set(&mut table, base, commit_id)); Some(Progress::Sent) }
                        Fate::RequestLost => Some(Progress::Sent),
                        Fate::Late => { late.push((base, commit_id)); Some(Progress::Sent) }
                    };
                    let current = table.last().map(|(snapshot, _)| *snapshot);
                    match progress.map(|progress| meaning(progress, base, Some(current))) {
                        None | Some(Meaning::Settle) => Some(settle(table.iter().rev().copied(), base, commit_id)),
                        Some(Meaning::Unknown) => None,
                        Some(Meaning::NotSent) => unreachable!("it was sent"),
                    }
                };
                let there = table.iter().filter(|(_, commit)| *commit == Some(commit_id)).count();
                prop_assert!(there <= 1);
                if let Some(told) = told {
                    prop_assert_eq!(told != Settlement::Absent, there == 1);
                    // What was sent late can no longer arrive: the table has moved on from its base.
                    writers[who] = fresh(&table);
                }
                if let Some((base, commit_id)) = late.pop() {
                    set(&mut table, base, commit_id);
                }
            }
        }
    }
}

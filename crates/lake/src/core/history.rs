//! What the history of a table says, without the library that holds it.

use uuid::Uuid;

use super::heads::HeadSet;

/// The heads of a table and where they were read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableHeads {
    /// Current snapshot when they were read; `None` when the table has none yet. A commit is made on this one only.
    pub snapshot_id: Option<i64>,
    /// Id of the commit that wrote them; `None` when the table has none.
    pub commit_id: Option<Uuid>,
    /// The heads.
    pub heads: HeadSet,
}

/// A snapshot, as far as heads are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked<'a> {
    /// Snapshot.
    pub id: i64,
    /// The writer's commit id; `None` for snapshots of other engines.
    pub commit_id: Option<Uuid>,
    /// The heads, as [`HeadSet::to_summary`] writes them; `None` for snapshots of other engines.
    pub heads: Option<&'a str>,
}

/// Why the heads of a table are not known. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoHeads {
    /// The table has rows, but no snapshot says which source offsets they come from.
    DataWithoutHeads,
    /// The heads in a snapshot make no sense.
    Unreadable {
        /// The snapshot.
        snapshot_id: i64,
        /// What is wrong.
        problem: String,
    },
}

/// Finds the heads in a history, newest snapshot first: those of the first that carries some. `holds_rows` says whether the
/// newest snapshot has rows.
///
/// # Errors
/// [`NoHeads`].
pub fn newest_heads<'a>(
    history: impl IntoIterator<Item = Marked<'a>>,
    holds_rows: bool,
) -> Result<TableHeads, NoHeads> {
    let mut history = history.into_iter().peekable();
    let snapshot_id = history.peek().map(|newest| newest.id);
    for Marked { id, commit_id, heads } in history {
        if let Some(text) = heads {
            let heads =
                HeadSet::from_summary(text).map_err(|problem| NoHeads::Unreadable { snapshot_id: id, problem })?;
            return Ok(TableHeads { snapshot_id, commit_id, heads });
        }
    }
    if holds_rows {
        return Err(NoHeads::DataWithoutHeads);
    }
    Ok(TableHeads { snapshot_id, ..TableHeads::default() })
}

/// The snapshots after one, oldest first. `history` is each snapshot with its parent, newest first.
///
/// # Errors
/// The snapshot that is missing: `after` is no ancestor, or what lies between has expired.
pub fn added_after(history: impl IntoIterator<Item = (i64, Option<i64>)>, after: Option<i64>) -> Result<Vec<i64>, i64> {
    let mut ids = Vec::new();
    let mut missing = None;
    for (position, (id, parent)) in history.into_iter().enumerate() {
        if position == 0 {
            missing = Some(id);
        }
        if Some(id) == after {
            break;
        }
        ids.push(id);
        missing = parent;
    }
    if missing != after {
        return Err(after.or(missing).unwrap_or_default());
    }
    ids.reverse();
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::heads::{Head, HeadKey};
    use super::*;

    #[test]
    fn heads_are_those_of_the_newest_snapshot_that_has_some() {
        let heads = HeadSet::from_iter([(HeadKey::new("t", "id", 0), Head { next: 7, watermark: 6 })]);
        let text = heads.to_summary();
        let ours = Marked { id: 2, commit_id: Some(Uuid::from_u128(9)), heads: Some(&text) };
        let theirs = |id| Marked { id, commit_id: None, heads: None };
        let found = newest_heads([theirs(4), theirs(3), ours, theirs(1)], true).unwrap();
        assert_eq!(found, TableHeads { snapshot_id: Some(4), commit_id: ours.commit_id, heads });
        assert_eq!(newest_heads([theirs(4)], true), Err(NoHeads::DataWithoutHeads));
        assert_eq!(newest_heads([theirs(4)], false).unwrap().snapshot_id, Some(4));
        assert_eq!(newest_heads([], false), Ok(TableHeads::default()));
        let odd = Marked { id: 5, commit_id: None, heads: Some("{}") };
        assert!(matches!(newest_heads([odd, ours], true), Err(NoHeads::Unreadable { snapshot_id: 5, .. })));
    }

    proptest! {
        /// Whoever asks for what came after the last answer sees every snapshot once, in order; expired ones are noticed.
        #[test]
        fn following_a_history_sees_each_snapshot_once(length in 0..30usize, after in 0..30usize, expired in 0..30usize) {
            let all: Vec<i64> = (0..length as i64).map(|number| 100 + number).collect();
            // The current snapshot never expires.
            let kept = expired.min(length.saturating_sub(1));
            let history = (kept..length).rev().map(|at| (all[at], at.checked_sub(1).map(|before| all[before])));
            let begin = all.get(after).map_or(0, |_| after + 1);
            let followed = added_after(history, all.get(after).copied());
            if begin >= kept {
                prop_assert_eq!(followed.unwrap(), &all[begin..]);
            } else {
                prop_assert!(followed.is_err(), "snapshots between have expired");
            }
        }
    }
}

//! One commit of a sink, from the first attempt to the last: what `lake` does around the catalogue, request by request,
//! with `lake`'s own decisions.

use lake::core::commit::{Begin, Meaning, Progress, Settlement, begin, meaning, settle};
use lake::{Advance, AdvanceError, HeadSet, TableHeads};
use uuid::Uuid;

use crate::bug::Bug;
use crate::step::Fate;
use crate::world::World;
use crate::world::catalogue::{Request, Snapshot, Table};

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Load the table and compare.
    Check,
    /// The library loads it once more, behind the guard.
    Guard,
    /// Ask the catalogue to commit, on this snapshot.
    Send(Option<i64>),
    /// Load the table, after an error.
    Resolve(Progress),
}

/// What is to be committed. It stays the same over all attempts.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) table: usize,
    pub(super) base: TableHeads,
    pub(super) commit_id: Uuid,
    pub(super) advances: Vec<Advance>,
    pub(super) files: Vec<usize>,
    at: At,
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attempted {
    /// Not at an end yet.
    Moved,
    /// Done; these are the heads now.
    Committed(TableHeads),
    /// The table has moved on, and the commit is not in it.
    Stale,
    /// The request contradicts its base.
    Refused(AdvanceError),
    /// Nobody knows, and the driver is one that takes this for a failure.
    TakenForFailure,
}

impl Attempt {
    pub(super) fn new(
        table: usize,
        commit_id: Uuid,
        base: TableHeads,
        advances: Vec<Advance>,
        files: Vec<usize>,
    ) -> Self {
        Self { table, base, commit_id, advances, files, at: At::Check }
    }

    /// The same request on another base, from the beginning.
    pub(super) fn rebase(&mut self, base: TableHeads) {
        self.base = base;
        self.at = At::Check;
    }

    /// Whether the next turn asks the catalogue to commit.
    pub(super) fn is_sending(&self) -> bool {
        matches!(self.at, At::Send(_))
    }

    pub(super) fn step(&mut self, world: &mut World, fate: Fate) -> Attempted {
        let heads = match self.base.heads.advance(&self.advances) {
            Ok(heads) => heads,
            Err(error) => return Attempted::Refused(error),
        };
        let current = world.tables[self.table].current();
        match self.at {
            At::Check | At::Guard if fate != Fate::Fine => self.at = At::Check, // not sent: the same request again
            At::Check if begin(self.base.snapshot_id, current) == Begin::Settle && !self.is_unpinned(world) => {
                return self.settle(world, heads);
            }
            At::Check => self.at = At::Guard,
            At::Guard if current != self.base.snapshot_id && !self.is_unpinned(world) => {
                self.at = At::Resolve(Progress::Refused);
            }
            At::Guard => self.at = At::Send(current),
            At::Send(expected) => return self.send(world, fate, expected, heads),
            At::Resolve(progress) => {
                let current = (fate == Fate::Fine).then_some(current);
                let meaning = meaning(progress, self.base.snapshot_id, current);
                if world.has(Bug::UnknownOutcomeIsFailure) && progress == Progress::Sent {
                    return Attempted::TakenForFailure;
                }
                match meaning {
                    Meaning::Settle => return self.settle(world, heads),
                    Meaning::Unknown | Meaning::NotSent => self.at = At::Check,
                }
            }
        }
        Attempted::Moved
    }

    fn is_unpinned(&self, world: &World) -> bool {
        world.has(Bug::UnpinnedCommit)
    }

    fn send(&mut self, world: &mut World, fate: Fate, expected: Option<i64>, heads: HeadSet) -> Attempted {
        let request = Request {
            expected,
            snapshot: Snapshot {
                id: i64::from(world.number()),
                parent: expected,
                commit_id: Some(self.commit_id),
                heads: Some(heads.to_summary()),
                files: self.files.clone(),
            },
        };
        self.at = At::Resolve(Progress::Sent);
        match fate {
            Fate::RequestLost => {}
            Fate::Late | Fate::Timeout => world.tables[self.table].late.push(request),
            Fate::Fine | Fate::AnswerLost => {
                let committed = commit(world, self.table, request);
                if fate == Fate::Fine {
                    if committed {
                        return self.settle(world, heads);
                    }
                    self.at = if self.is_unpinned(world) { At::Check } else { At::Resolve(Progress::Refused) };
                }
            }
        }
        Attempted::Moved
    }

    /// Looks for the commit in the table.
    fn settle(&self, world: &World, heads: HeadSet) -> Attempted {
        let table: &Table = &world.tables[self.table];
        let history = table.history().map(|snapshot| (snapshot.id, snapshot.commit_id));
        match settle(history, self.base.snapshot_id, self.commit_id) {
            Settlement::Current(id) => {
                let commit_id = Some(self.commit_id);
                Attempted::Committed(TableHeads { snapshot_id: Some(id), commit_id, heads })
            }
            Settlement::Behind(_) => table.read_heads().map_or(Attempted::Stale, Attempted::Committed),
            Settlement::Absent => Attempted::Stale,
        }
    }
}

/// Commits to a table; whether it did.
pub fn commit(world: &mut World, table: usize, request: Request) -> bool {
    let (id, files) = (request.snapshot.id, request.snapshot.files.clone());
    let outcome = world.tables[table].commit(request);
    world.note(|| format!("table {table}: snapshot {id} with files {files:?}: {outcome:?}"));
    match outcome {
        Ok(Ok(())) => true,
        Ok(Err(problem)) => {
            world.violated(|| format!("table {table}, snapshot {id}: {problem}"));
            true
        }
        Err(_) => false,
    }
}

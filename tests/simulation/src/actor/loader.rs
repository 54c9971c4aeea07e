//! `redshift-loader` for one table: the lake's history against the ledger, one snapshot in one transaction.

use std::collections::VecDeque;

use lake::SnapshotFiles;
use lake::core::history::added_after;
use redshift_loader::core::job::{LedgerVerdict, LoadJob};

use super::{Outcome, Turn};
use crate::bug::Bug;
use crate::step::Fate;
use crate::world::{Incarnation, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Ask the ledger what is loaded.
    Newest,
    /// Read the lake's history behind it.
    History(Option<i64>),
    /// Begin the next snapshot's transaction.
    Lock,
    /// Write the ledger row.
    Claim,
    /// Copy the files.
    Copy,
    /// Insert the rows.
    Insert,
    /// Commit.
    Commit,
    /// Nobody answered: ask the ledger.
    Ask,
}

/// A process of `redshift-loader` with one table.
#[derive(Debug)]
pub struct Loader {
    table: usize,
    phase: Phase,
    jobs: VecDeque<(LoadJob, Vec<usize>)>,
}

impl Loader {
    /// A process that has just started.
    pub fn new(table: usize) -> Self {
        Self { table, phase: Phase::Newest, jobs: VecDeque::new() }
    }

    pub(super) fn act(&mut self, world: &mut World, turn: Turn) -> Outcome {
        let table = self.table;
        if turn.fate != Fate::Fine && !matches!(self.phase, Phase::Commit | Phase::Newest) {
            // The connection breaks: whatever was open on it is rolled back, and the load begins anew.
            world.warehouse[table].roll_back(turn.me);
            return self.again();
        }
        match self.phase {
            Phase::Newest => {
                let newest = world.warehouse[table].newest();
                self.phase = Phase::History(newest);
                if newest == world.tables[table].current() {
                    return Outcome::Idle;
                }
            }
            Phase::History(newest) => return self.read_history(world, newest),
            Phase::Lock => return self.lock(world, turn.me),
            Phase::Claim => {
                let Some((job, _)) = self.jobs.front() else { return self.again() };
                if world.has(Bug::LedgerOutsideTransaction) {
                    world.warehouse[table].ledger.push(job.snapshot_id);
                } else {
                    world.warehouse[table].transaction(turn.me).ledger = Some(job.snapshot_id);
                }
                self.phase = Phase::Copy;
            }
            Phase::Copy => {
                let Some((_, files)) = self.jobs.front() else { return self.again() };
                let lake = &world.tables[table];
                let rows = files.iter().flat_map(|file| lake.file(*file)).copied().collect();
                world.warehouse[table].transaction(turn.me).rows = rows;
                self.phase = Phase::Insert;
            }
            Phase::Insert => self.phase = Phase::Commit,
            Phase::Commit => self.commit(world, turn),
            Phase::Ask => return self.ask(world),
        }
        Outcome::Moved
    }

    fn again(&mut self) -> Outcome {
        self.jobs.clear();
        self.phase = Phase::Newest;
        Outcome::Moved
    }

    fn read_history(&mut self, world: &mut World, newest: Option<i64>) -> Outcome {
        let lake = &world.tables[self.table];
        let ids = match added_after(lake.history().map(|snapshot| (snapshot.id, snapshot.parent)), newest) {
            Ok(ids) => ids,
            Err(missing) => return Outcome::Refused(format!("snapshot {missing} is not in the history of the table")),
        };
        for snapshot in ids.iter().filter_map(|id| lake.snapshot(*id)) {
            let job = LoadJob::new(
                "lake.table",
                SnapshotFiles {
                    snapshot_id: snapshot.id,
                    parent: snapshot.parent,
                    sequence_number: 0,
                    committed_at_micros: 0,
                    commit_id: snapshot.commit_id,
                    operation: if snapshot.heads.is_some() { "append" } else { "replace" }.to_owned(),
                    files: Vec::new(),
                },
            );
            self.jobs.push_back((job, snapshot.files.clone()));
        }
        if self.jobs.is_empty() {
            self.phase = Phase::Newest;
            return Outcome::Idle;
        }
        self.phase = Phase::Lock;
        Outcome::Moved
    }

    fn lock(&mut self, world: &mut World, me: Incarnation) -> Outcome {
        let Some((job, _)) = self.jobs.front() else { return self.again() };
        let warehouse = &mut world.warehouse[self.table];
        if !warehouse.begin(me) {
            return Outcome::Idle;
        }
        let present = warehouse.ledger.contains(&job.snapshot_id);
        match LedgerVerdict::of(job, present, warehouse.newest()) {
            LedgerVerdict::Next => self.phase = Phase::Claim,
            LedgerVerdict::Present => {
                warehouse.roll_back(me);
                self.jobs.pop_front();
            }
            LedgerVerdict::OutOfOrder => {
                warehouse.roll_back(me);
                return Outcome::Refused(format!("snapshot {} is out of order", job.snapshot_id));
            }
        }
        Outcome::Moved
    }

    fn commit(&mut self, world: &mut World, turn: Turn) {
        let snapshot = self.jobs.front().map(|(job, _)| job.snapshot_id);
        world.note(|| format!("loader {} of table {} commits {snapshot:?}: {:?}", turn.me, self.table, turn.fate));
        let warehouse = &mut world.warehouse[self.table];
        self.phase = Phase::Ask;
        match turn.fate {
            Fate::RequestLost => warehouse.roll_back(turn.me),
            Fate::Late | Fate::Timeout => warehouse.cut(turn.me),
            Fate::Fine | Fate::AnswerLost => {
                if let Err(problem) = warehouse.commit(turn.me) {
                    world.violated(|| problem);
                }
                if turn.fate == Fate::Fine {
                    self.loaded();
                }
            }
        }
    }

    fn loaded(&mut self) {
        self.jobs.pop_front();
        self.phase = if self.jobs.is_empty() { Phase::Newest } else { Phase::Lock };
    }

    /// What the ledger says is so; when it does not have the snapshot, the load is made again, behind the lock that a
    /// commit still under way holds.
    fn ask(&mut self, world: &mut World) -> Outcome {
        let Some((job, _)) = self.jobs.front() else { return self.again() };
        if world.has(Bug::UnknownOutcomeIsFailure) {
            // It failed, so it is done again; no need to look.
            self.phase = Phase::Copy;
            return Outcome::Moved;
        }
        if world.warehouse[self.table].ledger.contains(&job.snapshot_id) {
            self.loaded();
            return Outcome::Moved;
        }
        self.again()
    }
}

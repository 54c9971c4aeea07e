//! A route of `parquet-sink`: adopt, take in, write, commit, give up.

use lake::{Advance, Head, HeadKey, TableHeads};
use meterway_schemas::counts;
use parquet_sink::core::judge::{Candidate, judge};
use parquet_sink::core::progress::{Admission, AfterRefusal, Owned};
use uuid::Uuid;

use super::attempt::{Attempt, Attempted};
use super::{Outcome, Turn};
use crate::bug::Bug;
use crate::step::Fate;
use crate::world::client::{Block, Client};
use crate::world::group::Event;
use crate::world::{Route, Row, World};

/// Why the heads are read.
#[derive(Debug)]
enum Why {
    Adopt(Vec<usize>),
    Restart,
    Refused(Box<Attempt>),
    /// As [`Why::Refused`], for a driver that takes an unknown outcome for a failure.
    Failed(Box<Attempt>),
}

#[derive(Debug)]
enum Phase {
    Idle,
    ReadHeads(Why),
    Begin(TableHeads),
    Put,
    Commit(Box<Attempt>),
}

/// Partitions on their way out, and whether the last commit for them is done, as soon as that is known.
#[derive(Debug)]
struct Leaving {
    partitions: Vec<usize>,
    committed: Option<bool>,
}

/// A process of `parquet-sink` with one route.
#[derive(Debug)]
pub struct Sink {
    table: usize,
    joined: bool,
    client: Client,
    owned: Owned,
    base: TableHeads,
    rows: Vec<Row>,
    files: Vec<usize>,
    phase: Phase,
    leaving: Option<Leaving>,
    /// The files that a planted mistake commits behind their heads.
    behind: Vec<usize>,
}

impl Sink {
    /// A process that has just started.
    pub fn new(table: usize) -> Self {
        Self {
            table,
            joined: false,
            client: Client::default(),
            owned: Owned::default(),
            base: TableHeads::default(),
            rows: Vec::new(),
            files: Vec::new(),
            phase: Phase::Idle,
            leaving: None,
            behind: Vec::new(),
        }
    }

    fn group(&self) -> usize {
        1 + self.table
    }

    pub(super) fn act(&mut self, world: &mut World, turn: Turn) -> Outcome {
        if !self.joined {
            self.joined = true;
            world.groups[self.group()].join(turn.me);
            return Outcome::Moved;
        }
        if turn.fate == Fate::Timeout && self.leaving.is_some() {
            return self.run_out_of_time(world, turn);
        }
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle => self.idle(world, turn),
            Phase::ReadHeads(why) => self.read_heads(world, turn, why),
            Phase::Begin(heads) => self.begin(world, turn, heads),
            Phase::Put => self.put(world, turn),
            Phase::Commit(attempt) => self.commit(world, turn, attempt),
        }
    }

    fn idle(&mut self, world: &mut World, turn: Turn) -> Outcome {
        if let Some(event) = world.groups[self.group()].take(turn.me) {
            world.note(|| format!("sink {} of table {}: {event:?}", turn.me, self.table));
            self.on_event(world, turn, event);
            return Outcome::Moved;
        }
        let logs = if world.tables[self.table].route == Route::Landing { Source::Raw } else { Source::Decisions };
        let fetched = match logs {
            Source::Raw => self.client.fetch(&world.raw, 0, turn.n),
            Source::Decisions => self.client.fetch(&world.decisions, world.generation(), turn.n),
        };
        match fetched {
            Err(_) => return Outcome::Ended("a position does not exist".to_owned()),
            Ok(true) if !turn.n.is_multiple_of(3) => return Outcome::Moved,
            Ok(_) => {}
        }
        if let Some(block) = self.client.receive() {
            return self.take(world, block, logs);
        }
        if !self.rows.is_empty() && turn.n.is_multiple_of(5) {
            // Memory is short: a file is written, and waits for the next commit.
            let rows = std::mem::take(&mut self.rows);
            self.files.push(world.tables[self.table].put(rows));
            return Outcome::Moved;
        }
        if self.owned.advances().is_empty() {
            return Outcome::Idle;
        }
        self.phase = Phase::Put;
        Outcome::Moved
    }

    fn on_event(&mut self, world: &mut World, turn: Turn, event: Event) {
        match event {
            Event::Assigned(partitions) => self.phase = Phase::ReadHeads(Why::Adopt(partitions)),
            Event::Revoked(partitions) => {
                partitions.iter().for_each(|partition| self.client.stop(*partition));
                if world.has(Bug::NoDrainOnRevoke) {
                    partitions.iter().for_each(|partition| self.owned.release(*partition as i32));
                    world.groups[self.group()].acknowledge(turn.me, &partitions);
                    return;
                }
                self.leaving = Some(Leaving { partitions, committed: None });
                if self.owned.advances().is_empty() { self.flushed(world, turn, true) } else { self.phase = Phase::Put }
            }
            Event::Lost(partitions) => {
                partitions.iter().for_each(|partition| self.client.stop(*partition));
                world.groups[self.group()].join(turn.me);
                self.leaving = Some(Leaving { partitions, committed: None });
                self.flushed(world, turn, false);
            }
        }
    }

    /// Takes a block in behind its partition's head.
    fn take(&mut self, world: &mut World, block: Block, source: Source) -> Outcome {
        let partition = block.partition as i32;
        let mut head = match self.owned.admit(partition, block.from) {
            Admission::NotOurs => return Outcome::Moved,
            Admission::Again => return Outcome::Defect(format!("offset {} came again without a restart", block.from)),
            Admission::Take(head) => head,
        };
        match source {
            Source::Raw => {
                let row = |offset| Row { partition: block.partition as u8, offset, index: 0 };
                self.rows.extend((block.from..block.to).map(row));
            }
            Source::Decisions => self.take_decisions(world, block, &mut head),
        }
        head.next = block.to;
        if let Some(progress) = self.owned.get_mut(partition) {
            progress.head = head;
        }
        Outcome::Moved
    }

    fn take_decisions(&mut self, world: &World, block: Block, head: &mut Head) {
        let log = world.decisions_of(block.generation)[block.partition].all();
        let decisions = &log[block.from as usize..block.to as usize];
        let candidate = |(row, decision): (u32, &crate::world::log::Decision)| Candidate {
            record: row,
            batch: 0,
            row,
            source_offset: decision.source_offset,
            counts: counts(decision.decision_offset, block.from + i64::from(row)) || world.has(Bug::PlaceIgnored),
        };
        let candidates: Vec<Candidate> = (0..).zip(decisions).map(candidate).collect();
        let accepted = if world.has(Bug::WatermarkIgnored) {
            head.watermark = decisions.iter().map(|one| one.source_offset).fold(head.watermark, i64::max);
            (0..decisions.len() as u32).collect()
        } else if world.has(Bug::WrongWatermarkAfterReemission) {
            let mut accepted = Vec::new();
            for candidate in candidates {
                accepted.extend(judge(head, vec![candidate], 1).accepted.swap_remove(0));
                head.watermark = candidate.source_offset;
            }
            accepted
        } else {
            judge(head, candidates, 1).accepted.swap_remove(0)
        };
        for row in accepted {
            let decision = &decisions[row as usize];
            let indexes: Vec<i32> = match world.tables[self.table].route {
                Route::Readings => decision.accepted.iter().map(|reading| reading.index).collect(),
                _ => decision.rejected.clone(),
            };
            let (partition, offset) = (block.partition as u8, decision.source_offset);
            self.rows.extend(indexes.into_iter().map(|index| Row { partition, offset, index }));
        }
    }

    fn read_heads(&mut self, world: &mut World, turn: Turn, why: Why) -> Outcome {
        if turn.fate != Fate::Fine {
            self.phase = Phase::ReadHeads(why);
            return Outcome::Moved;
        }
        let heads = match world.tables[self.table].read_heads() {
            Ok(heads) => heads,
            Err(problem) => return Outcome::Defect(format!("{problem:?}")),
        };
        match why {
            Why::Adopt(partitions) => {
                let partitions: Vec<i32> = partitions.iter().map(|partition| *partition as i32).collect();
                let adoption = self.owned.adopt(&partitions, &heads.heads);
                if adoption.void {
                    self.drop_gathered();
                }
                self.phase = Phase::Begin(heads);
            }
            Why::Restart => self.phase = Phase::Begin(heads),
            Why::Refused(attempt) if !world.has(Bug::NoHeadCheck) => match self.owned.after_refusal(&heads.heads) {
                AfterRefusal::Restart => self.restart(Some(false)),
                AfterRefusal::Rebase => self.attempt_on(attempt, heads),
            },
            Why::Refused(mut attempt) | Why::Failed(mut attempt) => {
                attempt.advances = from_wherever_they_stand(&attempt.advances, &heads);
                self.attempt_on(attempt, heads);
            }
        }
        Outcome::Moved
    }

    fn attempt_on(&mut self, mut attempt: Box<Attempt>, heads: TableHeads) {
        attempt.rebase(heads);
        self.phase = Phase::Commit(attempt);
    }

    /// Begins all partitions that wait, where the table stands.
    fn begin(&mut self, world: &mut World, turn: Turn, heads: TableHeads) -> Outcome {
        for partition in self.owned.waiting() {
            let (id, generation, bounds) = match world.tables[self.table].route {
                Route::Landing => ("raw", 0, bounds(&world.raw[partition as usize])),
                _ => (world.decisions_id(), world.generation(), bounds(&world.decisions[partition as usize])),
            };
            let key = HeadKey::new("topic", id, partition);
            match self.owned.begin(key, &heads.heads, bounds) {
                Ok(next) => self.client.start(partition as usize, next, generation),
                Err(unreadable) => {
                    world.refused_tables.insert(self.table);
                    return Outcome::Refused(unreadable.to_string());
                }
            }
        }
        self.base = heads;
        if let Some(committed) = self.leaving.as_ref().and_then(|leaving| leaving.committed) {
            self.flushed(world, turn, committed);
        }
        Outcome::Moved
    }

    fn put(&mut self, world: &mut World, turn: Turn) -> Outcome {
        if turn.fate != Fate::Fine {
            self.phase = Phase::Put;
            return Outcome::Moved;
        }
        let rows = std::mem::take(&mut self.rows);
        if !rows.is_empty() {
            self.files.push(world.tables[self.table].put(rows));
        }
        let mut files = std::mem::take(&mut self.files);
        if world.has(Bug::OffsetsBeforeData) {
            self.behind = std::mem::take(&mut files);
        }
        let attempt = Attempt::new(self.table, commit_id(world), self.base.clone(), self.owned.advances(), files);
        self.phase = Phase::Commit(Box::new(attempt));
        Outcome::Moved
    }

    fn commit(&mut self, world: &mut World, turn: Turn, mut attempt: Box<Attempt>) -> Outcome {
        match attempt.step(world, turn.fate) {
            Attempted::Moved => self.phase = Phase::Commit(attempt),
            Attempted::Stale => self.phase = Phase::ReadHeads(Why::Refused(attempt)),
            Attempted::TakenForFailure => {
                attempt.commit_id = commit_id(world);
                self.phase = Phase::ReadHeads(Why::Failed(attempt));
            }
            Attempted::Refused(error) => return Outcome::Defect(error.to_string()),
            Attempted::Committed(heads) => self.committed(world, turn, heads),
        }
        Outcome::Moved
    }

    fn committed(&mut self, world: &mut World, turn: Turn, heads: TableHeads) {
        let after = self.owned.committed(&heads.heads);
        for (partition, next) in after.positions {
            let group = self.group();
            world.groups[group].committed[partition as usize] = Some(next);
        }
        self.base = heads;
        let behind = std::mem::take(&mut self.behind);
        if !behind.is_empty() {
            let attempt = Attempt::new(self.table, commit_id(world), self.base.clone(), Vec::new(), behind);
            self.phase = Phase::Commit(Box::new(attempt));
        } else if after.restart {
            self.restart(Some(true));
        } else {
            self.flushed(world, turn, true);
        }
    }

    /// A flush is over. When it was for partitions on their way out, they go now.
    fn flushed(&mut self, world: &mut World, turn: Turn, committed: bool) {
        let Some(leaving) = self.leaving.take() else { return };
        for partition in &leaving.partitions {
            self.owned.release(*partition as i32);
        }
        let group = self.group();
        world.groups[group].acknowledge(turn.me, &leaving.partitions);
        if !committed {
            self.restart(None);
        }
    }

    /// The revocation has lasted long enough: the flush is cut wherever it stands.
    fn run_out_of_time(&mut self, world: &mut World, turn: Turn) -> Outcome {
        if let Phase::Commit(mut attempt) = std::mem::replace(&mut self.phase, Phase::Idle)
            && attempt.is_sending()
        {
            // The request is on its way, and nobody waits for its answer.
            attempt.step(world, Fate::Late);
        }
        world.note(|| format!("sink {} of table {}: no time left", turn.me, self.table));
        self.flushed(world, turn, false);
        Outcome::Moved
    }

    /// Drops what was gathered and begins all partitions at the table's heads again; `flushed` is what came of the flush
    /// that led to this.
    fn restart(&mut self, flushed: Option<bool>) {
        self.owned.abandon();
        self.drop_gathered();
        if let Some(leaving) = &mut self.leaving {
            leaving.committed = flushed;
        }
        self.phase = Phase::ReadHeads(Why::Restart);
    }

    fn drop_gathered(&mut self) {
        self.rows.clear();
        self.files.clear();
        self.behind.clear();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Raw,
    Decisions,
}

fn bounds<T>(log: &crate::world::log::Log<T>) -> (i64, i64) {
    (log.low(), log.high())
}

fn commit_id(world: &mut World) -> Uuid {
    Uuid::from_u128(u128::from(world.number()))
}

/// What a driver without a head check commits: its own moves, whatever the heads are.
fn from_wherever_they_stand(advances: &[Advance], heads: &TableHeads) -> Vec<Advance> {
    let moved = |advance: &Advance| {
        let head = heads.heads.get(&advance.key).ok().flatten();
        let (next, watermark) = head.map_or((0, -1), |head| (head.next, head.watermark));
        let to = Head { next: advance.to.next.max(next), watermark: advance.to.watermark.max(watermark) };
        Advance { key: advance.key.clone(), from: head.map(|head| head.next), to }
    };
    advances.iter().map(moved).collect()
}

//! One partition of `validate`: resume, decide, dead letters, decisions.

use std::collections::VecDeque;

use validate::core::checkpoint::{Checkpoint, Foreign, OwnOutput, Resume, further_back, resume, tail_from};
use validate::core::decide::{Learned, Message, Settings, Validator};
use validate::core::decision::Decision as Decided;
use validate::core::flight::{Flight, Sent};
use validate::core::history::Known;

use super::Turn;
use super::validate::GROUP;
use crate::bug::Bug;
use crate::content::{self, CHANNEL, NAMES, NOW, TENANT};
use crate::step::Fate;
use crate::world::World;
use crate::world::client::{Block, Client};
use crate::world::log::{AcceptedReading, Decision, RawMessage};
use crate::world::network::{Payload, Target};

/// Blocks under way at once.
const IN_FLIGHT: usize = 4;
/// Bit of a tag: the last decision about a block.
const LAST: u64 = 1 << 31;
/// Bit of a tag: a dead letter.
const LETTER: u64 = 1 << 30;

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Moved,
    Idle,
    Done,
    Refused(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Asks where the output ends.
    Ends,
    /// Reads the tail of the output.
    Tail { from: i64, to: i64 },
    /// Asks where the raw partition begins and ends.
    Source,
    /// Decides.
    Running,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) serial: u64,
    pub(super) blocks: VecDeque<Block>,
    partition: usize,
    phase: Phase,
    stopping: bool,
    checkpoint: Checkpoint,
    validator: Validator,
    flight: Flight,
    /// Offset of the output that the next decision counts on.
    next: i64,
    /// Decisions that wait for their dead letters: the block's end, and how many letters are under way.
    held: Option<(Vec<Decision>, i64, usize)>,
}

impl Worker {
    pub(super) fn new(partition: usize, serial: u64) -> Self {
        Self {
            serial,
            blocks: VecDeque::new(),
            partition,
            phase: Phase::Ends,
            stopping: false,
            checkpoint: Checkpoint::default(),
            validator: Validator::new(Settings::default()),
            flight: Flight::new(OwnOutput::from_end(0), IN_FLIGHT),
            next: 0,
            held: None,
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    /// A record has arrived. Returns the raw offset up to which the group may be told that all is done.
    pub(super) fn delivered(&mut self, tag: u64, offset: i64) -> Result<Option<i64>, Foreign> {
        if tag & LETTER != 0 {
            if let Some((_, _, letters)) = &mut self.held {
                *letters -= 1;
            }
            return Ok(None);
        }
        if tag & LAST == 0 {
            return Ok(None);
        }
        Ok(self.flight.delivered(offset)?.map(|block| block.next))
    }

    pub(super) fn step(&mut self, world: &mut World, client: &mut Client, knows_all: &mut bool, turn: Turn) -> Step {
        if self.stopping {
            // Decisions under way are waited for, but not longer than the rebalance may take.
            let waits = self.phase == Phase::Running && self.flight.is_busy() && turn.fate != Fate::Timeout;
            return if waits { Step::Idle } else { Step::Done };
        }
        match self.phase {
            Phase::Ends => {
                let log = &world.decisions[self.partition];
                let (low, to) = (log.low(), log.high());
                self.phase = Phase::Tail { from: tail_from(low, to, world.window), to };
                Step::Moved
            }
            Phase::Tail { from, to } => {
                self.learn(world, from, to);
                if let Some(further) = further_back(self.checkpoint, world.decisions[self.partition].low(), from, to) {
                    self.phase = Phase::Tail { from: further, to };
                    return Step::Moved;
                }
                self.flight = Flight::new(OwnOutput::from_end(to), IN_FLIGHT);
                self.next = to;
                self.phase = Phase::Source;
                Step::Moved
            }
            Phase::Source => self.begin(world, client),
            Phase::Running => self.run(world, knows_all, turn),
        }
    }

    fn learn(&mut self, world: &World, from: i64, to: i64) {
        let log = &world.decisions[self.partition];
        for (offset, decision) in (from..to).filter_map(|offset| Some((offset, log.get(offset)?))) {
            let place = self.checkpoint.observe(decision.source_offset, decision.decision_offset, offset);
            if !place.holds() || world.has(Bug::DedupNotRebuilt) {
                continue;
            }
            let learned = |reading: &AcceptedReading| Learned {
                channel: CHANNEL,
                kind: meter_model::Kind::Interval,
                known: reading.known,
                failed: reading.failed,
            };
            self.validator.learn(TENANT, NAMES[usize::from(decision.device)], decision.accepted.iter().map(learned));
        }
    }

    fn begin(&mut self, world: &mut World, client: &mut Client) -> Step {
        let log = &world.raw[self.partition];
        let (low, high) = (log.low(), log.high());
        let at = match resume(self.checkpoint, world.groups[GROUP].committed[self.partition], low, high) {
            Ok(Resume::At(offset)) => offset,
            Ok(Resume::Fresh) => low,
            Ok(Resume::Lost { at, .. }) => {
                world.refused_partitions.insert(self.partition);
                at
            }
            Err(mismatch) => return Step::Refused(mismatch.to_string()),
        };
        world.note(|| format!("worker {}: raw[{}] resumes at {at}", self.serial, self.partition));
        client.start(self.partition, at, 0);
        self.phase = Phase::Running;
        Step::Moved
    }

    fn run(&mut self, world: &mut World, knows_all: &mut bool, turn: Turn) -> Step {
        match self.held.take() {
            Some((decisions, next, 0)) => {
                self.send(world, turn, decisions, next);
                Step::Moved
            }
            held @ Some(_) => {
                self.held = held;
                Step::Idle
            }
            None if self.flight.is_full() => Step::Idle,
            None => match self.blocks.pop_front() {
                Some(block) => {
                    self.process(world, knows_all, turn, block);
                    Step::Moved
                }
                None => Step::Idle,
            },
        }
    }

    /// Decides about a block; sends its dead letters, and the decisions when there are none.
    fn process(&mut self, world: &mut World, knows_all: &mut bool, turn: Turn, block: Block) {
        let mut decisions = Vec::new();
        let mut letters = Vec::new();
        for offset in block.from..block.to {
            let Some(message) = world.raw[self.partition].all().get(offset as usize).cloned() else { continue };
            let unknown = world.devices[usize::from(*knows_all)].get(NAMES[usize::from(message.device)]).is_none();
            if unknown && turn.fate == Fate::Fine {
                *knows_all = world.registered;
            }
            let decision = decide(&mut self.validator, &world.devices[usize::from(*knows_all)], &message, offset);
            if !decision.rejected.is_empty() {
                letters.push(offset);
            }
            decisions.push(decision);
        }
        let count = letters.len();
        if count == 0 || world.has(Bug::DeadLetterAfterOffset) {
            self.send(world, turn, decisions, block.to);
        } else {
            self.held = Some((decisions, block.to, count));
        }
        for offset in letters {
            let (target, payload) = (Target::Letters(self.partition), Payload::Letter(offset));
            world.send(turn.me, target, payload, self.serial << 32 | LETTER);
        }
    }

    fn send(&mut self, world: &mut World, turn: Turn, decisions: Vec<Decision>, next: i64) {
        let decisions = if world.has(Bug::TwoMessages) { in_two(decisions) } else { decisions };
        let count = decisions.len();
        for (number, mut decision) in decisions.into_iter().enumerate() {
            if !world.bug.is_some_and(Bug::is_about_older_writers) {
                decision.decision_offset = self.next;
            }
            self.next += 1;
            let last = if number + 1 == count { LAST } else { 0 };
            let (target, payload) = (Target::Decisions(self.partition), Payload::Decision(decision));
            world.send(turn.me, target, payload, self.serial << 32 | last);
        }
        self.flight.sent(Sent { decisions: count, next, timestamp_ms: 0 });
    }
}

fn decide(
    validator: &mut Validator,
    devices: &validate::core::devices::DeviceTable,
    message: &RawMessage,
    offset: i64,
) -> Decision {
    let readings = content::readings(message);
    let key = NAMES[usize::from(message.device)].as_bytes();
    let decided = if readings.is_empty() {
        Decided::poison(Some(key), meter_model::RejectCode::Truncated, "ends inside a value")
    } else {
        let batch = content::batch(message, &readings);
        validator.decide(devices, NOW, &Message { key: Some(key), payload_bytes: 64, batch, note: None })
    };
    let accepted = decided.accepted.iter().map(|accepted| {
        let reading = &readings[accepted.index];
        let (start, value, duration_s) = (reading.start, reading.value, reading.duration_s);
        AcceptedReading {
            index: accepted.index as i32,
            known: Known { start, value, duration_s, version: accepted.version },
            failed: accepted.failed,
        }
    });
    Decision {
        source_offset: offset,
        decision_offset: -1,
        device: message.device,
        accepted: accepted.collect(),
        rejected: decided.rejected.iter().map(|rejected| rejected.index).collect(),
    }
}

/// Each decision as two messages, of which the second has what was rejected.
fn in_two(decisions: Vec<Decision>) -> Vec<Decision> {
    let split = |decision: Decision| {
        let mixed = !decision.accepted.is_empty() && !decision.rejected.is_empty();
        let rejected = Decision { accepted: Vec::new(), ..decision.clone() };
        let accepted = Decision { rejected: Vec::new(), ..decision.clone() };
        if mixed { vec![accepted, rejected] } else { vec![decision] }
    };
    decisions.into_iter().flat_map(split).collect()
}

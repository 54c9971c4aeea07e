//! Records on their way from a producer to the broker: in order per partition, and gapless, as an idempotent producer of
//! ours is; what was sent before a process died may arrive long after.

use std::collections::VecDeque;

use super::log::{Decision, RawMessage};
use super::{Incarnation, World};
use crate::step::Fate;

/// Partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Raw messages.
    Raw(usize),
    /// Decisions.
    Decisions(usize),
    /// Dead letters.
    Letters(usize),
}

/// A record.
#[derive(Debug, Clone)]
pub enum Payload {
    /// A delivery.
    Raw(RawMessage),
    /// A decision.
    Decision(Decision),
    /// The raw message at this offset, unchanged.
    Letter(i64),
}

/// A record and what its producer calls it.
#[derive(Debug, Clone)]
pub struct Message {
    /// Content.
    pub payload: Payload,
    /// The producer's name for it.
    pub tag: u64,
}

/// The connection of a producer to the leader of a partition.
#[derive(Debug)]
pub struct Wire {
    /// Producer.
    pub producer: Incarnation,
    /// Where to.
    pub target: Target,
    /// Records, oldest first.
    pub queue: VecDeque<Message>,
    /// Whether the producer is gone.
    pub orphan: bool,
}

/// A delivery report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The record has this offset.
    Delivered {
        /// The producer's name for the record.
        tag: u64,
        /// Offset.
        offset: i64,
    },
    /// The record was given up; nothing that was sent after it arrives.
    Failed,
}

impl World {
    /// Hands a record to the producer's client, which takes none after a failure, seen or not: no record may follow one
    /// that was lost.
    pub fn send(&mut self, producer: Incarnation, target: Target, payload: Payload, tag: u64) {
        if self.failed.contains(&producer) {
            return;
        }
        let message = Message { payload, tag };
        match self.wires.iter_mut().find(|wire| wire.producer == producer && wire.target == target) {
            Some(wire) => wire.queue.push_back(message),
            None => {
                let queue = VecDeque::from([message]);
                self.wires.push(Wire { producer, target, queue, orphan: false });
            }
        }
    }

    /// The next report for a producer.
    pub fn report(&mut self, producer: Incarnation) -> Option<Report> {
        self.reports.get_mut(&producer)?.pop_front()
    }

    /// Carries up to `count` records of a connection.
    pub fn carry(&mut self, wire: usize, fate: Fate, count: usize) {
        if self.wires.is_empty() {
            return;
        }
        let index = wire % self.wires.len();
        if self.wires[index].orphan && fate != Fate::Fine {
            self.note(|| "records of a dead process are lost".to_owned());
            self.wires.swap_remove(index);
            return;
        }
        for _ in 0..count {
            let Some(message) = self.wires[index].queue.pop_front() else { break };
            if fate == Fate::Late || fate == Fate::Timeout {
                self.wires[index].queue.push_front(message);
                break;
            }
            let tag = message.tag;
            let offset = (fate != Fate::RequestLost).then(|| self.arrive(index, message));
            if fate != Fate::Fine {
                self.fail(index);
                break;
            }
            let Wire { producer, orphan, .. } = self.wires[index];
            if let (false, Some(offset)) = (orphan, offset) {
                self.reports.entry(producer).or_default().push_back(Report::Delivered { tag, offset });
            }
        }
        if self.wires.get(index).is_some_and(|wire| wire.queue.is_empty()) {
            self.wires.swap_remove(index);
        }
    }

    fn arrive(&mut self, wire: usize, message: Message) -> i64 {
        match (self.wires[wire].target, message.payload) {
            (Target::Raw(partition), Payload::Raw(message)) => self.append_raw(partition, message),
            (Target::Decisions(partition), Payload::Decision(decision)) => self.append_decision(partition, decision),
            (Target::Letters(partition), Payload::Letter(offset)) => {
                self.letters[partition].insert(offset);
                self.note(|| format!("dead letter of raw[{partition}]@{offset} is written"));
                0
            }
            (target, payload) => unreachable!("{payload:?} to {target:?}"),
        }
    }

    /// The delivery is given up, and with it the producer.
    fn fail(&mut self, wire: usize) {
        let producer = self.wires[wire].producer;
        self.note(|| format!("a delivery of process {producer} has failed"));
        self.reports.entry(producer).or_default().push_back(Report::Failed);
        self.failed.insert(producer);
        for wire in self.wires.iter_mut().filter(|wire| wire.producer == producer) {
            wire.queue.clear();
        }
        self.wires.retain(|wire| !wire.queue.is_empty());
    }

    /// A producer is gone. `unsent` records of each connection had not left its memory.
    pub fn hang_up(&mut self, producer: Incarnation, unsent: usize) {
        self.reports.remove(&producer);
        for wire in self.wires.iter_mut().filter(|wire| wire.producer == producer) {
            wire.orphan = true;
            wire.queue.truncate(wire.queue.len().saturating_sub(unsent));
        }
        self.wires.retain(|wire| !wire.queue.is_empty());
    }
}

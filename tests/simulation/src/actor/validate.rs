//! `validate`: one worker for each partition, over one producer and one membership.

use std::collections::BTreeMap;

use super::worker::{Step, Worker};
use super::{Outcome, Turn};
use crate::step::Fate;
use crate::world::World;
use crate::world::client::Client;
use crate::world::group::Event;
use crate::world::network::Report;

/// The group of the raw topic.
pub const GROUP: usize = 0;

/// A process of `validate`.
#[derive(Debug, Default)]
pub struct Validate {
    joined: bool,
    client: Client,
    workers: BTreeMap<usize, Worker>,
    /// Partitions that are being given up.
    leaving: Vec<usize>,
    serial: u64,
    /// Whether it knows the late device.
    knows_all: bool,
}

impl Validate {
    pub(super) fn act(&mut self, world: &mut World, turn: Turn) -> Outcome {
        if !self.joined {
            self.joined = true;
            // The device table is read to its end before the group is joined.
            self.knows_all = world.registered;
            world.groups[GROUP].join(turn.me);
            return Outcome::Moved;
        }
        for choice in 0..4 {
            let outcome = match (choice + turn.n / 16) % 4 {
                0 => self.take_report(world, turn),
                1 => self.take_event(world, turn),
                2 => self.work(world, turn),
                _ => self.fetch(world, turn),
            };
            if outcome != Outcome::Idle {
                return outcome;
            }
        }
        Outcome::Idle
    }

    fn take_report(&mut self, world: &mut World, turn: Turn) -> Outcome {
        match world.report(turn.me) {
            None => Outcome::Idle,
            Some(Report::Failed) => Outcome::Ended("a delivery failed".to_owned()),
            Some(Report::Delivered { tag, offset }) => {
                let worker = self.workers.iter_mut().find(|(_, worker)| worker.serial == tag >> 32);
                let Some((partition, worker)) = worker else { return Outcome::Moved };
                match worker.delivered(tag, offset) {
                    Ok(None) => Outcome::Moved,
                    Ok(Some(next)) => {
                        world.groups[GROUP].committed[*partition] = Some(next);
                        Outcome::Moved
                    }
                    Err(foreign) => Outcome::Ended(foreign.to_string()),
                }
            }
        }
    }

    fn take_event(&mut self, world: &mut World, turn: Turn) -> Outcome {
        // The service looks at no event while it drains.
        if !self.leaving.is_empty() {
            return Outcome::Idle;
        }
        let Some(event) = world.groups[GROUP].take(turn.me) else { return Outcome::Idle };
        world.note(|| format!("validate {}: {event:?}", turn.me));
        match event {
            Event::Assigned(partitions) => {
                for partition in partitions {
                    self.serial += 1;
                    let serial = u64::from(turn.me) << 8 | self.serial;
                    self.workers.insert(partition, Worker::new(partition, serial));
                }
            }
            Event::Revoked(partitions) => {
                for partition in &partitions {
                    self.client.stop(*partition);
                    if let Some(worker) = self.workers.get_mut(partition) {
                        worker.stop();
                    }
                }
                self.leaving = partitions;
            }
            // Somebody else may decide already: not one decision more than those under way.
            Event::Lost(partitions) => {
                for partition in &partitions {
                    self.client.stop(*partition);
                    self.workers.remove(partition);
                }
                world.groups[GROUP].join(turn.me);
            }
        }
        Outcome::Moved
    }

    fn work(&mut self, world: &mut World, turn: Turn) -> Outcome {
        if self.leaving.iter().all(|partition| !self.workers.contains_key(partition)) && !self.leaving.is_empty() {
            let leaving = std::mem::take(&mut self.leaving);
            world.groups[GROUP].acknowledge(turn.me, &leaving);
            return Outcome::Moved;
        }
        let count = self.workers.len();
        for shift in 0..count {
            let index = (shift + usize::from(turn.n)) % count;
            let Some((partition, worker)) = self.workers.iter_mut().nth(index) else { continue };
            let partition = *partition;
            match worker.step(world, &mut self.client, &mut self.knows_all, turn) {
                Step::Idle => {}
                Step::Moved => return Outcome::Moved,
                Step::Done => {
                    self.workers.remove(&partition);
                    return Outcome::Moved;
                }
                Step::Refused(why) => {
                    world.refused_partitions.insert(partition);
                    return Outcome::PartitionRefused(why);
                }
            }
        }
        Outcome::Idle
    }

    /// Fetches ahead, and hands blocks over to their workers.
    fn fetch(&mut self, world: &mut World, turn: Turn) -> Outcome {
        if turn.fate != Fate::Fine {
            return Outcome::Idle;
        }
        match self.client.fetch(&world.raw, 0, turn.n) {
            Err(_) => Outcome::Ended("a raw position does not exist".to_owned()),
            Ok(true) => Outcome::Moved,
            Ok(false) => match self.client.receive() {
                None => Outcome::Idle,
                Some(block) => {
                    if let Some(worker) = self.workers.get_mut(&block.partition) {
                        worker.blocks.push_back(block);
                    }
                    Outcome::Moved
                }
            },
        }
    }
}

//! The door: an answer only after the broker's report.

use std::collections::BTreeSet;

use super::{Outcome, Turn};
use crate::bug::Bug;
use crate::world::World;
use crate::world::network::{Payload, Report, Target};

/// A process of `ingest`.
#[derive(Debug, Default)]
pub struct Ingest {
    sent: BTreeSet<u64>,
}

impl Ingest {
    pub(super) fn act(&mut self, world: &mut World, turn: Turn) -> Outcome {
        match world.report(turn.me) {
            Some(Report::Delivered { tag, .. }) => {
                self.answer(world, tag);
                return Outcome::Moved;
            }
            Some(Report::Failed) => return Outcome::Ended("a delivery failed".to_owned()),
            None => {}
        }
        let Some(post) = world.posts.iter().find(|post| !self.sent.contains(&post.id)).cloned() else {
            return Outcome::Idle;
        };
        let (id, partition) = (post.id, usize::from(post.device) % world.partitions);
        self.sent.insert(id);
        world.send(turn.me, Target::Raw(partition), Payload::Raw(post), id);
        if world.has(Bug::AckBeforeDelivery) {
            self.answer(world, id);
        }
        Outcome::Moved
    }

    /// The gateway is told that its delivery is stored.
    fn answer(&mut self, world: &mut World, id: u64) {
        world.posts.retain(|post| post.id != id);
        world.acknowledged.insert(id);
        world.note(|| format!("gateway is told that delivery {id} is stored"));
    }
}

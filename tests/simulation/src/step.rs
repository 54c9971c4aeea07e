//! The steps of a run. A run is its plan and its list of steps: what does not apply any more when steps are left out does
//! nothing, so that a failing list can be shortened.

use crate::chance::Chance;
use crate::plan::Plan;

/// What becomes of a request to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Done and answered.
    Fine,
    /// Done, and the answer does not come.
    AnswerLost,
    /// Not done, and no answer comes.
    RequestLost,
    /// No answer comes, and it may be done later.
    Late,
    /// The caller's own time runs out.
    Timeout,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A process goes on, from one point of no return to the next, for one to eight of them.
    Act {
        /// Process.
        who: u8,
        /// Of the last request that it makes, if it makes one.
        fate: Fate,
        /// A choice: how far it goes on, and among what it could do.
        n: u8,
    },
    /// The network carries records to a broker, or reports back.
    Carry {
        /// Which connection.
        wire: u8,
        /// Of the records.
        fate: Fate,
        /// How many.
        n: u8,
    },
    /// A gateway has something to deliver.
    Deliver {
        /// A choice of device and content.
        n: u16,
    },
    /// A process dies and starts again.
    Crash {
        /// Process.
        who: u8,
        /// How many of its records, per connection, still were in its memory, and whether its groups notice at once.
        n: u8,
    },
    /// A process stops and does not know it.
    Freeze {
        /// Process.
        who: u8,
        /// Whether its sessions end at once.
        n: u8,
    },
    /// The session of a frozen or dead member ends.
    Expire {
        /// Group.
        group: u8,
        /// Which of the silent members.
        n: u8,
    },
    /// A frozen process goes on.
    Wake {
        /// Process.
        who: u8,
    },
    /// Partitions of a group move on by `n` members.
    Rebalance {
        /// Group.
        group: u8,
        /// How far.
        n: u8,
    },
    /// A group does not wait any longer for partitions to be given up.
    GiveUpWaiting {
        /// Group.
        group: u8,
    },
    /// A request that was late arrives, or is lost for good.
    Late {
        /// Which.
        n: u8,
        /// Whether it arrives.
        arrives: bool,
    },
    /// Another engine adds a snapshot without rows.
    Compact {
        /// Table.
        table: u8,
    },
    /// The late device is registered.
    Register,
    /// The plan's disaster strikes.
    Disaster {
        /// Partition, where it is about one.
        partition: u8,
        /// How many records.
        n: u8,
    },
}

impl Step {
    /// The next step of a plan.
    pub fn draw(chance: &mut Chance, plan: &Plan) -> Self {
        let (who, n) = (chance.draw() as u8, chance.draw() as u8);
        let mut at = chance.below(1_000);
        let mut within = |weight: u64| {
            let hit = at < weight;
            at = at.saturating_sub(weight);
            if hit {
                at = u64::MAX;
            }
            hit
        };
        if within(plan.deliveries) {
            Self::Deliver { n: chance.draw() as u16 }
        } else if within(plan.network) {
            Self::Carry { wire: who, fate: fate(chance, plan.losses / 8), n }
        } else if within(plan.crashes) {
            Self::Crash { who, n }
        } else if within(plan.freezes) {
            Self::Freeze { who, n }
        } else if within(plan.freezes) {
            Self::Expire { group: who, n }
        } else if within(plan.freezes * 2) {
            Self::Wake { who }
        } else if within(plan.rebalances) {
            Self::Rebalance { group: who, n }
        } else if within(4) {
            Self::GiveUpWaiting { group: who }
        } else if within(8) {
            Self::Late { n, arrives: chance.one_in(2) }
        } else if within(4) {
            Self::Compact { table: who }
        } else if within(if plan.late_device { 10 } else { 0 }) {
            Self::Register
        } else if within(if plan.disaster.is_some() { 12 } else { 0 }) {
            Self::Disaster { partition: who, n }
        } else {
            Self::Act { who, fate: fate(chance, plan.losses), n }
        }
    }
}

fn fate(chance: &mut Chance, losses: u64) -> Fate {
    if chance.below(1_000) >= losses {
        return Fate::Fine;
    }
    match chance.below(4) {
        0 => Fate::AnswerLost,
        1 => Fate::RequestLost,
        2 => Fate::Late,
        _ => Fate::Timeout,
    }
}

//! What a seed's world looks like.

use crate::chance::Chance;

/// Something that the design answers with a refusal, never with a skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disaster {
    /// Retention removes raw messages, decided or not.
    RawExpires,
    /// Retention removes decisions, taken in or not.
    DecisionsExpire,
    /// The topic of decisions is deleted and created again.
    DecisionsRecreated,
}

/// The parameters of a run. Weights are out of 1,000 steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Partitions of every topic.
    pub partitions: usize,
    /// Processes of `ingest`.
    pub doors: usize,
    /// Processes of `validate`.
    pub validators: usize,
    /// Processes of each route of `parquet-sink`.
    pub sinks: usize,
    /// Processes of `redshift-loader` for each table.
    pub loaders: usize,
    /// Whether raw messages go to `landing` too.
    pub landing: bool,
    /// Steps before everything is let finish.
    pub steps: usize,
    /// Decisions that `validate` reads back.
    pub window: u32,
    /// Whether a device is registered only in the middle of the run, so that validators may disagree about it.
    pub late_device: bool,
    /// What happens beside crashes and lost answers.
    pub disaster: Option<Disaster>,
    /// Weight of new deliveries of gateways.
    pub deliveries: u64,
    /// Weight of the network's steps.
    pub network: u64,
    /// Weight of crashes.
    pub crashes: u64,
    /// Weight of freezing and of ending a frozen member's session, each; waking up has twice as much.
    pub freezes: u64,
    /// Weight of moves of partitions.
    pub rebalances: u64,
    /// Of 1,000 answers of a store or a broker, how many do not come.
    pub losses: u64,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(chance: &mut Chance) -> Self {
        let disaster = match chance.below(24) {
            0 => Some(Disaster::RawExpires),
            1 => Some(Disaster::DecisionsExpire),
            2 => Some(Disaster::DecisionsRecreated),
            _ => None,
        };
        Self {
            partitions: chance.between(1, 3) as usize,
            doors: chance.between(1, 2) as usize,
            validators: chance.between(1, 3) as usize,
            sinks: chance.between(1, 2) as usize,
            loaders: chance.between(1, 2) as usize,
            landing: chance.one_in(3),
            steps: chance.between(100, 700) as usize,
            window: if chance.one_in(8) { 3 } else { 100_000 },
            late_device: chance.one_in(4),
            disaster,
            deliveries: chance.between(20, 60),
            network: if chance.one_in(3) { chance.between(10, 40) } else { chance.between(60, 200) },
            crashes: chance.between(0, 30),
            freezes: chance.between(0, 30),
            rebalances: chance.between(0, 25),
            losses: chance.between(0, 120),
        }
    }
}

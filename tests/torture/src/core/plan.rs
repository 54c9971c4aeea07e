//! From a seed to a list of faults with their times.

use super::dice::Dice;
use super::fault::{Fault, HOLDERS, Lane, MEMBERS, REPLICAS, StoreFault};
use serde::Serialize;
use std::collections::BTreeMap;

/// How much of what, and within which time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wish {
    /// Source of all randomness.
    pub seed: u64,
    /// Time in which faults begin, milliseconds.
    pub window_ms: u64,
    /// Kills of services, at random and at fail points.
    pub kills: u32,
    /// SIGSTOP and SIGCONT.
    pub zombies: u32,
    /// Replicas that leave and join.
    pub rebalances: u32,
    /// Kills of brokers.
    pub broker_kills: u32,
    /// Rolling restarts of all brokers.
    pub broker_rolls: u32,
    /// Windows of each kind of store fault.
    pub store_faults: u32,
    /// Restarts of PostgreSQL, and as many cuts of its connections.
    pub postgres_faults: u32,
    /// Times at which the registry, and as often DynamoDB, cannot be reached.
    pub unreachable: u32,
    /// How long a frozen process stays so: longer than the session timeout.
    pub freeze_ms: u64,
    /// Number of brokers.
    pub brokers: u16,
    /// Fail points of each service; about half of a service's kills happen at one, in turn.
    pub kill_points: Vec<(String, Vec<String>)>,
    /// Fail points at which a service is frozen; about half of its zombies are, in turn.
    pub freeze_points: Vec<(String, Vec<String>)>,
}

/// A fault with its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When it begins, in milliseconds since the attack began.
    pub at_ms: u64,
    /// Whom it hits.
    pub lane: Lane,
    /// What happens.
    #[serde(flatten)]
    pub fault: Fault,
}

/// The wish does not fit into its time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{lane} has {needed_ms} ms of faults, one after the other, and only {window_ms} ms to have them in")]
pub struct TooMuch {
    /// The fullest lane.
    pub lane: Lane,
    /// Time its faults take.
    pub needed_ms: u64,
    /// Time there is.
    pub window_ms: u64,
}

/// Makes the plan, in the order of time.
///
/// # Errors
/// [`TooMuch`] when the faults of a lane do not fit one after the other.
pub fn plan(wish: &Wish) -> Result<Vec<Step>, TooMuch> {
    let mut dice = Dice::new(wish.seed, 0x70_7274);
    let mut lanes: BTreeMap<Lane, Vec<Fault>> = BTreeMap::new();
    services(wish, &mut dice, &mut lanes);
    components(wish, &mut dice, &mut lanes);
    let mut steps = Vec::new();
    for (lane, mut faults) in lanes {
        dice.shuffle(&mut faults);
        steps.extend(spread(lane, faults, wish.window_ms, &mut dice)?);
    }
    steps.sort_by_key(|step| (step.at_ms, step.lane));
    Ok(steps)
}

/// Replicas of the named services, in an order that gives every service a turn before any gets a second.
fn replicas(dice: &mut Dice, of: impl Fn(&str) -> bool) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for number in 1..=2 {
        let mut round: Vec<Lane> = REPLICAS
            .iter()
            .filter(|(service, replicas)| of(service) && *replicas >= number)
            .map(|&(service, _)| Lane::Replica { service, number })
            .collect();
        dice.shuffle(&mut round);
        lanes.extend(round);
    }
    lanes
}

fn services(wish: &Wish, dice: &mut Dice, lanes: &mut BTreeMap<Lane, Vec<Fault>>) {
    let mut turns = Turns::default();
    for lane in replicas(dice, |_| true).into_iter().cycle().take(wish.kills as usize) {
        let fault = turns.point(&wish.kill_points, lane).map_or(Fault::Kill, |point| Fault::KillAt { point });
        lanes.entry(lane).or_default().push(fault);
    }
    let mut turns = Turns::default();
    for lane in replicas(dice, |name| HOLDERS.contains(&name)).into_iter().cycle().take(wish.zombies as usize) {
        let hold_ms = wish.freeze_ms + dice.below(2_000);
        let point = turns.point(&wish.freeze_points, lane);
        let fault = point.map_or(Fault::Zombie { hold_ms }, |point| Fault::ZombieAt { point, hold_ms });
        lanes.entry(lane).or_default().push(fault);
    }
    for lane in replicas(dice, |name| MEMBERS.contains(&name)).into_iter().cycle().take(wish.rebalances as usize) {
        let away_ms = 1_000 + dice.below(5_000);
        lanes.entry(lane).or_default().push(Fault::Leave { away_ms });
    }
}

/// Whose turn it is to be hit at a fail point, and at which.
#[derive(Default)]
struct Turns(BTreeMap<&'static str, usize>);

impl Turns {
    /// The fail point for every second fault of a service that has any, each in its turn.
    fn point(&mut self, points: &[(String, Vec<String>)], lane: Lane) -> Option<String> {
        let Lane::Replica { service, .. } = lane else { return None };
        let (_, points) = points.iter().find(|(name, points)| name == service && !points.is_empty())?;
        let turn = self.0.entry(service).or_default();
        *turn += 1;
        (*turn % 2 == 1).then(|| points[*turn / 2 % points.len()].clone())
    }
}

fn components(wish: &Wish, dice: &mut Dice, lanes: &mut BTreeMap<Lane, Vec<Fault>>) {
    let mut add = |lane: Lane, fault: Fault| lanes.entry(lane).or_default().push(fault);
    for turn in 0..wish.broker_kills {
        let broker = 1 + (turn % u32::from(wish.brokers.max(1))) as u16;
        add(Lane::Brokers, Fault::BrokerKill { broker, away_ms: 1_000 + dice.below(7_000) });
    }
    (0..wish.broker_rolls).for_each(|_| add(Lane::Brokers, Fault::BrokerRoll));
    for how in StoreFault::ALL {
        for _ in 0..wish.store_faults {
            add(Lane::Store, Fault::Store { how, hold_ms: 2_000 + dice.below(3_000) });
        }
    }
    for _ in 0..wish.postgres_faults {
        add(Lane::Postgres, Fault::PostgresRestart);
        add(Lane::Postgres, Fault::PostgresCut);
    }
    for lane in [Lane::Registry, Lane::Dynamo] {
        for _ in 0..wish.unreachable {
            add(lane, Fault::Unreachable { hold_ms: 3_000 + dice.below(5_000) });
        }
    }
}

/// Puts the faults of a lane one behind the other, with the time that is left over shared out between them by chance.
fn spread(lane: Lane, faults: Vec<Fault>, window_ms: u64, dice: &mut Dice) -> Result<Vec<Step>, TooMuch> {
    let needed_ms: u64 = faults.iter().map(Fault::budget_ms).sum();
    let slack = window_ms.checked_sub(needed_ms).ok_or(TooMuch { lane, needed_ms, window_ms })?;
    let mut pauses: Vec<u64> = faults.iter().map(|_| dice.below(slack + 1)).collect();
    pauses.sort_unstable();
    let mut busy = 0;
    let steps = faults.into_iter().zip(pauses).map(|(fault, pause)| {
        let at_ms = pause + busy;
        busy += fault.budget_ms();
        Step { at_ms, lane, fault }
    });
    Ok(steps.collect())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

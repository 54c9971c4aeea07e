//! Which device has which fault, and when. A device has one fault at most, so that no fault can hide another.

use super::calendar::DayGrid;
use super::fault::{Carrier, FaultKind};
use super::fleet::{DIAL_MILLI, HTTP_GATEWAY, SimDevice};
use super::malformed;
use super::mix::Dice;
use super::scenario::Ground;
use super::usage::{Effect, Meter};
use meterway_schemas::encode::Reading;
use std::collections::{HashMap, HashSet};

/// A fault of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Injection {
    /// What.
    pub kind: FaultKind,
    /// Position of the device in the fleet.
    pub device: usize,
    /// Day of the run on which it begins, from 0.
    pub day: usize,
    /// For further choices.
    pub random: u64,
    /// What really happens at the site.
    pub effect: Effect,
    /// Dial of the old meter at an exchange, in thousandths.
    pub closing: i64,
}

/// An additional message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extra {
    /// What.
    pub kind: FaultKind,
    /// Device it pretends to come from.
    pub device: usize,
    /// Day of the run after whose deliveries it is sent.
    pub day: usize,
    /// Which of its kind.
    pub number: usize,
}

/// A fault that was asked for and could not be placed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Skipped {
    /// Name of the fault.
    pub fault: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// All faults of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// Faults of devices.
    pub injections: Vec<Injection>,
    /// Additional messages.
    pub extras: Vec<Extra>,
    /// What could not be placed.
    pub skipped: Vec<Skipped>,
    by_device: HashMap<usize, usize>,
}

impl Plan {
    /// The fault of a device, with its position in [`Plan::injections`].
    pub(crate) fn of(&self, device: usize) -> Option<(usize, &Injection)> {
        let at = *self.by_device.get(&device)?;
        Some((at, &self.injections[at]))
    }
}

/// Places the faults: of each kind as many as share out the given share of the devices, at least one where a device and a
/// day can be found.
pub(crate) fn make(ground: &Ground<'_>, kinds: &[FaultKind], share: f64, seed: u64) -> Plan {
    let mut planner = Planner::new(ground, seed);
    let (messages, mut devices): (Vec<_>, Vec<_>) =
        kinds.iter().copied().partition(|kind| kind.needs().carrier == Carrier::Message);
    // The kinds that only some devices can carry choose first.
    devices.sort_by_key(|kind| kind.needs().carrier == Carrier::Any);
    let kind_count = FaultKind::ALL.iter().filter(|kind| kind.needs().carrier != Carrier::Message).count();
    let active = ground.fleet.iter().filter(|device| !device.inactive).count();
    let of_each = ((share * active as f64 / kind_count as f64).round() as usize).max(1);
    for kind in devices {
        (0..of_each).for_each(|number| planner.place(kind, number));
    }
    for kind in messages {
        planner.add_messages(kind, of_each);
    }
    planner.plan
}

struct Planner<'a> {
    ground: &'a Ground<'a>,
    dice: Dice,
    free: Vec<usize>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(ground: &'a Ground<'a>, seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0xFA17);
        let carries = |device: &&SimDevice| !device.inactive && device.gateway != HTTP_GATEWAY;
        let mut free: Vec<usize> = ground.fleet.iter().filter(carries).map(|device| device.index).collect();
        dice.shuffle(&mut free);
        Self { ground, dice, free, plan: Plan::default() }
    }

    fn place(&mut self, kind: FaultKind, number: usize) {
        let Some((first, last)) = days_for(kind, number, self.ground.days()) else {
            return self.skip(kind, "the run has too few days");
        };
        let random = self.dice.roll();
        let fleet = self.ground.fleet;
        let found = self.free.iter().enumerate().find_map(|(at, device)| {
            let device = &fleet[*device];
            if !kind.befalls(device.meter) {
                return None;
            }
            let days = (last - first + 1) as u64;
            let mut candidates = (0..days).map(|step| first + ((random + step) % days) as usize);
            let day = candidates.find(|day| self.suits(kind, device, *day))?;
            Some((at, device.index, day))
        });
        let Some((at, device, day)) = found else {
            return self.skip(kind, "no device is left that could carry it");
        };
        self.free.remove(at);
        let injection = self.prepare(Injection { kind, device, day, random, effect: Effect::None, closing: 0 });
        self.plan.by_device.insert(device, self.plan.injections.len());
        self.plan.injections.push(injection);
    }

    /// Whether the day's use leaves room for the fault below the capacity of the service.
    fn suits(&self, kind: FaultKind, device: &SimDevice, day: usize) -> bool {
        let capacity = device.meter.interval_capacity_milli();
        let highest = || self.uses(device, day).into_iter().max().unwrap_or(0);
        match kind {
            FaultKind::Spike => 12 * highest() < capacity * 85 / 100,
            FaultKind::HighUsage => 6 * highest() < capacity * 90 / 100 && self.would_be_high(device, day),
            _ => true,
        }
    }

    /// Whether six times the day's use is well above three times the mean of the week before: a quiet day after busy ones
    /// would still look usual.
    fn would_be_high(&self, device: &SimDevice, day: usize) -> bool {
        const FLOOR_MILLI: i64 = 6_000;
        let total = |day: usize| self.uses(device, day).iter().sum::<i64>();
        let week: i64 = (day.saturating_sub(7)..day).map(total).sum();
        let used = 6 * total(day);
        used > FLOOR_MILLI && 2 * used > week
    }

    /// Use in each interval of the day, in thousandths.
    fn uses(&self, device: &SimDevice, day: usize) -> Vec<i64> {
        let grid = self.ground.grid(device, day);
        let meter = self.ground.meter(device);
        let slots = grid.slots(device.meter.interval_s).iter();
        slots.map(|slot| meter.milli(grid.ordinal, slot.of_day, slot.start)).collect()
    }

    fn prepare(&self, mut injection: Injection) -> Injection {
        let device = &self.ground.fleet[injection.device];
        let grid = self.ground.grid(device, injection.day);
        injection.effect = effect(&injection, device, grid);
        if let Effect::Exchange { at, .. } = injection.effect {
            injection.closing = self.ground.dial_at(device, at);
        }
        injection
    }

    fn skip(&mut self, kind: FaultKind, reason: &'static str) {
        let skipped = Skipped { fault: kind.name(), reason };
        if !self.plan.skipped.contains(&skipped) {
            self.plan.skipped.push(skipped);
        }
    }

    fn add_messages(&mut self, kind: FaultKind, of_each: usize) {
        let inactive = kind == FaultKind::InactiveDevice;
        let fits = |d: &&SimDevice| d.inactive == inactive && (inactive || d.gateway != HTTP_GATEWAY);
        let devices: Vec<usize> = self.ground.fleet.iter().filter(fits).map(|device| device.index).collect();
        if devices.is_empty() {
            return self.skip(kind, "no device is left that could carry it");
        }
        let count = if kind == FaultKind::Malformed { of_each * malformed::KIND_COUNT } else { of_each };
        // One delivery of a device and day is one natural key; the same twice would be another fault.
        let mut taken = HashSet::new();
        for number in 0..count {
            let device = devices[self.dice.between(0, devices.len() as i64) as usize];
            let day = self.dice.between(0, self.ground.days() as i64) as usize;
            if taken.insert((device, day)) || kind == FaultKind::Malformed {
                self.plan.extras.push(Extra { kind, device, day, number });
            }
        }
    }
}

/// First and last day on which a fault can begin in a run of that many days.
fn days_for(kind: FaultKind, number: usize, days: usize) -> Option<(usize, usize)> {
    let needs = kind.needs();
    if kind == FaultKind::Silent && number.is_multiple_of(2) {
        // Falls silent for good.
        let day = days.checked_sub(3)?;
        return (day >= needs.before).then_some((day, day));
    }
    let last = days.checked_sub(1 + needs.after)?;
    (last >= needs.before).then_some((needs.before, last))
}

fn effect(injection: &Injection, device: &SimDevice, grid: &DayGrid) -> Effect {
    let slots = grid.slots(device.meter.interval_s);
    let hour = 3_600_000_000;
    match injection.kind {
        FaultKind::HighUsage => Effect::Times { ordinal: grid.ordinal, factor: 6 },
        FaultKind::Leak => {
            let from = slots[(injection.random % 20) as usize].start;
            Effect::Plus { from, to: from + 48 * hour, milli: 40_000 }
        }
        FaultKind::Outage => {
            let from = slots[4 + (injection.random % (slots.len() as u64 - 18)) as usize].start;
            Effect::Off { from, to: from + 4 * hour }
        }
        FaultKind::Exchange => {
            let at = slots[slots.len() / 2].start;
            Effect::Exchange { at, opening: (injection.random % 5000) as i64 }
        }
        _ => Effect::None,
    }
}

/// The dial with which a device must begin so that it passes its last digit in the middle of a day's use.
pub(crate) fn dial_for_rollover(used_before: i64, used_that_day: i64) -> i64 {
    (DIAL_MILLI - used_before - (used_that_day / 2).max(1)).rem_euclid(DIAL_MILLI)
}

/// What a device uses in the days, in thousandths, when nothing happens.
pub(crate) fn used(meter: &Meter<'_>, grids: &[DayGrid]) -> i64 {
    let mut dial = 0;
    let mut readings: Vec<Reading<'static>> = Vec::new();
    for grid in grids {
        readings.clear();
        meter.day(Effect::None, grid, &mut dial, &mut readings);
    }
    dial
}

//! A run as a whole: the same settings give the same fleet, series and faults, on any machine.

use super::calendar::DayGrid;
use super::fault::FaultKind;
use super::fleet::{self, SimDevice, TENANTS, Tenant};
use super::plan::{self, Plan};
use super::shape::Shape;
use super::usage::{Effect, Meter};
use meter_model::Commodity;
use meterway_schemas::encode::Reading;

/// What a run is made from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// Source of all randomness.
    pub seed: u64,
    /// Number of active devices.
    pub devices: usize,
    /// Number of local days.
    pub days: usize,
    /// The first local day that no longer belongs to the run, in days since 1970-01-01.
    pub until_ordinal: i32,
    /// Kinds of faults.
    pub faults: Vec<FaultKind>,
    /// Share of the devices that have one.
    pub fault_share: f64,
}

/// The shapes of use, by tenant (as in [`TENANTS`]) and commodity.
#[derive(Debug, Clone)]
pub(crate) struct Shapes {
    /// Shapes of electricity.
    pub electricity: [Vec<Shape>; 2],
    /// Shapes of water.
    pub water: [Vec<Shape>; 2],
    /// Shapes of gas.
    pub gas: [Vec<Shape>; 2],
}

impl Shapes {
    fn of(&self, device: &SimDevice) -> &[Shape] {
        let of_tenants = match device.meter.commodity {
            Commodity::Water => &self.water,
            Commodity::Gas => &self.gas,
            _ => &self.electricity,
        };
        &of_tenants[tenant_index(device.tenant)]
    }
}

fn tenant_index(tenant: &Tenant) -> usize {
    usize::from(tenant != &TENANTS[0])
}

/// Settings that make no run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSettings {
    /// The days are beyond what dates can hold.
    #[error("the days of the run lie beyond the calendar")]
    Calendar,
}

/// Devices, days and shapes, without the faults.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    /// The fleet.
    pub fleet: &'a [SimDevice],
    shapes: &'a Shapes,
    grids: &'a [Vec<DayGrid>; 2],
}

impl<'a> Ground<'a> {
    /// Number of days.
    pub(crate) fn days(&self) -> usize {
        self.grids[0].len()
    }

    /// A day of the run as the device's tenant counts it.
    pub(crate) fn grid(&self, device: &SimDevice, day: usize) -> &'a DayGrid {
        &self.grids[tenant_index(device.tenant)][day]
    }

    /// The device with the shape of its use.
    pub(crate) fn meter<'b>(&'b self, device: &'b SimDevice) -> Meter<'b> {
        Meter::new(device, self.shapes.of(device))
    }

    /// The dial at an instant at which an interval begins, when nothing has happened before.
    pub(crate) fn dial_at(&self, device: &SimDevice, at: i64) -> i64 {
        let grids = &self.grids[tenant_index(device.tenant)];
        let whole = grids.iter().take_while(|grid| grid.end <= at).count();
        let meter = self.meter(device);
        let mut dial = device.dial_start + plan::used(&meter, &grids[..whole]);
        if let Some(grid) = grids.get(whole) {
            let slots = grid.slots(device.meter.interval_s).iter().take_while(|slot| slot.start < at);
            dial += slots.map(|slot| meter.milli(grid.ordinal, slot.of_day, slot.start)).sum::<i64>();
        }
        dial % fleet::DIAL_MILLI
    }
}

/// A run.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// What it was made from.
    pub settings: Settings,
    /// The devices.
    pub fleet: Vec<SimDevice>,
    /// The faults.
    pub plan: Plan,
    shapes: Shapes,
    grids: [Vec<DayGrid>; 2],
}

impl Scenario {
    /// Makes the run.
    ///
    /// # Errors
    /// [`InvalidSettings`].
    pub(crate) fn new(settings: Settings, shapes: Shapes) -> Result<Self, InvalidSettings> {
        let mut fleet = fleet::generate(settings.seed, settings.devices);
        let grids = [calendar(&TENANTS[0], &settings)?, calendar(&TENANTS[1], &settings)?];
        let ground = Ground { fleet: &fleet, shapes: &shapes, grids: &grids };
        let plan = plan::make(&ground, &settings.faults, settings.fault_share, settings.seed);
        let starts: Vec<_> = rollover_starts(&ground, &plan).collect();
        for (device, dial_start) in starts {
            fleet[device].dial_start = dial_start;
        }
        Ok(Self { settings, fleet, plan, shapes, grids })
    }

    /// Devices, days and shapes.
    pub(crate) fn ground(&self) -> Ground<'_> {
        Ground { fleet: &self.fleet, shapes: &self.shapes, grids: &self.grids }
    }

    /// What really happens at a device's site.
    pub(crate) fn effect(&self, device: usize) -> Effect {
        self.plan.of(device).map_or(Effect::None, |(_, injection)| injection.effect)
    }

    /// The day's readings without any fault of reporting; `dial` as in [`Meter::day`].
    pub(crate) fn true_day(&self, device: &SimDevice, day: usize, dial: &mut i64, out: &mut Vec<Reading<'static>>) {
        let ground = self.ground();
        ground.meter(device).day(self.effect(device.index), ground.grid(device, day), dial, out);
    }

    /// As [`Scenario::true_day`], for a device of which no day was asked for yet.
    pub(crate) fn true_day_afresh(&self, device: &SimDevice, day: usize) -> Vec<Reading<'static>> {
        let mut dial = device.dial_start;
        let mut readings = Vec::new();
        for earlier in 0..=day {
            readings.clear();
            self.true_day(device, earlier, &mut dial, &mut readings);
        }
        readings
    }
}

fn calendar(tenant: &Tenant, settings: &Settings) -> Result<Vec<DayGrid>, InvalidSettings> {
    let days = i32::try_from(settings.days).map_err(|_| InvalidSettings::Calendar)?;
    let first = settings.until_ordinal.checked_sub(days).ok_or(InvalidSettings::Calendar)?;
    let grids = (first..settings.until_ordinal).map(|ordinal| DayGrid::new(tenant.zone, ordinal));
    grids.collect::<Option<_>>().ok_or(InvalidSettings::Calendar)
}

fn rollover_starts<'a>(ground: &'a Ground<'a>, plan: &'a Plan) -> impl Iterator<Item = (usize, i64)> + 'a {
    let rollovers = plan.injections.iter().filter(|injection| injection.kind == FaultKind::Rollover);
    rollovers.map(|injection| {
        let device = &ground.fleet[injection.device];
        let meter = ground.meter(device);
        let grids = &ground.grids[tenant_index(device.tenant)][..=injection.day];
        let that_day = plan::used(&meter, &grids[injection.day..]);
        let before = plan::used(&meter, grids) - that_day;
        (injection.device, plan::dial_for_rollover(before, that_day))
    })
}

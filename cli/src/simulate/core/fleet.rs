//! The simulated meters: who they are and what they can measure.

use super::mix::{between, mix2};
use chrono_tz::Tz;
use meter_model::{Commodity, Kind};

/// A simulated utility.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tenant {
    /// Identifier; also the prefix of its devices' ids.
    pub id: &'static str,
    /// Name for people.
    pub name: &'static str,
    /// Zone of all its sites.
    pub zone: Tz,
}

/// The two simulated utilities, on two continents, so that their local days differ.
pub(crate) static TENANTS: [Tenant; 2] = [
    Tenant { id: "northgrid", name: "North Grid", zone: Tz::Europe__London },
    Tenant { id: "lakeside", name: "Lakeside Utilities", zone: Tz::America__Chicago },
];

/// Gateways of each tenant.
pub(crate) const GATEWAYS: usize = 4;
/// The gateway (1-based) that speaks HTTP when both ways are mixed. Its devices are never given a fault, because the HTTP
/// door does not tell the partition and offset that the truth file needs.
pub(crate) const HTTP_GATEWAY: usize = GATEWAYS;

/// What a device measures, and with what it does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MeterType {
    /// Letter in the device id.
    pub letter: char,
    /// What is measured.
    pub commodity: Commodity,
    /// Channel of the interval values.
    pub interval_channel: &'static str,
    /// Length of an interval in seconds.
    pub interval_s: i32,
    /// Unit of the interval values.
    pub unit: &'static str,
    /// Capacity of the service, in thousandths of the unit per hour.
    pub capacity_milli: i64,
    /// Channel that is read once a day, if there is one.
    pub daily: Option<DailyChannel>,
    /// Values below this (thousandths of the unit) are no flow at all.
    pub zero_below_milli: i64,
}

impl MeterType {
    /// Capacity of one interval, in thousandths of the unit.
    pub(crate) fn interval_capacity_milli(&self) -> i64 {
        self.capacity_milli * i64::from(self.interval_s) / 3600
    }
}

/// A channel that is read at local midnight.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DailyChannel {
    /// Name.
    pub channel: &'static str,
    /// Register or gauge.
    pub kind: Kind,
    /// Unit.
    pub unit: &'static str,
}

/// Digits of a dial before the decimal point.
pub(crate) const REGISTER_DIGITS: u32 = 6;
/// Where a dial starts again from zero, in thousandths.
pub(crate) const DIAL_MILLI: i64 = 10i64.pow(REGISTER_DIGITS) * 1000;

/// Half-hourly electricity with a dial.
pub(crate) static ELECTRICITY: MeterType = MeterType {
    letter: 'e',
    commodity: Commodity::Electricity,
    interval_channel: "1-0:1.29.0",
    interval_s: 1800,
    unit: "kWh",
    capacity_milli: 25_000,
    daily: Some(DailyChannel { channel: "1-0:1.8.0", kind: Kind::Register, unit: "kWh" }),
    zero_below_milli: 0,
};
/// Hourly water with a thermometer.
pub(crate) static WATER: MeterType = MeterType {
    letter: 'w',
    commodity: Commodity::Water,
    interval_channel: "water.volume",
    interval_s: 3600,
    unit: "L",
    capacity_milli: 3_000_000,
    daily: Some(DailyChannel { channel: "water.temperature", kind: Kind::Gauge, unit: "degC" }),
    zero_below_milli: 1000,
};
/// Hourly gas.
pub(crate) static GAS: MeterType = MeterType {
    letter: 'g',
    commodity: Commodity::Gas,
    interval_channel: "7-0:3.1.0",
    interval_s: 3600,
    unit: "m3",
    capacity_milli: 12_000,
    daily: None,
    zero_below_milli: 30,
};

/// Twenty devices in a row: 12 electricity, 5 water, 3 gas, spread so that a small fleet has all three.
const PATTERN: &[u8; 20] = b"ewgeeweeegweeewegewe";

/// A simulated device.
#[derive(Debug, Clone)]
pub(crate) struct SimDevice {
    /// Position in the fleet.
    pub index: usize,
    /// Its utility.
    pub tenant: &'static Tenant,
    /// What it measures.
    pub meter: &'static MeterType,
    /// Identifier, such as `northgrid-e-00001`.
    pub id: String,
    /// Number of its site and customer within the tenant.
    pub site: usize,
    /// Its gateway, 1-based.
    pub gateway: usize,
    /// Registered, but not in service.
    pub inactive: bool,
    /// Source of everything random about it.
    pub seed: u64,
    /// Factor on its shape, in 1/1024.
    pub scale: i64,
    /// Dial at the beginning of the first day, in thousandths.
    pub dial_start: i64,
}

impl SimDevice {
    /// Identifier of its gateway.
    pub(crate) fn gateway_id(&self) -> String {
        format!("{}-gw-{}", self.tenant.id, self.gateway)
    }

    /// Identifier of its site.
    pub(crate) fn site_id(&self) -> String {
        format!("{}-s-{:05}", self.tenant.id, self.site)
    }

    /// Identifier of its customer.
    pub(crate) fn customer_id(&self) -> String {
        format!("{}-c-{:05}", self.tenant.id, self.site)
    }
}

/// Makes `devices` active devices, the same ones for the same seed whatever the number, and behind them the inactive ones:
/// one in fifty, at least one of each tenant.
pub(crate) fn generate(seed: u64, devices: usize) -> Vec<SimDevice> {
    let mut counts = [[0usize; 3]; 2];
    let inactive = (devices / 50).max(TENANTS.len());
    let mut fleet = Vec::with_capacity(devices + inactive);
    for index in 0..devices {
        let of_tenant = index / TENANTS.len();
        let meter = meter_of(PATTERN[of_tenant % PATTERN.len()]);
        fleet.push(device(seed, index, meter, &mut counts, false));
    }
    for index in devices..devices + inactive {
        fleet.push(device(seed, index, &ELECTRICITY, &mut counts, true));
    }
    fleet
}

fn meter_of(letter: u8) -> &'static MeterType {
    match letter {
        b'w' => &WATER,
        b'g' => &GAS,
        _ => &ELECTRICITY,
    }
}

fn device(
    seed: u64,
    index: usize,
    meter: &'static MeterType,
    counts: &mut [[usize; 3]; 2],
    inactive: bool,
) -> SimDevice {
    let tenant_index = index % TENANTS.len();
    let tenant = &TENANTS[tenant_index];
    let kind = match meter.letter {
        'e' => 0,
        'w' => 1,
        _ => 2,
    };
    counts[tenant_index][kind] += 1;
    let number = counts[tenant_index][kind];
    let own = mix2(seed, index as u64 + 1);
    SimDevice {
        index,
        tenant,
        meter,
        id: format!("{}-{}-{number:05}", tenant.id, meter.letter),
        site: number,
        gateway: 1 + (mix2(own, 3) % GATEWAYS as u64) as usize,
        inactive,
        seed: own,
        scale: between(mix2(own, 1), 614, 1638),
        dial_start: between(mix2(own, 2), 1_000_000, 600_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn fleet_has_the_promised_mix_and_unique_ids() {
        let fleet = generate(7, 400);
        let share = |letter| fleet.iter().filter(|d| !d.inactive && d.meter.letter == letter).count();
        assert_eq!((share('e'), share('w'), share('g')), (240, 100, 60));
        let ids: HashSet<_> = fleet.iter().map(|d| d.id.as_str()).collect();
        assert_eq!(ids.len(), fleet.len());
        assert!(ids.contains("northgrid-e-00001") && ids.contains("lakeside-g-00001"));
    }

    #[test]
    fn smaller_fleet_is_the_beginning_of_a_larger_one() {
        let (small, large) = (generate(7, 30), generate(7, 300));
        for (a, b) in small.iter().filter(|d| !d.inactive).zip(&large) {
            assert_eq!((&a.id, a.seed, a.scale, a.dial_start), (&b.id, b.seed, b.scale, b.dial_start));
        }
        assert_ne!(generate(8, 30)[0].seed, small[0].seed);
    }
}

//! The devices that may deliver, as the compacted topic tells them.

use crate::core::thresholds::HOUR_US;
use hashbrown::HashMap;
use meter_model::{Commodity, Kind, LocalDays, Quantity};
use meterway_schemas as schemas;
use meterway_schemas::DeviceStatus;

/// Zone that stands in for one that the time zone database does not hold.
const FALLBACK_ZONE: &str = "UTC";

/// A device, reduced to what decisions need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Tenant that owns it.
    pub tenant: Box<str>,
    /// Customer supplied through it.
    pub customer: Option<Box<str>>,
    /// Site it is installed at.
    pub site: Box<str>,
    /// Whether its readings are accepted.
    pub status: DeviceStatus,
    /// What it measures.
    pub commodity: Commodity,
    /// Its site's zone; an index into [`DeviceTable::zones`].
    pub zone: usize,
    /// What it delivers.
    pub channels: Box<[ChannelSpec]>,
}

/// A channel of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelSpec {
    /// OBIS code or plain name.
    pub channel: Box<str>,
    /// Kind of its readings.
    pub kind: Kind,
    /// Unit of its readings.
    pub unit: Box<str>,
    /// Length of its intervals in seconds; `None` when not fixed.
    pub interval_s: Option<i32>,
    /// Factor from the delivered to the billed quantity.
    pub multiplier: Quantity,
    /// The dial's modulus, `10^digits` units; `None` when it is no register or the digits are unknown.
    pub dial: Option<Quantity>,
    /// Most that the service can carry in an hour. A register without its own takes that of an interval channel of the
    /// same unit: both measure the same flow.
    pub capacity_per_hour: Option<Quantity>,
    /// Whether negative values are legitimate.
    pub allow_negative: bool,
    /// When the meter behind the channel was exchanged; UTC microseconds, rising.
    pub exchanges: Box<[i64]>,
}

impl ChannelSpec {
    /// Most that the service can carry in a span of microseconds, in billed millionths; `None` when unknown.
    pub fn capacity_over(&self, span_us: i64) -> Option<i128> {
        let per_hour = i128::from(self.capacity_per_hour?.micros());
        Some(per_hour * i128::from(span_us) / i128::from(HOUR_US))
    }

    /// A delivered value, in millionths, as billed millionths.
    pub fn billed(&self, value: i64) -> i128 {
        i128::from(value) * i128::from(self.multiplier.micros()) / i128::from(Quantity::ONE.micros())
    }
}

/// What was odd about a device that was taken nevertheless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceDefect {
    /// Its zone is unknown, so its local days are those of UTC.
    #[error("zone {0:?} is not known, UTC stands in")]
    UnknownZone(String),
}

/// All devices. The newest state of each holds.
#[derive(Debug, Default)]
pub struct DeviceTable {
    devices: HashMap<Box<str>, Device, ahash::RandomState>,
    zone_names: Vec<Box<str>>,
    zones: Vec<LocalDays>,
}

impl DeviceTable {
    /// The device with this identifier.
    pub fn get(&self, device_id: &str) -> Option<&Device> {
        self.devices.get(device_id)
    }

    /// Number of devices.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// One finder of local days for each zone in use. Finders remember the day they found last, so each thread of
    /// decisions clones its own.
    pub fn zones(&self) -> &[LocalDays] {
        &self.zones
    }

    /// Forgets a device: its key came with a null value.
    pub fn remove(&mut self, device_id: &str) {
        self.devices.remove(device_id);
    }

    /// Takes the state of a device in place of an older one.
    ///
    /// # Errors
    /// [`DeviceDefect`] when the state is odd; it was taken all the same.
    pub fn insert(&mut self, state: schemas::Device) -> Result<(), DeviceDefect> {
        let (zone, known) = match self.zone(&state.zone) {
            Some(zone) => (zone, Ok(())),
            None => {
                let fallback = self.zone(FALLBACK_ZONE).expect("the database holds UTC");
                (fallback, Err(DeviceDefect::UnknownZone(state.zone.chars().take(64).collect())))
            }
        };
        let device = Device {
            channels: state.channels.iter().map(|channel| spec(channel, &state)).collect(),
            tenant: state.tenant_id.into(),
            customer: state.customer_id.map(Into::into),
            site: state.site_id.into(),
            status: state.status,
            commodity: state.commodity,
            zone,
        };
        self.devices.insert(state.device_id.into(), device);
        known
    }

    fn zone(&mut self, name: &str) -> Option<usize> {
        // A table of all the world's meters has a few dozen zones.
        if let Some(index) = self.zone_names.iter().position(|known| **known == *name) {
            return Some(index);
        }
        self.zones.push(LocalDays::parse(name).ok()?);
        self.zone_names.push(name.into());
        Some(self.zones.len() - 1)
    }
}

fn spec(channel: &schemas::DeviceChannel, device: &schemas::Device) -> ChannelSpec {
    let mut exchanges: Vec<i64> =
        device.exchanges.iter().filter(|e| e.channel == channel.channel).map(|e| e.at).collect();
    exchanges.sort_unstable();
    let sibling = || {
        let same_flow = |other: &&schemas::DeviceChannel| other.kind == Kind::Interval && other.unit == channel.unit;
        device.channels.iter().filter(same_flow).find_map(|other| other.capacity_per_hour)
    };
    let inherits = channel.kind == Kind::Register;
    ChannelSpec {
        channel: channel.channel.as_str().into(),
        kind: channel.kind,
        unit: channel.unit.as_str().into(),
        interval_s: channel.interval_s,
        multiplier: channel.multiplier,
        dial: channel.register_digits.and_then(dial),
        capacity_per_hour: channel.capacity_per_hour.or_else(|| if inherits { sibling() } else { None }),
        allow_negative: channel.allow_negative,
        exchanges: exchanges.into(),
    }
}

/// `10^digits` units; `None` for digits that no decimal(18,6) can count.
fn dial(digits: i32) -> Option<Quantity> {
    let units = 10_i64.checked_pow(u32::try_from(digits).ok()?)?;
    units.checked_mul(Quantity::ONE.micros()).and_then(Quantity::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::electricity_meter;

    #[test]
    fn newest_state_holds_and_a_removed_device_is_unknown() {
        let mut table = DeviceTable::default();
        table.insert(electricity_meter("d-1")).unwrap();
        let moved = schemas::Device { site_id: "s-2".into(), ..electricity_meter("d-1") };
        table.insert(moved).unwrap();
        assert_eq!((table.len(), &*table.get("d-1").unwrap().site), (1, "s-2"));
        table.remove("d-1");
        assert!(table.get("d-1").is_none() && table.is_empty());
    }

    #[test]
    fn devices_of_one_zone_share_its_finder() {
        let mut table = DeviceTable::default();
        table.insert(electricity_meter("d-1")).unwrap();
        table.insert(electricity_meter("d-2")).unwrap();
        assert_eq!(table.zones().len(), 1);
    }

    #[test]
    fn unknown_zone_is_named_and_counts_as_utc() {
        let mut table = DeviceTable::default();
        let lost = schemas::Device { zone: "Mars/Olympus".into(), ..electricity_meter("d-1") };
        let defect = table.insert(lost).unwrap_err();
        assert_eq!(defect.to_string(), "zone \"Mars/Olympus\" is not known, UTC stands in");
        assert_eq!(table.zones().len(), 1);
        assert!(table.get("d-1").is_some());
    }

    #[test]
    fn register_without_a_capacity_takes_that_of_the_interval_channel() {
        let mut table = DeviceTable::default();
        table.insert(electricity_meter("d-1")).unwrap();
        let register = &table.get("d-1").unwrap().channels[1];
        assert_eq!(register.capacity_per_hour, Some("25".parse().unwrap()));
        assert_eq!(register.dial, Some("1000000".parse().unwrap()));
        assert_eq!(dial(12).map(|d| d.to_string()), None, "decimal(18,6) ends below 10^12");
    }

    #[test]
    fn capacity_and_value_are_compared_behind_the_transformer() {
        let mut table = DeviceTable::default();
        let mut state = electricity_meter("d-1");
        state.channels[0].multiplier = "40".parse().unwrap();
        table.insert(state).unwrap();
        let channel = &table.get("d-1").unwrap().channels[0];
        assert_eq!(channel.billed(1_500_000), 60_000_000);
        assert_eq!(channel.capacity_over(HOUR_US / 2), Some(12_500_000));
    }
}

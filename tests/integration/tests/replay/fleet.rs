//! Meters and what they deliver.

use meter_model::{Commodity, Kind, Quantity};
use meterway_schemas::encode::{self, Reading, ReadingBatch};
use meterway_schemas::{CustomerClass, Device, DeviceChannel, DeviceStatus, Source};

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;
pub(crate) const LOAD: &str = "1-0:1.29.0";
pub(crate) const EXPORT: &str = "1-0:2.29.0";

/// A meter with an import and an export channel of this interval.
pub(crate) fn meter(tenant: &str, device: &str, interval_s: i32, capacity: &str) -> Device {
    let channel = |channel: &str, allow_negative| DeviceChannel {
        channel: channel.to_owned(),
        kind: Kind::Interval,
        unit: "kWh".to_owned(),
        interval_s: Some(interval_s),
        multiplier: Quantity::ONE,
        register_digits: None,
        capacity_per_hour: Some(capacity.parse().unwrap()),
        allow_negative,
    };
    Device {
        tenant_id: tenant.to_owned(),
        device_id: device.to_owned(),
        customer_id: Some(format!("customer of {device}")),
        site_id: format!("site-{device}"),
        gateway_id: None,
        status: DeviceStatus::Active,
        commodity: Commodity::Electricity,
        customer_class: CustomerClass::Residential,
        zone: "Europe/London".to_owned(),
        channels: vec![channel(LOAD, false), channel(EXPORT, true)],
        exchanges: vec![],
        version: 1,
        updated_at: 0,
    }
}

/// A reading of the import channel, in thousandths.
pub(crate) fn reading(start: i64, interval_s: i32, thousandths: i64) -> Reading<'static> {
    Reading {
        channel: LOAD,
        kind: Kind::Interval,
        start,
        duration_s: interval_s,
        value: thousandths * 1_000,
        unit: "kWh",
        flags: &[],
    }
}

/// A day of readings that differ from one another, without anything suspicious.
pub(crate) fn day(start: i64, interval_s: i32) -> Vec<Reading<'static>> {
    let slots = DAY / SECOND / i64::from(interval_s);
    let number = start / DAY;
    let at = |slot: i64| start + slot * i64::from(interval_s) * SECOND;
    (0..slots).map(|slot| reading(at(slot), interval_s, 120 + (slot * 37 + number * 11) % 290)).collect()
}

/// The datum of a delivery.
pub(crate) fn delivery(tenant: &str, device: &str, source: Source, readings: &[Reading<'_>]) -> Vec<u8> {
    let batch = ReadingBatch {
        tenant_id: tenant,
        device_id: device,
        gateway_id: "",
        sequence: 1,
        received_at: None,
        source,
        readings,
    };
    let mut datum = Vec::new();
    encode::reading_batch(&batch, &mut datum);
    datum
}

//! Meters and readings for tests.

use crate::core::decide::Message;
use crate::core::decision::Decision;
use crate::core::devices::DeviceTable;
use crate::core::rules::RuleId;
use meter_model::{Commodity, Kind, Quantity, RejectCode};
use meterway_schemas::encode::{Reading, ReadingBatch};
use meterway_schemas::{CustomerClass, Device, DeviceChannel, DeviceStatus, Source};

/// 2026-03-02T00:00:00Z, a Monday; midnight in London too.
pub(crate) const DAY: i64 = 1_772_409_600_000_000;
pub(crate) const HALF_HOUR: i64 = 1_800_000_000;
pub(crate) const LOAD: &str = "1-0:1.29.0";
pub(crate) const DIAL: &str = "1-0:1.8.0";

/// Ten days behind the first reading.
pub(crate) const NOW: i64 = DAY + 10 * 48 * HALF_HOUR;

fn device_channel(channel: &str, kind: Kind, unit: &str) -> DeviceChannel {
    DeviceChannel {
        channel: channel.into(),
        kind,
        unit: unit.into(),
        interval_s: None,
        multiplier: Quantity::ONE,
        register_digits: None,
        capacity_per_hour: None,
        allow_negative: false,
    }
}

/// A half-hourly electricity meter of the tenant `t` with a six-digit dial.
pub(crate) fn electricity_meter(device_id: &str) -> Device {
    let capacity = Some("25".parse().unwrap());
    let load = DeviceChannel {
        interval_s: Some(1_800),
        capacity_per_hour: capacity,
        ..device_channel(LOAD, Kind::Interval, "kWh")
    };
    let dial = DeviceChannel { register_digits: Some(6), ..device_channel(DIAL, Kind::Register, "kWh") };
    Device {
        tenant_id: "t".into(),
        device_id: device_id.into(),
        customer_id: Some("c-1".into()),
        site_id: "s-1".into(),
        gateway_id: None,
        status: DeviceStatus::Active,
        commodity: Commodity::Electricity,
        customer_class: CustomerClass::Residential,
        zone: "Europe/London".into(),
        channels: vec![load, dial],
        exchanges: vec![],
        version: 1,
        updated_at: 0,
    }
}

pub(crate) fn table(devices: impl IntoIterator<Item = Device>) -> DeviceTable {
    let mut table = DeviceTable::default();
    devices.into_iter().for_each(|device| table.insert(device).unwrap());
    table
}

/// A half-hour of the load channel, by its number since [`DAY`]; the value in thousandths.
pub(crate) fn interval(slot: i64, thousandths: i64) -> Reading<'static> {
    Reading {
        channel: LOAD,
        kind: Kind::Interval,
        start: DAY + slot * HALF_HOUR,
        duration_s: 1_800,
        value: thousandths * 1_000,
        unit: "kWh",
        flags: &[],
    }
}

/// A dial at midnight, by the number of the day; the value in units.
pub(crate) fn dial(day: i64, units: i64) -> Reading<'static> {
    let start = DAY + day * 48 * HALF_HOUR;
    Reading {
        channel: DIAL,
        kind: Kind::Register,
        start,
        duration_s: 0,
        value: units * 1_000_000,
        unit: "kWh",
        flags: &[],
    }
}

/// A day of plausible half-hours.
pub(crate) fn day(day: i64) -> Vec<Reading<'static>> {
    (0..48).map(|slot| interval(day * 48 + slot, 120 + (slot * 37 + day * 11) % 290)).collect()
}

pub(crate) fn batch<'a>(device_id: &'a str, readings: &'a [Reading<'a>]) -> ReadingBatch<'a> {
    ReadingBatch {
        tenant_id: "t",
        device_id,
        gateway_id: "g-1",
        sequence: 1,
        received_at: None,
        source: Source::Kafka,
        readings,
    }
}

pub(crate) fn message<'a>(device_id: &'a str, readings: &'a [Reading<'a>]) -> Message<'a> {
    Message {
        key: Some(device_id.as_bytes()),
        payload_bytes: 45 * readings.len(),
        batch: batch(device_id, readings),
        note: None,
    }
}

/// Index and failed rules of the accepted readings that failed any.
pub(crate) fn marks(decision: &Decision<'_>) -> Vec<(usize, Vec<RuleId>)> {
    let marked = decision.accepted.iter().filter(|accepted| !accepted.failed.is_empty());
    marked.map(|accepted| (accepted.index, accepted.failed.iter().collect())).collect()
}

/// Index and code of the rejections.
pub(crate) fn codes(decision: &Decision<'_>) -> Vec<(i32, RejectCode)> {
    decision.rejected.iter().map(|rejected| (rejected.index, rejected.code)).collect()
}

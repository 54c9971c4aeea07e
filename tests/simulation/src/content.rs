//! What devices deliver, and the device tables that validators know.

use std::sync::OnceLock;

use meter_model::{Commodity, Kind, Quantity};
use meterway_schemas::encode::{Reading, ReadingBatch};
use meterway_schemas::{CustomerClass, Device, DeviceChannel, DeviceStatus, Source};
use validate::core::devices::DeviceTable;

use crate::world::log::{RawMessage, RawReading};

/// Devices; device `i` writes to partition `i % partitions`. The last one may be registered late.
pub const DEVICES: u8 = 6;
/// Names of the devices.
pub const NAMES: [&str; DEVICES as usize] = ["d-0", "d-1", "d-2", "d-3", "d-4", "d-5"];
/// The tenant of all of them.
pub const TENANT: &str = "t";
/// The one channel.
pub const CHANNEL: &str = "1-0:1.29.0";

/// 2026-03-02T00:00:00Z.
const DAY: i64 = 1_772_409_600_000_000;
const HALF_HOUR: i64 = 1_800_000_000;
/// Time of all decisions; rules about age are not what is tested here.
pub const NOW: i64 = DAY + 100 * HALF_HOUR;

/// The device tables, without and with the device that is registered late. They never change, so all runs share them.
pub fn tables() -> &'static [DeviceTable; 2] {
    static TABLES: OnceLock<[DeviceTable; 2]> = OnceLock::new();
    TABLES.get_or_init(|| [devices(false), devices(true)])
}

fn devices(all: bool) -> DeviceTable {
    let mut table = DeviceTable::default();
    let known = if all { DEVICES } else { DEVICES - 1 };
    for name in &NAMES[..usize::from(known)] {
        let odd = table.insert(device(name));
        debug_assert!(odd.is_ok(), "the zone is UTC");
    }
    table
}

fn device(name: &str) -> Device {
    Device {
        tenant_id: TENANT.into(),
        device_id: name.into(),
        customer_id: None,
        site_id: "s".into(),
        gateway_id: None,
        status: DeviceStatus::Active,
        commodity: Commodity::Electricity,
        customer_class: CustomerClass::Residential,
        zone: "UTC".into(),
        channels: vec![DeviceChannel {
            channel: CHANNEL.into(),
            kind: Kind::Interval,
            unit: "kWh".into(),
            interval_s: Some(1_800),
            multiplier: Quantity::ONE,
            register_digits: None,
            capacity_per_hour: None,
            allow_negative: false,
        }],
        exchanges: vec![],
        version: 1,
        updated_at: 0,
    }
}

/// A delivery by its number. Few slots and values, so that duplicates and corrections are many; one in sixteen is no
/// message at all.
pub fn message(id: u64, n: u16) -> RawMessage {
    let device = (n % u16::from(DEVICES)) as u8;
    let count = if n % 16 == 7 { 0 } else { 1 + i64::from(n >> 4) % 3 };
    let reading = |at: i64| RawReading {
        slot: (i64::from(n >> 6) + at) % 12,
        thousandths: 100 + (i64::from(n >> 9) + at) % 2,
        wrong_unit: (i64::from(n >> 3) + at) % 7 == 0,
    };
    RawMessage { id, device, readings: (0..count).map(reading).collect() }
}

/// The readings as the decoder would give them.
pub fn readings(message: &RawMessage) -> Vec<Reading<'static>> {
    let reading = |raw: &RawReading| Reading {
        channel: CHANNEL,
        kind: Kind::Interval,
        start: DAY + raw.slot * HALF_HOUR,
        duration_s: 1_800,
        value: raw.thousandths * 1_000,
        unit: if raw.wrong_unit { "m3" } else { "kWh" },
        flags: &[],
    };
    message.readings.iter().map(reading).collect()
}

/// The message around its readings.
pub fn batch<'a>(message: &RawMessage, readings: &'a [Reading<'a>]) -> ReadingBatch<'a> {
    ReadingBatch {
        tenant_id: TENANT,
        device_id: NAMES[usize::from(message.device)],
        gateway_id: "g",
        sequence: message.id as i64,
        received_at: None,
        source: Source::Kafka,
        readings,
    }
}

//! Meters and their deliveries.

use std::time::{SystemTime, UNIX_EPOCH};

use meter_model::{Commodity, Kind, Quantity};
use meterway_schemas::encode::{self, Reading, ReadingBatch};
use meterway_schemas::{CustomerClass, Device, DeviceChannel, DeviceStatus, Source};

const HALF_HOUR: i64 = 1_800_000_000;
const DAY: i64 = 48 * HALF_HOUR;

/// An active half-hourly electricity meter.
pub(crate) fn meter(device_id: &str) -> Device {
    let load = DeviceChannel {
        channel: "1-0:1.29.0".into(),
        kind: Kind::Interval,
        unit: "kWh".into(),
        interval_s: Some(1_800),
        multiplier: Quantity::ONE,
        register_digits: None,
        capacity_per_hour: Some("25".parse().unwrap()),
        allow_negative: false,
    };
    Device {
        tenant_id: "northgrid".into(),
        device_id: device_id.into(),
        customer_id: Some(format!("customer-of-{device_id}")),
        site_id: format!("site-of-{device_id}"),
        gateway_id: None,
        status: DeviceStatus::Active,
        commodity: Commodity::Electricity,
        customer_class: CustomerClass::Residential,
        zone: "UTC".into(),
        channels: vec![load],
        exchanges: vec![],
        version: 1,
        updated_at: 0,
    }
}

/// Midnight (UTC) of thirty days ago: old enough that no test reaches the present.
pub(crate) fn first_day() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    now - now.rem_euclid(DAY) - 30 * DAY
}

/// The half-hours of a day that a meter delivers together.
pub(crate) fn day(number: i64) -> Vec<Reading<'static>> {
    let half_hour = |slot: i64| Reading {
        channel: "1-0:1.29.0",
        kind: Kind::Interval,
        start: first_day() + number * DAY + slot * HALF_HOUR,
        duration_s: 1_800,
        value: (120 + (slot * 37 + number * 11) % 290) * 1_000,
        unit: "kWh",
        flags: &[],
    };
    (0..48).map(half_hour).collect()
}

/// A delivery as an Avro datum.
pub(crate) fn delivery(device_id: &str, readings: &[Reading<'_>]) -> Vec<u8> {
    let batch = ReadingBatch {
        tenant_id: "northgrid",
        device_id,
        gateway_id: "gateway-1",
        sequence: 1,
        received_at: None,
        source: Source::Kafka,
        readings,
    };
    let mut datum = Vec::new();
    encode::reading_batch(&batch, &mut datum);
    datum
}

//! Deciding and encoding, without Kafka and without decoding: `cargo bench -p validate`.
//!
//! One item is one reading. The fleet has 1,000 half-hourly meters; each sample decides about new days of all of them.
//! `bare_encode` is the limit: decisions that somebody else made are only written.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use meter_model::{Commodity, Kind, LocalDay, Quantity, Verdict};
use meterway_schemas::encode::{Reading, ReadingBatch, ValidatedBatch, ValidatedReading, validated_batch};
use meterway_schemas::{CustomerClass, Device, DeviceChannel, DeviceStatus, Source};
use validate::core::decide::{Message, Settings, Validator};
use validate::core::decision::{DecisionWriter, Position};
use validate::core::devices::DeviceTable;
use validate::core::rules::RULES;

const METERS: usize = 1_000;
const SLOTS_A_DAY: i64 = 48;
const HALF_HOUR: i64 = 1_800_000_000;
/// 2026-03-02T00:00:00Z.
const FIRST: i64 = 1_772_409_600_000_000;

fn main() {
    divan::main();
}

fn meter(number: usize) -> Device {
    let load = DeviceChannel {
        channel: "1-0:1.29.0".into(),
        kind: Kind::Interval,
        unit: "kWh".into(),
        interval_s: Some(1_800),
        multiplier: Quantity::ONE,
        register_digits: None,
        capacity_per_hour: Quantity::from_micros(25_000_000),
        allow_negative: false,
    };
    Device {
        tenant_id: "northgrid".into(),
        device_id: device_id(number),
        customer_id: Some("customer-1".into()),
        site_id: "site-1".into(),
        gateway_id: None,
        status: DeviceStatus::Active,
        commodity: Commodity::Electricity,
        customer_class: CustomerClass::Residential,
        zone: "Europe/London".into(),
        channels: vec![load],
        exchanges: vec![],
        version: 1,
        updated_at: 0,
    }
}

fn device_id(number: usize) -> String {
    format!("northgrid-e-{number:05}")
}

fn reading(slot: i64) -> Reading<'static> {
    Reading {
        channel: "1-0:1.29.0",
        kind: Kind::Interval,
        start: FIRST + slot * HALF_HOUR,
        duration_s: 1_800,
        value: (120 + slot * 37 % 290) * 1_000,
        unit: "kWh",
        flags: &[],
    }
}

struct Line {
    devices: DeviceTable,
    ids: Vec<String>,
    validator: Validator,
    writer: DecisionWriter,
    slot: i64,
    out: Vec<u8>,
}

impl Line {
    fn new() -> Self {
        let mut devices = DeviceTable::default();
        for number in 0..METERS {
            devices.insert(meter(number)).expect("the zone is known");
        }
        let ids = (0..METERS).map(device_id).collect();
        let validator = Validator::new(Settings::default());
        Self { devices, ids, validator, writer: DecisionWriter::new(RULES), slot: 0, out: Vec::new() }
    }

    /// The next so many readings of every meter, one message each.
    fn round(&mut self, readings_per_message: i64) {
        let readings: Vec<_> = (self.slot..self.slot + readings_per_message).map(reading).collect();
        self.slot += readings_per_message;
        for id in &self.ids {
            let batch = ReadingBatch {
                tenant_id: "northgrid",
                device_id: id,
                gateway_id: "gateway-1",
                sequence: self.slot,
                received_at: None,
                source: Source::Kafka,
                readings: &readings,
            };
            let message = Message { key: Some(id.as_bytes()), payload_bytes: 2_000, batch, note: None };
            let now = FIRST + self.slot * HALF_HOUR;
            let decision = self.validator.decide(&self.devices, now, &message);
            self.out.clear();
            let at = Position { partition: 0, source: self.slot, decision: self.slot };
            self.writer.write(&decision, at, now, &mut self.out);
            black_box(&self.out);
        }
    }
}

#[divan::bench(args = [48, 1], sample_count = 20)]
fn decide_and_encode(bencher: Bencher<'_, '_>, readings_per_message: i64) {
    let mut line = Line::new();
    // Full windows, as after ten days of service.
    while line.slot < 512 {
        line.round(SLOTS_A_DAY);
    }
    let items = METERS as u64 * readings_per_message.unsigned_abs();
    bencher.counter(ItemsCount::new(items)).bench_local(|| line.round(readings_per_message));
}

#[divan::bench(args = [48, 1], sample_count = 20)]
fn bare_encode(bencher: Bencher<'_, '_>, readings_per_message: i64) {
    let ids: Vec<_> = (0..METERS).map(device_id).collect();
    let rules: Vec<_> = RULES.iter().map(|rule| rule.id.name()).collect();
    let readings: Vec<_> = (0..readings_per_message).map(accepted).collect();
    let mut out = Vec::new();
    let items = METERS as u64 * readings_per_message.unsigned_abs();
    bencher.counter(ItemsCount::new(items)).bench_local(|| {
        for id in &ids {
            out.clear();
            validated_batch(&decision(id, &rules, &readings), &mut out);
            black_box(&out);
        }
    });
}

fn accepted(slot: i64) -> ValidatedReading<'static> {
    ValidatedReading {
        reading: reading(slot),
        verdict: Verdict::Valid,
        failed_rules: &[],
        skipped_rules: &[],
        estimation_method: None,
        version: 1,
        local_day: LocalDay(20_514),
        commodity: Commodity::Electricity,
    }
}

fn decision<'a>(id: &'a str, rules: &'a [&'a str], readings: &'a [ValidatedReading<'a>]) -> ValidatedBatch<'a> {
    ValidatedBatch {
        tenant_id: "northgrid",
        device_id: id,
        gateway_id: "gateway-1",
        sequence: 1,
        received_at: None,
        source: Source::Kafka,
        customer_id: Some("customer-1"),
        site_id: Some("site-1"),
        source_partition: 0,
        source_offset: 1,
        decision_offset: -1,
        validated_at: FIRST,
        rules,
        readings,
        rejections: &[],
    }
}

//! A partition with its devices, fed by short sentences.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meter_model::{Commodity, Kind};
use meterway_schemas::{
    AlertKind, AlertState, CustomerClass, Device, DeviceEvent, DeviceEventKind, DeviceStatus, Source,
};

use crate::core::admission::{Arrival, EventOutcome};
use crate::core::episode::{AlertChange, Episode, Seen};
use crate::core::input::{Decision, Reading};
use crate::core::outbox::Output;
use crate::core::partition::{DecisionOutcome, Mode, Partition, Seed, Seeds};
use crate::core::register::Register;
use crate::core::thresholds::{ContinuousFlow, EventLimits, FlowLimit, HighUsage, SilentMeter, Thresholds};
use crate::core::{DAY, HOUR};

/// 2026-03-02T00:00:00Z, a Monday.
pub(super) const T0: i64 = 20_514 * DAY;
/// The local day that begins at `T0` in UTC.
pub(super) const DAY0: i32 = 20_514;

pub(super) fn thresholds() -> Thresholds {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let residential = FlowLimit { litres_per_hour: 12, hours: 24 };
    Thresholds {
        silent_meter: SilentMeter { after: hours(36), allowed_lateness: hours(24) },
        continuous_flow: ContinuousFlow {
            residential,
            multi_family: FlowLimit { litres_per_hour: 300, hours: 48 },
            commercial: FlowLimit { litres_per_hour: 190, hours: 48 },
            industrial: FlowLimit { litres_per_hour: 380, hours: 72 },
        },
        high_usage: HighUsage { ratio_percent: 300, floor_kwh: 5 },
        events: EventLimits {
            repeat_after: hours(1),
            max_future: hours(1),
            clear_tamper_after: hours(30 * 24),
            clear_reverse_flow_after: hours(24),
        },
    }
}

pub(super) fn device(device_id: &str, status: DeviceStatus, class: CustomerClass) -> Device {
    Device {
        tenant_id: "north".into(),
        device_id: device_id.into(),
        customer_id: Some("c-1".into()),
        site_id: "s-1".into(),
        gateway_id: None,
        status,
        commodity: Commodity::Unknown,
        customer_class: class,
        zone: "Europe/London".into(),
        channels: vec![],
        exchanges: vec![],
        version: 1,
        updated_at: 0,
    }
}

pub(super) fn register() -> Register {
    let mut register = Register::default();
    for device_id in ["e-1", "w-1", "o-1", "o-2"] {
        register.upsert(device(device_id, DeviceStatus::Active, CustomerClass::Residential));
    }
    register.upsert(device("w-shop", DeviceStatus::Active, CustomerClass::Commercial));
    register.upsert(device("e-old", DeviceStatus::Retired, CustomerClass::Residential));
    register
}

pub(super) fn electricity(start: i64, local_day: i32, wh: i64) -> Reading<'static> {
    Reading {
        channel: "1-0:1.29.0",
        kind: Kind::Interval,
        start,
        duration_s: 1_800,
        value: wh * 1_000,
        unit: "kWh",
        local_day,
        version: 1,
        commodity: Commodity::Electricity,
        after_gap: false,
        spike: false,
        valid: true,
    }
}

pub(super) fn water(start: i64, litres: i64) -> Reading<'static> {
    Reading {
        channel: "water.volume",
        duration_s: 3_600,
        value: litres * 1_000_000,
        unit: "L",
        commodity: Commodity::Water,
        ..electricity(start, start.div_euclid(DAY) as i32, 0)
    }
}

/// A whole day of half hours with the same value; the local day is UTC's.
pub(super) fn electric_day(number: i32, wh: i64) -> Vec<Reading<'static>> {
    let midnight = T0 + i64::from(number) * DAY;
    (0..48).map(|slot| electricity(midnight + slot * HOUR / 2, DAY0 + number, wh)).collect()
}

/// Hours of water from an hour after `T0` on.
pub(super) fn hours(from: i64, litres: &[i64]) -> Vec<Reading<'static>> {
    litres.iter().zip(from..).map(|(litres, hour)| water(T0 + hour * HOUR, *litres)).collect()
}

pub(super) fn event(device_id: &str, kind: DeviceEventKind, at: i64) -> DeviceEvent {
    DeviceEvent {
        tenant_id: "north".into(),
        device_id: device_id.into(),
        gateway_id: String::new(),
        sequence: 0,
        received_at: None,
        source: Source::Kafka,
        kind,
        at,
        detail: None,
    }
}

/// Something that arrives.
#[derive(Debug, Clone)]
pub(super) enum Input {
    Delivery { device_id: &'static str, source: Source, readings: Vec<Reading<'static>> },
    Event(DeviceEvent),
}

pub(super) fn delivery(device_id: &'static str, readings: Vec<Reading<'static>>) -> Input {
    Input::Delivery { device_id, source: Source::Kafka, readings }
}

/// Where the logs of a bench end: beyond all that a test feeds.
const ENDS: Seen = Seen { decision: 1_000_000, event: 1_000_000 };

/// A partition, what it wrote, and the table that a store would hold.
pub(super) struct Bench {
    pub(super) partition: Partition,
    pub(super) register: Register,
    pub(super) messages: Vec<AlertChange>,
    pub(super) late: Vec<AlertKind>,
    pub(super) output: Output,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_seeds(Seeds::new())
    }

    pub(super) fn with_seeds(seeds: Seeds) -> Self {
        Self {
            partition: Partition::new(0, Arc::new(thresholds()), Arc::new(seeds), ENDS),
            register: register(),
            messages: Vec::new(),
            late: Vec::new(),
            output: Output::default(),
        }
    }

    /// Feeds an input that has this position in the log (its source offset).
    pub(super) fn feed(&mut self, offset: i64, input: &Input, mode: Mode) {
        match input {
            Input::Delivery { device_id, source, readings } => {
                let outcome = self.decide(offset, device_id, *source, readings, mode);
                assert_eq!(outcome, DecisionOutcome::Applied);
            }
            Input::Event(event) => {
                let arrived = Arrival { offset, timestamp_ms: i64::MAX / 4_000 };
                let outcome = self.partition.on_event(event, arrived, &self.register, mode);
                assert_eq!(outcome, EventOutcome::Applied);
            }
        }
        self.take();
    }

    pub(super) fn decide(
        &mut self,
        offset: i64,
        device_id: &str,
        source: Source,
        readings: &[Reading<'static>],
        mode: Mode,
    ) -> DecisionOutcome {
        let decision = Decision {
            tenant_id: "north",
            device_id,
            customer_id: Some("c-1"),
            site_id: Some("s-1"),
            source,
            offset,
            source_offset: offset,
            validated_at: offset,
            readings: readings.to_vec(),
        };
        self.partition.on_decision(&decision, &self.register, mode)
    }

    pub(super) fn take(&mut self) {
        let mut output = self.partition.drain(&self.register);
        self.messages.append(&mut output.alerts);
        self.late.append(&mut output.late);
        self.output = output;
    }

    /// Feeds inputs one after the other, live.
    pub(super) fn run(&mut self, inputs: impl IntoIterator<Item = Input>) {
        for input in inputs {
            let offset = self.next_offset();
            self.feed(offset, &input, Mode::Live);
        }
    }

    fn next_offset(&mut self) -> i64 {
        // Offsets only have to rise.
        self.partition.source_watermark() + 1
    }

    /// Messages as (kind, state, opened after T0, closed after T0), in hours.
    pub(super) fn story(&self) -> Vec<(AlertKind, AlertState, i64, Option<i64>)> {
        let hours = |at: i64| (at - T0) / HOUR;
        let line = |change: &AlertChange| {
            let alert = &change.alert;
            (alert.kind, alert.state, hours(alert.opened_at), alert.closed_at.map(hours))
        };
        self.messages.iter().map(line).collect()
    }
}

/// What a table holds after these messages: the highest revision of each alert.
pub(super) type Table = BTreeMap<String, AlertChange>;

pub(super) fn upsert(table: &mut Table, messages: &[AlertChange]) {
    for change in messages {
        let known = table.get(&change.alert.alert_id).map_or(0, |known| known.alert.revision);
        if change.alert.revision > known {
            table.insert(change.alert.alert_id.clone(), change.clone());
        }
    }
}

pub(super) fn seeds(table: &Table) -> Seeds {
    let mut seeds = Seeds::new();
    for AlertChange { alert, window, seen } in table.values() {
        let episode = Episode {
            window: *window,
            opened_at: alert.opened_at,
            updated_at: alert.updated_at,
            closed_at: alert.closed_at,
            revision: alert.revision,
            seen: *seen,
            customer_id: alert.customer_id.as_deref().map(Into::into),
            site_id: alert.site_id.as_deref().map(Into::into),
        };
        let seed = Seed { tenant_id: alert.tenant_id.as_str().into(), kind: alert.kind, episode };
        seeds.entry(alert.device_id.as_str().into()).or_default().push(seed);
    }
    seeds
}

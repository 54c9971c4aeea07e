//! The faults of one device, day by day.

use super::{Action, DAY_MICROS, Delivery, Event, RULE_GAP, RULE_SPIKE, plain};
use crate::simulate::core::calendar::DayGrid;
use crate::simulate::core::fault::FaultKind;
use crate::simulate::core::fleet::SimDevice;
use crate::simulate::core::plan::Injection;
use crate::simulate::core::scenario::Scenario;
use crate::simulate::core::truth::{Expected, Outcome};
use crate::simulate::core::usage::{Effect, MICROS_PER_MILLI};
use meter_model::{Kind, RejectCode};
use meterway_schemas::encode::Reading;
use meterway_schemas::{AlertKind, DeviceEventKind};

const DRIFT_MICROS: i64 = 400 * 1_000_000;
const STUCK_VALUES: usize = 16;
/// Equal values in a row that the rule allows.
const STUCK_ALLOWED: usize = 11;

/// A day on which the fault shows.
pub(super) struct Case<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) injection: &'a Injection,
    pub(super) device: &'a SimDevice,
    pub(super) grid: &'a DayGrid,
    pub(super) readings: &'a [Reading<'static>],
    pub(super) now: i64,
}

impl Case<'_> {
    pub(super) fn first_day(&self) -> Option<Vec<Action>> {
        use FaultKind as F;
        match self.injection.kind {
            F::Gap => Some(self.gap()),
            F::Duplicate => Some(self.duplicate()),
            F::Correction => Some(self.correction()),
            F::OutOfOrder | F::Silent => Some(Vec::new()),
            F::Spike => Some(self.changed(RULE_SPIKE, |case, reading| reading.value = case.spike_value())),
            F::OverCapacity => {
                Some(self.refused(RejectCode::OverCapacity, |case, r| r.value = 3 * case.capacity_micros()))
            }
            F::Negative => Some(self.refused(RejectCode::Negative, |_, r| r.value = -r.value.max(1_500_000))),
            F::WrongLength => Some(self.refused(RejectCode::WrongInterval, |_, r| r.duration_s = 900)),
            F::WrongUnit => Some(self.refused(RejectCode::WrongUnit, |_, r| r.unit = other_unit(r.unit))),
            F::Stuck => Some(self.stuck()),
            F::Overlap => Some(self.added(RejectCode::Overlap, |r| r.start += i64::from(r.duration_s) * 500_000)),
            F::UnknownChannel => Some(self.added(RejectCode::UnknownChannel, |r| r.channel = "9-9:9.9.9")),
            F::FutureTime => Some(self.added(RejectCode::FutureTime, |r| r.start = self.on_the_grid(3))),
            F::TooOld => Some(self.added(RejectCode::TooOld, |r| r.start = self.on_the_grid(-5 * 365))),
            F::RegisterBackward => Some(self.register_backward()),
            F::Exchange => Some(self.exchange()),
            F::ClockDrift => Some(self.clock_drift()),
            F::Outage => Some(self.outage()),
            F::Leak => Some(self.with_alerts(&[closed(AlertKind::ContinuousFlow)], &[AlertKind::HighUsage])),
            F::HighUsage => Some(self.with_alerts(&[closed(AlertKind::HighUsage)], &[])),
            F::Tamper => Some(self.told(DeviceEventKind::Tamper, Expected::any_alert(AlertKind::Tamper))),
            F::LowBattery => Some(self.told(DeviceEventKind::LowBattery, closed(AlertKind::LowBattery))),
            F::ReverseFlow => {
                Some(self.told(DeviceEventKind::ReverseFlow, Expected::any_alert(AlertKind::ReverseFlow)))
            }
            F::Rollover | F::UnknownDevice | F::InactiveDevice | F::TenantMismatch | F::Malformed => None,
        }
    }

    pub(super) fn second_day(&self) -> Option<Vec<Action>> {
        match self.injection.kind {
            FaultKind::OutOfOrder => Some(self.out_of_order()),
            FaultKind::Rollover => Some(self.register_marked("register_rollover")),
            FaultKind::Exchange => Some(self.register_marked("meter_exchange")),
            FaultKind::ClockDrift => Some(self.after_clock_drift()),
            FaultKind::LowBattery => Some(self.after_event(DeviceEventKind::BatteryOk)),
            FaultKind::Silent => Some(vec![]),
            _ => None,
        }
    }

    /// The first delivery after the silence.
    pub(super) fn heard_again(&self) -> Vec<Action> {
        let first = self.first_interval();
        let expect = vec![Expected::suspect(RULE_GAP, &self.readings[first], first), closed(AlertKind::SilentMeter)];
        self.sent(self.readings.to_vec(), Outcome::expecting(expect))
    }

    // ------------------------------------------------------------------------------------------ holes and repeats

    fn gap(&self) -> Vec<Action> {
        let (first, count) = (self.first_interval(), self.intervals());
        let length = (6 + self.injection.random % 15).min(count as u64 - 6) as usize;
        let from = first + 2 + (self.injection.random >> 8) as usize % (count - length - 4);
        let mut readings = self.readings.to_vec();
        readings.drain(from..from + length);
        let expect = vec![Expected::suspect(RULE_GAP, &readings[from], from)];
        self.sent(readings, Outcome::expecting(expect))
    }

    fn duplicate(&self) -> Vec<Action> {
        let rejected = self.readings.iter().enumerate().map(|(at, reading)| duplicate_of(reading, at)).collect();
        let mut actions = self.sent(self.readings.to_vec(), Outcome::default());
        let copy = plain(self.device, self.readings.to_vec(), Outcome::expecting(rejected));
        actions.push(Action::Deliver(Delivery { again: true, ..copy }));
        actions
    }

    fn correction(&self) -> Vec<Action> {
        let changed_at = self.some_interval();
        let mut readings = self.readings.to_vec();
        let value = readings[changed_at].value;
        readings[changed_at].value = value + value / 10 / MICROS_PER_MILLI * MICROS_PER_MILLI + 7 * MICROS_PER_MILLI;
        let expect = readings.iter().enumerate().map(|(at, reading)| {
            if at == changed_at {
                Expected { version: Some(2), ..Expected::suspect("correction", reading, at) }
            } else {
                duplicate_of(reading, at)
            }
        });
        let outcome = Outcome::expecting(expect.collect());
        let mut actions = self.sent(self.readings.to_vec(), Outcome::default());
        actions.push(Action::Deliver(plain(self.device, readings, outcome)));
        actions
    }

    fn out_of_order(&self) -> Vec<Action> {
        let first = self.first_interval();
        let held_back = self.scenario.true_day_afresh(self.device, self.injection.day);
        let mut outcome = Outcome::expecting(vec![Expected::suspect(RULE_GAP, &self.readings[first], first)]);
        // The device is a day late for as long as its neighbours have delivered and it has not.
        outcome.tolerated.push(Expected::any_alert(AlertKind::SilentMeter));
        let mut late = Outcome::default();
        for (at, reading) in held_back.iter().enumerate() {
            let item = Expected::suspect("out_of_order", reading, at);
            if reading.kind == Kind::Interval { &mut late.expect } else { &mut late.tolerated }.push(item);
        }
        let mut actions = self.sent(self.readings.to_vec(), outcome);
        actions.push(Action::Deliver(plain(self.device, held_back, late)));
        actions
    }

    // -------------------------------------------------------------------------------------------- wrong readings

    /// One interval is changed and stays acceptable.
    fn changed(&self, rule: &'static str, change: impl Fn(&Self, &mut Reading<'static>)) -> Vec<Action> {
        let at = self.some_interval();
        let mut readings = self.readings.to_vec();
        change(self, &mut readings[at]);
        let mut outcome = Outcome::expecting(vec![Expected::suspect(rule, &readings[at], at)]);
        outcome.tolerated.push(Expected::any_alert(AlertKind::HighUsage));
        self.sent(readings, outcome)
    }

    /// One interval is changed so that it is not acceptable; what it leaves may be seen as a hole.
    fn refused(&self, code: RejectCode, change: impl Fn(&Self, &mut Reading<'static>)) -> Vec<Action> {
        let at = self.some_interval();
        let mut readings = self.readings.to_vec();
        change(self, &mut readings[at]);
        let expect = vec![Expected::rejected(code.as_str(), &readings[at], at)];
        let tolerated = vec![Expected::suspect(RULE_GAP, &readings[at + 1], at + 1)];
        self.sent(readings, Outcome { expect, tolerated })
    }

    /// A reading that is not acceptable is added behind an interval.
    fn added(&self, code: RejectCode, change: impl Fn(&mut Reading<'static>)) -> Vec<Action> {
        let at = self.some_interval() + 1;
        let mut readings = self.readings.to_vec();
        let mut more = readings[at - 1];
        change(&mut more);
        readings.insert(at, more);
        let expect = vec![Expected::rejected(code.as_str(), &more, at)];
        self.sent(readings, Outcome::expecting(expect))
    }

    fn stuck(&self) -> Vec<Action> {
        let mut readings = self.readings.to_vec();
        let room = self.intervals() - STUCK_VALUES - 2;
        let from = self.first_interval() + 1 + self.injection.random as usize % room;
        let until = from + STUCK_VALUES;
        let neighbours = [readings[from - 1].value, readings[until].value];
        let mut value = readings[from].value.max(50 * MICROS_PER_MILLI);
        while neighbours.contains(&value) {
            value += MICROS_PER_MILLI;
        }
        readings[from..until].iter_mut().for_each(|reading| reading.value = value);
        let marked = from + STUCK_ALLOWED..until;
        let expect = marked.map(|at| Expected::suspect("stuck", &readings[at], at)).collect();
        self.sent(readings, Outcome::expecting(expect))
    }

    fn clock_drift(&self) -> Vec<Action> {
        let mut readings = self.readings.to_vec();
        let first = self.first_interval();
        readings[first..].iter_mut().for_each(|reading| reading.start += DRIFT_MICROS);
        let drifted = readings.iter().enumerate().skip(first);
        let expect = drifted.map(|(at, reading)| Expected::suspect("clock_drift", reading, at)).collect();
        let tolerated = vec![Expected::suspect(RULE_GAP, &readings[first], first)];
        self.sent(readings, Outcome { expect, tolerated })
    }

    /// The last drifted interval reaches into the first of the next day.
    fn after_clock_drift(&self) -> Vec<Action> {
        let first = self.first_interval();
        let (next, second) = (&self.readings[first], &self.readings[first + 1]);
        let tolerated = vec![
            Expected::rejected(RejectCode::Overlap.as_str(), next, first),
            Expected::suspect(RULE_GAP, next, first),
            Expected::suspect(RULE_GAP, second, first + 1),
        ];
        self.sent(self.readings.to_vec(), Outcome { expect: Vec::new(), tolerated })
    }

    // ------------------------------------------------------------------------------------------------ the dial

    fn register_backward(&self) -> Vec<Action> {
        let mut readings = self.readings.to_vec();
        let before = self.scenario.true_day_afresh(self.device, self.injection.day - 1);
        readings[0].value = before[0].value - 50 * 1000 * MICROS_PER_MILLI;
        let expect = vec![Expected::suspect("register_backward", &readings[0], 0)];
        self.sent(readings, Outcome::expecting(expect))
    }

    fn register_marked(&self, rule: &'static str) -> Vec<Action> {
        let expect = vec![Expected::suspect(rule, &self.readings[0], 0)];
        self.sent(self.readings.to_vec(), Outcome::expecting(expect))
    }

    fn exchange(&self) -> Vec<Action> {
        let Effect::Exchange { at, .. } = self.injection.effect else { return Vec::new() };
        let mut actions = self.sent(self.readings.to_vec(), Outcome::default());
        let event = Event { kind: DeviceEventKind::MeterExchanged, at, outcome: Outcome::default() };
        actions.push(Action::Event(event));
        actions
    }

    // ------------------------------------------------------------------------------------------ events and alerts

    fn outage(&self) -> Vec<Action> {
        let Effect::Off { from, to } = self.injection.effect else { return Vec::new() };
        let mut readings = self.readings.to_vec();
        readings.retain(|reading| reading.kind != Kind::Interval || !(from..to).contains(&reading.start));
        let after = readings.iter().position(|reading| reading.start == to);
        let expect = after.map(|at| Expected::suspect(RULE_GAP, &readings[at], at)).into_iter().collect();
        let alert = Outcome::expecting(vec![closed(AlertKind::Outage)]);
        let mut actions = vec![
            Action::Event(Event { kind: DeviceEventKind::LastGasp, at: from, outcome: alert }),
            Action::Event(Event { kind: DeviceEventKind::PowerRestored, at: to, outcome: Outcome::default() }),
        ];
        actions.extend(self.sent(readings, Outcome::expecting(expect)));
        actions
    }

    fn with_alerts(&self, expect: &[Expected], tolerated: &[AlertKind]) -> Vec<Action> {
        let tolerated = tolerated.iter().map(|kind| Expected::any_alert(*kind)).collect();
        self.sent(self.readings.to_vec(), Outcome { expect: expect.to_vec(), tolerated })
    }

    fn told(&self, kind: DeviceEventKind, alert: Expected) -> Vec<Action> {
        let mut actions = self.sent(self.readings.to_vec(), Outcome::default());
        let at = self.grid.start + (self.grid.end - self.grid.start) / 2;
        actions.push(Action::Event(Event { kind, at, outcome: Outcome::expecting(vec![alert]) }));
        actions
    }

    fn after_event(&self, kind: DeviceEventKind) -> Vec<Action> {
        let mut actions = self.sent(self.readings.to_vec(), Outcome::default());
        let at = self.grid.start + (self.grid.end - self.grid.start) / 2;
        actions.push(Action::Event(Event { kind, at, outcome: Outcome::default() }));
        actions
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    fn sent(&self, readings: Vec<Reading<'static>>, outcome: Outcome) -> Vec<Action> {
        vec![Action::Deliver(plain(self.device, readings, outcome))]
    }

    fn first_interval(&self) -> usize {
        usize::from(self.device.meter.daily.is_some())
    }

    fn intervals(&self) -> usize {
        self.readings.len() - self.first_interval()
    }

    /// An interval with neighbours on both sides.
    fn some_interval(&self) -> usize {
        self.first_interval() + 2 + self.injection.random as usize % (self.intervals() - 4)
    }

    fn capacity_micros(&self) -> i64 {
        self.device.meter.interval_capacity_milli() * MICROS_PER_MILLI
    }

    fn spike_value(&self) -> i64 {
        let intervals = &self.readings[self.first_interval()..];
        let highest = intervals.iter().map(|reading| reading.value).max().unwrap_or(0);
        (12 * highest).max(self.capacity_micros() * 15 / 100)
    }

    /// The beginning of the interval that many days from now.
    fn on_the_grid(&self, days: i64) -> i64 {
        let step = i64::from(self.device.meter.interval_s) * 1_000_000;
        (self.now + days * DAY_MICROS).div_euclid(step) * step
    }
}

fn closed(kind: AlertKind) -> Expected {
    Expected::alert(kind, "CLOSED")
}

fn duplicate_of(reading: &Reading<'static>, at: usize) -> Expected {
    Expected::rejected(RejectCode::Duplicate.as_str(), reading, at)
}

fn other_unit(unit: &str) -> &'static str {
    if unit == "kWh" { "Wh" } else { "kWh" }
}

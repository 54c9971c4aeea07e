//! Turns a day that really happened into what arrives of it when something is wrong, and says what must be found.

mod case;

use self::case::Case;
use super::fault::FaultKind;
use super::fleet::{SimDevice, TENANTS};
use super::malformed::{Broken, Material, broken};
use super::plan::{Extra, Injection};
use super::scenario::Scenario;
use super::truth::{Expected, Outcome, Place};
use super::usage::interval;
use meter_model::RejectCode;
use meterway_schemas::encode::Reading;
use meterway_schemas::{AlertKind, DeviceEventKind};

/// A delivery to be sent as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Tenant it claims.
    pub tenant_id: &'static str,
    /// Device it claims.
    pub device_id: String,
    /// Gateway that sends it.
    pub gateway_id: String,
    /// Repeats the sequence number of the delivery before, as a gateway does that has heard no answer.
    pub again: bool,
    /// The readings.
    pub readings: Vec<Reading<'static>>,
    /// What must be found.
    pub outcome: Outcome,
}

/// A device event to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// What happened.
    pub kind: DeviceEventKind,
    /// When; UTC microseconds.
    pub at: i64,
    /// What must be found.
    pub outcome: Outcome,
}

/// Something to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// A delivery.
    Deliver(Delivery),
    /// A device event of the fault's device.
    Event(Event),
    /// Bytes that are no delivery.
    Broken(Broken),
}

/// Rule of a hole between two intervals.
pub(super) const RULE_GAP: &str = "gap";
/// Rule of a value that towers over its block.
pub(super) const RULE_SPIKE: &str = "spike";
const DAY_MICROS: i64 = 86_400_000_000;

/// What arrives of a day of a device that has a fault; `None` when the day is as any other. `now` is in UTC microseconds.
pub(crate) fn actions(
    scenario: &Scenario,
    injection: &Injection,
    day: usize,
    readings: &[Reading<'static>],
    now: i64,
) -> Option<Vec<Action>> {
    let ground = scenario.ground();
    let device = &scenario.fleet[injection.device];
    let case = Case { scenario, injection, device, grid: ground.grid(device, day), readings, now };
    match day.checked_sub(injection.day)? {
        0 => case.first_day(),
        1 => case.second_day(),
        2 if injection.kind == FaultKind::Silent => Some(Vec::new()),
        3 if injection.kind == FaultKind::Silent => Some(case.heard_again()),
        _ => None,
    }
}

/// What an additional message consists of. `reading` material comes from a day that the device has not delivered.
pub(crate) fn extra(scenario: &Scenario, extra: &Extra, material: Material<'_>) -> Action {
    let device = &scenario.fleet[extra.device];
    let readings = || scenario.true_day_afresh(device, extra.day);
    let rejected = |code: RejectCode| Outcome::expecting(vec![Expected::message(code.as_str())]);
    let delivery = match extra.kind {
        FaultKind::UnknownDevice => Delivery {
            device_id: format!("{}-x-{:05}", device.tenant.id, extra.number + 1),
            ..plain(device, readings(), rejected(RejectCode::UnknownDevice))
        },
        FaultKind::TenantMismatch => {
            let other = TENANTS.iter().find(|tenant| *tenant != device.tenant).unwrap_or(device.tenant);
            Delivery { tenant_id: other.id, ..plain(device, readings(), rejected(RejectCode::TenantMismatch)) }
        }
        FaultKind::InactiveDevice => plain(device, readings(), rejected(RejectCode::InactiveDevice)),
        _ => return Action::Broken(broken(extra.number, &material)),
    };
    Action::Deliver(delivery)
}

/// The delivery of a day without a fault, in the faulty path.
pub(crate) fn plain(device: &SimDevice, readings: Vec<Reading<'static>>, outcome: Outcome) -> Delivery {
    Delivery {
        tenant_id: device.tenant.id,
        device_id: device.id.clone(),
        gateway_id: device.gateway_id(),
        again: false,
        readings,
        outcome,
    }
}

/// What a fault promises that no message of it could carry: a device that is never heard again.
pub(crate) fn opening_outcome(scenario: &Scenario, injection: &Injection) -> Outcome {
    let for_good = injection.day + 3 == scenario.settings.days;
    if injection.kind == FaultKind::Silent && for_good {
        return Outcome::expecting(vec![Expected::alert(AlertKind::SilentMeter, "OPENED")]);
    }
    Outcome::default()
}

/// A reading that its device has not delivered and that would be accepted: material for broken messages.
pub(crate) fn undelivered(device: &SimDevice, scenario: &Scenario) -> Reading<'static> {
    let before = scenario.ground().grid(device, 0).start - DAY_MICROS;
    interval(device.meter, before, 250)
}

/// Splits a delivery into messages of at most so many readings; every promise goes with its reading, those of the whole
/// message with each. A single value can't be compared with its block, so the spike rule is silent then.
pub(crate) fn split(delivery: Delivery, most: usize) -> Vec<Delivery> {
    if delivery.readings.len() <= most {
        return vec![delivery];
    }
    let part = |items: &[Expected], number: usize| -> Vec<Expected> {
        let belongs = |item: &&Expected| match item.reading_index {
            Some(index) => index / most == number,
            None => item.kind == Place::Message || number == 0,
        };
        let items = items.iter().filter(belongs).cloned();
        items.map(|item| Expected { reading_index: item.reading_index.map(|index| index % most), ..item }).collect()
    };
    let chunks = delivery.readings.chunks(most).enumerate();
    let parts = chunks.map(|(number, readings)| {
        let expect = part(&delivery.outcome.expect, number);
        let (unsure, expect): (Vec<_>, Vec<_>) = expect.into_iter().partition(|item| item.code_or_rule == RULE_SPIKE);
        let mut tolerated = part(&delivery.outcome.tolerated, number);
        tolerated.extend(unsure);
        Delivery {
            readings: readings.to_vec(),
            outcome: Outcome { expect, tolerated },
            again: false,
            device_id: delivery.device_id.clone(),
            gateway_id: delivery.gateway_id.clone(),
            ..delivery
        }
    });
    parts.collect()
}

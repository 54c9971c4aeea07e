//! Which device events may change anything. What is not admitted is counted, and stays in the topic.

use meterway_schemas::{DeviceEvent, DeviceEventKind};

use super::register::{Register, RegisteredDevice};
use super::thresholds::{Thresholds, micros};

/// Where and when Kafka stored an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Offset in its partition.
    pub offset: i64,
    /// Kafka's timestamp; milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOutcome {
    /// It was taken over.
    Applied,
    /// No rule has a use for its kind.
    NotConcerned,
    /// The register does not know the device.
    UnknownDevice,
    /// The device belongs to another tenant.
    TenantMismatch,
    /// The device is not in service.
    InactiveDevice,
    /// Its time lies ahead of Kafka's: the device's clock is wrong.
    FutureTime,
    /// Taking it over panicked: a defect.
    Panicked,
}

/// The record of the event's device, when the event may change something.
///
/// # Errors
/// The outcome of an event that may not.
pub fn admit<'a>(
    event: &DeviceEvent,
    arrived_ms: i64,
    register: &'a Register,
    thresholds: &Thresholds,
) -> Result<&'a RegisteredDevice, EventOutcome> {
    use DeviceEventKind::{ClockAdjusted, MeterExchanged, Other};
    if matches!(event.kind, Other | ClockAdjusted | MeterExchanged) {
        return Err(EventOutcome::NotConcerned);
    }
    let registered = register.get(&event.device_id).ok_or(EventOutcome::UnknownDevice)?;
    if *registered.tenant_id != *event.tenant_id {
        return Err(EventOutcome::TenantMismatch);
    }
    if !registered.is_active() {
        return Err(EventOutcome::InactiveDevice);
    }
    let latest = arrived_ms.saturating_mul(1_000).saturating_add(micros(thresholds.events.max_future));
    if event.at > latest {
        return Err(EventOutcome::FutureTime);
    }
    Ok(registered)
}

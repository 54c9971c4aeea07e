//! Whether a message and its readings may be judged at all: `structure`, `device`, `channel`, and what a channel fixes.

use super::{Context, Outcome};
use crate::core::devices::{ChannelSpec, Device, DeviceTable};
use crate::core::history::Past;
use meter_model::{DeviceId, Kind, Quantity, RejectCode, TenantId};
use meterway_schemas::DeviceStatus;
use meterway_schemas::encode::{Reading, ReadingBatch};
use std::borrow::Cow;

/// Characters of a text that a detail quotes. Details are bounded, because a decision must fit its message limit.
const QUOTED_CHARS: usize = 24;

/// Why something was not admitted.
pub type Refusal = (RejectCode, Cow<'static, str>);

/// The message is one: identifiers are identifiers, the key is the device, there is something in it.
///
/// # Errors
/// The reason and its detail.
pub fn structure(key: Option<&[u8]>, batch: &ReadingBatch<'_>) -> Result<(), Refusal> {
    let identifier = |name: &str, result: Result<(), meter_model::InvalidId>| {
        result.map_err(|error| (RejectCode::BadIdentifier, Cow::from(format!("{name}: {error}"))))
    };
    identifier("device_id", DeviceId::check(batch.device_id))?;
    identifier("tenant_id", TenantId::check(batch.tenant_id))?;
    if !batch.gateway_id.is_empty() {
        identifier("gateway_id", DeviceId::check(batch.gateway_id))?;
    }
    if key != Some(batch.device_id.as_bytes()) {
        let detail = if key.is_some() { "the key is not the device id" } else { "the key is null, not the device id" };
        return Err((RejectCode::KeyMismatch, detail.into()));
    }
    if batch.readings.is_empty() {
        return Err((RejectCode::EmptyBatch, "no readings".into()));
    }
    Ok(())
}

/// The device is known, the tenant's, and active.
///
/// # Errors
/// The reason and its detail.
pub fn device<'t>(devices: &'t DeviceTable, batch: &ReadingBatch<'_>) -> Result<&'t Device, Refusal> {
    let Some(device) = devices.get(batch.device_id) else {
        return Err((RejectCode::UnknownDevice, "the register does not know the device".into()));
    };
    if *device.tenant != *batch.tenant_id {
        return Err((RejectCode::TenantMismatch, "the device belongs to another tenant".into()));
    }
    match device.status {
        DeviceStatus::Active => Ok(device),
        DeviceStatus::Inactive => Err((RejectCode::InactiveDevice, "the device is inactive".into())),
        DeviceStatus::Retired => Err((RejectCode::InactiveDevice, "the device is retired".into())),
    }
}

/// The device's channel that the reading claims, as an index into its channels; the value fits decimal(18,6).
///
/// # Errors
/// The reason and its detail.
pub fn channel(channels: &[ChannelSpec], reading: &Reading<'_>) -> Result<usize, Refusal> {
    if Quantity::from_micros(reading.value).is_none() {
        return Err((RejectCode::ValueOutOfRange, "the value has more than eighteen digits".into()));
    }
    let named = |spec: &ChannelSpec| *spec.channel == *reading.channel;
    if let Some(index) = find(channels, reading) {
        return Ok(index);
    }
    Err(match channels.iter().find(|spec| named(spec)) {
        Some(spec) => (RejectCode::WrongKind, format!("kind {}, expected {}", reading.kind, spec.kind).into()),
        None => (
            RejectCode::UnknownChannel,
            format!("channel '{}' is not one of the device", quoted(reading.channel)).into(),
        ),
    })
}

/// The channel that a reading claims by name and kind, whatever else is wrong with it.
pub fn find(channels: &[ChannelSpec], reading: &Reading<'_>) -> Option<usize> {
    channels.iter().position(|spec| spec.kind == reading.kind && *spec.channel == *reading.channel)
}

/// The unit is the channel's.
pub(super) fn unit(context: &Context<'_>, reading: &Reading<'_>, _past: &Past<'_>) -> Outcome {
    if *reading.unit == *context.channel.unit {
        return Outcome::Pass;
    }
    let detail = format!("unit '{}', expected '{}'", quoted(reading.unit), quoted(&context.channel.unit));
    Outcome::Reject(RejectCode::WrongUnit, detail.into())
}

/// An interval is as long as the channel's; an instant has no length.
pub(super) fn interval_length(context: &Context<'_>, reading: &Reading<'_>, _past: &Past<'_>) -> Outcome {
    let expected = if reading.kind == Kind::Interval { context.channel.interval_s } else { Some(0) };
    let fits = expected.map_or(reading.duration_s > 0, |expected| reading.duration_s == expected);
    if fits {
        return Outcome::Pass;
    }
    let detail = match expected {
        Some(expected) => format!("duration {} s, expected {expected} s", reading.duration_s),
        None => format!("duration {} s is not positive", reading.duration_s),
    };
    Outcome::Reject(RejectCode::WrongInterval, detail.into())
}

/// The beginning of a text from outside, in printable ASCII.
fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARS).map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

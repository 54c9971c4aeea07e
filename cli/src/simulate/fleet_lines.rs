//! The simulated fleet as lines of the file that `onboard` reads.

use super::core::fleet::{REGISTER_DIGITS, SimDevice};
use super::core::scenario::Scenario;
use super::core::usage::{Effect, MICROS_PER_MILLI};
use crate::fleet_file::{ChannelLine, DeviceLine, ExchangeLine};
use chrono::{DateTime, SecondsFormat};
use meter_model::{Kind, Quantity};

/// A line for each device, the inactive ones and the exchanges of the scenario's faults included.
pub(crate) fn fleet_lines(scenario: &Scenario) -> Vec<DeviceLine> {
    scenario.fleet.iter().map(|device| line(scenario, device)).collect()
}

fn line(scenario: &Scenario, device: &SimDevice) -> DeviceLine {
    DeviceLine {
        tenant_id: device.tenant.id.to_owned(),
        tenant_name: Some(device.tenant.name.to_owned()),
        customer_id: Some(device.customer_id()),
        customer_name: Some(format!("Customer {}", device.site)),
        site_id: device.site_id(),
        zone: device.tenant.zone.name().to_owned(),
        address: Some(format!("Site {}", device.site)),
        device_id: device.id.clone(),
        gateway_id: Some(device.gateway_id()),
        status: if device.inactive { "INACTIVE" } else { "ACTIVE" }.to_owned(),
        commodity: device.meter.commodity.as_str().to_owned(),
        customer_class: "RESIDENTIAL".to_owned(),
        channels: channels(device),
        exchanges: exchanges(scenario, device),
    }
}

fn channels(device: &SimDevice) -> Vec<ChannelLine> {
    let meter = device.meter;
    let capacity = decimal(meter.capacity_milli);
    let interval = ChannelLine {
        channel: meter.interval_channel.to_owned(),
        kind: Kind::Interval.as_str().to_owned(),
        unit: meter.unit.to_owned(),
        interval_s: u32::try_from(meter.interval_s).ok(),
        multiplier: None,
        register_digits: None,
        capacity_per_hour: Some(capacity.clone()),
        allow_negative: false,
    };
    let daily = meter.daily.as_ref().map(|daily| {
        let is_register = daily.kind == Kind::Register;
        ChannelLine {
            channel: daily.channel.to_owned(),
            kind: daily.kind.as_str().to_owned(),
            unit: daily.unit.to_owned(),
            interval_s: None,
            multiplier: None,
            register_digits: is_register.then_some(REGISTER_DIGITS),
            capacity_per_hour: is_register.then_some(capacity),
            allow_negative: false,
        }
    });
    std::iter::once(interval).chain(daily).collect()
}

fn exchanges(scenario: &Scenario, device: &SimDevice) -> Vec<ExchangeLine> {
    let Some((_, injection)) = scenario.plan.of(device.index) else { return Vec::new() };
    let (Effect::Exchange { at, opening }, Some(daily)) = (injection.effect, &device.meter.daily) else {
        return Vec::new();
    };
    vec![ExchangeLine {
        at: DateTime::from_timestamp_micros(at).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true),
        channel: daily.channel.to_owned(),
        closing_value: decimal(injection.closing),
        opening_value: decimal(opening),
    }]
}

fn decimal(milli: i64) -> String {
    Quantity::from_micros(milli * MICROS_PER_MILLI).unwrap_or_default().to_string()
}

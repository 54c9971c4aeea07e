//! Devices: what the contract demands of them, and what is published.

use std::collections::BTreeSet;

use meter_model::{Channel, Commodity, Kind, Quantity, TenantId, Unit};
use meterway_proto::metadata::v1;
use meterway_schemas::{self as schemas, CustomerClass, DeviceStatus};
use serde::{Deserialize, Serialize};

use super::fields::{Check, Violations, timestamp};
use super::names;

/// Most channels of a device. A concentrator that has more is several devices.
const MAX_CHANNELS: usize = 64;

/// A device as its tenant describes it. Two descriptions that are equal need no new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// Identifier, unique over all tenants.
    pub device_id: String,
    /// Site it is installed at.
    pub site_id: String,
    /// Customer supplied through it.
    pub customer_id: Option<String>,
    /// Gateway expected to deliver.
    pub gateway_id: Option<String>,
    /// Life-cycle state.
    pub status: DeviceStatus,
    /// What it measures.
    pub commodity: Commodity,
    /// Class of use.
    pub customer_class: CustomerClass,
    /// Channels it delivers.
    pub channels: Vec<ChannelSpec>,
}

/// A channel of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelSpec {
    /// OBIS code or plain name.
    pub channel: String,
    /// Kind of its readings.
    pub kind: Kind,
    /// Symbol of the unit.
    pub unit: String,
    /// Seconds of an interval.
    pub interval_s: Option<i32>,
    /// Factor to the billed quantity.
    pub multiplier: Quantity,
    /// Digits of the dial.
    pub register_digits: Option<i32>,
    /// Largest quantity per hour.
    pub capacity_per_hour: Option<Quantity>,
    /// Whether negative values are legitimate.
    pub allow_negative: bool,
}

/// A replacement of the meter, for one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// When; microseconds since 1970.
    pub at: i64,
    /// Register channel.
    pub channel: String,
    /// Last dial of the old meter.
    pub closing_value: Quantity,
    /// First dial of the new meter.
    pub opening_value: Quantity,
}

/// A device as the register holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// Owner.
    pub tenant_id: String,
    /// Description.
    pub spec: DeviceSpec,
    /// Zone of its site.
    pub zone: String,
    /// Exchanges, oldest first.
    pub exchanges: Vec<Exchange>,
    /// Rises by one with each change.
    pub version: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
}

impl DeviceSpec {
    /// Checks a device as it was sent.
    ///
    /// # Errors
    /// Every mistake.
    pub fn parse(message: Option<v1::Device>) -> Result<Self, Violations> {
        let mut check = Check::default();
        let message = check.required("device", message);
        let spec = Self::read(&mut check, &message);
        check.finish(spec)
    }

    pub(super) fn read(check: &mut Check, message: &v1::Device) -> Self {
        if message.channels.is_empty() || message.channels.len() > MAX_CHANNELS {
            check.note("device.channels", format!("there are {}, not 1 to {MAX_CHANNELS}", message.channels.len()));
        }
        let mut seen = BTreeSet::new();
        for (index, channel) in message.channels.iter().enumerate().take(MAX_CHANNELS) {
            if !seen.insert(&channel.channel) {
                check.note(format!("device.channels[{index}].channel"), "appears twice");
            }
        }
        let channels = message.channels.iter().take(MAX_CHANNELS).enumerate();
        Self {
            device_id: check.id("device.device_id", &message.device_id),
            site_id: check.id("device.site_id", &message.site_id),
            customer_id: check.optional_id("device.customer_id", &message.customer_id),
            gateway_id: check.optional_id("device.gateway_id", &message.gateway_id),
            status: check.device_status("device.status", message.status),
            commodity: check.commodity("device.commodity", message.commodity),
            customer_class: check.customer_class("device.customer_class", message.customer_class),
            channels: channels.map(|(index, channel)| ChannelSpec::read(check, index, channel)).collect(),
        }
    }
}

impl ChannelSpec {
    fn read(check: &mut Check, index: usize, message: &v1::Channel) -> Self {
        let field = |name: &str| format!("device.channels[{index}].{name}");
        if let Err(error) = Channel::check(&message.channel) {
            check.note(field("channel"), error.to_string());
        }
        if Unit::parse(&message.unit).is_none() {
            check.note(field("unit"), format!("{:?} is not a known unit", short(&message.unit)));
        }
        let kind = check.channel_kind(&field("kind"), message.kind);
        let multiplier = check.quantity(&field("multiplier"), &message.multiplier).unwrap_or(Quantity::ONE);
        let capacity = check.quantity(&field("capacity_per_hour"), &message.capacity_per_hour);
        for (name, value) in [("multiplier", Some(multiplier)), ("capacity_per_hour", capacity)] {
            if value.is_some_and(|value| value <= Quantity::ZERO) {
                check.note(field(name), "is not above 0");
            }
        }
        Self {
            channel: message.channel.clone(),
            kind,
            unit: message.unit.clone(),
            interval_s: belongs_to(
                check,
                &field("interval_s"),
                message.interval_s,
                kind == Kind::Interval,
                86_400 * 31,
            ),
            multiplier,
            register_digits: belongs_to(
                check,
                &field("register_digits"),
                message.register_digits,
                kind == Kind::Register,
                12,
            ),
            capacity_per_hour: capacity,
            allow_negative: message.allow_negative,
        }
    }
}

/// A number from 1 to `max` that only some kinds of channels have.
fn belongs_to(check: &mut Check, field: &str, value: Option<u32>, fits_kind: bool, max: u32) -> Option<i32> {
    let value = value?;
    if !fits_kind {
        check.note(field, "does not belong to a channel of this kind");
    }
    if value == 0 || value > max {
        check.note(field, format!("is not between 1 and {max}"));
    }
    i32::try_from(value).ok()
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Checks the exchanges of a request.
///
/// # Errors
/// Every mistake that can be seen without the device.
pub fn parse_exchanges(request: &v1::ExchangeMeterRequest) -> Result<Vec<Exchange>, Violations> {
    let mut check = Check::default();
    check.id("device_id", &request.device_id);
    let at = check.micros("at", request.at.as_ref());
    if request.at.is_none() {
        check.note("at", "is missing");
    }
    if request.exchanges.is_empty() || request.exchanges.len() > MAX_CHANNELS {
        check.note("exchanges", format!("there are {}, not 1 to {MAX_CHANNELS}", request.exchanges.len()));
    }
    let mut exchanges = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, exchange) in request.exchanges.iter().enumerate().take(MAX_CHANNELS) {
        let field = |name: &str| format!("exchanges[{index}].{name}");
        if !seen.insert(&exchange.channel) {
            check.note(field("channel"), "appears twice");
        }
        let mut dial = |name: &str, text: &str| {
            let value = check.quantity(&field(name), text);
            if text.is_empty() || value.is_some_and(Quantity::is_negative) {
                check.note(field(name), "must be a dial of 0 or more");
            }
            value.unwrap_or_default()
        };
        let closing_value = dial("closing_value", &exchange.closing_value);
        let opening_value = dial("opening_value", &exchange.opening_value);
        exchanges.push(Exchange {
            at: at.unwrap_or_default(),
            channel: exchange.channel.clone(),
            closing_value,
            opening_value,
        });
    }
    check.finish(exchanges)
}

/// What an exchange means for the device as it is.
#[derive(Debug, PartialEq, Eq)]
pub enum ExchangeDecision {
    /// These are new.
    Add(Vec<Exchange>),
    /// All of them are known already.
    Unchanged,
}

/// Why an exchange can't be noted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeRefusal {
    /// The message doesn't fit the device.
    #[error(transparent)]
    Invalid(#[from] Violations),
    /// Another exchange of the channel at the same instant is known.
    #[error("channel {channel} was exchanged at this instant with other dials")]
    Conflict {
        /// Channel concerned.
        channel: String,
    },
}

/// Decides what to do with exchanges that were sent for a device.
///
/// # Errors
/// [`ExchangeRefusal`] when a channel is no register of the device, or contradicts a known exchange.
pub fn decide_exchange(device: &DeviceState, sent: Vec<Exchange>) -> Result<ExchangeDecision, ExchangeRefusal> {
    let mut check = Check::default();
    let mut new = Vec::new();
    for (index, exchange) in sent.into_iter().enumerate() {
        let is_register = |c: &ChannelSpec| c.channel == exchange.channel && c.kind == Kind::Register;
        if !device.spec.channels.iter().any(is_register) {
            check.note(format!("exchanges[{index}].channel"), "is not a register channel of the device");
            continue;
        }
        let same_instant = |known: &&Exchange| known.channel == exchange.channel && known.at == exchange.at;
        match device.exchanges.iter().find(same_instant) {
            None => new.push(exchange),
            Some(known) if *known == exchange => {}
            Some(_) => return Err(ExchangeRefusal::Conflict { channel: exchange.channel }),
        }
    }
    let new = check.finish(new)?;
    Ok(if new.is_empty() { ExchangeDecision::Unchanged } else { ExchangeDecision::Add(new) })
}

/// The value of the device's message.
pub fn published(device: &DeviceState) -> schemas::Device {
    let spec = device.spec.clone();
    schemas::Device {
        tenant_id: device.tenant_id.clone(),
        device_id: spec.device_id,
        customer_id: spec.customer_id,
        site_id: spec.site_id,
        gateway_id: spec.gateway_id,
        status: spec.status,
        commodity: spec.commodity,
        customer_class: spec.customer_class,
        zone: device.zone.clone(),
        channels: spec.channels.into_iter().map(published_channel).collect(),
        exchanges: device.exchanges.iter().cloned().map(published_exchange).collect(),
        version: device.version,
        updated_at: device.updated_at,
    }
}

fn published_channel(channel: ChannelSpec) -> schemas::DeviceChannel {
    schemas::DeviceChannel {
        channel: channel.channel,
        kind: channel.kind,
        unit: channel.unit,
        interval_s: channel.interval_s,
        multiplier: channel.multiplier,
        register_digits: channel.register_digits,
        capacity_per_hour: channel.capacity_per_hour,
        allow_negative: channel.allow_negative,
    }
}

fn published_exchange(exchange: Exchange) -> schemas::MeterExchange {
    schemas::MeterExchange {
        at: exchange.at,
        channel: exchange.channel,
        closing_value: exchange.closing_value,
        opening_value: exchange.opening_value,
    }
}

impl From<DeviceState> for v1::Device {
    fn from(device: DeviceState) -> Self {
        let spec = device.spec;
        Self {
            device_id: spec.device_id,
            site_id: spec.site_id,
            customer_id: spec.customer_id.unwrap_or_default(),
            gateway_id: spec.gateway_id.unwrap_or_default(),
            status: names::device_status(spec.status) as i32,
            commodity: names::commodity(spec.commodity) as i32,
            customer_class: names::customer_class(spec.customer_class) as i32,
            channels: spec.channels.into_iter().map(v1::Channel::from).collect(),
            exchanges: device.exchanges.into_iter().map(v1::MeterExchange::from).collect(),
            zone: device.zone,
            version: device.version,
            updated_at: Some(timestamp(device.updated_at)),
            tenant_id: device.tenant_id,
        }
    }
}

impl From<ChannelSpec> for v1::Channel {
    fn from(channel: ChannelSpec) -> Self {
        Self {
            channel: channel.channel,
            kind: names::channel_kind(channel.kind) as i32,
            unit: channel.unit,
            interval_s: channel.interval_s.and_then(|n| u32::try_from(n).ok()),
            multiplier: channel.multiplier.to_string(),
            register_digits: channel.register_digits.and_then(|n| u32::try_from(n).ok()),
            capacity_per_hour: channel.capacity_per_hour.map(|q| q.to_string()).unwrap_or_default(),
            allow_negative: channel.allow_negative,
        }
    }
}

impl From<Exchange> for v1::MeterExchange {
    fn from(exchange: Exchange) -> Self {
        Self {
            at: Some(timestamp(exchange.at)),
            channel: exchange.channel,
            closing_value: exchange.closing_value.to_string(),
            opening_value: exchange.opening_value.to_string(),
        }
    }
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// Only devices at this site.
    pub site_id: Option<String>,
    /// Only devices of this customer.
    pub customer_id: Option<String>,
    /// Only devices in this state, by its name.
    pub status: Option<&'static str>,
}

impl DeviceFilter {
    /// Takes the filter of a request, and its tenant.
    ///
    /// # Errors
    /// Every mistake.
    pub fn parse(request: &v1::ListDevicesRequest) -> Result<(TenantId, Self), Violations> {
        let tenant = super::register::tenant_id(&request.tenant_id)?;
        let mut check = Check::default();
        let status = match check.choice("status", request.status) {
            v1::DeviceStatus::Unspecified => None,
            status => Some(status.as_str_name().trim_start_matches("DEVICE_STATUS_")),
        };
        let filter = Self {
            site_id: check.optional_id("site_id", &request.site_id),
            customer_id: check.optional_id("customer_id", &request.customer_id),
            status,
        };
        check.finish((tenant, filter))
    }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;

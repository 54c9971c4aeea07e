//! Lines of the file of devices as messages of the register.

use crate::fleet_file::{ChannelLine, DeviceLine, ExchangeLine};
use chrono::DateTime;
use meterway_proto::metadata::v1 as proto;

/// A line ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prepared {
    /// Tenant.
    pub tenant_id: String,
    /// Name for the tenant if it must be created.
    pub tenant_name: String,
    /// The line.
    pub bulk: proto::BulkLine,
    /// Exchanges of the device, one request for each instant.
    pub exchanges: Vec<proto::ExchangeMeterRequest>,
}

/// Translates a line.
///
/// # Errors
/// Names the field that can't be translated; everything else is for the register to judge.
pub(crate) fn prepare(number: u64, line: DeviceLine) -> Result<Prepared, String> {
    let status = enumeration("status", "DEVICE_STATUS", &line.status, proto::DeviceStatus::from_str_name)?;
    let commodity = enumeration("commodity", "COMMODITY", &line.commodity, proto::Commodity::from_str_name)?;
    let class = "customer_class";
    let customer_class =
        enumeration(class, "CUSTOMER_CLASS", &line.customer_class, proto::CustomerClass::from_str_name)?;
    let channels = line.channels.into_iter().enumerate().map(|(at, c)| channel(at, c)).collect::<Result<_, _>>()?;
    let exchanges = exchanges(&line.tenant_id, &line.device_id, line.exchanges)?;
    let customer = line.customer_id.as_ref().map(|customer_id| proto::Customer {
        customer_id: customer_id.clone(),
        name: line.customer_name.clone().unwrap_or_else(|| customer_id.clone()),
        ..proto::Customer::default()
    });
    let site = proto::Site {
        site_id: line.site_id.clone(),
        zone: line.zone,
        address: line.address.unwrap_or_default(),
        ..proto::Site::default()
    };
    let device = proto::Device {
        device_id: line.device_id,
        site_id: line.site_id,
        customer_id: line.customer_id.unwrap_or_default(),
        gateway_id: line.gateway_id.unwrap_or_default(),
        status: status.into(),
        commodity: commodity.into(),
        customer_class: customer_class.into(),
        channels,
        ..proto::Device::default()
    };
    Ok(Prepared {
        tenant_name: line.tenant_name.unwrap_or_else(|| line.tenant_id.clone()),
        tenant_id: line.tenant_id,
        bulk: proto::BulkLine { line: number, device: Some(device), site: Some(site), customer },
        exchanges,
    })
}

fn enumeration<T>(field: &str, prefix: &str, name: &str, parse: fn(&str) -> Option<T>) -> Result<T, String> {
    parse(&format!("{prefix}_{name}")).ok_or_else(|| format!("{field}: {name:?} is not known"))
}

fn channel(at: usize, line: ChannelLine) -> Result<proto::Channel, String> {
    let field = format!("channels[{at}].kind");
    let kind = enumeration(&field, "CHANNEL_KIND", &line.kind, proto::ChannelKind::from_str_name)?;
    Ok(proto::Channel {
        channel: line.channel,
        kind: kind.into(),
        unit: line.unit,
        interval_s: line.interval_s,
        multiplier: line.multiplier.unwrap_or_default(),
        register_digits: line.register_digits,
        capacity_per_hour: line.capacity_per_hour.unwrap_or_default(),
        allow_negative: line.allow_negative,
    })
}

/// One request per exchange: the register takes the same one twice without a change.
fn exchanges(
    tenant_id: &str,
    device_id: &str,
    lines: Vec<ExchangeLine>,
) -> Result<Vec<proto::ExchangeMeterRequest>, String> {
    let request = |(position, line): (usize, ExchangeLine)| {
        let no_time = |_| format!("exchanges[{position}].at: {:?} is no time by RFC 3339", line.at);
        let at = DateTime::parse_from_rfc3339(&line.at).map_err(no_time)?;
        let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0);
        Ok(proto::ExchangeMeterRequest {
            tenant_id: tenant_id.to_owned(),
            device_id: device_id.to_owned(),
            at: Some(prost_types::Timestamp { seconds: at.timestamp(), nanos }),
            exchanges: vec![proto::MeterExchange {
                at: None,
                channel: line.channel,
                closing_value: line.closing_value,
                opening_value: line.opening_value,
            }],
        })
    };
    lines.into_iter().enumerate().map(request).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> DeviceLine {
        serde_json::from_value(serde_json::json!({
            "tenant_id": "t", "customer_id": "c", "site_id": "s", "zone": "Europe/London", "device_id": "d",
            "status": "INACTIVE", "commodity": "WATER", "customer_class": "MULTI_FAMILY",
            "channels": [{"channel": "water.volume", "kind": "INTERVAL", "unit": "L", "interval_s": 3600}],
            "exchanges": [{"at": "2026-01-02T03:04:05Z", "channel": "x", "closing_value": "1.5", "opening_value": "0"}],
        }))
        .unwrap()
    }

    #[test]
    fn line_becomes_what_the_register_understands() {
        let prepared = prepare(7, line()).unwrap();
        let device = prepared.bulk.device.unwrap();
        assert_eq!(prepared.bulk.line, 7);
        assert_eq!(device.status(), proto::DeviceStatus::Inactive);
        assert_eq!(device.commodity(), proto::Commodity::Water);
        assert_eq!(device.customer_class(), proto::CustomerClass::MultiFamily);
        assert_eq!(device.channels[0].kind(), proto::ChannelKind::Interval);
        assert_eq!(prepared.bulk.customer.unwrap().name, "c");
        assert_eq!(prepared.exchanges[0].at.unwrap().seconds, 1_767_323_045);
        assert_eq!(prepared.tenant_name, "t");
    }

    #[test]
    fn unknown_names_are_named() {
        let with = |change: fn(&mut DeviceLine)| {
            let mut line = line();
            change(&mut line);
            prepare(1, line).unwrap_err()
        };
        assert_eq!(with(|line| line.status = "LOST".into()), "status: \"LOST\" is not known");
        assert_eq!(with(|line| line.channels[0].kind = "X".into()), "channels[0].kind: \"X\" is not known");
        assert!(with(|line| line.exchanges[0].at = "noon".into()).starts_with("exchanges[0].at"));
    }
}

//! Rows of the devices topic for the warehouse.

use std::collections::HashMap;

use meterway_schemas::{Device, DeviceChannel};
use serde::Serialize;

/// What a record of the compacted topic says.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceChange {
    /// The device is in this state.
    State(Box<Device>),
    /// The device was erased (a tombstone).
    Erased {
        /// The device.
        device_id: String,
    },
}

impl DeviceChange {
    fn device_id(&self) -> &str {
        match self {
            Self::State(device) => &device.device_id,
            Self::Erased { device_id } => device_id,
        }
    }
}

/// A row of `raw.devices`; field names are the columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "columns are described where the table is made and in the contract")]
pub struct DeviceRow {
    pub device_id: String,
    pub tenant_id: String,
    pub customer_id: Option<String>,
    pub site_id: String,
    pub gateway_id: Option<String>,
    pub status: String,
    pub commodity: String,
    pub customer_class: String,
    pub zone: String,
    pub version: i64,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

/// A row of `raw.device_channels`; field names are the columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "columns are described where the table is made and in the contract")]
pub struct ChannelRow {
    pub device_id: String,
    pub channel: String,
    pub kind: String,
    pub unit: String,
    pub interval_s: Option<i32>,
    /// A decimal number as text: JSON numbers would pass through floats in some readers.
    pub multiplier: String,
    pub register_digits: Option<i32>,
    /// As `multiplier`.
    pub capacity_per_hour: Option<String>,
    pub allow_negative: bool,
}

/// What one write brings to the warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceRows {
    /// Devices, one row each.
    pub devices: Vec<DeviceRow>,
    /// Their channels.
    pub channels: Vec<ChannelRow>,
    /// Devices that were erased.
    pub erased: Vec<String>,
}

impl DeviceRows {
    /// The rows of a series of changes in the order of the topic: the last change of a device counts. States of a device
    /// never go back in version, whatever order they come in.
    pub fn from_changes(changes: impl IntoIterator<Item = DeviceChange>) -> Self {
        let mut newest: HashMap<String, DeviceChange> = HashMap::new();
        for change in changes {
            let held = newest.get(change.device_id());
            if let (Some(DeviceChange::State(held)), DeviceChange::State(device)) = (held, &change)
                && held.version > device.version
            {
                continue;
            }
            newest.insert(change.device_id().to_owned(), change);
        }
        // In order of the key: two loaders that write the same devices take their row locks in the same order.
        let mut changes: Vec<_> = newest.into_values().collect();
        changes.sort_by(|left, right| left.device_id().cmp(right.device_id()));
        let mut rows = Self::default();
        changes.into_iter().for_each(|change| rows.add(change));
        rows
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.erased.is_empty()
    }

    fn add(&mut self, change: DeviceChange) {
        match change {
            DeviceChange::Erased { device_id } => self.erased.push(device_id),
            DeviceChange::State(device) => {
                self.channels.extend(channels(&device));
                self.devices.push(device_row(*device));
            }
        }
    }
}

fn device_row(device: Device) -> DeviceRow {
    DeviceRow {
        status: name_of(&device.status),
        commodity: name_of(&device.commodity),
        customer_class: name_of(&device.customer_class),
        updated_at: rfc3339(device.updated_at),
        device_id: device.device_id,
        tenant_id: device.tenant_id,
        customer_id: device.customer_id,
        site_id: device.site_id,
        gateway_id: device.gateway_id,
        zone: device.zone,
        version: device.version,
    }
}

/// Channels of a device; a channel named twice counts once, as its key is unique in the warehouse.
fn channels(device: &Device) -> Vec<ChannelRow> {
    let mut rows: Vec<ChannelRow> = Vec::with_capacity(device.channels.len());
    for channel in &device.channels {
        let row = channel_row(&device.device_id, channel);
        if !rows.iter().any(|known| known.channel == row.channel && known.kind == row.kind) {
            rows.push(row);
        }
    }
    rows
}

fn channel_row(device_id: &str, channel: &DeviceChannel) -> ChannelRow {
    ChannelRow {
        device_id: device_id.to_owned(),
        channel: channel.channel.clone(),
        kind: name_of(&channel.kind),
        unit: channel.unit.clone(),
        interval_s: channel.interval_s,
        multiplier: channel.multiplier.to_string(),
        register_digits: channel.register_digits,
        capacity_per_hour: channel.capacity_per_hour.map(|capacity| capacity.to_string()),
        allow_negative: channel.allow_negative,
    }
}

/// The name under which contracts write an enum's value.
fn name_of<T: Serialize>(value: &T) -> String {
    let name = serde_json::to_value(value).ok().and_then(|name| name.as_str().map(str::to_owned));
    name.expect("enums of the contracts serialise as their names")
}

/// Text of a time. A time outside the calendar of the library becomes the beginning of 1970: such a device is not real, and
/// its update time serves display only.
pub(crate) fn rfc3339(micros: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

#[cfg(test)]
pub(crate) mod tests {
    use meter_model::{Commodity, Kind, Quantity};
    use meterway_schemas::{CustomerClass, DeviceStatus};

    use super::*;

    pub(crate) fn device(device_id: &str, version: i64) -> Device {
        let channel = DeviceChannel {
            channel: "1-0:1.29.0".into(),
            kind: Kind::Interval,
            unit: "kWh".into(),
            interval_s: Some(1800),
            multiplier: Quantity::ONE,
            register_digits: None,
            capacity_per_hour: Quantity::from_micros(25_500_000),
            allow_negative: false,
        };
        Device {
            tenant_id: "northgrid".into(),
            device_id: device_id.into(),
            customer_id: Some("c-1".into()),
            site_id: "s-1".into(),
            gateway_id: None,
            status: DeviceStatus::Active,
            commodity: Commodity::Electricity,
            customer_class: CustomerClass::MultiFamily,
            zone: "Europe/London".into(),
            channels: vec![channel.clone(), channel],
            exchanges: Vec::new(),
            version,
            updated_at: 1_774_742_400_000_001,
        }
    }

    fn state(device_id: &str, version: i64) -> DeviceChange {
        DeviceChange::State(Box::new(device(device_id, version)))
    }

    fn erased(device_id: &str) -> DeviceChange {
        DeviceChange::Erased { device_id: device_id.into() }
    }

    #[test]
    fn rows_carry_the_names_and_numbers_of_the_contract() {
        let rows = DeviceRows::from_changes([state("d", 3)]);
        let (device, channel) = (&rows.devices[0], &rows.channels[0]);
        assert_eq!(
            (&*device.status, &*device.commodity, &*device.customer_class),
            ("ACTIVE", "ELECTRICITY", "MULTI_FAMILY")
        );
        assert_eq!(device.updated_at, "2026-03-29T00:00:00.000001Z");
        assert_eq!((&*channel.kind, &*channel.multiplier), ("INTERVAL", &*Quantity::ONE.to_string()));
        assert_eq!(rows.channels.len(), 1, "a channel named twice counts once");
    }

    #[test]
    fn the_last_change_of_a_device_counts_and_versions_never_go_back() {
        let rows = DeviceRows::from_changes([state("b", 2), state("a", 5), state("b", 4), state("a", 3)]);
        let versions: Vec<_> = rows.devices.iter().map(|row| (row.device_id.as_str(), row.version)).collect();
        assert_eq!(versions, [("a", 5), ("b", 4)]);

        let rows = DeviceRows::from_changes([state("a", 5), erased("a")]);
        assert_eq!((rows.devices.len(), rows.erased), (0, vec!["a".to_owned()]));
        let rows = DeviceRows::from_changes([erased("a"), state("a", 1)]);
        assert_eq!((rows.devices.len(), rows.erased.len()), (1, 0));
    }
}

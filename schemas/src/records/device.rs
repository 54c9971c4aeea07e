//! State of a device.

use super::quantity_bytes;
use meter_model::{Commodity, Kind, Quantity};
use serde::{Deserialize, Serialize};

/// Life-cycle state of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeviceStatus {
    /// Its readings are accepted.
    Active,
    /// Known, but not in service.
    Inactive,
    /// Out of service for good.
    Retired,
}

/// Class of use; leak and usage thresholds depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CustomerClass {
    /// A home.
    Residential,
    /// A house of several homes behind one meter.
    MultiFamily,
    /// A shop, an office.
    Commercial,
    /// A plant.
    Industrial,
}

/// State of a device as the register knows it; value of the devices topic. The newest version of a key holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Tenant that owns the device.
    pub tenant_id: String,
    /// Identifier, unique over all tenants; also the message key.
    pub device_id: String,
    /// Customer supplied through the device; `None` while vacant.
    pub customer_id: Option<String>,
    /// Site the device is installed at.
    pub site_id: String,
    /// Gateway expected to deliver; `None` when any may.
    pub gateway_id: Option<String>,
    /// Life-cycle state.
    pub status: DeviceStatus,
    /// What the device measures.
    pub commodity: Commodity,
    /// Class of use.
    pub customer_class: CustomerClass,
    /// IANA time zone of the site.
    pub zone: String,
    /// Channels the device delivers.
    pub channels: Vec<DeviceChannel>,
    /// Meter exchanges, oldest first.
    pub exchanges: Vec<MeterExchange>,
    /// Rises by one with each change.
    pub version: i64,
    /// When this state was written; UTC microseconds.
    pub updated_at: i64,
}

/// A channel of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceChannel {
    /// OBIS code or plain name.
    pub channel: String,
    /// Kind of its readings.
    pub kind: Kind,
    /// Unit symbol its readings must carry.
    pub unit: String,
    /// Length of its intervals in seconds; `None` when not fixed or not an interval channel.
    pub interval_s: Option<i32>,
    /// Factor from the delivered value to the billed quantity.
    #[serde(with = "quantity_bytes")]
    pub multiplier: Quantity,
    /// Digits of the dial before the decimal point; `None` when not a register.
    pub register_digits: Option<i32>,
    /// Largest quantity per hour the service can carry, in unit per hour; `None` when unknown.
    #[serde(with = "quantity_bytes::option")]
    pub capacity_per_hour: Option<Quantity>,
    /// Whether negative values are legitimate.
    pub allow_negative: bool,
}

/// Replacement of the meter behind a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterExchange {
    /// When the new meter took over; UTC microseconds.
    pub at: i64,
    /// Register channel concerned.
    pub channel: String,
    /// Last dial of the old meter.
    #[serde(with = "quantity_bytes")]
    pub closing_value: Quantity,
    /// First dial of the new meter.
    #[serde(with = "quantity_bytes")]
    pub opening_value: Quantity,
}

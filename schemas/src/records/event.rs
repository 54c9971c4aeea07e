//! What a device reports besides readings.

use super::Source;
use serde::{Deserialize, Serialize};

/// Kind of a device event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeviceEventKind {
    /// A kind this version does not know.
    Other,
    /// The last message before the power is gone.
    LastGasp,
    /// Power is back.
    PowerRestored,
    /// The meter was tampered with.
    Tamper,
    /// The battery is low.
    LowBattery,
    /// The battery is good again.
    BatteryOk,
    /// The device's clock was set.
    ClockAdjusted,
    /// Energy or water flows backwards.
    ReverseFlow,
    /// The meter was exchanged.
    MeterExchanged,
}

/// Value of the events topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceEvent {
    /// Tenant the gateway claims for the device.
    pub tenant_id: String,
    /// Identifier of the device; also the message key.
    pub device_id: String,
    /// Gateway that delivered the event; empty when the device speaks for itself.
    pub gateway_id: String,
    /// Counter of the gateway's deliveries.
    pub sequence: i64,
    /// When our door received the event; UTC microseconds.
    pub received_at: Option<i64>,
    /// Way into the topic.
    pub source: Source,
    /// What happened.
    pub kind: DeviceEventKind,
    /// When, by the device's clock; UTC microseconds.
    pub at: i64,
    /// Free text or code of the source.
    pub detail: Option<String>,
}

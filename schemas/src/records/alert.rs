//! Changes of an alert's state.

use serde::{Deserialize, Serialize};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlertKind {
    /// A kind this version does not know.
    Other,
    /// No supply.
    Outage,
    /// Tampering.
    Tamper,
    /// The device's battery is low.
    LowBattery,
    /// Water or gas has flowed without a pause: a leak.
    ContinuousFlow,
    /// Nothing was heard of the device for too long.
    SilentMeter,
    /// Much more was used than usual.
    HighUsage,
    /// Flow in the wrong direction.
    ReverseFlow,
}

impl AlertKind {
    /// The name as contracts and tables write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Other => "OTHER",
            Self::Outage => "OUTAGE",
            Self::Tamper => "TAMPER",
            Self::LowBattery => "LOW_BATTERY",
            Self::ContinuousFlow => "CONTINUOUS_FLOW",
            Self::SilentMeter => "SILENT_METER",
            Self::HighUsage => "HIGH_USAGE",
            Self::ReverseFlow => "REVERSE_FLOW",
        }
    }
}

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Someone should look.
    Warning,
    /// Someone must act.
    Critical,
}

/// What a message says of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlertState {
    /// The condition began to hold.
    Opened,
    /// It still holds, and there is news.
    Updated,
    /// It ended.
    Closed,
}

/// Value of the alerts topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Tenant of the device.
    pub tenant_id: String,
    /// Device concerned; also the message key.
    pub device_id: String,
    /// Customer of the device when the alert opened.
    pub customer_id: Option<String>,
    /// Site of the device when the alert opened.
    pub site_id: Option<String>,
    /// Stable identifier made of rule, device and window.
    pub alert_id: String,
    /// What is wrong.
    pub kind: AlertKind,
    /// How urgent it is.
    pub severity: Severity,
    /// What this message says of the alert.
    pub state: AlertState,
    /// 1 when opened, one more with every message about this alert.
    pub revision: i32,
    /// Event time at which the condition began to hold; UTC microseconds.
    pub opened_at: i64,
    /// Event time of the evidence behind this message; UTC microseconds.
    pub updated_at: i64,
    /// Event time at which the condition ended; UTC microseconds.
    pub closed_at: Option<i64>,
    /// One sentence for a person, with the figures and the threshold.
    pub detail: String,
}

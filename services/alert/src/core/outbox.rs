//! What the partitions have to say, until it is written.

use std::sync::Arc;

use super::episode::{AlertChange, Outcome};
use super::status::{LastValue, Power};

/// The newest status of a device, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusUpdate {
    /// Tenant of the device.
    pub tenant_id: Arc<str>,
    /// The device.
    pub device_id: Box<str>,
    /// Latest end of a reading; with `source_offset` it decides which of two updates is newer.
    pub event_ts: i64,
    /// Partition of the raw topic.
    pub source_partition: i32,
    /// Highest offset of a raw message behind the status.
    pub source_offset: i64,
    /// When the newest decision was made.
    pub last_seen: i64,
    /// Version of the register's record, when the register knows the device.
    pub device_version: Option<i64>,
    /// Customer by the newest decision.
    pub customer_id: Option<Box<str>>,
    /// Site by the newest decision.
    pub site_id: Option<Box<str>>,
    /// Newest value of each channel.
    pub values: Vec<LastValue>,
}

/// A device's power state, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerUpdate {
    /// Tenant of the device.
    pub tenant_id: Arc<str>,
    /// The device.
    pub device_id: Box<str>,
    /// The state.
    pub power: Power,
}

/// Output of a partition since the last flush: alerts in the order they arose, one status and one power state per device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Messages about alerts.
    pub alerts: Vec<AlertChange>,
    /// Statuses that changed.
    pub statuses: Vec<StatusUpdate>,
    /// Power states that changed.
    pub powers: Vec<PowerUpdate>,
    /// Evidence that came too late to make an alert, by kind of alert.
    pub late: Vec<meterway_schemas::AlertKind>,
    /// Corrections whose day has no single values any more.
    pub unapplied_corrections: u64,
}

impl Output {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.statuses.is_empty() && self.powers.is_empty()
    }

    /// Takes over what became of a piece of evidence.
    pub fn take(&mut self, kind: meterway_schemas::AlertKind, outcome: Outcome) {
        match outcome {
            Outcome::Known => {}
            Outcome::Late => self.late.push(kind),
            Outcome::Change(change) => self.alerts.push(*change),
        }
    }

    /// Appends another partition's output.
    pub fn append(&mut self, mut other: Self) {
        self.alerts.append(&mut other.alerts);
        self.statuses.append(&mut other.statuses);
        self.powers.append(&mut other.powers);
        self.late.append(&mut other.late);
        self.unapplied_corrections += other.unapplied_corrections;
    }
}

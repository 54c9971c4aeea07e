//! What the core is told, borrowed from decoded messages.

use meter_model::{Commodity, Kind};
use meterway_schemas::Source;

/// One validate decision: the accepted readings of one raw message.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    /// Tenant of the device.
    pub tenant_id: &'a str,
    /// The device; empty when the raw message could not be decoded.
    pub device_id: &'a str,
    /// Customer of the device at validation.
    pub customer_id: Option<&'a str>,
    /// Site of the device at validation.
    pub site_id: Option<&'a str>,
    /// Way into the raw topic; a replay teaches the state and raises nothing.
    pub source: Source,
    /// Offset of the decision itself in its partition.
    pub offset: i64,
    /// Offset of the raw message in its partition.
    pub source_offset: i64,
    /// When the decision was made; UTC microseconds. Used as "last heard of", never in a rule.
    pub validated_at: i64,
    /// The accepted readings.
    pub readings: Vec<Reading<'a>>,
}

/// An accepted reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading<'a> {
    /// OBIS code or plain name.
    pub channel: &'a str,
    /// What sort of value this is.
    pub kind: Kind,
    /// Start of the interval or instant of the read; UTC microseconds.
    pub start: i64,
    /// Length in seconds; 0 unless an interval.
    pub duration_s: i32,
    /// Millionths of the unit.
    pub value: i64,
    /// Unit symbol.
    pub unit: &'a str,
    /// Days since 1970-01-01 in the site's zone.
    pub local_day: i32,
    /// 1, or more for a correction.
    pub version: i32,
    /// What the device measures.
    pub commodity: Commodity,
    /// Failed the `gap` rule: the first value after a hole.
    pub after_gap: bool,
    /// Failed the `spike` rule: the value itself is doubtful, so no rule may rest on it.
    pub spike: bool,
    /// No rule failed.
    pub valid: bool,
}

impl Reading<'_> {
    /// End of the interval, or the instant of the read; UTC microseconds.
    pub fn end(&self) -> i64 {
        self.start.saturating_add(i64::from(self.duration_s) * super::SECOND)
    }
}

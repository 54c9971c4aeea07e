//! The live status of a device: the newest value of each channel, by event time.
//!
//! A status only grows: each channel keeps the value with the latest event time (of equals, the one that was decided
//! last), so what is written is the same whatever the order of delivery, and a late reading changes no newer value.

use std::sync::Arc;

use meter_model::Kind;

use super::input::{Decision, Reading};
use super::intern::Intern;

/// Channels remembered per device. The register bounds them in practice; this bounds memory and the item's size.
const MAX_CHANNELS: usize = 32;

/// The newest value of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastValue {
    /// The channel.
    pub channel: Arc<str>,
    /// Unit symbol.
    pub unit: Arc<str>,
    /// What sort of value this is.
    pub kind: Kind,
    /// Start of the interval or instant of the read; UTC microseconds.
    pub start: i64,
    /// Length in seconds; 0 unless an interval.
    pub duration_s: i32,
    /// Millionths of the unit.
    pub value: i64,
    /// No rule failed.
    pub valid: bool,
    /// Offset of its raw message.
    pub source_offset: i64,
}

/// Whether a device has power, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Power {
    /// Power is there.
    pub on: bool,
    /// Event time of the evidence; UTC microseconds.
    pub at: i64,
}

/// What is known of a device now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Latest end of a reading; `None` before the first. UTC microseconds.
    pub event_ts: Option<i64>,
    /// Highest offset of a raw message that had an accepted reading.
    pub source_offset: i64,
    /// When the newest decision was made; UTC microseconds.
    pub last_seen: i64,
    /// Customer by the newest decision.
    pub customer_id: Option<Box<str>>,
    /// Site by the newest decision.
    pub site_id: Option<Box<str>>,
    /// Newest value of each channel.
    pub values: Vec<LastValue>,
    /// Power, by events and readings.
    pub power: Option<Power>,
}

impl Status {
    /// Takes over a decision.
    pub fn apply(&mut self, decision: &Decision<'_>, intern: &mut Intern) {
        for reading in &decision.readings {
            self.event_ts = self.event_ts.max(Some(reading.end()));
            self.apply_reading(reading, decision.source_offset, intern);
        }
        self.source_offset = self.source_offset.max(decision.source_offset);
        self.last_seen = self.last_seen.max(decision.validated_at);
        if self.customer_id.as_deref() != decision.customer_id {
            self.customer_id = decision.customer_id.map(Into::into);
        }
        if self.site_id.as_deref() != decision.site_id {
            self.site_id = decision.site_id.map(Into::into);
        }
    }

    fn apply_reading(&mut self, reading: &Reading<'_>, source_offset: i64, intern: &mut Intern) {
        let has_room = self.values.len() < MAX_CHANNELS;
        let known = self.values.iter_mut().find(|last| *last.channel == *reading.channel);
        if known.as_ref().is_some_and(|last| (last.start, last.source_offset) > (reading.start, source_offset)) {
            return;
        }
        match known {
            Some(last) => *last = last_value(reading, Arc::clone(&last.channel), source_offset, intern),
            None if has_room => {
                let channel = intern.get(reading.channel);
                self.values.push(last_value(reading, channel, source_offset, intern));
            }
            None => {}
        }
    }

    /// Takes over evidence about the power supply; true when it is news. Of evidence at the same instant, "gone" holds:
    /// a meter's last gasp and its last value may carry one time.
    pub fn set_power(&mut self, power: Power) -> bool {
        let is_news =
            self.power.is_none_or(|known| power.at > known.at || (power.at == known.at && known.on && !power.on));
        if is_news {
            self.power = Some(power);
        }
        is_news
    }
}

fn last_value(reading: &Reading<'_>, channel: Arc<str>, source_offset: i64, intern: &mut Intern) -> LastValue {
    LastValue {
        channel,
        unit: intern.get(reading.unit),
        kind: reading.kind,
        start: reading.start,
        duration_s: reading.duration_s,
        value: reading.value,
        valid: reading.valid,
        source_offset,
    }
}

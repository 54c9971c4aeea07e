//! What the pipeline must find of each injected fault, as the lines of the truth file.
//!
//! A field that an item does not have matches anything: `{"kind":"alert","code_or_rule":"OUTAGE"}` is met by any outage
//! alert of the device, whatever its time.

use super::fault::FaultKind;
use meterway_schemas::AlertKind;
use meterway_schemas::encode::Reading;
use serde::Serialize;

/// Where the pipeline shows that it found something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// An accepted reading; `code_or_rule` is a failed rule, or `correction` for a new version without a failed rule.
    Reading,
    /// A rejected reading; `code_or_rule` is the reject code.
    Rejected,
    /// A message rejected as a whole; `code_or_rule` is the reject code.
    Message,
    /// An alert; `code_or_rule` is its kind.
    Alert,
}

/// Where a raw message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Coordinates {
    /// Partition of the raw topic.
    pub partition: i32,
    /// Offset in it.
    pub offset: i64,
}

/// One thing to be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Expected {
    /// Where.
    pub kind: Place,
    /// What.
    pub code_or_rule: &'static str,
    /// Device, where it is not the entry's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'static str>,
    /// Start of the reading, UTC microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<i64>,
    /// Version of the reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// State in which the alert is left: OPENED or CLOSED.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// Position of the reading in its raw message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading_index: Option<usize>,
    /// Its raw message; filled in when the broker has acknowledged it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Coordinates>,
}

impl Expected {
    fn new(kind: Place, code_or_rule: &'static str) -> Self {
        Self {
            kind,
            code_or_rule,
            device_id: None,
            channel: None,
            start: None,
            version: None,
            state: None,
            reading_index: None,
            source: None,
        }
    }

    /// An accepted reading with a failed rule.
    pub(crate) fn suspect(rule: &'static str, reading: &Reading<'static>, index: usize) -> Self {
        Self { reading_index: Some(index), ..Self::suspect_at(rule, reading.channel, reading.start) }
    }

    /// An accepted reading with a failed rule, of a message yet to come.
    pub(crate) fn suspect_at(rule: &'static str, channel: &'static str, start: i64) -> Self {
        Self { channel: Some(channel), start: Some(start), ..Self::new(Place::Reading, rule) }
    }

    /// A rejected reading.
    pub(crate) fn rejected(code: &'static str, reading: &Reading<'static>, index: usize) -> Self {
        Self {
            channel: Some(reading.channel),
            start: Some(reading.start),
            reading_index: Some(index),
            ..Self::new(Place::Rejected, code)
        }
    }

    /// A message that is rejected as a whole.
    pub(crate) fn message(code: &'static str) -> Self {
        Self::new(Place::Message, code)
    }

    /// An alert, and how it ends.
    pub(crate) fn alert(kind: AlertKind, state: &'static str) -> Self {
        Self { state: Some(state), ..Self::new(Place::Alert, kind.as_str()) }
    }

    /// An alert that may open, however it ends.
    pub(crate) fn any_alert(kind: AlertKind) -> Self {
        Self::new(Place::Alert, kind.as_str())
    }
}

/// What one message of a fault contributes to its truth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Must be found.
    pub expect: Vec<Expected>,
    /// May be found.
    pub tolerated: Vec<Expected>,
}

impl Outcome {
    /// Only something that must be found.
    pub(crate) fn expecting(expect: Vec<Expected>) -> Self {
        Self { expect, tolerated: Vec::new() }
    }

    /// Says where the message lies that the items without coordinates speak of. Alerts are of a device, not of a message.
    pub(crate) fn locate(&mut self, at: Coordinates) {
        for item in self.expect.iter_mut().chain(&mut self.tolerated) {
            if item.kind == Place::Message || item.reading_index.is_some() {
                item.source.get_or_insert(at);
            }
        }
    }

    /// Whether nothing is to be found.
    pub(crate) fn is_empty(&self) -> bool {
        self.expect.is_empty() && self.tolerated.is_empty()
    }
}

/// One line of the truth file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TruthEntry {
    /// Name of the fault.
    pub fault: &'static str,
    /// Kind of malformed message, and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<&'static str>,
    /// Tenant of the device.
    pub tenant_id: String,
    /// Device that carries the fault.
    pub device_id: String,
    /// Channel concerned, when it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'static str>,
    /// Must be found, every one of them.
    pub expect: Vec<Expected>,
    /// Is no false alarm when found.
    pub tolerated: Vec<Expected>,
}

impl TruthEntry {
    /// An entry of which nothing was sent yet.
    pub(crate) fn new(fault: FaultKind, tenant_id: &str, device_id: &str) -> Self {
        Self {
            fault: fault.name(),
            variant: None,
            tenant_id: tenant_id.to_owned(),
            device_id: device_id.to_owned(),
            channel: None,
            expect: Vec::new(),
            tolerated: Vec::new(),
        }
    }

    /// Adds what a message contributes.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.expect.extend(outcome.expect);
        self.tolerated.extend(outcome.tolerated);
    }
}

//! From a message to its decision.

use crate::core::decision::{Accepted, Decision, Rejected, max_encoded_bytes};
use crate::core::devices::{Device, DeviceTable};
use crate::core::history::{DeviceHistory, History, Known, Limits, end_of};
use crate::core::replay;
use crate::core::rules::{Block, Context, Judgement, RULES, Rule, RuleSet, admission, judge};
use crate::core::thresholds::Thresholds;
use meter_model::{Kind, LocalDays, RejectCode};
use meterway_schemas::Source;
use meterway_schemas::encode::{Reading, ReadingBatch};
use meterway_schemas::replay::ReplayNote;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What decisions are made by, beside rules and past.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Limits of the rules.
    pub thresholds: Thresholds,
    /// Bounds of the history.
    pub history: Limits,
    /// Largest decision that the validated topic takes; bytes.
    pub max_decision_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { thresholds: Thresholds::default(), history: Limits::default(), max_decision_bytes: 8_000_000 }
    }
}

/// A decoded message.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its key in the raw topic.
    pub key: Option<&'a [u8]>,
    /// Size of its value.
    pub payload_bytes: usize,
    /// Its content.
    pub batch: ReadingBatch<'a>,
    /// Where it stood and what is known of it, on the replay lane.
    pub note: Option<&'a ReplayNote>,
}

/// An accepted reading of an earlier decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned<'a> {
    /// Channel of the reading.
    pub channel: &'a str,
    /// Kind of the reading.
    pub kind: Kind,
    /// Key, value and version.
    pub known: Known,
    /// Rules it failed.
    pub failed: RuleSet,
}

/// Decides about the messages of one partition, in their order.
///
/// Guarantees: every message gets a decision, also when a rule panics; the state after it depends only on the accepted
/// readings of the decisions so far, so that [`Validator::learn`] restores it from them.
#[derive(Debug)]
pub struct Validator {
    settings: Settings,
    rules: &'static [Rule],
    history: History,
    zones: Vec<LocalDays>,
}

impl Validator {
    /// A validator without a past.
    pub fn new(settings: Settings) -> Self {
        Self::with_rules(settings, RULES)
    }

    /// A validator with a rule set of its own.
    pub fn with_rules(settings: Settings, rules: &'static [Rule]) -> Self {
        Self { settings, rules, history: History::new(settings.history), zones: Vec::new() }
    }

    /// The rules behind admission.
    pub fn rules(&self) -> &'static [Rule] {
        self.rules
    }

    /// What it remembers.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Forgets every device.
    pub fn forget_everything(&mut self) {
        self.history = History::new(self.history.limits());
    }

    /// Changes how much memory the history may take; bytes.
    pub fn limit_memory(&mut self, bytes: usize) {
        self.history.limit_memory(bytes);
    }

    /// Takes over the accepted readings of a decision that was made before a restart.
    pub fn learn<'a>(&mut self, tenant: &str, device: &str, readings: impl Iterator<Item = Learned<'a>>) {
        let mut readings = readings.peekable();
        if readings.peek().is_none() {
            return; // a device of which nothing was accepted needs no place
        }
        let limit = self.settings.history.readings_per_channel;
        self.history.update(tenant, device, |history| {
            for reading in readings {
                let position = history.channel(reading.channel, reading.kind);
                history.state(position).record(reading.kind, reading.known, reading.failed, limit);
            }
        });
    }

    /// Decides about a message at a time (UTC microseconds).
    pub fn decide<'a>(&mut self, devices: &'a DeviceTable, now: i64, message: &Message<'a>) -> Decision<'a> {
        catch_unwind(AssertUnwindSafe(|| self.decide_unguarded(devices, now, message))).unwrap_or_else(|_panic| {
            // Rules are guarded one reading at a time, so this is a defect around them. What the device's state went
            // through is unknown: forgetting it accepts a duplicate at worst, keeping it could reject a reading for good.
            self.history.forget(message.batch.tenant_id, message.batch.device_id);
            Decision::whole(&message.batch, RejectCode::InternalError, "the decision panicked")
        })
    }

    fn decide_unguarded<'a>(&mut self, devices: &'a DeviceTable, now: i64, message: &Message<'a>) -> Decision<'a> {
        let batch = &message.batch;
        match self.admit(devices, message) {
            Err((code, detail)) => Decision::whole(batch, code, detail),
            Ok(device) => {
                self.zones.extend_from_slice(&devices.zones()[self.zones.len()..]);
                let Self { settings, rules, history, zones } = self;
                let (accepted, rejected) = history.update(batch.tenant_id, batch.device_id, |history| {
                    let days = &mut zones[device.zone];
                    let note = message.note;
                    let named_twice = note.map(|_| replay::named_twice(batch.readings)).unwrap_or_default();
                    // A replayed message is judged by the time at which it came.
                    let now = note.map_or(now, |note| note.timestamp_ms.saturating_mul(1_000));
                    let channels = Vec::new();
                    Bench { settings, rules, now, batch, device, days, history, channels, note, named_twice }
                        .judge_all()
                });
                Decision { batch: *batch, device: Some(device), accepted, rejected }
            }
        }
    }

    fn admit<'a>(&self, devices: &'a DeviceTable, message: &Message<'_>) -> Result<&'a Device, admission::Refusal> {
        admission::structure(message.key, &message.batch)?;
        let (readings, allowed) = (message.batch.readings.len(), self.settings.max_decision_bytes);
        if max_encoded_bytes(message.payload_bytes, readings) > allowed {
            let detail = format!("a decision about {readings} readings may exceed {allowed} bytes");
            return Err((RejectCode::TooLarge, detail.into()));
        }
        admission::device(devices, &message.batch)
    }
}

/// Where the readings of one message are judged.
struct Bench<'m> {
    settings: &'m Settings,
    rules: &'static [Rule],
    now: i64,
    batch: &'m ReadingBatch<'m>,
    device: &'m Device,
    days: &'m mut LocalDays,
    history: &'m mut DeviceHistory,
    /// One for each channel of the device.
    channels: Vec<InMessage>,
    note: Option<&'m ReplayNote>,
    /// For each reading of a replayed message, whether its key comes more than once.
    named_twice: Vec<bool>,
}

/// What a message says of one channel as a whole.
#[derive(Debug, Clone, Copy)]
struct InMessage {
    /// Position of the channel's state in the device's history.
    state: usize,
    block: Block,
    /// Latest end of an interval that was delivered, but rejected for its value.
    delivered_end: Option<i64>,
}

impl Bench<'_> {
    fn judge_all(mut self) -> (Vec<Accepted>, Vec<Rejected>) {
        self.survey();
        let (mut accepted, mut rejected) = (Vec::with_capacity(self.batch.readings.len()), Vec::new());
        for (index, reading) in self.batch.readings.iter().enumerate() {
            match self.judge_one(index, reading) {
                Ok(reading) => accepted.push(reading),
                Err((code, detail)) => {
                    self.note_delivery(reading, code);
                    let index = i32::try_from(index).expect("a message of 1 MiB has fewer readings");
                    rejected.push(Rejected { index, code, detail });
                }
            }
        }
        (accepted, rejected)
    }

    /// Collects what readings are compared with inside their message.
    fn survey(&mut self) {
        for spec in &self.device.channels {
            let state = self.history.channel(&spec.channel, spec.kind);
            self.channels.push(InMessage { state, block: Block::default(), delivered_end: None });
        }
        for reading in self.batch.readings.iter().filter(|reading| reading.kind == Kind::Interval) {
            if let Some(index) = admission::find(&self.device.channels, reading) {
                self.channels[index].block.add(&self.device.channels[index], reading);
            }
        }
    }

    fn judge_one(&mut self, index: usize, reading: &Reading<'_>) -> Result<Accepted, admission::Refusal> {
        let channel = admission::channel(&self.device.channels, reading)?;
        let InMessage { state, block, delivered_end } = self.channels[channel];
        let context = Context {
            now: self.now,
            thresholds: &self.settings.thresholds,
            channel: &self.device.channels[channel],
            // Somebody asked for it, however old it is.
            source: if self.note.is_some() { Source::Replay } else { self.batch.source },
            block,
        };
        let state = self.history.state(state);
        let mut past = state.past(reading.start, delivered_end);
        if let Some(note) = self.note {
            replay::add_neighbours(&mut past.neighbours, note, index);
        }
        // One reading at a time: what a panicking rule was asked about is rejected, and no state has changed for it.
        let judged = catch_unwind(AssertUnwindSafe(|| judge(self.rules, &context, reading, &past)));
        let (failed, skipped) = match judged {
            Ok(Judgement::Accepted { failed, skipped }) => (failed, skipped),
            Ok(Judgement::Rejected(code, detail)) => return Err((code, detail)),
            Err(_panic) => return Err((RejectCode::InternalError, "a rule panicked".into())),
        };
        let version = match self.note {
            None => past.next_version(),
            Some(note) if note.row(index).is_none() && self.named_twice[index] => return Err(no_place()),
            Some(note) => replay::version(note, index),
        };
        let local_day = self.days.of(reading.start).ok_or_else(|| no_such_day(reading.start, self.now))?;
        let known = Known { start: reading.start, value: reading.value, duration_s: reading.duration_s, version };
        state.record(reading.kind, known, failed, self.settings.history.readings_per_channel);
        Ok(Accepted { index, failed, skipped, version, local_day })
    }

    /// An interval that was rejected for its value was delivered all the same: the next one follows no gap.
    fn note_delivery(&mut self, reading: &Reading<'_>, code: RejectCode) {
        let of_value = matches!(
            code,
            RejectCode::ValueOutOfRange
                | RejectCode::WrongUnit
                | RejectCode::WrongInterval
                | RejectCode::Negative
                | RejectCode::OverCapacity
                | RejectCode::InternalError
        );
        if let Some(index) = admission::find(&self.device.channels, reading).filter(|_| of_value) {
            let length = self.device.channels[index].interval_s.unwrap_or(reading.duration_s);
            let end = end_of(reading.start, length);
            let delivered = &mut self.channels[index].delivered_end;
            *delivered = (*delivered).max(Some(end));
        }
    }
}

fn no_place() -> admission::Refusal {
    (RejectCode::KeyRepeated, "its message names the key more than once and has no row of it".into())
}

/// The start lies outside the years that dates can hold; only limits far beyond the defaults let it come so far.
fn no_such_day(start: i64, now: i64) -> (RejectCode, Cow<'static, str>) {
    let code = if start > now { RejectCode::FutureTime } else { RejectCode::TooOld };
    (code, "the start is outside the calendar".into())
}

#[cfg(test)]
mod tests;

//! All devices of one partition: decisions and events in, alerts and statuses out.
//!
//! Order within a partition is the log's order, so the output is a function of the input. The watermark is the latest end
//! of a reading in the partition less the lateness that healthy meters may have; timers fire by it, never by a clock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hashbrown::HashMap;
use meterway_schemas::{AlertKind, CustomerClass, DeviceEvent, Source};

use super::admission::{Arrival, EventOutcome, admit};
use super::device::{DeviceState, Workbench};
use super::episode::{Episode, Input, Origin, Seen};
use super::input::Decision;
use super::intern::Intern;
use super::outbox::{Output, StatusUpdate};
use super::register::{Register, RegisteredDevice};
use super::rules::{REVERSE_FLOW, SILENT_METER, TAMPER};
use super::thresholds::{Thresholds, micros};
use super::timers::Timers;

/// Whether input only teaches the state (recovery) or also raises alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The results of this input were written by an earlier owner.
    Learn,
    /// The results are ours to write.
    Live,
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// It was taken over.
    Applied,
    /// A decision about this raw message, or a later one, came before; the first holds.
    Reemitted,
    /// It accepted nothing.
    Empty,
    /// Taking it over panicked: a defect. What was learned of the device before that stays.
    Panicked,
}

/// A stored alert, for recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Tenant of the device.
    pub tenant_id: Box<str>,
    /// Kind of the alert.
    pub kind: AlertKind,
    /// The alert as it was stored.
    pub episode: Episode,
}

/// Stored alerts by device.
pub type Seeds = HashMap<Box<str>, Vec<Seed>>;

/// State of one partition.
#[derive(Debug)]
pub struct Partition {
    number: i32,
    thresholds: Arc<Thresholds>,
    longest_flow_hours: u32,
    seeds: Arc<Seeds>,
    index: HashMap<Box<str>, u32>,
    devices: Vec<DeviceState>,
    timers: Timers,
    intern: Intern,
    /// Latest end of a reading that was no replay.
    newest: Option<i64>,
    /// Highest source offset seen.
    source_watermark: i64,
    /// How far both inputs have been read.
    seen: Seen,
    /// Where the logs ended when the partition was taken over.
    ends: Seen,
    output: Output,
    changed: Vec<u32>,
}

impl Partition {
    /// An empty partition; `seeds` are the alerts stored so far, of all partitions, and `ends` the offsets that the next
    /// decision and the next event will get.
    pub fn new(number: i32, thresholds: Arc<Thresholds>, seeds: Arc<Seeds>, ends: Seen) -> Self {
        let longest_flow_hours = thresholds.continuous_flow.longest_hours();
        Self {
            number,
            thresholds,
            longest_flow_hours,
            seeds,
            index: HashMap::new(),
            devices: Vec::new(),
            timers: Timers::default(),
            intern: Intern::default(),
            newest: None,
            source_watermark: -1,
            seen: Seen::NOTHING,
            ends,
            output: Output::default(),
            changed: Vec::new(),
        }
    }

    /// Devices with state.
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// Open alerts by kind.
    pub fn open_alerts(&self) -> impl Iterator<Item = AlertKind> + '_ {
        self.devices.iter().flat_map(|device| device.episodes.open_kinds())
    }

    /// Event time up to which every healthy meter has reported; `None` before the first reading.
    pub fn watermark(&self) -> Option<i64> {
        let lateness = micros(self.thresholds.silent_meter.allowed_lateness);
        self.newest.map(|newest| newest.saturating_sub(lateness))
    }

    /// Highest source offset of a decision seen; -1 before the first.
    pub fn source_watermark(&self) -> i64 {
        self.source_watermark
    }

    /// Takes over a decision.
    pub fn on_decision(&mut self, decision: &Decision<'_>, register: &Register, mode: Mode) -> DecisionOutcome {
        if decision.source_offset <= self.source_watermark {
            return DecisionOutcome::Reemitted;
        }
        self.source_watermark = decision.source_offset;
        self.seen.decision = decision.offset;
        if decision.readings.is_empty() {
            return DecisionOutcome::Empty;
        }
        // Only the device at hand can be half done, and all that depends on it is what is known of this device.
        let taken = catch_unwind(AssertUnwindSafe(|| self.take_over(decision, register, mode)));
        if taken.is_ok() { DecisionOutcome::Applied } else { DecisionOutcome::Panicked }
    }

    fn take_over(&mut self, decision: &Decision<'_>, register: &Register, mode: Mode) {
        let registered = register.get(decision.device_id);
        let class = registered.map_or(CustomerClass::Residential, |device| device.class);
        let limit = self.thresholds.continuous_flow.of(class);
        let live = mode == Mode::Live && decision.source != Source::Replay;
        let device = self.device(decision.device_id, decision.tenant_id);
        let heard_until = self.devices[device as usize].status.event_ts;

        let (state, mut with) = self.parts(device, Input::Decision, live);
        state.status.apply(decision, with.intern);
        for reading in &decision.readings {
            state.on_reading(reading, limit, &mut with);
        }
        if mode == Mode::Live {
            self.changed.push(device);
        }
        self.after_decision(decision, device, heard_until, register, live);
    }

    /// Takes over an event; `arrived` is where and when Kafka stored it.
    pub fn on_event(&mut self, event: &DeviceEvent, arrived: Arrival, register: &Register, mode: Mode) -> EventOutcome {
        self.seen.event = arrived.offset;
        let registered = match admit(event, arrived.timestamp_ms, register, &self.thresholds) {
            Ok(registered) => registered,
            Err(outcome) => return outcome,
        };
        let live = mode == Mode::Live && event.source != Source::Replay;
        let taken = catch_unwind(AssertUnwindSafe(|| self.take_over_event(event, registered, live)));
        if taken.is_ok() { EventOutcome::Applied } else { EventOutcome::Panicked }
    }

    fn take_over_event(&mut self, event: &DeviceEvent, registered: &RegisteredDevice, live: bool) {
        let device = self.device(&event.device_id, &event.tenant_id);
        let (state, mut with) = self.parts(device, Input::Event, live);
        if state.status.event_ts.is_none() {
            // No reading has told yet whose device this is.
            state.status.customer_id.clone_from(&registered.customer_id);
            state.status.site_id = Some(registered.site_id.clone());
        }
        state.on_event(event.kind, event.at, &mut with);
        self.set_clear_timers(device);
    }

    /// Ends the alerts of a device that the register says is not in service.
    pub fn retire(&mut self, device_id: &str) {
        let (Some(device), Some(now)) = (self.index.get(device_id).copied(), self.newest) else { return };
        let (state, mut with) = self.parts(device, Input::Register, true);
        state.retire(now, &mut with);
    }

    /// Recovery is over: ends the alerts of devices that left service meanwhile.
    pub fn go_live(&mut self, register: &Register) {
        let gone = |device: &&DeviceState| register.get(&device.device_id).is_some_and(|known| !known.is_active());
        let retired: Vec<_> = self.devices.iter().filter(gone).map(|device| device.device_id.clone()).collect();
        retired.iter().for_each(|device_id| self.retire(device_id));
    }

    /// Takes what is to be written.
    pub fn drain(&mut self, register: &Register) -> Output {
        let mut output = std::mem::take(&mut self.output);
        self.changed.sort_unstable();
        self.changed.dedup();
        let changed = std::mem::take(&mut self.changed);
        output.statuses = changed.iter().filter_map(|device| self.status_update(*device, register)).collect();
        output
    }

    fn status_update(&self, device: u32, register: &Register) -> Option<StatusUpdate> {
        let device = self.devices.get(device as usize)?;
        let status = &device.status;
        Some(StatusUpdate {
            tenant_id: Arc::clone(&device.tenant_id),
            device_id: device.device_id.clone(),
            event_ts: status.event_ts?,
            source_partition: self.number,
            source_offset: status.source_offset,
            last_seen: status.last_seen,
            device_version: register.get(&device.device_id).map(|known| known.version),
            customer_id: status.customer_id.clone(),
            site_id: status.site_id.clone(),
            values: status.values.clone(),
        })
    }

    /// The device's place, new if need be. A device that went to another tenant begins anew.
    fn device(&mut self, device_id: &str, tenant_id: &str) -> u32 {
        let known = self.index.get(device_id).copied();
        if let Some(device) = known.filter(|device| *self.devices[*device as usize].tenant_id == *tenant_id) {
            return device;
        }
        let state = self.new_device(device_id, tenant_id);
        let device = match known {
            Some(device) => {
                self.devices[device as usize] = state;
                device
            }
            None => {
                let device = u32::try_from(self.devices.len()).expect("four billion devices do not fit into memory");
                self.devices.push(state);
                self.index.insert(device_id.into(), device);
                device
            }
        };
        self.set_clear_timers(device);
        device
    }

    /// State of a device that is seen first, with its stored alerts.
    fn new_device(&mut self, device_id: &str, tenant_id: &str) -> DeviceState {
        let mut state = DeviceState::new(device_id, self.intern.get(tenant_id));
        let seeds = self.seeds.get(device_id).into_iter().flatten();
        for seed in seeds.filter(|seed| *seed.tenant_id == *tenant_id) {
            let mut episode = seed.episode.clone();
            if episode.seen.decision >= self.ends.decision || episode.seen.event >= self.ends.event {
                // It has seen what is not in the log yet: the topic was made anew, and its offsets mean other input.
                episode.seen = Seen::NOTHING;
            }
            state.episodes.restore(seed.kind, episode);
        }
        state
    }

    fn parts(&mut self, device: u32, input: Input, live: bool) -> (&mut DeviceState, Workbench<'_>) {
        let with = Workbench {
            thresholds: &self.thresholds,
            longest_flow_hours: self.longest_flow_hours,
            intern: &mut self.intern,
            output: &mut self.output,
            origin: Origin { input, seen: self.seen },
            live,
        };
        (&mut self.devices[device as usize], with)
    }

    fn after_decision(
        &mut self,
        decision: &Decision<'_>,
        device: u32,
        heard_until: Option<i64>,
        register: &Register,
        live: bool,
    ) {
        let Some(last_end) = self.devices[device as usize].status.event_ts else { return };
        self.set_silence_timer(device, last_end);
        if live && Some(last_end) > heard_until && !self.is_silent(last_end) {
            let news = decision.readings.iter().filter(|reading| Some(reading.end()) > heard_until);
            let at = news.map(|reading| reading.start).min().unwrap_or(last_end);
            let (state, mut with) = self.parts(device, Input::Decision, live);
            state.end_silence(at, &mut with);
        }
        if decision.source != Source::Replay {
            let newest = decision.readings.iter().map(super::input::Reading::end).max();
            self.newest = self.newest.max(newest);
        }
        if live {
            self.fire_timers(register);
        }
    }

    fn is_silent(&self, last_end: i64) -> bool {
        let after = micros(self.thresholds.silent_meter.after);
        self.watermark().is_some_and(|watermark| watermark > last_end.saturating_add(after))
    }

    fn set_silence_timer(&mut self, device: u32, last_end: i64) {
        let state = &mut self.devices[device as usize];
        if !state.silence_timer {
            state.silence_timer = true;
            let at = last_end.saturating_add(micros(self.thresholds.silent_meter.after));
            self.timers.set(at, device, SILENT_METER.kind);
        }
    }

    /// Alerts that end by themselves get a timer; one that is set twice is harmless.
    fn set_clear_timers(&mut self, device: u32) {
        for (rule, after) in
            [(TAMPER, self.clear_after(TAMPER.kind)), (REVERSE_FLOW, self.clear_after(REVERSE_FLOW.kind))]
        {
            if let Some(open) = self.devices[device as usize].episodes.open_one(rule.kind) {
                self.timers.set(open.updated_at.saturating_add(after), device, rule.kind);
            }
        }
    }

    fn clear_after(&self, kind: AlertKind) -> i64 {
        let events = &self.thresholds.events;
        micros(if kind == TAMPER.kind { events.clear_tamper_after } else { events.clear_reverse_flow_after })
    }

    fn fire_timers(&mut self, register: &Register) {
        let Some(watermark) = self.watermark() else { return };
        while let Some((device, kind)) = self.timers.pop_before(watermark) {
            if kind == SILENT_METER.kind {
                self.fire_silence(device, watermark, register);
            } else {
                self.fire_clear(device, kind, watermark);
            }
        }
    }

    fn fire_silence(&mut self, device: u32, watermark: i64, register: &Register) {
        let after = micros(self.thresholds.silent_meter.after);
        let state = &mut self.devices[device as usize];
        state.silence_timer = false;
        let Some(last_end) = state.status.event_ts else { return };
        if last_end.saturating_add(after) >= watermark {
            return self.set_silence_timer(device, last_end);
        }
        if register.get(&state.device_id).is_none_or(RegisteredDevice::is_active) {
            let (state, mut with) = self.parts(device, Input::Decision, true);
            state.raise_silence(last_end, &mut with);
        }
    }

    fn fire_clear(&mut self, device: u32, kind: AlertKind, watermark: i64) {
        let after = self.clear_after(kind);
        let rule = if kind == TAMPER.kind { TAMPER } else { REVERSE_FLOW };
        let state = &mut self.devices[device as usize];
        let Some(due) = state.episodes.open_one(kind).map(|open| open.updated_at.saturating_add(after)) else { return };
        if due < watermark {
            let (state, mut with) = self.parts(device, Input::Decision, true);
            state.clear(&rule, due, &mut with);
        } else {
            self.timers.set(due, device, kind);
        }
    }
}

//! What is remembered of one device, and how readings and events change it.
//!
//! Learning and raising are two steps: everything teaches the state, only live input raises alerts.

use std::sync::Arc;

use meter_model::Kind;
use meterway_schemas::{AlertKind, DeviceEventKind};

use super::episode::{Episodes, Opening, Outcome, Subject};
use super::flow::{Flow, FlowEvidence};
use super::input::Reading;
use super::intern::Intern;
use super::outbox::Output;
use super::rules::{CONTINUOUS_FLOW, HIGH_USAGE, OUTAGE, RULES, Rule, SILENT_METER};
use super::status::{Power, Status};
use super::text;
use super::thresholds::{FlowLimit, Thresholds, micros};
use super::usage::{self, Learned, Usage};

/// State of one device; a few hundred bytes, two kilobytes with electricity.
#[derive(Debug, Clone)]
pub struct DeviceState {
    /// The device.
    pub device_id: Box<str>,
    /// Its tenant.
    pub tenant_id: Arc<str>,
    /// Live status.
    pub status: Status,
    /// Newest episode of each kind.
    pub episodes: Episodes,
    /// Whether a silence timer is set.
    pub silence_timer: bool,
    /// Latest start of an interval that is not the first after a hole; `None` before the first.
    last_powered: Option<i64>,
    /// Latest closing event of each rule that has one.
    closing_events: Vec<(AlertKind, i64)>,
    flow: Option<Box<Flow>>,
    usage: Option<Box<Usage>>,
}

impl DeviceState {
    /// A device nothing is known of.
    pub fn new(device_id: &str, tenant_id: Arc<str>) -> Self {
        Self {
            device_id: device_id.into(),
            tenant_id,
            status: Status::default(),
            episodes: Episodes::default(),
            silence_timer: false,
            last_powered: None,
            closing_events: Vec::new(),
            flow: None,
            usage: None,
        }
    }

    /// Learns a reading and, when `live`, raises and ends alerts by it.
    pub fn on_reading(&mut self, reading: &Reading<'_>, limit: FlowLimit, with: &mut Workbench<'_>) {
        let flow = Flow::learn(&mut self.flow, reading, limit, with.longest_flow_hours, with.intern);
        let usage = Usage::learn(&mut self.usage, reading, with.intern);
        let shows_power = reading.kind == Kind::Interval && !reading.after_gap;
        if shows_power {
            self.last_powered = self.last_powered.max(Some(reading.start));
            self.note_power(reading.start, with.live, with.output);
        }
        if usage == Learned::TooLate && reading.version > 1 {
            with.output.unapplied_corrections += u64::from(with.live);
        }
        if !with.live {
            return;
        }
        if shows_power {
            self.end_outage(reading.start, with.output);
        }
        if let Some(evidence) = flow {
            self.judge_flow(evidence, reading, limit, with.output);
        }
        if usage == Learned::Counted {
            self.judge_usage(reading.local_day, with.thresholds, with.output);
        }
    }

    /// Learns an event and, when `live`, raises and ends alerts by it.
    pub fn on_event(&mut self, kind: DeviceEventKind, at: i64, with: &mut Workbench<'_>) {
        if let Some(on) = power_told_by(kind)
            && self.status.set_power(Power { on, at })
            && with.live
        {
            with.output.powers.push(self.power_update(Power { on, at }));
        }
        for rule in RULES {
            if rule.opened_by == Some(kind) && with.live {
                self.open_by_event(rule, kind, at, with);
            }
            if rule.closed_by == Some(kind) {
                self.close_by_event(rule, kind, at, with);
            }
        }
    }

    /// Evidence of silence: the watermark has passed the end of the last reading by more than the limit.
    pub fn raise_silence(&mut self, last_end: i64, thresholds: &Thresholds, output: &mut Output) {
        let after = micros(thresholds.silent_meter.after);
        let opening = Opening { window: last_end, opened_at: last_end, evidence_at: last_end.saturating_add(after) };
        let detail = || text::silent(last_end, after);
        let outcome = self.with_episodes(|episodes, subject| episodes.open(&SILENT_METER, subject, opening, detail));
        output.take(SILENT_METER.kind, outcome);
    }

    /// The meter was heard of again.
    pub fn end_silence(&mut self, at: i64, output: &mut Output) {
        let Some(open) = self.episodes.open_one(SILENT_METER.kind) else { return };
        let at = at.max(open.window);
        let detail = || text::heard_again(at);
        let outcome = self.with_episodes(|episodes, subject| episodes.close(&SILENT_METER, subject, at, detail));
        output.take(SILENT_METER.kind, outcome);
    }

    /// Ends an alert because no further event came.
    pub fn clear(&mut self, rule: &Rule, at: i64, output: &mut Output) {
        let detail = || text::cleared(rule.kind, at);
        let outcome = self.with_episodes(|episodes, subject| episodes.close(rule, subject, at, detail));
        output.take(rule.kind, outcome);
    }

    /// Ends every alert: the device left service.
    pub fn retire(&mut self, at: i64, output: &mut Output) {
        let open: Vec<_> = self.episodes.open_kinds().collect();
        for rule in RULES.iter().filter(|rule| open.contains(&rule.kind)) {
            let end = self.episodes.newest(rule.kind).map_or(at, |episode| at.max(episode.updated_at));
            let outcome = self.with_episodes(|episodes, subject| episodes.close(rule, subject, end, text::retired));
            output.take(rule.kind, outcome);
        }
    }

    fn open_by_event(&mut self, rule: &Rule, kind: DeviceEventKind, at: i64, with: &mut Workbench<'_>) {
        let detail = || text::event(kind, at);
        let newest = self.episodes.newest(rule.kind).map(|episode| (episode.updated_at, episode.closed_at));
        let outcome = match newest {
            Some((updated_at, None)) => {
                if at <= updated_at.saturating_add(micros(with.thresholds.events.repeat_after)) {
                    return;
                }
                self.with_episodes(|episodes, subject| episodes.update(rule, subject, at, detail))
            }
            // A repetition from within an episode that has ended.
            Some((_, Some(closed_at))) if at < closed_at => Outcome::Late,
            _ => {
                let opening = Opening { window: at, opened_at: at, evidence_at: at };
                self.with_episodes(|episodes, subject| episodes.open(rule, subject, opening, detail))
            }
        };
        let opened = matches!(outcome, Outcome::Change(_));
        with.output.take(rule.kind, outcome);
        if opened {
            self.close_by_what_is_known(rule, at, with.output);
        }
    }

    /// An opening event that came after the evidence of its end.
    fn close_by_what_is_known(&mut self, rule: &Rule, opened_at: i64, output: &mut Output) {
        let event = rule.closed_by.zip(self.closing_event(rule.kind)).filter(|(_, at)| *at >= opened_at);
        if let Some((kind, at)) = event {
            let detail = || text::event(kind, at);
            let outcome = self.with_episodes(|episodes, subject| episodes.close(rule, subject, at, detail));
            output.take(rule.kind, outcome);
        } else if let (AlertKind::Outage, Some(at)) = (rule.kind, self.last_powered.filter(|at| *at >= opened_at)) {
            self.end_outage(at, output);
        }
    }

    fn close_by_event(&mut self, rule: &Rule, kind: DeviceEventKind, at: i64, with: &mut Workbench<'_>) {
        match self.closing_events.iter_mut().find(|(of, _)| *of == rule.kind) {
            Some((_, latest)) => *latest = at.max(*latest),
            None => self.closing_events.push((rule.kind, at)),
        }
        if with.live {
            let detail = || text::event(kind, at);
            let outcome = self.with_episodes(|episodes, subject| episodes.close_or_refine(rule, subject, at, detail));
            with.output.take(rule.kind, outcome);
        }
    }

    fn closing_event(&self, kind: AlertKind) -> Option<i64> {
        self.closing_events.iter().find(|(of, _)| *of == kind).map(|(_, at)| *at)
    }

    fn end_outage(&mut self, at: i64, output: &mut Output) {
        if self.episodes.open_one(OUTAGE.kind).is_some() {
            let detail = || text::readings_resumed(at);
            let outcome = self.with_episodes(|episodes, subject| episodes.close(&OUTAGE, subject, at, detail));
            output.take(OUTAGE.kind, outcome);
        }
    }

    fn note_power(&mut self, at: i64, live: bool, output: &mut Output) {
        // Only the way back on is news: a device that was never off needs no write per reading.
        if self.status.power.is_some_and(|power| !power.on && at > power.at) {
            let power = Power { on: true, at };
            self.status.set_power(power);
            if live {
                output.powers.push(self.power_update(power));
            }
        }
    }

    fn power_update(&self, power: Power) -> super::outbox::PowerUpdate {
        super::outbox::PowerUpdate { tenant_id: Arc::clone(&self.tenant_id), device_id: self.device_id.clone(), power }
    }

    fn judge_flow(&mut self, evidence: FlowEvidence, reading: &Reading<'_>, limit: FlowLimit, output: &mut Output) {
        let outcome = match evidence {
            FlowEvidence::Paused => {
                let detail = || text::flow_paused(limit, reading.start);
                self.with_episodes(|episodes, subject| episodes.close(&CONTINUOUS_FLOW, subject, reading.start, detail))
            }
            FlowEvidence::Running { since, length_s } if length_s >= i64::from(limit.hours) * 3_600 => {
                let opening = Opening { window: since, opened_at: since, evidence_at: reading.end() };
                let detail = || text::flow(limit, since);
                self.with_episodes(|episodes, subject| episodes.open(&CONTINUOUS_FLOW, subject, opening, detail))
            }
            FlowEvidence::Running { .. } => return,
        };
        output.take(CONTINUOUS_FLOW.kind, outcome);
    }

    fn judge_usage(&mut self, local_day: i32, thresholds: &Thresholds, output: &mut Output) {
        let limit = thresholds.high_usage;
        let Some(usage) = self.usage.as_deref() else { return };
        if let Some(day) = usage.compare(local_day, limit).filter(|day| day.high) {
            let opening = Opening {
                window: usage::day_base(local_day),
                opened_at: day.first_start,
                evidence_at: day.first_start,
            };
            let detail = || text::usage(day.day, day.total, day.mean, limit.ratio_percent);
            let outcome = self.with_episodes(|episodes, subject| episodes.open(&HIGH_USAGE, subject, opening, detail));
            output.take(HIGH_USAGE.kind, outcome);
        }
        self.end_high_usage(limit, output);
    }

    fn end_high_usage(&mut self, limit: super::thresholds::HighUsage, output: &mut Output) {
        let (Some(usage), Some(open)) = (self.usage.as_deref(), self.episodes.open_one(HIGH_USAGE.kind)) else {
            return;
        };
        let Some(normal) = usage.end_of_high(usage::day_of_base(open.window), limit) else { return };
        let detail = || text::usage_normal(normal.day, normal.total);
        let outcome =
            self.with_episodes(|episodes, subject| episodes.close(&HIGH_USAGE, subject, normal.first_start, detail));
        output.take(HIGH_USAGE.kind, outcome);
    }

    fn with_episodes(&mut self, act: impl FnOnce(&mut Episodes, Subject<'_>) -> Outcome) -> Outcome {
        let subject = Subject {
            tenant_id: &self.tenant_id,
            device_id: &self.device_id,
            customer_id: self.status.customer_id.as_deref(),
            site_id: self.status.site_id.as_deref(),
        };
        act(&mut self.episodes, subject)
    }
}

/// What a device needs besides its own state.
#[derive(Debug)]
pub struct Workbench<'a> {
    /// Figures of the rules.
    pub thresholds: &'a Thresholds,
    /// [`super::thresholds::ContinuousFlow::longest_hours`], worked out once.
    pub longest_flow_hours: u32,
    /// Shared texts.
    pub intern: &'a mut Intern,
    /// Where results go.
    pub output: &'a mut Output,
    /// Whether alerts are raised, or the state only learns.
    pub live: bool,
}

fn power_told_by(kind: DeviceEventKind) -> Option<bool> {
    match kind {
        DeviceEventKind::LastGasp => Some(false),
        DeviceEventKind::PowerRestored => Some(true),
        _ => None,
    }
}

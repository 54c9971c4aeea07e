//! What is remembered of one device, and how readings and events change it.
//!
//! Learning and raising are two steps: everything teaches the state, only live input raises alerts.

use std::sync::Arc;

use meter_model::Kind;
use meterway_schemas::{AlertKind, DeviceEventKind};

use super::episode::{Context, Episodes, Opening, Origin, Outcome, Subject};
use super::flow::{Flow, FlowEvidence};
use super::input::Reading;
use super::intern::Intern;
use super::outbox::{Output, PowerUpdate};
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

    /// Learns a reading and, when input is live, raises and ends alerts by it.
    pub fn on_reading(&mut self, reading: &Reading<'_>, limit: FlowLimit, with: &mut Workbench<'_>) {
        let flow = Flow::learn(&mut self.flow, reading, limit, with.longest_flow_hours, with.intern);
        let usage = Usage::learn(&mut self.usage, reading, with.intern);
        let shows_power = reading.kind == Kind::Interval && !reading.after_gap;
        if shows_power {
            self.last_powered = self.last_powered.max(Some(reading.start));
            self.note_power(reading.start, with);
        }
        if !with.live {
            return;
        }
        if usage == Learned::TooLate && reading.version > 1 {
            with.output.unapplied_corrections += 1;
        }
        if shows_power {
            self.end_outage(reading.start, with);
        }
        if let Some(evidence) = flow {
            self.judge_flow(evidence, reading, limit, with);
        }
        if usage == Learned::Counted {
            self.judge_usage(reading.local_day, with);
        }
    }

    /// Learns an event and, when input is live, raises and ends alerts by it.
    pub fn on_event(&mut self, kind: DeviceEventKind, at: i64, with: &mut Workbench<'_>) {
        if let Some(on) = power_told_by(kind)
            && self.status.set_power(Power { on, at })
        {
            self.tell_power(with);
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
    pub fn raise_silence(&mut self, last_end: i64, with: &mut Workbench<'_>) {
        let after = micros(with.thresholds.silent_meter.after);
        let opening = Opening { window: last_end, opened_at: last_end, evidence_at: last_end.saturating_add(after) };
        let detail = || text::silent(last_end, after);
        self.judge(&SILENT_METER, with, |episodes, context| episodes.open(&SILENT_METER, context, opening, detail));
    }

    /// The meter was heard of again.
    pub fn end_silence(&mut self, at: i64, with: &mut Workbench<'_>) {
        let Some(open) = self.episodes.open_one(SILENT_METER.kind) else { return };
        self.close(&SILENT_METER, at.max(open.window), with, text::heard_again);
    }

    /// Ends an alert because no further event came.
    pub fn clear(&mut self, rule: &Rule, at: i64, with: &mut Workbench<'_>) {
        self.close(rule, at, with, |at| text::cleared(rule.kind, at));
    }

    /// Ends every alert: the device left service.
    pub fn retire(&mut self, at: i64, with: &mut Workbench<'_>) {
        let open: Vec<_> = self.episodes.open_kinds().collect();
        for rule in RULES.iter().filter(|rule| open.contains(&rule.kind)) {
            let end = self.episodes.newest(rule.kind).map_or(at, |episode| at.max(episode.updated_at));
            self.close(rule, end, with, |_| text::retired());
        }
    }

    fn open_by_event(&mut self, rule: &Rule, kind: DeviceEventKind, at: i64, with: &mut Workbench<'_>) {
        let detail = || text::event(kind, at);
        let newest = self.episodes.newest(rule.kind).map(|episode| (episode.updated_at, episode.closed_at));
        let changed = match newest {
            Some((updated_at, None)) => {
                let repeat_after = micros(with.thresholds.events.repeat_after);
                if at > updated_at.saturating_add(repeat_after) {
                    self.judge(rule, with, |episodes, context| episodes.update(rule, context, at, detail));
                }
                false
            }
            // A repetition from within an episode that has ended.
            Some((_, Some(closed_at))) if at < closed_at => {
                with.output.take(rule.kind, Outcome::Late);
                false
            }
            _ => {
                let opening = Opening { window: at, opened_at: at, evidence_at: at };
                self.judge(rule, with, |episodes, context| episodes.open(rule, context, opening, detail))
            }
        };
        if changed {
            self.close_by_what_is_known(rule, at, with);
        }
    }

    /// An opening event that came after the evidence of its end.
    fn close_by_what_is_known(&mut self, rule: &Rule, opened_at: i64, with: &mut Workbench<'_>) {
        let event = rule.closed_by.zip(self.closing_event(rule.kind)).filter(|(_, at)| *at >= opened_at);
        if let Some((kind, at)) = event {
            self.close(rule, at, with, |at| text::event(kind, at));
        } else if let (AlertKind::Outage, Some(at)) = (rule.kind, self.last_powered.filter(|at| *at >= opened_at)) {
            self.end_outage(at, with);
        }
    }

    fn close_by_event(&mut self, rule: &Rule, kind: DeviceEventKind, at: i64, with: &mut Workbench<'_>) {
        match self.closing_events.iter_mut().find(|(of, _)| *of == rule.kind) {
            Some((_, latest)) => *latest = at.max(*latest),
            None => self.closing_events.push((rule.kind, at)),
        }
        if with.live {
            let detail = || text::event(kind, at);
            self.judge(rule, with, |episodes, context| episodes.close_or_refine(rule, context, at, detail));
        }
    }

    fn closing_event(&self, kind: AlertKind) -> Option<i64> {
        self.closing_events.iter().find(|(of, _)| *of == kind).map(|(_, at)| *at)
    }

    fn end_outage(&mut self, at: i64, with: &mut Workbench<'_>) {
        self.close(&OUTAGE, at, with, text::readings_resumed);
    }

    fn note_power(&mut self, at: i64, with: &mut Workbench<'_>) {
        // Only the way back on is news: a device that was never off needs no write per reading.
        if self.status.power.is_some_and(|power| !power.on && at > power.at) {
            self.status.set_power(Power { on: true, at });
            self.tell_power(with);
        }
    }

    fn tell_power(&self, with: &mut Workbench<'_>) {
        if let Some(power) = self.status.power.filter(|_| with.live) {
            let (tenant_id, device_id) = (Arc::clone(&self.tenant_id), self.device_id.clone());
            with.output.powers.push(PowerUpdate { tenant_id, device_id, power });
        }
    }

    fn judge_flow(
        &mut self,
        evidence: FlowEvidence,
        reading: &Reading<'_>,
        limit: FlowLimit,
        with: &mut Workbench<'_>,
    ) {
        match evidence {
            FlowEvidence::Paused => {
                self.close(&CONTINUOUS_FLOW, reading.start, with, |at| text::flow_paused(limit, at));
            }
            FlowEvidence::Running { since, length_s } if length_s >= i64::from(limit.hours) * 3_600 => {
                let opening = Opening { window: since, opened_at: since, evidence_at: reading.end() };
                let detail = || text::flow(limit, since);
                self.judge(&CONTINUOUS_FLOW, with, |episodes, context| {
                    episodes.open(&CONTINUOUS_FLOW, context, opening, detail)
                });
            }
            FlowEvidence::Running { .. } => {}
        }
    }

    fn judge_usage(&mut self, local_day: i32, with: &mut Workbench<'_>) {
        let limit = with.thresholds.high_usage;
        let high = self.usage.as_deref().and_then(|usage| usage.compare(local_day, limit)).filter(|day| day.high);
        if let Some(day) = high {
            let opened_at = day.first_start;
            let opening = Opening { window: usage::day_base(local_day), opened_at, evidence_at: opened_at };
            let detail = || text::usage(day.day, day.total, day.mean, limit.ratio_percent);
            self.judge(&HIGH_USAGE, with, |episodes, context| episodes.open(&HIGH_USAGE, context, opening, detail));
        }
        let Some(open) = self.episodes.open_one(HIGH_USAGE.kind) else { return };
        let day = usage::day_of_base(open.window);
        if let Some(normal) = self.usage.as_deref().and_then(|usage| usage.end_of_high(day, limit)) {
            let detail = |_| text::usage_normal(normal.day, normal.total);
            self.close(&HIGH_USAGE, normal.first_start, with, detail);
        }
    }

    fn close(&mut self, rule: &Rule, at: i64, with: &mut Workbench<'_>, detail: impl FnOnce(i64) -> String) {
        self.judge(rule, with, |episodes, context| episodes.close(rule, context, at, || detail(at)));
    }

    /// Lets the episodes decide and passes on what they say; true when there is something to tell.
    fn judge(
        &mut self,
        rule: &Rule,
        with: &mut Workbench<'_>,
        decide: impl FnOnce(&mut Episodes, Context<'_>) -> Outcome,
    ) -> bool {
        let subject = Subject {
            tenant_id: &self.tenant_id,
            device_id: &self.device_id,
            customer_id: self.status.customer_id.as_deref(),
            site_id: self.status.site_id.as_deref(),
        };
        let outcome = decide(&mut self.episodes, Context { subject, origin: with.origin });
        let changed = matches!(outcome, Outcome::Change(_));
        with.output.take(rule.kind, outcome);
        changed
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
    /// Where the input at hand comes from.
    pub origin: Origin,
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

//! What is remembered of one channel.

use super::window::{Known, Neighbours, Window, end_of};
use crate::core::rules::{RuleId, RuleSet};
use meter_model::Kind;

/// Readings in a row with one value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Run {
    value: i64,
    length: u32,
}

/// State of one channel: a pure function of its accepted readings in the order of their decisions, so that it can be
/// rebuilt from the validated topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelState {
    window: Window,
    /// Latest end of an accepted interval.
    last_end: Option<i64>,
    run: Run,
    /// The last good dial: start and value.
    register: Option<(i64, i64)>,
}

/// What the state knows that concerns one reading.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    state: &'a ChannelState,
    /// Readings around the start of the one in question.
    pub neighbours: Neighbours,
    /// Latest end of an interval of this channel that came in the same message and was rejected for its value. It was
    /// delivered, so the next one does not follow a gap.
    pub delivered_end: Option<i64>,
}

impl Default for ChannelState {
    fn default() -> Self {
        Self::new()
    }
}

impl ChannelState {
    /// State of a channel that delivered nothing yet.
    pub const fn new() -> Self {
        Self { window: Window::new(), last_end: None, run: Run { value: 0, length: 0 }, register: None }
    }

    /// What it knows that concerns a reading with this start.
    pub fn past(&self, start: i64, delivered_end: Option<i64>) -> Past<'_> {
        Past { state: self, neighbours: self.window.around(start), delivered_end }
    }

    /// Readings remembered by key.
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// Whether no reading is remembered by key.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.window.bytes()
    }

    /// Takes an accepted reading into the state. `failed` are the rules it failed.
    pub fn record(&mut self, kind: Kind, accepted: Known, failed: RuleSet, limit: usize) {
        match kind {
            Kind::Interval if accepted.version == 1 => self.record_interval(&accepted),
            Kind::Register => self.record_register(&accepted, failed),
            Kind::Interval | Kind::Gauge => {}
        }
        self.window.put(accepted, limit);
    }

    fn record_interval(&mut self, accepted: &Known) {
        if self.last_end.is_some_and(|end| accepted.start < end) {
            return; // out of order: it belongs to no run and moves no end
        }
        let length = self.run_with(accepted.start, accepted.duration_s, accepted.value);
        self.run = Run { value: accepted.value, length };
        self.last_end = Some(accepted.end());
    }

    fn record_register(&mut self, accepted: &Known, failed: RuleSet) {
        let newer = self.register.is_none_or(|(start, _)| accepted.start >= start);
        // A dial that ran backward is not believed: the next one is compared with the last good dial.
        if newer && !failed.contains(RuleId::RegisterBackward) {
            self.register = Some((accepted.start, accepted.value));
        }
    }

    /// Length of the run of identical values if an interval joined it.
    fn run_with(&self, start: i64, duration_s: i32, value: i64) -> u32 {
        let missing = self.last_end.is_none_or(|end| is_gap(end, start, duration_s));
        if missing || value != self.run.value { 1 } else { self.run.length.saturating_add(1) }
    }
}

/// Whether at least one whole interval is missing between an end and the next start. Less than that is a clock that was
/// set, not a reading that was lost.
fn is_gap(end: i64, start: i64, duration_s: i32) -> bool {
    start >= end_of(end, duration_s) && start > end
}

impl Past<'_> {
    /// Whether nothing is remembered of the channel.
    pub fn is_empty(&self) -> bool {
        self.state.is_empty()
    }

    /// Whether the start lies before everything remembered, so that nobody can say whether it was seen.
    pub fn is_beyond_window(&self, start: i64) -> bool {
        self.state.window.floor().is_none_or(|floor| start < floor)
    }

    /// Whether a reading with this natural key was accepted before.
    pub fn is_known(&self) -> bool {
        self.neighbours.same.is_some()
    }

    /// Version that the reading would get.
    pub fn next_version(&self) -> i32 {
        self.neighbours.same.map_or(1, |known| known.version.saturating_add(1))
    }

    /// Latest end of an accepted interval; `None` before the first.
    pub fn last_end(&self) -> Option<i64> {
        self.state.last_end
    }

    /// Whether at least one whole interval was not delivered between the last one and this.
    pub fn has_gap_before(&self, start: i64, duration_s: i32) -> bool {
        self.state.last_end.max(self.delivered_end).is_some_and(|end| is_gap(end, start, duration_s))
    }

    /// Length of the run of identical values with this interval.
    pub fn run_with(&self, start: i64, duration_s: i32, value: i64) -> u32 {
        self.state.run_with(start, duration_s, value)
    }

    /// Start and value of the last good dial.
    pub fn register(&self) -> Option<(i64, i64)> {
        self.state.register
    }

    /// Readings that start in the span before an instant, latest first.
    pub fn within(&self, start: i64, span_us: i64) -> impl Iterator<Item = Known> {
        let from = start.saturating_sub(span_us);
        self.state.window.before(start).take_while(move |known| known.start >= from)
    }
}

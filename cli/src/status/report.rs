//! What the pipeline looks like at one moment. Pure.

use crate::out::Mood;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use std::collections::BTreeMap;

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It answers.
    Ok,
    /// It answers, and says something an operator should know.
    Notice,
    /// It answers that there is no such thing.
    Missing,
    /// A service that runs but does not work.
    NotReady,
    /// It does not answer.
    Unreachable,
}

impl State {
    /// Whether the pipeline can be whole with a part in this state.
    fn is_healthy(self) -> bool {
        matches!(self, Self::Ok | Self::Notice)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Notice => "notice",
            Self::Missing => "missing",
            Self::NotReady => "not ready",
            Self::Unreachable => "unreachable",
        }
    }

    /// How it is to be seen.
    pub(crate) fn mood(self) -> Mood {
        match self {
            Self::Ok => Mood::Good,
            Self::Notice => Mood::Notice,
            Self::Missing | Self::NotReady | Self::Unreachable => Mood::Bad,
        }
    }
}

/// A number of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Amount {
    /// How many.
    pub value: u64,
    /// Of what.
    pub unit: &'static str,
    /// Whether there are more, which were not counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
}

/// One part of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// Stage of the way of a reading.
    pub stage: &'static str,
    /// The part: a topic, a group, a table, a service.
    pub part: String,
    /// How it is.
    pub state: State,
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<Amount>,
    /// How far it is behind the stage before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<Amount>,
    /// When it last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<DateTime<Utc>>,
    /// What else is to know; for a part that does not answer, why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Line {
    /// A part that answers.
    pub(crate) fn new(stage: &'static str, part: impl Into<String>) -> Self {
        let (part, detail) = (part.into(), String::new());
        Self { stage, part, state: State::Ok, count: None, lag: None, changed_at: None, detail }
    }

    /// A part that does not answer.
    pub(crate) fn unreachable(stage: &'static str, part: impl Into<String>, error: &anyhow::Error) -> Self {
        Self::new(stage, part).state(State::Unreachable).detail(format!("{error:#}"))
    }

    /// A thing that is not there.
    pub(crate) fn missing(stage: &'static str, part: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(stage, part).state(State::Missing).detail(detail)
    }

    /// With a state.
    pub(crate) fn state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// With what it holds.
    pub(crate) fn count(mut self, value: u64, unit: &'static str) -> Self {
        self.count = Some(Amount { value, unit, at_least: false });
        self
    }

    /// With a lag.
    pub(crate) fn lag(mut self, value: u64, unit: &'static str) -> Self {
        self.lag = Some(Amount { value, unit, at_least: false });
        self
    }

    /// With the time of its last change.
    pub(crate) fn changed(mut self, at: Option<DateTime<Utc>>) -> Self {
        self.changed_at = at;
        self
    }

    /// With what else is to know.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The cells of its row in the table.
    pub(crate) fn cells(&self, now: DateTime<Utc>) -> [String; 7] {
        let amount = |amount: Option<Amount>| amount.map_or_else(|| "-".to_owned(), Amount::text);
        [
            self.stage.to_owned(),
            self.part.clone(),
            self.state.name().to_owned(),
            amount(self.count),
            amount(self.lag),
            self.changed_at.map_or_else(|| "-".to_owned(), |at| age((now - at).num_seconds())),
            one_line(&self.detail),
        ]
    }
}

impl Amount {
    fn text(self) -> String {
        let more = if self.at_least { "more than " } else { "" };
        format!("{more}{} {}", grouped(self.value), self.unit)
    }
}

/// The whole pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// When it was looked at.
    #[serde(serialize_with = "seconds")]
    pub taken_at: DateTime<Utc>,
    /// Whether every part answers and is there.
    pub healthy: bool,
    /// The parts, in the direction of flow.
    pub parts: Vec<Line>,
}

impl Report {
    /// From the parts.
    pub(crate) fn new(taken_at: DateTime<Utc>, parts: Vec<Line>) -> Self {
        Self { taken_at, healthy: parts.iter().all(|part| part.state.is_healthy()), parts }
    }

    /// One sentence.
    pub(crate) fn conclusion(&self) -> String {
        let bad: Vec<_> = self.parts.iter().filter(|part| !part.state.is_healthy()).collect();
        match bad.first() {
            None => "every part answers".to_owned(),
            Some(first) => format!(
                "{} of {} parts are not as they should be, first {} {}: {}",
                bad.len(),
                self.parts.len(),
                first.stage,
                first.part,
                first.state.name()
            ),
        }
    }
}

fn seconds<S: serde::Serializer>(at: &DateTime<Utc>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Low and high watermark of each partition of a topic.
pub(crate) type Watermarks = BTreeMap<i32, (i64, i64)>;

/// Messages behind the end, when `positions` are the next offsets to read. A partition without a position counts from
/// its oldest message: nothing of it is known to be done.
pub(crate) fn lag(marks: &Watermarks, positions: &BTreeMap<i32, i64>) -> u64 {
    let behind = marks.iter().map(|(partition, (low, high))| {
        let position = positions.get(partition).copied().unwrap_or(*low).max(*low);
        u64::try_from(high - position).unwrap_or(0)
    });
    behind.sum()
}

/// Messages that a topic holds. Offsets of aborted or compacted records count, so it is an upper bound.
pub(crate) fn messages(marks: &Watermarks) -> u64 {
    marks.values().map(|(low, high)| u64::try_from(high - low).unwrap_or(0)).sum()
}

/// Thousands apart, as people read them.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A span in its largest two units; what lies ahead, by a clock that is off, is "0 s".
fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..60 => format!("{} s", seconds.max(0)),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Server messages may have several lines; a table's row has one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;

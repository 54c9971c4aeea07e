//! How a dial moved since the last good one.

use super::{Context, Outcome};
use crate::core::history::Past;
use meterway_schemas::encode::Reading;

/// Without a known capacity, a backward step is a rollover when it leaves the last tenth of the dial for the first.
const DIAL_EDGE: i64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// There is no dial to compare with, or it is a later one.
    Unknown,
    Forward,
    Exchange,
    Rollover,
    Backward,
}

fn step(context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Step {
    let Some((last_start, last_value)) = past.register() else { return Step::Unknown };
    if reading.start <= last_start || past.is_known() {
        return Step::Unknown;
    }
    let exchanged = |at: &i64| last_start < *at && *at <= reading.start;
    if context.channel.exchanges.iter().any(exchanged) {
        return Step::Exchange;
    }
    if reading.value >= last_value {
        return Step::Forward;
    }
    match passed_end(context, reading.start - last_start, last_value, reading.value) {
        true => Step::Rollover,
        false => Step::Backward,
    }
}

/// Whether the dial can have come from `last` to `value` over its end within the time: a meter that turned further than
/// its service could carry did not roll over, it was read wrongly.
fn passed_end(context: &Context<'_>, span_us: i64, last: i64, value: i64) -> bool {
    let Some(dial) = context.channel.dial.map(|dial| dial.micros()) else { return false };
    let advance = dial - last + value;
    match context.channel.capacity_over(span_us) {
        Some(limit) => advance >= 0 && context.channel.billed(advance) <= limit,
        None => last >= dial - dial / DIAL_EDGE && value <= dial / DIAL_EDGE,
    }
}

fn outcome(step: Step, failing: Step) -> Outcome {
    match step {
        Step::Unknown => Outcome::Skip,
        step => Outcome::pass_if(step != failing, Outcome::Suspect),
    }
}

/// The dial did not run backward.
pub(super) fn backward(context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Outcome {
    outcome(step(context, reading, past), Step::Backward)
}

/// The dial did not pass its end. Not applicable to a dial of unknown size.
pub(super) fn rollover(context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Outcome {
    if context.channel.dial.is_none() {
        return Outcome::Skip;
    }
    outcome(step(context, reading, past), Step::Rollover)
}

/// No exchange of the meter lies between the last good dial and this one.
pub(super) fn exchange(context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Outcome {
    outcome(step(context, reading, past), Step::Exchange)
}

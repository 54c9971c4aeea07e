//! How a reading stands to those before it.

use super::{Context, Outcome};
use crate::core::history::{Past, end_of};
use meter_model::RejectCode;
use meterway_schemas::encode::Reading;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Not the same key and value as a reading that was accepted. The same key with another value is a correction. What lies
/// before everything remembered can't be told.
pub(super) fn duplicate(_context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Outcome {
    match past.neighbours.same {
        Some(known) if known.value == reading.value && known.duration_s == reading.duration_s => {
            Outcome::Reject(RejectCode::Duplicate, "same key and value as an accepted reading".into())
        }
        Some(_) => Outcome::Pass,
        None if past.is_beyond_window(reading.start) => Outcome::Skip,
        None => Outcome::Pass,
    }
}

/// Shares no time with an accepted interval of another start. Accepted intervals don't overlap one another, so the
/// nearest on each side speak for all.
pub(super) fn overlap(_context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Outcome {
    let end = end_of(reading.start, reading.duration_s);
    let over = past.neighbours.before.filter(|before| before.end() > reading.start);
    match over.or(past.neighbours.after.filter(|after| after.start < end)) {
        Some(other) => {
            let ahead = (other.start - reading.start) / MICROS_PER_SECOND;
            let detail = format!("overlaps an accepted interval that starts {ahead:+} s from this one");
            Outcome::Reject(RejectCode::Overlap, detail.into())
        }
        None if past.neighbours.before.is_none() && past.is_beyond_window(reading.start) => Outcome::Skip,
        None => Outcome::Pass,
    }
}

/// Does not start before the end of what came earlier. A correction has its place already.
pub(super) fn out_of_order(_context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Outcome {
    match past.last_end() {
        _ if past.is_known() => Outcome::Pass,
        None => Outcome::Skip,
        Some(end) => Outcome::pass_if(reading.start >= end, Outcome::Suspect),
    }
}

/// No whole interval is missing before it.
pub(super) fn gap(_context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Outcome {
    match past.last_end() {
        _ if past.is_known() => Outcome::Pass,
        None if past.delivered_end.is_none() => Outcome::Skip,
        _ => Outcome::pass_if(!past.has_gap_before(reading.start, reading.duration_s), Outcome::Suspect),
    }
}

/// Starts near a multiple of its length, counted in UTC.
pub(super) fn clock_drift(context: &Context<'_>, reading: &Reading<'_>, _past: &Past<'_>) -> Outcome {
    let length = i64::from(reading.duration_s) * MICROS_PER_SECOND;
    if length <= 0 {
        return Outcome::Skip;
    }
    let late = reading.start.rem_euclid(length);
    Outcome::pass_if(late.min(length - late) <= context.thresholds.clock_tolerance_us, Outcome::Suspect)
}

//! What a value and its time may be at all.

use super::{Context, Outcome};
use crate::core::history::Past;
use meter_model::RejectCode;
use meterway_schemas::Source;
use meterway_schemas::encode::Reading;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Starts neither ahead of now nor long ago. A replay may be as old as the landing table: someone asked for it.
pub(super) fn time_bounds(context: &Context<'_>, reading: &Reading<'_>, _past: &Past<'_>) -> Outcome {
    let ahead = reading.start.saturating_sub(context.now);
    let (tolerated, max_age) = (context.thresholds.future_tolerance_us, context.thresholds.max_age_us);
    if ahead > tolerated {
        let detail = format!("starts {} s ahead, allowed {} s", seconds(ahead), seconds(tolerated));
        return Outcome::Reject(RejectCode::FutureTime, detail.into());
    }
    let age = ahead.saturating_neg();
    if age > max_age && context.source != Source::Replay {
        let detail = format!("started {} s ago, allowed {} s", seconds(age), seconds(max_age));
        return Outcome::Reject(RejectCode::TooOld, detail.into());
    }
    Outcome::Pass
}

/// Not below zero, unless the channel can run backward.
pub(super) fn negative(context: &Context<'_>, reading: &Reading<'_>, _past: &Past<'_>) -> Outcome {
    let legitimate = reading.value >= 0 || context.channel.allow_negative;
    Outcome::pass_if(legitimate, Outcome::Reject(RejectCode::Negative, "below zero".into()))
}

/// Not more, in either direction, than the service can carry in the interval's length.
pub(super) fn capacity(context: &Context<'_>, reading: &Reading<'_>, _past: &Past<'_>) -> Outcome {
    let Some(limit) = context.channel.capacity_over(i64::from(reading.duration_s) * MICROS_PER_SECOND) else {
        return Outcome::Skip;
    };
    if context.channel.billed(reading.value).abs() <= limit {
        return Outcome::Pass;
    }
    let detail = format!("more than the {} that the service can carry", decimal(limit));
    Outcome::Reject(RejectCode::OverCapacity, detail.into())
}

fn seconds(micros: i64) -> i64 {
    micros / MICROS_PER_SECOND
}

/// Millionths as a decimal number, rounded down to thousandths: a limit is quoted, not computed with.
fn decimal(micros: i128) -> String {
    format!("{}.{:03}", micros / 1_000_000, micros % 1_000_000 / 1_000)
}

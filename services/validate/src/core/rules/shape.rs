//! How a value stands to those around it.

use super::{Context, Outcome};
use crate::core::devices::ChannelSpec;
use crate::core::history::Past;
use crate::core::thresholds::HOUR_US;
use meterway_schemas::encode::Reading;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// A local day of 23 hours, less an interval that was rejected.
const WHOLE_DAY_US: i64 = 22 * HOUR_US;
/// How far back a value is compared that did not come in a whole day: one quiet day must not make a spike of the next
/// morning.
const DAYS_BEFORE_US: i64 = 72 * HOUR_US;
/// What must be known of a day for it to be a measure: against the hours of a night alone, every morning is a spike.
const MIN_DAY_US: i64 = 18 * HOUR_US;

/// The intervals of a channel that came in one message: as much as tells the highest of the others from any of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Block {
    highest: i64,
    second: i64,
    count: u32,
}

impl Block {
    /// Counts an interval. Values that the service could not carry are no measure for others.
    pub fn add(&mut self, channel: &ChannelSpec, reading: &Reading<'_>) {
        let limit = channel.capacity_over(i64::from(reading.duration_s) * MICROS_PER_SECOND);
        if reading.value < 0 || limit.is_some_and(|limit| channel.billed(reading.value) > limit) {
            return;
        }
        self.count += 1;
        if reading.value > self.highest {
            self.second = self.highest;
            self.highest = reading.value;
        } else {
            self.second = self.second.max(reading.value);
        }
    }

    /// The others than one of this value and length.
    fn others(&self, value: i64, length_us: i64) -> Others {
        let highest = if value == self.highest { self.second } else { self.highest };
        let count = self.count.saturating_sub(1);
        Others { highest, count, span_us: length_us.saturating_mul(i64::from(count)) }
    }
}

/// Does not stand far above the day around it: the other intervals of the message and, unless they are a whole day, those
/// of the days before it. Small values are no spikes, however small their neighbours: one kettle in an empty flat is not a
/// fault.
pub(super) fn spike(context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Outcome {
    let (limits, length) = (context.thresholds, i64::from(reading.duration_s) * MICROS_PER_SECOND);
    let Some(capacity) = context.channel.capacity_over(length) else {
        return Outcome::Skip;
    };
    if context.channel.billed(reading.value) * 100 < capacity * i128::from(limits.spike_floor_percent) {
        return Outcome::Pass;
    }
    let mut others = context.block.others(reading.value, length);
    if others.span_us < WHOLE_DAY_US {
        others = others.or_higher(days_before(reading.start, past));
    }
    if others.count < limits.spike_min_others || others.span_us < MIN_DAY_US {
        return Outcome::Skip;
    }
    let outstanding = i128::from(reading.value) >= i128::from(others.highest) * i128::from(limits.spike_ratio);
    Outcome::pass_if(!outstanding, Outcome::Suspect)
}

/// What a value is compared with.
#[derive(Debug, Clone, Copy)]
struct Others {
    highest: i64,
    count: u32,
    /// Time that they tell about.
    span_us: i64,
}

impl Others {
    fn or_higher(self, other: Self) -> Self {
        Self {
            highest: self.highest.max(other.highest),
            count: self.count.max(other.count),
            span_us: self.span_us.max(other.span_us),
        }
    }
}

fn days_before(start: i64, past: &Past<'_>) -> Others {
    past.within(start, DAYS_BEFORE_US).fold(Others { highest: 0, count: 0, span_us: 0 }, |others, known| Others {
        highest: others.highest.max(known.value),
        count: others.count + 1,
        span_us: start - known.start,
    })
}

/// Is not one of many identical values in a row. Zeros are no sign: nobody is at home.
pub(super) fn stuck(context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Outcome {
    let late = past.last_end().is_some_and(|end| reading.start < end);
    if reading.value == 0 || past.is_known() || late {
        return Outcome::Pass;
    }
    let run = past.run_with(reading.start, reading.duration_s, reading.value);
    Outcome::pass_if(run < context.thresholds.stuck_run, Outcome::Suspect)
}

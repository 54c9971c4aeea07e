//! How a value stands to those around it.

use super::{Context, Outcome};
use crate::core::devices::ChannelSpec;
use crate::core::history::Past;
use crate::core::thresholds::HOUR_US;
use meterway_schemas::encode::Reading;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// What the intervals of the day before must reach back at least to be a measure for one that comes alone.
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

    /// Highest of the others, and how many they are.
    fn others(&self, value: i64) -> (i64, u32) {
        let highest = if value == self.highest { self.second } else { self.highest };
        (highest, self.count.saturating_sub(1))
    }
}

/// Does not stand far above its block: the other intervals of the message or, when those are few, of the day before it.
/// Small values are no spikes, however small their neighbours: one kettle in an empty flat is not a fault.
pub(super) fn spike(context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Outcome {
    let limits = context.thresholds;
    let Some(capacity) = context.channel.capacity_over(i64::from(reading.duration_s) * MICROS_PER_SECOND) else {
        return Outcome::Skip;
    };
    if context.channel.billed(reading.value) * 100 < capacity * i128::from(limits.spike_floor_percent) {
        return Outcome::Pass;
    }
    let of_message = context.block.others(reading.value);
    let (highest, others) =
        if of_message.1 >= limits.spike_min_others { of_message } else { day_before(reading.start, past) };
    if others < limits.spike_min_others {
        return Outcome::Skip;
    }
    let outstanding = i128::from(reading.value) >= i128::from(highest) * i128::from(limits.spike_ratio);
    Outcome::pass_if(!outstanding, Outcome::Suspect)
}

/// Highest interval and number of intervals of the day before; none when they cover too little of it: against the hours
/// of a night alone, every morning is a spike.
fn day_before(start: i64, past: &Past<'_>) -> (i64, u32) {
    let (mut highest, mut count, mut earliest) = (0, 0, start);
    for known in past.within(start, 24 * HOUR_US) {
        (highest, count, earliest) = (known.value.max(highest), count + 1, known.start);
    }
    if start - earliest < MIN_DAY_US { (0, 0) } else { (highest, count) }
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

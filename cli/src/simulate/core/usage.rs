//! What flows through a meter, and what it reports of a day when nothing is wrong.

use super::calendar::DayGrid;
use super::fleet::{DIAL_MILLI, MeterType, SimDevice};
use super::mix::{between, mix2};
use super::shape::Shape;
use meter_model::Kind;
use meterway_schemas::encode::Reading;

/// Thousandths to the millionths that readings carry.
pub(crate) const MICROS_PER_MILLI: i64 = 1000;
const NOISE_LOW: i64 = 901;
const NOISE_HIGH: i64 = 1148;

/// Something that really happens at the site, so that the dial follows it too. Quantities in thousandths of the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// Use of one day, times a factor.
    Times {
        /// The day.
        ordinal: i32,
        /// The factor.
        factor: i64,
    },
    /// Constant additional flow in `[from, to)`.
    Plus {
        /// UTC microseconds.
        from: i64,
        /// UTC microseconds.
        to: i64,
        /// Added to each interval.
        milli: i64,
    },
    /// No supply in `[from, to)`.
    Off {
        /// UTC microseconds.
        from: i64,
        /// UTC microseconds.
        to: i64,
    },
    /// The meter is replaced.
    Exchange {
        /// UTC microseconds; an interval begins then.
        at: i64,
        /// Dial of the new meter.
        opening: i64,
    },
}

impl Effect {
    fn apply(self, ordinal: i32, start: i64, milli: i64) -> i64 {
        match self {
            Self::Times { ordinal: day, factor } if day == ordinal => milli * factor,
            Self::Plus { from, to, milli: more } if (from..to).contains(&start) => milli + more,
            Self::Off { from, to } if (from..to).contains(&start) => 0,
            _ => milli,
        }
    }
}

/// A device with the shape of its use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter<'a> {
    /// The device.
    pub device: &'a SimDevice,
    shape: &'a Shape,
    shift: i64,
}

impl<'a> Meter<'a> {
    /// Gives the device one of the shapes of its commodity.
    ///
    /// # Panics
    /// When there is no shape.
    pub(crate) fn new(device: &'a SimDevice, shapes: &'a [Shape]) -> Self {
        let shape = &shapes[(mix2(device.seed, 4) % shapes.len() as u64) as usize];
        Self { device, shape, shift: shape.shift(mix2(device.seed, 5)) }
    }

    /// What flows in the interval, in thousandths of the unit.
    pub(crate) fn milli(&self, ordinal: i32, of_day: usize, start: i64) -> i64 {
        let noise = between(mix2(self.device.seed, start as u64), NOISE_LOW, NOISE_HIGH);
        let scaled = self.shape.micro(ordinal, self.shift, of_day) * self.device.scale * noise;
        let milli = ((scaled >> 20) + 500) / 1000;
        if milli < self.device.meter.zero_below_milli { 0 } else { milli }
    }

    /// Appends the day's readings: the daily read of local midnight first, then the intervals. `dial` (thousandths) is the
    /// dial at midnight before, and at the following midnight after.
    pub(crate) fn day(&self, effect: Effect, grid: &DayGrid, dial: &mut i64, out: &mut Vec<Reading<'static>>) {
        let meter = self.device.meter;
        out.extend(self.daily(grid, *dial));
        for slot in grid.slots(meter.interval_s) {
            if let Effect::Exchange { at, opening } = effect
                && at == slot.start
            {
                *dial = opening;
            }
            let milli = effect.apply(grid.ordinal, slot.start, self.milli(grid.ordinal, slot.of_day, slot.start));
            *dial = (*dial + milli) % DIAL_MILLI;
            out.push(interval(meter, slot.start, milli));
        }
    }

    /// The read of local midnight, if the device has such a channel.
    pub(crate) fn daily(&self, grid: &DayGrid, dial: i64) -> Option<Reading<'static>> {
        let daily = self.device.meter.daily.as_ref()?;
        let milli = match daily.kind {
            Kind::Register => dial,
            _ => between(mix2(self.device.seed, grid.start as u64 ^ 0xDA11), 8_000, 16_000),
        };
        Some(Reading {
            channel: daily.channel,
            kind: daily.kind,
            start: grid.start,
            duration_s: 0,
            value: milli * MICROS_PER_MILLI,
            unit: daily.unit,
            flags: &[],
        })
    }
}

/// An interval reading of the meter's channel.
pub(crate) fn interval(meter: &'static MeterType, start: i64, milli: i64) -> Reading<'static> {
    Reading {
        channel: meter.interval_channel,
        kind: Kind::Interval,
        start,
        duration_s: meter.interval_s,
        value: milli * MICROS_PER_MILLI,
        unit: meter.unit,
        flags: &[],
    }
}

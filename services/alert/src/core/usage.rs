//! High usage: totals of local days, compared with the days before.
//!
//! The local day comes with the reading, so a day of 23 or 25 hours is a day like any other. Totals are exact under late
//! readings and corrections: the newest days keep their single values, so a corrected value replaces the one it corrects.

use std::sync::Arc;

use meter_model::{Commodity, Kind, Unit};

use super::input::Reading;
use super::intern::Intern;
use super::thresholds::HighUsage;
use super::{DAY, SECOND};

/// Days whose totals are kept: the seven of the mean, and as many again for days with holes.
const DAYS: usize = 15;
/// Newest days that keep every value, so that corrections can be applied to them. More costs 16 bytes per value and device.
const DETAILED: usize = 3;
/// Days of the mean.
const MEAN_DAYS: usize = 7;
/// A day counts as full when so many seconds of it are covered: 95 % of 24 hours, which a day of 23 hours reaches too.
const FULL_S: i64 = 82_080;

/// Days of a device's first electricity channel (by name).
#[derive(Debug, Clone)]
pub struct Usage {
    channel: Arc<str>,
    /// Oldest first.
    days: Vec<Day>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Day {
    number: i32,
    first_start: i64,
    total: i64,
    covered_s: i64,
    /// Values by start; empty and `detailed` false once the day has only its total.
    values: Vec<Value>,
    detailed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value {
    /// Seconds after the earliest instant that any zone calls this day.
    offset_s: u32,
    duration_s: i32,
    value: i64,
}

/// Whether a reading reached its day's total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// The rule has no use for it.
    NotConcerned,
    /// It counts.
    Counted,
    /// Its day has fallen out of the window, or has no single values any more and it corrects one.
    TooLate,
}

/// A day beside the days before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// The day.
    pub day: i32,
    /// Start of its first reading; UTC microseconds.
    pub first_start: i64,
    /// Its total so far, in millionths of a kWh.
    pub total: i128,
    /// Mean of the seven full days before.
    pub mean: i128,
    /// Whether the total is high.
    pub high: bool,
    /// Whether the day is complete.
    pub full: bool,
}

/// Millionths of a kWh; `None` for what is no energy.
fn micro_kwh(reading: &Reading<'_>) -> Option<i64> {
    match Unit::parse(reading.unit)? {
        Unit::KilowattHour => Some(reading.value),
        Unit::WattHour => Some(reading.value / 1_000),
        _ => None,
    }
}

/// The earliest instant that any zone calls this day: zones are at most 14 hours ahead of UTC. The window of the day's
/// alert, and what offsets of its values count from.
pub fn day_base(number: i32) -> i64 {
    i64::from(number) * DAY - 14 * super::HOUR
}

/// The day of a window made by [`day_base`].
pub fn day_of_base(window: i64) -> i32 {
    i32::try_from((window + 14 * super::HOUR).div_euclid(DAY)).unwrap_or(i32::MAX)
}

impl Usage {
    /// Notes a reading in a device's days, which begin with the first usable one. A doubtful value (a spike) covers its
    /// time but adds nothing.
    pub fn learn(usage: &mut Option<Box<Self>>, reading: &Reading<'_>, intern: &mut Intern) -> Learned {
        let usable =
            reading.commodity == Commodity::Electricity && reading.kind == Kind::Interval && reading.duration_s > 0;
        let Some(value) = micro_kwh(reading).filter(|_| usable) else { return Learned::NotConcerned };
        let tracked = usage.as_ref().map(|usage| usage.channel.as_ref().cmp(reading.channel));
        match tracked {
            Some(std::cmp::Ordering::Less) => return Learned::NotConcerned,
            Some(std::cmp::Ordering::Equal) => {}
            Some(std::cmp::Ordering::Greater) | None => {
                *usage = Some(Box::new(Self { channel: intern.get(reading.channel), days: Vec::new() }));
            }
        }
        let value = if reading.spike { 0 } else { value };
        usage.as_mut().map_or(Learned::NotConcerned, |usage| usage.add(reading, value))
    }

    fn add(&mut self, reading: &Reading<'_>, value: i64) -> Learned {
        let offset_s = (reading.start - day_base(reading.local_day)).div_euclid(SECOND);
        let Ok(offset_s) = u32::try_from(offset_s) else { return Learned::TooLate };
        let Some(day) = self.day_mut(reading.local_day, reading.start) else { return Learned::TooLate };
        day.first_start = day.first_start.min(reading.start);
        let value = Value { offset_s, duration_s: reading.duration_s, value };
        if day.detailed {
            day.put(value);
        } else if reading.version == 1 {
            day.total = day.total.saturating_add(value.value);
            day.covered_s += i64::from(value.duration_s);
        } else {
            return Learned::TooLate;
        }
        Learned::Counted
    }

    /// The day, new if need be; `None` when it lies before the window.
    fn day_mut(&mut self, number: i32, start: i64) -> Option<&mut Day> {
        let index = match self.days.binary_search_by_key(&number, |day| day.number) {
            Ok(index) => return self.days.get_mut(index),
            Err(0) if self.days.len() == DAYS => return None,
            Err(index) => index,
        };
        let newer = self.days.len() - index;
        let day =
            Day { number, first_start: start, total: 0, covered_s: 0, values: Vec::new(), detailed: newer < DETAILED };
        self.days.insert(index, day);
        if self.days.len() > DAYS {
            self.days.remove(0);
        }
        let past = self.days.len().saturating_sub(DETAILED);
        self.days[..past].iter_mut().for_each(Day::forget_values);
        self.days.iter_mut().find(|day| day.number == number)
    }

    /// Compares a day with the seven full days before it; `None` without seven within the days kept.
    pub fn compare(&self, number: i32, limit: HighUsage) -> Option<Comparison> {
        let index = self.days.binary_search_by_key(&number, |day| day.number).ok()?;
        let oldest = number.saturating_sub(DAYS as i32 - 1);
        let before = self.days[..index].iter().rev().filter(|day| day.number >= oldest && day.is_full());
        let totals: Vec<i128> = before.take(MEAN_DAYS).map(|day| i128::from(day.total)).collect();
        if totals.len() < MEAN_DAYS {
            return None;
        }
        let sum: i128 = totals.iter().sum();
        let day = &self.days[index];
        let total = i128::from(day.total);
        let over_mean = total * MEAN_DAYS as i128 * 100 > sum * i128::from(limit.ratio_percent);
        let over_floor = total > i128::from(limit.floor_kwh) * 1_000_000;
        Some(Comparison {
            day: number,
            first_start: day.first_start,
            total,
            mean: sum / MEAN_DAYS as i128,
            high: over_mean && over_floor,
            full: day.is_full(),
        })
    }

    /// The first day from `number` on that ends a high usage of day `number`: that day itself when it is not high any
    /// more, or a later full day that is not high.
    pub fn end_of_high(&self, number: i32, limit: HighUsage) -> Option<Comparison> {
        let from_day = self.days.iter().filter(|day| day.number >= number);
        from_day
            .filter_map(|day| self.compare(day.number, limit))
            .find(|day| !day.high && (day.day == number || day.full))
    }
}

impl Day {
    fn is_full(&self) -> bool {
        self.covered_s >= FULL_S
    }

    fn put(&mut self, value: Value) {
        let found = self.values.binary_search_by_key(&value.offset_s, |known| known.offset_s);
        let before = match found {
            Ok(index) => std::mem::replace(&mut self.values[index], value),
            Err(index) => {
                self.values.insert(index, value);
                Value { offset_s: value.offset_s, duration_s: 0, value: 0 }
            }
        };
        self.total = self.total.saturating_add(value.value).saturating_sub(before.value);
        self.covered_s += i64::from(value.duration_s) - i64::from(before.duration_s);
    }

    fn forget_values(&mut self) {
        self.detailed = false;
        self.values = Vec::new();
    }
}

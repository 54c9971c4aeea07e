//! Measured series as the shapes of simulated use: parsed, brought to one grid, and tamed so that no rule of validation
//! and no alert has a reason to speak on days without a fault.
//!
//! Taming bends outliers, it hides no fault: within a day no value exceeds three times the third highest, and no day is
//! larger than one and a half times the mean of the seven before it.

use super::calendar::ordinal_of;
use chrono::NaiveDate;

/// A line of a series that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSeries {
    /// The line is not `timestamp,number`.
    #[error("line {line} is not `timestamp,number`: {text:?}")]
    Line {
        /// 1-based, the header counted.
        line: usize,
        /// Beginning of the line.
        text: String,
    },
    /// Fewer days than a season of use needs.
    #[error("{0} whole days, fewer than 28")]
    TooShort(usize),
}

/// How a series is brought to the use of one kind of meter. Quantities are of one interval, in the meter's unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    /// Intervals of an ordinary day.
    pub slots: usize,
    /// Take off each day what flows all the time (for series of another commodity).
    pub without_base: bool,
    /// Mean to scale to.
    pub mean: f64,
    /// Flows always.
    pub base: f64,
    /// No interval exceeds it.
    pub max: f64,
    /// Largest value of a day without other use: must stay below the smallest value that counts as a spike.
    pub alone: f64,
    /// Most that flows in each of the hours 2, 3 and 4.
    pub night: Option<f64>,
    /// Intervals over which a day that is too small is filled; all of them when empty.
    pub fill: &'static [usize],
}

/// Half-hourly electricity in kWh.
pub(crate) const ELECTRICITY_PROFILE: Profile =
    Profile { slots: 48, without_base: false, mean: 0.2, base: 0.05, max: 2.4, alone: 0.1, night: None, fill: &[] };
/// Hourly gas in m3.
pub(crate) const GAS_PROFILE: Profile = Profile {
    slots: 24,
    without_base: false,
    mean: 0.25,
    base: 0.0,
    max: 2.4,
    alone: 0.1,
    night: None,
    fill: &[6, 7, 18, 19],
};
/// Hourly water in litres.
pub(crate) const WATER_PROFILE: Profile = Profile {
    slots: 24,
    without_base: true,
    mean: 14.0,
    base: 0.0,
    max: 300.0,
    alone: 25.0,
    night: Some(4.0),
    fill: &[6, 7, 18, 19, 20],
};

/// Days of use, repeated without end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    first_ordinal: i32,
    slots: usize,
    micro: Vec<u32>,
}

/// Day of a shape's year that seasons are aligned on (2025-01-01).
const REFERENCE_ORDINAL: i32 = 20_089;
const YEAR_OF_WEEKS: i64 = 364;

impl Shape {
    /// Reads a series with the columns `start,value` and bends it to the profile. The wall clock of the stamps counts, as
    /// habits follow it; of an hour that comes twice the first is taken, one that is missing repeats the hour before.
    ///
    /// # Errors
    /// [`InvalidSeries`] with the line.
    pub(crate) fn parse(text: &str, profile: &Profile) -> Result<Self, InvalidSeries> {
        let (first_ordinal, mut days) = parse_days(text)?;
        // Whole weeks, so that Monday follows Sunday also where the shape begins again.
        days.truncate(days.len() / 7 * 7);
        if days.len() < 28 {
            return Err(InvalidSeries::TooShort(days.len()));
        }
        let mut days: Vec<Vec<f64>> = days.into_iter().map(|day| to_grid(&day, profile.slots)).collect();
        bend(&mut days, profile);
        let micro = days.iter().flatten().map(|value| (value * 1e6).round() as u32).collect();
        Ok(Self { first_ordinal, slots: profile.slots, micro })
    }

    /// Where a device with this random number begins to read: same season and weekday, give or take four weeks.
    pub(crate) fn shift(&self, random: u64) -> i64 {
        let at_reference = i64::from(REFERENCE_ORDINAL - self.first_ordinal).rem_euclid(YEAR_OF_WEEKS);
        let years = (self.days() / YEAR_OF_WEEKS).max(1) as u64;
        let weeks = (random % 9) as i64 - 4;
        at_reference + YEAR_OF_WEEKS * ((random >> 8) % years) as i64 + 7 * weeks - i64::from(REFERENCE_ORDINAL)
    }

    /// Use in an interval of a day, in millionths of the unit.
    pub(crate) fn micro(&self, ordinal: i32, shift: i64, of_day: usize) -> i64 {
        let day = (i64::from(ordinal) + shift).rem_euclid(self.days()) as usize;
        i64::from(self.micro[day * self.slots + of_day % self.slots])
    }

    fn days(&self) -> i64 {
        (self.micro.len() / self.slots) as i64
    }
}

/// The days of the file as half-hours or hours of the wall clock, and the ordinal of the first.
fn parse_days(text: &str) -> Result<(i32, Vec<Vec<f64>>), InvalidSeries> {
    let rows = text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty());
    let rows: Vec<_> = rows.map(|(at, line)| parse_row(at + 1, line)).collect::<Result<_, _>>()?;
    let slots: usize = if rows.iter().any(|row| row.half_hour % 2 == 1) { 48 } else { 24 };
    let (Some(first), Some(last)) = (rows.iter().map(|r| r.day).min(), rows.iter().map(|r| r.day).max()) else {
        return Err(InvalidSeries::TooShort(0));
    };
    let count = (last - first + 1) as usize;
    let mut seen: Vec<Option<f64>> = vec![None; count * slots];
    for row in rows {
        let at = (row.day - first) as usize * slots + row.half_hour * slots / 48;
        seen[at].get_or_insert(row.value);
    }
    let mut before = 0.0;
    let filled: Vec<f64> = seen
        .into_iter()
        .map(|value| {
            before = value.unwrap_or(before);
            before
        })
        .collect();
    Ok((first, filled.chunks(slots).map(<[f64]>::to_vec).collect()))
}

struct Row {
    day: i32,
    half_hour: usize,
    value: f64,
}

/// `2012-10-12 00:30:00,0.04`, with a `T` or a space, and whatever zone behind the minutes.
fn parse_row(line: usize, text: &str) -> Result<Row, InvalidSeries> {
    let parse = || {
        let (stamp, value) = text.split_once(',')?;
        let date: NaiveDate = stamp.get(..10)?.parse().ok()?;
        let hour: usize = stamp.get(11..13)?.parse().ok()?;
        let minute: usize = stamp.get(14..16)?.parse().ok()?;
        let value: f64 = value.trim().parse().ok()?;
        let in_range = hour < 24 && minute < 60 && value.is_finite();
        in_range.then(|| Row { day: ordinal_of(date), half_hour: hour * 2 + minute / 30, value: value.max(0.0) })
    };
    parse().ok_or_else(|| InvalidSeries::Line { line, text: text.chars().take(60).collect() })
}

fn to_grid(day: &[f64], slots: usize) -> Vec<f64> {
    match (day.len(), slots) {
        (24, 48) => day.iter().flat_map(|hour| [hour / 2.0, hour / 2.0]).collect(),
        (48, 24) => day.chunks(2).map(|pair| pair.iter().sum()).collect(),
        _ => day.to_vec(),
    }
}

fn bend(days: &mut [Vec<f64>], profile: &Profile) {
    if profile.without_base {
        days.iter_mut().for_each(|day| take_off_base(day));
    }
    let count = (days.len() * profile.slots) as f64;
    let mean = days.iter().flatten().sum::<f64>() / count;
    let factor = if mean > 0.0 { profile.mean / mean } else { 0.0 };
    for day in days.iter_mut() {
        day.iter_mut().for_each(|value| *value = (*value * factor + profile.base).min(profile.max));
        fill_small_day(day, profile);
        if let Some(most) = profile.night {
            let hour = profile.slots / 24;
            day[2 * hour..5 * hour].iter_mut().for_each(|value| *value = value.min(most));
        }
        limit_peaks(day, profile.alone);
    }
    limit_growth(days);
}

/// Subtracts what the lower third of the day's intervals stays under.
fn take_off_base(day: &mut [f64]) {
    let mut sorted = day.to_vec();
    sorted.sort_by(f64::total_cmp);
    let base = sorted[sorted.len() / 3];
    day.iter_mut().for_each(|value| *value = (*value - base).max(0.0));
}

/// A day of less than a third of the mean is filled up: nobody's use triples from one week to the next.
fn fill_small_day(day: &mut [f64], profile: &Profile) {
    let missing = profile.mean * profile.slots as f64 / 3.0 - day.iter().sum::<f64>();
    if missing <= 0.0 {
        return;
    }
    let everywhere: Vec<usize> = (0..day.len()).collect();
    let fill = if profile.fill.is_empty() { &everywhere } else { profile.fill };
    fill.iter().for_each(|slot| day[*slot] += missing / fill.len() as f64);
}

/// Bends peaks to three times the third highest value, found without counting an hour: on the day on which the clocks go
/// forward, an hour is missing, and it may be the one with the high values.
fn limit_peaks(day: &mut [f64], alone: f64) {
    let mut sorted = day.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let most = (3.0 * sorted[2 + day.len() / 24]).max(alone);
    day.iter_mut().for_each(|value| *value = value.min(most));
}

/// Shrinks days that are too large for the week before them. The shape is a ring, so it is gone round until quiet.
fn limit_growth(days: &mut [Vec<f64>]) {
    let count = days.len();
    let mut totals: Vec<f64> = days.iter().map(|day| day.iter().sum()).collect();
    for at in (0..3 * count).map(|step| step % count) {
        let week = (1..=7).map(|back| totals[(at + count - back) % count]).sum::<f64>() / 7.0;
        let most = 1.5 * week;
        if totals[at] > most {
            let factor = most / totals[at];
            days[at].iter_mut().for_each(|value| *value *= factor);
            totals[at] = most;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(days: i32, value: impl Fn(i32, i32) -> f64) -> String {
        let first: NaiveDate = "2020-04-01".parse().unwrap();
        let rows = (0..days).flat_map(|day| (0..24).map(move |hour| (day, hour)));
        let lines = rows.map(|(day, hour)| {
            let date = first + chrono::TimeDelta::days(i64::from(day));
            format!("{date} {hour:02}:00:00+00:00,{}\n", value(day, hour))
        });
        std::iter::once("start,value\n".to_owned()).chain(lines).collect()
    }

    #[test]
    fn hours_become_half_hours_with_the_mean_of_the_profile() {
        let shape = Shape::parse(&series(35, |_, hour| f64::from(hour % 5) + 1.0), &ELECTRICITY_PROFILE).unwrap();
        assert_eq!(shape.micro.len(), 35 * 48);
        let mean = shape.micro.iter().map(|v| f64::from(*v)).sum::<f64>() / shape.micro.len() as f64;
        assert!((mean / 1e6 - 0.25).abs() < 1e-3, "{mean}");
    }

    #[test]
    fn peak_of_a_day_is_bent_to_three_times_the_third_highest() {
        let text = series(35, |day, hour| if (day, hour) == (9, 12) { 500.0 } else { 1.0 });
        let shape = Shape::parse(&text, &GAS_PROFILE).unwrap();
        let day = &shape.micro[9 * 24..10 * 24];
        let (highest, other) = (day[12], day[3]);
        assert!(u64::from(highest) <= 3 * u64::from(other) + 2, "{highest} {other}");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
        #[test]
        fn any_series_becomes_quiet(values in proptest::collection::vec(0.0f64..50.0, 35 * 24), zeros in 0u8..4) {
            let value = |day: i32, hour: i32| {
                let value = values[(day * 24 + hour) as usize];
                if (value as u8) % 4 < zeros { 0.0 } else { value }
            };
            for profile in [&ELECTRICITY_PROFILE, &GAS_PROFILE, &WATER_PROFILE] {
                let shape = Shape::parse(&series(35, value), profile).unwrap();
                let days: Vec<&[u32]> = shape.micro.chunks(profile.slots).collect();
                let alone = (profile.alone * 1e6) as u32 + 1;
                for day in &days {
                    let mut sorted = day.to_vec();
                    sorted.sort_unstable_by(|a, b| b.cmp(a));
                    proptest::prop_assert!(sorted[0] <= (3 * sorted[2] + 4).max(alone), "{:?}", &sorted[..4]);
                }
                let totals: Vec<u64> = days.iter().map(|day| day.iter().map(|v| u64::from(*v)).sum()).collect();
                for week in totals.windows(8) {
                    let mean = week[..7].iter().sum::<u64>() as f64 / 7.0;
                    proptest::prop_assert!(week[7] as f64 <= 1.51 * mean + 100.0, "{} after {mean}", week[7]);
                }
            }
        }
    }

    #[test]
    fn unreadable_line_is_named() {
        let error = Shape::parse("start,value\n2020-04-01 00:00:00,1\nrubbish\n", &GAS_PROFILE).unwrap_err();
        assert_eq!(error, InvalidSeries::Line { line: 3, text: "rubbish".into() });
        assert_eq!(Shape::parse("start,value\n", &GAS_PROFILE), Err(InvalidSeries::TooShort(0)));
    }

    #[test]
    fn device_reads_the_same_season_and_weekday_as_the_calendar() {
        let shape = Shape::parse(&series(728, |_, _| 1.0), &GAS_PROFILE).unwrap();
        for random in [0, 5, 77, 1 << 20] {
            let at_reference = i64::from(REFERENCE_ORDINAL) + shape.shift(random);
            let of_shape = i64::from(shape.first_ordinal) + at_reference.rem_euclid(shape.days());
            assert_eq!((of_shape - i64::from(REFERENCE_ORDINAL)).rem_euclid(7), 0, "weekday");
            let apart = (of_shape - i64::from(REFERENCE_ORDINAL)).rem_euclid(YEAR_OF_WEEKS);
            assert!(apart <= 28 || apart >= YEAR_OF_WEEKS - 28, "season: {apart} days apart");
        }
    }
}

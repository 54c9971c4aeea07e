//! Local days of a zone as grids of intervals, with 23, 24 or 25 hours.

use chrono::{DateTime, Datelike, NaiveDate, TimeZone, Timelike};
use chrono_tz::Tz;

const MICROS: i64 = 1_000_000;
const EPOCH_DAYS_FROM_CE: i32 = 719_163;

/// One interval of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Start; UTC microseconds.
    pub start: i64,
    /// Position on the wall clock, in intervals since midnight: it repeats or jumps when the clocks change, and so does
    /// what people do.
    pub of_day: usize,
}

/// One local day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DayGrid {
    /// Days since 1970-01-01.
    pub ordinal: i32,
    /// Local midnight; UTC microseconds.
    pub start: i64,
    /// The following local midnight; UTC microseconds.
    pub end: i64,
    half_hours: Vec<Slot>,
    hours: Vec<Slot>,
}

impl DayGrid {
    /// The day with this ordinal in the zone; `None` beyond the years that dates can hold.
    pub(crate) fn new(zone: Tz, ordinal: i32) -> Option<Self> {
        let date = date_of(ordinal)?;
        let (start, end) = (midnight(zone, date)?, midnight(zone, date.succ_opt()?)?);
        let grid = |step_s: i64| slots(zone, start, end, step_s);
        Some(Self { ordinal, start, end, half_hours: grid(1800), hours: grid(3600) })
    }

    /// The day's intervals of this length: half-hours for 1800, hours otherwise.
    pub(crate) fn slots(&self, interval_s: i32) -> &[Slot] {
        if interval_s == 1800 { &self.half_hours } else { &self.hours }
    }
}

fn slots(zone: Tz, start: i64, end: i64, step_s: i64) -> Vec<Slot> {
    let of_day = |instant: i64| {
        let wall = DateTime::from_timestamp_micros(instant).map(|utc| utc.with_timezone(&zone).time());
        wall.map_or(0, |time| (i64::from(time.num_seconds_from_midnight()) / step_s) as usize)
    };
    let step = usize::try_from(step_s * MICROS).unwrap_or(usize::MAX);
    (start..end).step_by(step).map(|start| Slot { start, of_day: of_day(start) }).collect()
}

fn midnight(zone: Tz, date: NaiveDate) -> Option<i64> {
    zone.from_local_datetime(&date.and_hms_opt(0, 0, 0)?).earliest().map(|instant| instant.timestamp_micros())
}

/// Days since 1970-01-01 of a date.
pub(crate) fn ordinal_of(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - EPOCH_DAYS_FROM_CE
}

/// The date of an ordinal.
pub(crate) fn date_of(ordinal: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(ordinal.checked_add(EPOCH_DAYS_FROM_CE)?)
}

/// The local date in the zone at an instant (UTC microseconds), as an ordinal.
pub(crate) fn local_ordinal(zone: Tz, micros: i64) -> Option<i32> {
    Some(ordinal_of(DateTime::from_timestamp_micros(micros)?.with_timezone(&zone).date_naive()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(zone: Tz, text: &str) -> DayGrid {
        DayGrid::new(zone, ordinal_of(text.parse().unwrap())).unwrap()
    }

    #[test]
    fn days_of_clock_changes_have_46_and_50_half_hours() {
        for (zone, spring, autumn) in
            [(Tz::Europe__London, "2026-03-29", "2026-10-25"), (Tz::America__Chicago, "2026-03-08", "2026-11-01")]
        {
            assert_eq!(day(zone, spring).slots(1800).len(), 46);
            assert_eq!(day(zone, spring).slots(3600).len(), 23);
            assert_eq!(day(zone, autumn).slots(1800).len(), 50);
            assert_eq!(day(zone, autumn).slots(3600).len(), 25);
            assert_eq!(day(zone, "2026-06-10").slots(1800).len(), 48);
        }
    }

    #[test]
    fn repeated_hour_has_the_same_place_on_the_wall_clock_twice() {
        let grid = day(Tz::Europe__London, "2026-10-25");
        let at_one = grid.slots(3600).iter().filter(|slot| slot.of_day == 1).count();
        assert_eq!(at_one, 2);
        let skipped = day(Tz::Europe__London, "2026-03-29");
        assert!(skipped.slots(3600).iter().all(|slot| slot.of_day != 1));
    }

    #[test]
    fn days_follow_each_other_without_a_hole() {
        for ordinal in 20_500..20_900 {
            let day = DayGrid::new(Tz::America__Chicago, ordinal).unwrap();
            assert_eq!(day.end, DayGrid::new(Tz::America__Chicago, ordinal + 1).unwrap().start);
            assert_eq!(local_ordinal(Tz::America__Chicago, day.start), Some(ordinal));
            assert_eq!(local_ordinal(Tz::America__Chicago, day.end - 1), Some(ordinal));
        }
    }
}

//! Calendar days in a site's time zone, with 23, 24 or 25 hours.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, TimeZone};
use chrono_tz::Tz;

/// Days since 1970-01-01, as Avro `date` and Parquet DATE count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDay(pub i32);

/// A name that the IANA time zone database does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IANA time zone")]
pub struct UnknownZone(String);

const EPOCH_DAYS_FROM_CE: i32 = 719_163;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// Finds the local day of instants of one zone, fast for instants that come in order: it remembers the borders of the day
/// it found last, so a block of readings asks the zone database once a day.
#[derive(Debug, Clone)]
pub struct LocalDays {
    zone: Tz,
    day: i32,
    from: i64,
    to: i64,
}

impl LocalDays {
    /// Finder for a zone by its IANA name.
    ///
    /// # Errors
    /// [`UnknownZone`] when the database does not hold the name.
    pub fn parse(zone: &str) -> Result<Self, UnknownZone> {
        let zone = zone.parse::<Tz>().map_err(|_| UnknownZone(zone.chars().take(64).collect()))?;
        Ok(Self { zone, day: 0, from: 0, to: 0 })
    }

    /// The calendar day on which the instant (UTC microseconds) falls; `None` outside the years that dates can hold.
    pub fn of(&mut self, micros: i64) -> Option<LocalDay> {
        if micros < self.from || micros >= self.to {
            self.remember(micros)?;
        }
        Some(LocalDay(self.day))
    }

    /// Length of the local day in seconds: 86,400, or an hour less or more when the clocks change.
    pub fn length_s(&mut self, micros: i64) -> Option<i64> {
        self.of(micros)?;
        Some((self.to - self.from) / MICROS_PER_SECOND)
    }

    fn remember(&mut self, micros: i64) -> Option<()> {
        let date = DateTime::from_timestamp_micros(micros)?.with_timezone(&self.zone).date_naive();
        let from = self.midnight(date)?;
        let to = self.midnight(date.succ_opt()?)?;
        (self.day, self.from, self.to) = (date.num_days_from_ce() - EPOCH_DAYS_FROM_CE, from, to);
        Some(())
    }

    /// First instant of the local date. Where the clocks skip midnight (as in parts of South America), the day begins when
    /// they resume; where midnight comes twice, it begins with the first.
    fn midnight(&self, date: NaiveDate) -> Option<i64> {
        let mut local = date.and_hms_opt(0, 0, 0)?;
        for _ in 0..=4 * 24 {
            if let Some(instant) = self.zone.from_local_datetime(&local).earliest() {
                return Some(instant.timestamp_micros());
            }
            local += TimeDelta::minutes(15);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn micros(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
    }

    #[test]
    fn spring_day_has_23_hours_and_autumn_day_25() {
        let mut london = LocalDays::parse("Europe/London").unwrap();
        assert_eq!(london.length_s(micros("2026-03-29T12:00:00Z")), Some(23 * 3600));
        assert_eq!(london.length_s(micros("2026-10-25T12:00:00Z")), Some(25 * 3600));
        assert_eq!(london.length_s(micros("2026-07-01T12:00:00Z")), Some(24 * 3600));
    }

    #[test]
    fn summer_evening_belongs_to_the_next_local_day() {
        let mut london = LocalDays::parse("Europe/London").unwrap();
        let evening = london.of(micros("2026-07-01T23:30:00Z")).unwrap();
        let noon = london.of(micros("2026-07-02T12:00:00Z")).unwrap();
        assert_eq!(evening, noon);
    }

    #[test]
    fn day_without_a_midnight_begins_when_the_clocks_resume() {
        let mut asuncion = LocalDays::parse("America/Asuncion").unwrap();
        assert_eq!(asuncion.length_s(micros("2023-10-01T12:00:00Z")), Some(23 * 3600));
    }

    #[test]
    fn unknown_zone_is_named() {
        assert_eq!(
            LocalDays::parse("Mars/Olympus").unwrap_err().to_string(),
            "\"Mars/Olympus\" is not an IANA time zone"
        );
    }

    proptest! {
        #[test]
        fn remembering_a_day_changes_no_answer(instants in prop::collection::vec(0i64..4_000_000_000, 1..50)) {
            let mut kept = LocalDays::parse("America/Chicago").unwrap();
            for second in instants {
                let mut fresh = LocalDays::parse("America/Chicago").unwrap();
                prop_assert_eq!(kept.of(second * 1_000_000), fresh.of(second * 1_000_000));
            }
        }
    }
}

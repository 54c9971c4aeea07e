//! Times on the command line: absolute, or so long ago. Pure.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use std::str::FromStr;

/// A time that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// This time.
    At(DateTime<Utc>),
    /// So long before now.
    Ago(Duration),
}

impl When {
    /// The time, when it is now.
    pub(crate) fn at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.checked_sub_signed(span).unwrap_or(DateTime::<Utc>::MIN_UTC),
        }
    }
}

impl std::fmt::Display for When {
    /// As it can be parsed again.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(at) => write!(f, "{}", at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
            Self::Ago(span) => write!(f, "{}s", span.num_seconds()),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(at.to_utc()));
        }
        if let Ok(day) = text.parse::<NaiveDate>() {
            return Ok(Self::At(day.and_time(chrono::NaiveTime::MIN).and_utc()));
        }
        ago(text).map(Self::Ago).ok_or_else(|| {
            "needs a time (2026-01-31T08:00:00Z), a day (2026-01-31, from its beginning in UTC) or a span (30m, 6h, 2d)"
                .to_owned()
        })
    }
}

fn ago(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number >= 0)?;
    match unit {
        's' => Duration::try_seconds(number),
        'm' => Duration::try_minutes(number),
        'h' => Duration::try_hours(number),
        'd' => Duration::try_days(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> String {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        text.parse::<When>().unwrap().at(now).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }

    #[test]
    fn times_days_and_spans_are_understood() {
        assert_eq!(at("2026-01-31T08:00:00+01:00"), "2026-01-31T07:00:00Z");
        assert_eq!(at("2026-01-31"), "2026-01-31T00:00:00Z");
        assert_eq!(
            ["90s", "30m", "6h", "2d"].map(at).join(" "),
            "1970-01-12T13:45:10Z 1970-01-12T13:16:40Z 1970-01-12T07:46:40Z 1970-01-10T13:46:40Z"
        );
    }

    #[test]
    fn longer_ago_than_there_is_time_is_the_beginning_of_time() {
        assert_eq!("99999999999d".parse::<When>().unwrap().at(DateTime::UNIX_EPOCH), DateTime::<Utc>::MIN_UTC);
    }

    proptest! {
        #[test]
        fn nonsense_is_refused_and_never_panics(text in "\\PC{0,12}") {
            let meaning = text.parse::<When>();
            prop_assert!(meaning.is_err() || text.starts_with(|first: char| first.is_ascii_digit() || first == '+'));
        }
    }
}

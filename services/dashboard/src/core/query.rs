//! Parameters of requests: what they may be, and what is wrong with them.

use chrono::{DateTime, NaiveDate, Utc};
use std::collections::BTreeMap;

/// What is wrong with a parameter: its name and a sentence.
pub type Wrong = (&'static str, String);

/// The parameters of a request, each at most once.
#[derive(Debug, Clone, Default)]
pub struct Query(BTreeMap<String, String>);

/// Items of a page when nobody says.
pub const DEFAULT_LIMIT: usize = 50;

impl Query {
    /// Of `name=value` pairs; of those that come twice, the last one counts.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// A parameter that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Items of a page: 1 to `most`.
    ///
    /// # Errors
    /// [`Wrong`], as with the others.
    pub fn limit(&self, most: usize) -> Result<usize, Wrong> {
        let Some(text) = self.text("limit") else { return Ok(DEFAULT_LIMIT.min(most)) };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| ("limit", format!("must be a number from 1 to {most}")))
    }

    /// An instant by RFC 3339.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn instant(&self, name: &'static str) -> Result<Option<DateTime<Utc>>, Wrong> {
        let parse = |text: &str| DateTime::parse_from_rfc3339(text).map(|time| time.with_timezone(&Utc));
        self.text(name)
            .map(parse)
            .transpose()
            .map_err(|_| (name, "must be an instant such as 2026-03-29T00:00:00Z".into()))
    }

    /// A local day.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn day(&self, name: &'static str) -> Result<Option<NaiveDate>, Wrong> {
        let parsed = self.text(name).map(|text| text.parse()).transpose();
        parsed.map_err(|_| (name, "must be a day such as 2026-03-29".into()))
    }

    /// One of several words.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn word(&self, name: &'static str, words: &'static [&'static str]) -> Result<Option<&'static str>, Wrong> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let word = words.iter().copied().find(|word| *word == text);
        word.map(Some).ok_or_else(|| (name, format!("must be one of {}", words.join(", "))))
    }

    /// A half-open span of instants, at most so many days long.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn span(&self, most_days: i64) -> Result<(DateTime<Utc>, DateTime<Utc>), Wrong> {
        let from = self.instant("from")?.ok_or_else(|| ("from", "must be given".to_owned()))?;
        let to = self.instant("to")?.ok_or_else(|| ("to", "must be given".to_owned()))?;
        if from >= to || (to - from).num_days() > most_days {
            return Err(("to", format!("must lie after from, by at most {most_days} days")));
        }
        Ok((from, to))
    }

    /// A half-open span of local days, at most so many long.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn days(&self, most_days: i64) -> Result<(NaiveDate, NaiveDate), Wrong> {
        let from = self.day("from")?.ok_or_else(|| ("from", "must be given".to_owned()))?;
        let to = self.day("to")?.ok_or_else(|| ("to", "must be given".to_owned()))?;
        if from >= to || (to - from).num_days() > most_days {
            return Err(("to", format!("must lie after from, by at most {most_days} days")));
        }
        Ok((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        Query::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(query(&[]).limit(500), Ok(50));
        assert_eq!(query(&[]).limit(20), Ok(20));
        assert_eq!(query(&[("limit", "500")]).limit(500), Ok(500));
        for wrong in ["0", "501", "-1", "many", "1e3"] {
            assert_eq!(query(&[("limit", wrong)]).limit(500).unwrap_err().0, "limit", "{wrong}");
        }
    }

    #[test]
    fn spans_are_half_open_and_bounded() {
        let span = |from: &str, to: &str| query(&[("from", from), ("to", to)]).days(31);
        assert!(span("2026-03-01", "2026-04-01").is_ok());
        assert_eq!(span("2026-03-01", "2026-03-01").unwrap_err().0, "to");
        assert_eq!(span("2026-03-01", "2026-05-01").unwrap_err().0, "to");
        assert_eq!(span("yesterday", "2026-05-01").unwrap_err().0, "from");
        assert_eq!(query(&[("to", "2026-05-01")]).days(31).unwrap_err().0, "from");
        assert!(query(&[("from", "2026-03-01T00:00:00+01:00"), ("to", "2026-03-02T00:00:00Z")]).span(2).is_ok());
        assert!(query(&[("from", "2026-03-01"), ("to", "2026-03-02T00:00:00Z")]).span(2).is_err());
    }
}

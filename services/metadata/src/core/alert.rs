//! Alert settings.

use meterway_proto::metadata::v1;

use super::fields::{Check, Violations, timestamp};
use super::names;

/// Longest window of a rule: a year.
const MAX_WINDOW_S: i64 = 366 * 86_400;

/// Longest note, in characters.
const MAX_NOTE: usize = 500;

/// A rule, in the words of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Name of the kind.
    pub kind: String,
    /// Name of the class; `ANY` for every class.
    pub customer_class: String,
    /// Whether such alerts open.
    pub enabled: bool,
    /// Threshold as a decimal; `None` for the default.
    pub threshold: Option<String>,
    /// Window in seconds; `None` for the default.
    pub window_s: Option<i64>,
    /// Name of the severity; `None` for the default.
    pub severity: Option<String>,
    /// Microseconds since 1970.
    pub updated_at: i64,
}

/// Something that was declared normal for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Device.
    pub device_id: String,
    /// Name of the kind.
    pub kind: String,
    /// Until when; microseconds since 1970.
    pub until: Option<i64>,
    /// Why.
    pub note: String,
    /// Microseconds since 1970.
    pub updated_at: i64,
}

/// Name of an alert kind that must be stated.
pub fn read_kind(check: &mut Check, field: &str, number: i32) -> String {
    match check.choice(field, number) {
        v1::AlertKind::Unspecified => {
            check.note(field, "is not stated");
            String::new()
        }
        kind => names::alert_kind(kind).to_owned(),
    }
}

impl Rule {
    /// Checks a rule as it was sent.
    ///
    /// # Errors
    /// Every mistake.
    pub fn parse(message: Option<v1::AlertRule>) -> Result<Self, Violations> {
        let mut check = Check::default();
        let message = check.required("rule", message);
        let threshold = check.quantity("rule.threshold", &message.threshold);
        if threshold.is_some_and(|t| t.is_negative()) {
            check.note("rule.threshold", "is negative");
        }
        let severity = match check.choice("rule.severity", message.severity) {
            v1::AlertSeverity::Unspecified => None,
            severity => Some(names::severity(severity).to_owned()),
        };
        let rule = Self {
            kind: read_kind(&mut check, "rule.kind", message.kind),
            customer_class: names::rule_class(check.choice("rule.customer_class", message.customer_class)).to_owned(),
            enabled: message.enabled,
            threshold: threshold.map(|t| t.to_string()),
            window_s: check.seconds("rule.window", message.window.as_ref(), MAX_WINDOW_S),
            severity,
            updated_at: 0,
        };
        check.finish(rule)
    }
}

impl Exception {
    /// Checks an exception as it was sent.
    ///
    /// # Errors
    /// Every mistake.
    pub fn parse(message: Option<v1::AlertException>) -> Result<Self, Violations> {
        let mut check = Check::default();
        let message = check.required("exception", message);
        let exception = Self {
            device_id: check.id("exception.device_id", &message.device_id),
            kind: read_kind(&mut check, "exception.kind", message.kind),
            until: check.micros("exception.until", message.until.as_ref()),
            note: check.text("exception.note", &message.note, 0, MAX_NOTE),
            updated_at: 0,
        };
        check.finish(exception)
    }

    /// Key of the page that it stands on. A space is in no identifier and sorts before all of their characters.
    pub fn page_key(&self) -> String {
        format!("{} {}", self.device_id, self.kind)
    }
}

impl From<Rule> for v1::AlertRule {
    fn from(rule: Rule) -> Self {
        Self {
            kind: names::alert_kind_of(&rule.kind) as i32,
            customer_class: names::rule_class_of(&rule.customer_class) as i32,
            enabled: rule.enabled,
            threshold: rule.threshold.unwrap_or_default(),
            window: rule.window_s.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
            severity: rule.severity.map_or(v1::AlertSeverity::Unspecified, |s| names::severity_of(&s)) as i32,
            updated_at: Some(timestamp(rule.updated_at)),
        }
    }
}

impl From<Exception> for v1::AlertException {
    fn from(exception: Exception) -> Self {
        Self {
            device_id: exception.device_id,
            kind: names::alert_kind_of(&exception.kind) as i32,
            until: exception.until.map(timestamp),
            note: exception.note,
            updated_at: Some(timestamp(exception.updated_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_comes_back_as_it_was_set() {
        let sent = v1::AlertRule {
            kind: v1::AlertKind::ContinuousFlow as i32,
            customer_class: v1::CustomerClass::MultiFamily as i32,
            enabled: true,
            threshold: "20".into(),
            window: Some(prost_types::Duration { seconds: 86_400, nanos: 0 }),
            severity: v1::AlertSeverity::Warning as i32,
            updated_at: None,
        };
        let back = v1::AlertRule::from(Rule::parse(Some(sent.clone())).unwrap());
        assert_eq!(back, v1::AlertRule { updated_at: Some(timestamp(0)), ..sent });
    }

    #[test]
    fn a_rule_without_a_kind_or_with_a_negative_threshold_is_refused() {
        let sent = v1::AlertRule { threshold: "-1".into(), ..Default::default() };
        let fields: Vec<_> = Rule::parse(Some(sent)).unwrap_err().0.into_iter().map(|v| v.field).collect();
        assert_eq!(fields, ["rule.threshold", "rule.kind"]);
    }
}

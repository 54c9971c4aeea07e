//! Checks of fields that collect every mistake of a message instead of stopping at the first.

use std::fmt;
use std::str::FromStr;

use meter_model::{DeviceId, Quantity};

/// A field and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `device.channels[0].unit`.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// What is wrong with a message; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    /// One mistake.
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![Violation { field: field.into(), message: message.into() }])
    }
}

impl std::error::Error for Violations {}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", violation.field, violation.message)?;
        }
        Ok(())
    }
}

/// Collects mistakes. Its checks return something usable even when they fail; [`Check::finish`] throws that away.
#[derive(Debug, Default)]
pub struct Check {
    found: Vec<Violation>,
}

impl Check {
    /// Notes a mistake.
    pub fn note(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.found.push(Violation { field: field.into(), message: message.into() });
    }

    /// An identifier.
    pub fn id(&mut self, field: &str, text: &str) -> String {
        // All identifiers of the register follow the rule of device ids.
        if let Err(error) = DeviceId::check(text) {
            self.note(field, error.to_string());
        }
        text.to_owned()
    }

    /// An identifier that may be absent.
    pub fn optional_id(&mut self, field: &str, text: &str) -> Option<String> {
        (!text.is_empty()).then(|| self.id(field, text))
    }

    /// Text for people: no control characters, at most `max` characters, at least `min`.
    pub fn text(&mut self, field: &str, text: &str, min: usize, max: usize) -> String {
        let length = text.chars().count();
        if length < min {
            self.note(field, "is empty");
        } else if length > max {
            self.note(field, format!("has {length} characters, more than {max}"));
        }
        if text.chars().any(char::is_control) {
            self.note(field, "holds a control character");
        }
        text.to_owned()
    }

    /// A decimal value; `None` when the text is empty.
    pub fn quantity(&mut self, field: &str, text: &str) -> Option<Quantity> {
        if text.is_empty() {
            return None;
        }
        match Quantity::from_str(text) {
            Ok(quantity) => Some(quantity),
            Err(error) => {
                self.note(field, error.to_string());
                None
            }
        }
    }

    /// A message that must be there.
    pub fn required<T: Default>(&mut self, field: &str, message: Option<T>) -> T {
        message.unwrap_or_else(|| {
            self.note(field, "is missing");
            T::default()
        })
    }

    /// An instant, in microseconds since 1970; `None` when absent.
    pub fn micros(&mut self, field: &str, timestamp: Option<&prost_types::Timestamp>) -> Option<i64> {
        let timestamp = timestamp?;
        let micros = timestamp.seconds.checked_mul(1_000_000);
        let micros = micros.and_then(|m| m.checked_add(i64::from(timestamp.nanos) / 1_000));
        // Years 0001 to 9999, as the type of the message promises and the database can hold.
        let valid = (-62_135_596_800..253_402_300_800).contains(&timestamp.seconds);
        if !valid || !(0..1_000_000_000).contains(&timestamp.nanos) {
            self.note(field, "is not a valid timestamp");
            return None;
        }
        micros
    }

    /// A positive duration in whole seconds; `None` when absent.
    pub fn seconds(&mut self, field: &str, duration: Option<&prost_types::Duration>, max: i64) -> Option<i64> {
        let seconds = duration?.seconds;
        if !(1..=max).contains(&seconds) {
            self.note(field, format!("is not between 1 s and {max} s"));
        }
        Some(seconds)
    }

    /// The value, unless a mistake was found.
    ///
    /// # Errors
    /// Every mistake noted.
    pub fn finish<T>(self, value: T) -> Result<T, Violations> {
        if self.found.is_empty() { Ok(value) } else { Err(Violations(self.found)) }
    }
}

/// Microseconds since 1970 as a message.
pub fn timestamp(micros: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).expect("less than a second in nanoseconds fits");
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn timestamps_round_trip(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let mut check = Check::default();
            prop_assert_eq!(check.micros("at", Some(&timestamp(micros))), Some(micros));
        }
    }

    #[test]
    fn all_mistakes_are_found_with_their_fields() {
        let mut check = Check::default();
        check.id("a", "x y");
        check.text("b", "", 1, 5);
        check.text("c", "123456", 0, 5);
        check.quantity("d", "1,5");
        check.micros("e", Some(&prost_types::Timestamp { seconds: 0, nanos: -1 }));
        check.seconds("f", Some(&prost_types::Duration { seconds: 0, nanos: 5 }), 10);
        let violations = check.finish(()).unwrap_err();
        let fields: Vec<_> = violations.0.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["a", "b", "c", "d", "e", "f"]);
        assert!(violations.to_string().starts_with("a: identifier holds the character ' '; b: is empty"));
    }
}

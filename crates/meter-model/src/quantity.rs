//! Exact decimal values.

use std::{fmt, str::FromStr};

/// A value with six decimal places and at most eighteen digits: Avro `decimal(18,6)` on `fixed(8)`, an INT64 in Parquet.
///
/// The unit is kept beside it. Never a float: 0.1 + 0.2 is 0.3 here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quantity(i64);

/// A text or number that is no [`Quantity`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// Not a decimal number.
    #[error("{0:?} is not a decimal number")]
    NotANumber(String),
    /// More than twelve digits before or six after the decimal point.
    #[error("{0:?} does not fit decimal(18,6)")]
    OutOfRange(String),
}

impl Quantity {
    /// Decimal places.
    pub const SCALE: u32 = 6;
    /// Units of the last place in one.
    pub const ONE: Self = Self(1_000_000);
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest value, 999999999999.999999; the smallest is its negative.
    pub const MAX: Self = Self(999_999_999_999_999_999);

    /// Takes an unscaled value, in millionths; `None` when it has more than eighteen digits.
    pub const fn from_micros(unscaled: i64) -> Option<Self> {
        if unscaled > Self::MAX.0 || unscaled < -Self::MAX.0 { None } else { Some(Self(unscaled)) }
    }

    /// The unscaled value, in millionths.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// `self - other`, exact; `None` when the difference does not fit.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::from_micros)
    }

    /// `self + other`, exact; `None` when the sum does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_micros)
    }

    /// Whether the value is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl FromStr for Quantity {
    type Err = InvalidQuantity;

    /// Parses `[-+]digits[.digits]`. Digits after the sixth decimal place must be zero: rounding would be a silent change
    /// of a measured value. Exponents are accepted (`1e3`), because JSON writers produce them.
    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let not_a_number = || InvalidQuantity::NotANumber(shorten(text));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((m, e)) => (m, e.parse::<i32>().map_err(|_| not_a_number())?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.as_bytes().first() {
            Some(b'-') => (true, &mantissa[1..]),
            Some(b'+') => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(not_a_number());
        }
        let shift = i64::from(exponent) + i64::from(Self::SCALE) - fraction.len() as i64;
        let unscaled = scaled(whole.bytes().chain(fraction.bytes()), shift)
            .ok_or_else(|| InvalidQuantity::OutOfRange(shorten(text)))?;
        Ok(Self(if negative { -unscaled } else { unscaled }))
    }
}

/// The digits times ten to the power of `shift`, exact and at most eighteen digits, or `None`.
fn scaled(digits: impl Iterator<Item = u8>, shift: i64) -> Option<i64> {
    let mut digits: Vec<u8> = digits.skip_while(|b| *b == b'0').collect();
    if digits.is_empty() {
        return Some(0);
    }
    let dropped = usize::try_from(-shift).unwrap_or(0);
    if dropped > 0 {
        let kept = digits.len().checked_sub(dropped)?;
        if digits.drain(kept..).any(|b| b != b'0') {
            return None;
        }
    }
    let zeros = usize::try_from(shift).unwrap_or(0);
    if digits.len() + zeros > 18 {
        return None;
    }
    let value = digits.iter().fold(0i64, |sum, b| sum * 10 + i64::from(b - b'0'));
    Some(value * 10i64.pow(u32::try_from(zeros).ok()?))
}

/// Error messages quote the text, but never more of it than a reader needs.
fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

impl fmt::Display for Quantity {
    /// Shortest exact form: `1.5`, `-0.000001`, `7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) = (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{fraction:06}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl TryFrom<String> for Quantity {
    type Error = InvalidQuantity;
    fn try_from(text: String) -> Result<Self, InvalidQuantity> {
        text.parse()
    }
}

impl From<Quantity> for String {
    fn from(value: Quantity) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_what_meters_and_json_writers_send() {
        for (text, micros) in [
            ("0", 0),
            ("1.5", 1_500_000),
            ("-0.000001", -1),
            ("+7", 7_000_000),
            ("1e3", 1_000_000_000),
            ("12.30e-2", 123_000),
            (".5", 500_000),
        ] {
            assert_eq!(text.parse::<Quantity>().unwrap().micros(), micros, "{text}");
        }
    }

    #[test]
    fn refuses_what_would_have_to_be_rounded_or_does_not_fit() {
        for text in ["0.0000001", "1000000000000", "1e300", "1e-300", "999999999999999999999"] {
            assert!(matches!(text.parse::<Quantity>(), Err(InvalidQuantity::OutOfRange(_))), "{text}");
        }
        for text in ["", "-", ".", "NaN", "inf", "1,5", "0x10", "1e", "1.2.3", "١"] {
            assert!(matches!(text.parse::<Quantity>(), Err(InvalidQuantity::NotANumber(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(micros in -Quantity::MAX.0..=Quantity::MAX.0) {
            let value = Quantity::from_micros(micros).unwrap();
            prop_assert_eq!(value.to_string().parse::<Quantity>().unwrap(), value);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = text.parse::<Quantity>();
        }
    }
}

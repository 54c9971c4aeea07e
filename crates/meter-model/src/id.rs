//! Identifiers as they come from outside, checked once.

use std::fmt;

/// Longest identifier accepted, in bytes. A longer one would be no identifier but a payload in disguise.
const MAX_ID_BYTES: usize = 128;

/// An identifier that breaks the rule of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("identifier is empty")]
    Empty,
    /// The text is longer than 128 bytes.
    #[error("identifier has {0} bytes, more than 128")]
    TooLong(usize),
    /// The text holds a character that identifiers may not hold.
    #[error("identifier holds the character {0:?}")]
    Character(char),
}

fn check(text: &str, allowed: fn(char) -> bool) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > MAX_ID_BYTES {
        return Err(InvalidId::TooLong(text.len()));
    }
    match text.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(InvalidId::Character(c)),
        None => Ok(()),
    }
}

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')
}

fn obis(c: char) -> bool {
    plain(c) || matches!(c, '*' | '#')
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $allowed:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes the text as an identifier.
            ///
            /// # Errors
            /// [`InvalidId`] when it is empty, longer than 128 bytes or holds a character outside the allowed set.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                Self::check(text)?;
                Ok(Self(text.into()))
            }

            /// Checks the text without taking it, for hot paths that keep borrowed data.
            ///
            /// # Errors
            /// As [`Self::parse`].
            pub fn check(text: &str) -> Result<(), InvalidId> {
                check(text, $allowed)
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }
    };
}

identifier! {
    /// A tenant: ASCII letters, digits and `-_.:`, 1 to 128 bytes.
    TenantId, plain
}
identifier! {
    /// A device, unique over all tenants: ASCII letters, digits and `-_.:`, 1 to 128 bytes.
    DeviceId, plain
}
identifier! {
    /// A channel of a device: an OBIS code (IEC 62056-61, such as `1-0:1.8.0*255`) or a plain name (`water.temperature`).
    Channel, obis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obis_codes_are_channels_but_not_device_ids() {
        assert!(Channel::parse("1-0:1.8.0*255").is_ok());
        assert_eq!(DeviceId::parse("1-0:1.8.0*255"), Err(InvalidId::Character('*')));
    }

    #[test]
    fn an_identifier_has_one_to_128_bytes() {
        assert_eq!(TenantId::parse(""), Err(InvalidId::Empty));
        assert!(TenantId::parse(&"a".repeat(128)).is_ok());
        assert_eq!(TenantId::parse(&"a".repeat(129)), Err(InvalidId::TooLong(129)));
    }

    #[test]
    fn control_characters_and_spaces_are_refused_with_the_character() {
        assert_eq!(DeviceId::parse("a b"), Err(InvalidId::Character(' ')));
        assert_eq!(DeviceId::parse("a\0"), Err(InvalidId::Character('\0')));
    }
}

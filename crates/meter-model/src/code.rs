//! Why something was rejected: the closed list that topics, tables and the HTTP door share.

/// A code that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a reject code")]
pub struct UnknownRejectCode(String);

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// Reason of a rejection. Written as text in topics and tables; the list only grows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RejectCode { $($(#[$doc])* $variant),+ }

        impl RejectCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code as topics and tables write it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for RejectCode {
            type Err = UnknownRejectCode;
            fn from_str(text: &str) -> Result<Self, UnknownRejectCode> {
                Self::ALL.iter().copied().find(|c| c.as_str() == text).ok_or_else(|| UnknownRejectCode(text.chars().take(40).collect()))
            }
        }

        impl std::fmt::Display for RejectCode {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

codes! {
    // --- the whole message: the bytes are no ReadingBatch
    /// No payload at all.
    NullPayload = "NULL_PAYLOAD",
    /// Shorter than the five bytes of the Confluent framing.
    TooShort = "TOO_SHORT",
    /// The first byte is not 0x00.
    WrongMagic = "WRONG_MAGIC",
    /// The registry does not know the schema id.
    UnknownSchemaId = "UNKNOWN_SCHEMA_ID",
    /// The schema id belongs to a schema that cannot be read as a ReadingBatch.
    WrongSchema = "WRONG_SCHEMA",
    /// The bytes end inside a value.
    Truncated = "TRUNCATED",
    /// Bytes remain behind the value.
    TrailingBytes = "TRAILING_BYTES",
    /// A length is negative, or larger than the bytes that remain could hold.
    BadLength = "BAD_LENGTH",
    /// A string is not UTF-8.
    InvalidUtf8 = "INVALID_UTF8",
    /// An enum index or union branch that the schema does not have.
    BadEnum = "BAD_ENUM",
    /// An integer that does not fit its type.
    BadNumber = "BAD_NUMBER",
    /// The message is larger than a decision about it could be.
    TooLarge = "TOO_LARGE",

    // --- the whole message: decoded, but not acceptable
    /// Tenant, device or gateway is no identifier.
    BadIdentifier = "BAD_IDENTIFIER",
    /// The message key is not the device id, so order per device is not kept.
    KeyMismatch = "KEY_MISMATCH",
    /// The message holds no reading.
    EmptyBatch = "EMPTY_BATCH",
    /// The register does not know the device.
    UnknownDevice = "UNKNOWN_DEVICE",
    /// The device is not active.
    InactiveDevice = "INACTIVE_DEVICE",
    /// The device belongs to another tenant.
    TenantMismatch = "TENANT_MISMATCH",
    /// On the replay lane: this message, or one behind it, was judged before.
    Repeated = "REPEATED",
    /// On the replay lane: the message does not say where it stood in the raw topic.
    NoOrigin = "NO_ORIGIN",
    /// A rule failed in a way its author did not foresee; the bytes are kept for analysis.
    InternalError = "INTERNAL_ERROR",

    // --- a reading
    /// The channel is no identifier, or the device does not have it.
    UnknownChannel = "UNKNOWN_CHANNEL",
    /// The kind is not the channel's.
    WrongKind = "WRONG_KIND",
    /// The unit is unknown or not the channel's.
    WrongUnit = "WRONG_UNIT",
    /// The value does not fit decimal(18,6).
    ValueOutOfRange = "VALUE_OUT_OF_RANGE",
    /// The interval's length is not the channel's, or not positive, or given for an instant.
    WrongInterval = "WRONG_INTERVAL",
    /// Begins too far in the future.
    FutureTime = "FUTURE_TIME",
    /// Begins too far in the past.
    TooOld = "TOO_OLD",
    /// Same natural key and value as a reading before.
    Duplicate = "DUPLICATE",
    /// On the replay lane: no row yet, and the message names the natural key more than once.
    KeyRepeated = "KEY_REPEATED",
    /// Overlaps an interval of the same channel without being a correction of it.
    Overlap = "OVERLAP",
    /// More than the capacity of the service could carry.
    OverCapacity = "OVER_CAPACITY",
    /// Below zero on a channel that does not allow it.
    Negative = "NEGATIVE",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_round_trip_and_are_unique() {
        let texts: HashSet<_> = RejectCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(texts.len(), RejectCode::ALL.len());
        for code in RejectCode::ALL {
            assert_eq!(code.as_str().parse::<RejectCode>(), Ok(*code));
        }
    }
}

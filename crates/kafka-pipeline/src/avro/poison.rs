//! Why a message cannot be decoded: properties of its bytes alone, so that they stay bad however often it is tried.

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    /// The message has no payload.
    #[error("message has no payload")]
    Empty,
    /// Shorter than the frame.
    #[error("message of {0} bytes is shorter than the frame of 5")]
    TooShort(usize),
    /// The first byte is not 0.
    #[error("first byte is {0:#04x}, not 0x00")]
    WrongMagic(u8),
    /// The registry does not know the schema id.
    #[error("schema id {0} is not registered")]
    UnknownSchemaId(u32),
    /// The schema of that id cannot be read as what the reader expects.
    #[error("schema id {id} cannot be read here: {reason}")]
    WrongSchema {
        /// The writer's schema id.
        id: u32,
        /// What does not fit.
        reason: String,
    },
    /// The bytes end inside a value.
    #[error("bytes end inside a value at {0}")]
    Truncated(usize),
    /// Bytes remain behind the value.
    #[error("{0} bytes remain behind the value")]
    TrailingBytes(usize),
    /// A length or count is negative, or larger than the remaining bytes can hold.
    #[error("length {length} at {at} cannot be right")]
    BadLength {
        /// Where in the datum.
        at: usize,
        /// The claim.
        length: i64,
    },
    /// A string is not UTF-8.
    #[error("string at {0} is not UTF-8")]
    InvalidUtf8(usize),
    /// An enum index that the schema does not have, or whose symbol the reader cannot take.
    #[error("enum index {index} at {at} is not in the schema")]
    BadEnum {
        /// Where in the datum.
        at: usize,
        /// The claim.
        index: i64,
    },
    /// A union branch that the schema does not have.
    #[error("union branch {branch} at {at} is not in the schema")]
    BadUnion {
        /// Where in the datum.
        at: usize,
        /// The claim.
        branch: i64,
    },
    /// An integer that does not fit its type, or a boolean other than 0 and 1.
    #[error("number at {0} does not fit its type")]
    BadNumber(usize),
    /// The decoder refuses what the walk let pass; the message was singled out.
    #[error("message cannot be decoded: {0}")]
    Undecodable(String),
}

impl Poison {
    /// The code of the closed list that topics and tables carry.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "NULL_PAYLOAD",
            Self::TooShort(_) => "TOO_SHORT",
            Self::WrongMagic(_) => "WRONG_MAGIC",
            Self::UnknownSchemaId(_) => "UNKNOWN_SCHEMA_ID",
            Self::WrongSchema { .. } => "WRONG_SCHEMA",
            Self::Truncated(_) => "TRUNCATED",
            Self::TrailingBytes(_) => "TRAILING_BYTES",
            Self::BadLength { .. } => "BAD_LENGTH",
            Self::InvalidUtf8(_) => "INVALID_UTF8",
            Self::BadEnum { .. } | Self::BadUnion { .. } => "BAD_ENUM",
            Self::BadNumber(_) => "BAD_NUMBER",
            Self::Undecodable(_) => "INTERNAL_ERROR",
        }
    }
}

//! What the registry may answer besides what was asked for, and its words for compatibility.

/// Why the registry gave no answer, or no good one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// The registry's URL cannot be used.
    #[error("schema registry url {url:?}: {reason}")]
    Config {
        /// The URL, without credentials.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry does not know the schema id, subject or version.
    #[error("schema registry does not have {0}")]
    NotFound(String),
    /// The registry refuses: an incompatible or invalid schema, or missing rights. Trying again will not help.
    #[error("schema registry refuses {request} ({status}): {reason}")]
    Refused {
        /// What was asked.
        request: String,
        /// HTTP status.
        status: u16,
        /// The registry's message.
        reason: String,
    },
    /// The registry could not be reached or did not answer sensibly; trying again later may help.
    #[error("schema registry is not available for {request}: {reason}")]
    Unavailable {
        /// What was asked.
        request: String,
        /// What happened last.
        reason: String,
    },
}

impl RegistryError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Compatibility that a subject's schemas must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the registry's own words")]
pub enum Compatibility {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

impl Compatibility {
    /// The registry's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }
}

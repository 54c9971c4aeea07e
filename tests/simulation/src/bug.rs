//! Mistakes that can be planted in the simulation's drivers, to see that the oracle finds them.

use std::fmt;
use std::str::FromStr;

macro_rules! bugs {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// A planted mistake.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug { $($(#[$doc])* $variant),+ }

        impl Bug {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

bugs! {
    /// The sink moves heads from wherever they stand.
    NoHeadCheck = "no-head-check",
    /// The sink commits on whatever snapshot is current, as the library does by itself.
    UnpinnedCommit = "unpinned-commit",
    /// The sink takes in every decision, also one about an offset that was decided before.
    WatermarkIgnored = "watermark-ignored",
    /// The sink takes in messages that do not lie where their writer counted on.
    PlaceIgnored = "place-ignored",
    /// `validate` writes what it accepts and what it rejects as two messages.
    TwoMessages = "two-messages",
    /// The sink commits the heads, then the files.
    OffsetsBeforeData = "offsets-before-data",
    /// The sink gives partitions up and keeps what it gathered of them.
    NoDrainOnRevoke = "no-drain-on-revoke",
    /// `validate` writes the decision, then the dead letter.
    DeadLetterAfterOffset = "dead-letter-after-offset",
    /// The loader writes the ledger in a transaction of its own.
    LedgerOutsideTransaction = "ledger-outside-transaction",
    /// `ingest` answers before the broker's delivery report.
    AckBeforeDelivery = "ack-before-delivery",
    /// `validate` resumes without the history of its output.
    DedupNotRebuilt = "dedup-not-rebuilt",
    /// The sink lets a re-emission set the watermark back.
    WrongWatermarkAfterReemission = "wrong-watermark-after-reemission",
    /// Sink and loader take an unknown outcome for a failure, and do it again.
    UnknownOutcomeIsFailure = "unknown-outcome-is-failure",
}

impl Bug {
    /// A mistake with what writers of older versions write, which do not say where their messages are to lie. What today's
    /// write comes to no re-emission that is in its place.
    pub(crate) fn is_about_older_writers(self) -> bool {
        matches!(self, Self::WatermarkIgnored | Self::WrongWatermarkAfterReemission)
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.iter().map(|bug| bug.name()).collect::<Vec<_>>().join(", ");
        Self::ALL
            .iter()
            .copied()
            .find(|bug| bug.name() == name)
            .ok_or_else(|| format!("no such bug; known: {}", known()))
    }
}

//! The kinds of faults that can be injected, and what each needs.

use super::fleet::{ELECTRICITY, MeterType, WATER};

/// A name that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fault; known are: all, none, {known}", known = FaultKind::ALL.map(FaultKind::name).join(", "))]
pub(crate) struct UnknownFault(String);

/// What a fault needs to be injected and found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Which meters it can befall.
    pub carrier: Carrier,
    /// Days of clean history before it.
    pub before: usize,
    /// Days after it that belong to it.
    pub after: usize,
}

/// Who carries a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// Any active device.
    Any,
    /// A device of this letter.
    Letter(char),
    /// No device of its own: an additional message.
    Message,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $carrier:expr, $before:literal, $after:literal;)+) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum FaultKind { $($(#[$doc])* $variant),+ }

        impl FaultKind {
            /// Every kind.
            pub(crate) const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The name that options and the truth file use.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it needs.
            pub(crate) const fn needs(self) -> Needs {
                match self { $(Self::$variant => Needs { carrier: $carrier, before: $before, after: $after }),+ }
            }
        }
    };
}

const E: Carrier = Carrier::Letter(ELECTRICITY.letter);
const W: Carrier = Carrier::Letter(WATER.letter);

faults! {
    /// Six to twenty intervals are left out.
    Gap = "gap", Carrier::Any, 1, 0;
    /// A delivery is sent twice.
    Duplicate = "duplicate", Carrier::Any, 1, 0;
    /// A delivery is sent again with one value changed.
    Correction = "correction", Carrier::Any, 1, 0;
    /// A day is sent after the following one.
    OutOfOrder = "out_of_order", Carrier::Any, 1, 1;
    /// One interval towers over the others.
    Spike = "spike", E, 1, 0;
    /// One interval is more than the service can carry.
    OverCapacity = "over_capacity", Carrier::Any, 1, 0;
    /// Sixteen equal values in a row.
    Stuck = "stuck", E, 1, 0;
    /// One interval is below zero.
    Negative = "negative", Carrier::Any, 1, 0;
    /// An additional interval begins in the middle of another.
    Overlap = "overlap", Carrier::Any, 1, 0;
    /// One interval says another length.
    WrongLength = "wrong_length", Carrier::Any, 1, 0;
    /// One interval says another unit.
    WrongUnit = "wrong_unit", Carrier::Any, 1, 0;
    /// An additional reading of a channel the device does not have.
    UnknownChannel = "unknown_channel", Carrier::Any, 1, 0;
    /// The dial passes its last digit.
    Rollover = "rollover", E, 1, 1;
    /// The dial is lower than before, once.
    RegisterBackward = "register_backward", E, 1, 1;
    /// The meter is replaced.
    Exchange = "exchange", E, 1, 1;
    /// The intervals of a day begin 400 s late.
    ClockDrift = "clock_drift", E, 1, 1;
    /// A reading of three days ahead.
    FutureTime = "future_time", Carrier::Any, 1, 0;
    /// A reading of five years ago.
    TooOld = "too_old", Carrier::Any, 1, 0;
    /// A delivery of a device that nobody registered.
    UnknownDevice = "unknown_device", Carrier::Message, 0, 0;
    /// A delivery of a device that is out of service.
    InactiveDevice = "inactive_device", Carrier::Message, 0, 0;
    /// A delivery with another tenant's id.
    TenantMismatch = "tenant_mismatch", Carrier::Message, 0, 0;
    /// Bytes that are no delivery, in many ways.
    Malformed = "malformed", Carrier::Message, 0, 0;
    /// Water flows for two days without a pause.
    Leak = "leak", W, 1, 3;
    /// Six times the use of an ordinary day.
    HighUsage = "high_usage", E, 8, 2;
    /// Four hours without power.
    Outage = "outage", E, 1, 0;
    /// Somebody opened the meter.
    Tamper = "tamper", Carrier::Any, 1, 0;
    /// The battery is low, and changed a day later.
    LowBattery = "low_battery", Carrier::Any, 1, 1;
    /// Flow in the wrong direction.
    ReverseFlow = "reverse_flow", Carrier::Any, 1, 0;
    /// Nothing is heard for three days or more.
    Silent = "silent", Carrier::Any, 1, 4;
}

impl FaultKind {
    /// Whether a device of this meter type can carry it.
    pub(crate) fn befalls(self, meter: &MeterType) -> bool {
        match self.needs().carrier {
            Carrier::Any => true,
            Carrier::Letter(letter) => meter.letter == letter,
            Carrier::Message => false,
        }
    }

    /// Reads `all`, `none`, or names separated by commas.
    ///
    /// # Errors
    /// [`UnknownFault`] names the first that is not known, and lists those that are.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, UnknownFault> {
        match text.trim() {
            "all" => return Ok(Self::ALL.to_vec()),
            "none" | "" => return Ok(Vec::new()),
            _ => {}
        }
        let mut kinds = text.split(',').map(|name| name.trim().parse()).collect::<Result<Vec<Self>, _>>()?;
        kinds.sort_unstable();
        kinds.dedup();
        Ok(kinds)
    }
}

impl std::str::FromStr for FaultKind {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| UnknownFault(name.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_mistakes_named() {
        assert_eq!(FaultKind::parse_list("none"), Ok(vec![]));
        assert_eq!(FaultKind::parse_list("all").unwrap().len(), FaultKind::ALL.len());
        assert_eq!(FaultKind::parse_list("spike, gap,gap"), Ok(vec![FaultKind::Gap, FaultKind::Spike]));
        let message = FaultKind::parse_list("gap,leek").unwrap_err().to_string();
        assert!(message.starts_with("\"leek\" is no fault") && message.contains("leak"), "{message}");
    }

    #[test]
    fn names_are_unique_and_round_trip() {
        for kind in FaultKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
    }
}

//! The rules, as a table.
//!
//! Three rules come first and resolve what the others need: `structure` and `device` look at the whole message, `channel`
//! at each reading ([`admission`]). The rest are the entries of [`RULES`], functions of a reading, its context and its
//! past that know nothing of one another. A new rule is one function, one [`RuleId`] and one entry.
//!
//! Entries up to `overlap` reject: the first that does decides the code. Those behind it accept, and mark the reading
//! SUSPECT. A rule that lacks a configured limit or a past says so instead of guessing, and the verdict names it.

pub mod admission;
mod bounds;
mod register;
mod sequence;
mod shape;

use crate::core::devices::ChannelSpec;
use crate::core::history::Past;
use crate::core::thresholds::Thresholds;
use meter_model::{Kind, RejectCode};
use meterway_schemas::Source;
use meterway_schemas::encode::Reading;
use std::borrow::Cow;

pub use shape::Block;

macro_rules! rule_ids {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// A rule by name. The order is that of application; the list only grows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum RuleId { $($(#[$doc])* $variant),+ }

        impl RuleId {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name that verdicts carry.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The rule of this name; `None` for one of another version.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

rule_ids! {
    /// The message is one, and its values fit their types.
    Structure = "structure",
    /// The device is known, active and the tenant's.
    Device = "device",
    /// The device has the channel, and the reading is of its kind.
    Channel = "channel",
    /// The unit is the channel's.
    Unit = "unit",
    /// The length is the channel's.
    IntervalLength = "interval_length",
    /// The start is neither ahead of now nor long past.
    TimeBounds = "time_bounds",
    /// Not below zero where nothing flows back.
    Negative = "negative",
    /// Not more than the service can carry.
    Capacity = "capacity",
    /// Not the same key and value again.
    Duplicate = "duplicate",
    /// Shares no time with another interval.
    Overlap = "overlap",
    /// Does not start before intervals that came earlier.
    OutOfOrder = "out_of_order",
    /// Follows the interval before it.
    Gap = "gap",
    /// Starts on the grid of its length.
    ClockDrift = "clock_drift",
    /// Does not stand far above its day.
    Spike = "spike",
    /// Is not one of many identical values in a row.
    Stuck = "stuck",
    /// The dial did not run backward.
    RegisterBackward = "register_backward",
    /// The dial did not pass its end.
    RegisterRollover = "register_rollover",
    /// The meter was not exchanged since the last dial.
    MeterExchange = "meter_exchange",
}

/// A set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RuleSet(u32);

impl RuleSet {
    /// No rule.
    pub const EMPTY: Self = Self(0);

    /// This set and a rule.
    #[must_use]
    pub const fn with(self, rule: RuleId) -> Self {
        Self(self.0 | 1 << rule as u8)
    }

    /// Whether the rule is in the set.
    pub const fn contains(self, rule: RuleId) -> bool {
        self.0 & (1 << rule as u8) != 0
    }

    /// Whether no rule is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rules in the order of application.
    pub fn iter(self) -> impl Iterator<Item = RuleId> {
        RuleId::ALL.iter().copied().filter(move |rule| self.contains(*rule))
    }
}

impl FromIterator<RuleId> for RuleSet {
    fn from_iter<I: IntoIterator<Item = RuleId>>(rules: I) -> Self {
        rules.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// What a rule says of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing against it.
    Pass,
    /// Can't be applied, for want of a limit or of a past.
    Skip,
    /// Accepted, but doubtful.
    Suspect,
    /// Not accepted: the reason, and what was found and expected.
    Reject(RejectCode, Cow<'static, str>),
}

impl Outcome {
    fn pass_if(holds: bool, otherwise: Self) -> Self {
        if holds { Self::Pass } else { otherwise }
    }
}

/// What a reading is judged against, beside its past.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The time of judgement; UTC microseconds.
    pub now: i64,
    /// The limits.
    pub thresholds: &'a Thresholds,
    /// The channel that the reading claims.
    pub channel: &'a ChannelSpec,
    /// How the message came to the raw topic.
    pub source: Source,
    /// The intervals of this channel in the same message.
    pub block: Block,
}

/// An entry of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Which rule it is.
    pub id: RuleId,
    /// Kinds of readings that it is about; the others pass.
    pub kinds: &'static [Kind],
    /// The rule.
    pub check: fn(&Context<'_>, &Reading<'_>, &Past<'_>) -> Outcome,
}

const ALL: &[Kind] = Kind::ALL;
const FLOW: &[Kind] = &[Kind::Interval];
const DIAL: &[Kind] = &[Kind::Register];

/// The rules behind admission, in the order of application: those that reject, then those that mark.
pub const RULES: &[Rule] = &[
    Rule { id: RuleId::Unit, kinds: ALL, check: admission::unit },
    Rule { id: RuleId::IntervalLength, kinds: ALL, check: admission::interval_length },
    Rule { id: RuleId::TimeBounds, kinds: ALL, check: bounds::time_bounds },
    Rule { id: RuleId::Negative, kinds: ALL, check: bounds::negative },
    Rule { id: RuleId::Capacity, kinds: FLOW, check: bounds::capacity },
    Rule { id: RuleId::Duplicate, kinds: ALL, check: sequence::duplicate },
    Rule { id: RuleId::Overlap, kinds: FLOW, check: sequence::overlap },
    Rule { id: RuleId::OutOfOrder, kinds: FLOW, check: sequence::out_of_order },
    Rule { id: RuleId::Gap, kinds: FLOW, check: sequence::gap },
    Rule { id: RuleId::ClockDrift, kinds: FLOW, check: sequence::clock_drift },
    Rule { id: RuleId::Spike, kinds: FLOW, check: shape::spike },
    Rule { id: RuleId::Stuck, kinds: FLOW, check: shape::stuck },
    Rule { id: RuleId::RegisterBackward, kinds: DIAL, check: register::backward },
    Rule { id: RuleId::RegisterRollover, kinds: DIAL, check: register::rollover },
    Rule { id: RuleId::MeterExchange, kinds: DIAL, check: register::exchange },
];

/// What all rules together say of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Accepted: the rules it failed, and those that could not be applied.
    Accepted {
        /// Rules that marked it.
        failed: RuleSet,
        /// Rules that could not be applied.
        skipped: RuleSet,
    },
    /// Not accepted.
    Rejected(RejectCode, Cow<'static, str>),
}

/// Applies the rules to a reading.
pub fn judge(rules: &[Rule], context: &Context<'_>, reading: &Reading<'_>, past: &Past<'_>) -> Judgement {
    let (mut failed, mut skipped) = (RuleSet::EMPTY, RuleSet::EMPTY);
    for rule in rules.iter().filter(|rule| rule.kinds.contains(&reading.kind)) {
        match (rule.check)(context, reading, past) {
            Outcome::Pass => {}
            Outcome::Skip => skipped = skipped.with(rule.id),
            Outcome::Suspect => failed = failed.with(rule.id),
            Outcome::Reject(code, detail) => return Judgement::Rejected(code, detail),
        }
    }
    Judgement::Accepted { failed, skipped }
}

#[cfg(test)]
mod tests;

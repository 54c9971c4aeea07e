//! Counts of what decisions said, collected per block and then handed to the metrics.

use crate::core::decision::Decision;
use crate::core::rules::RuleId;
use meter_model::RejectCode;
use std::collections::BTreeMap;

/// Counts since the last time they were taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages decided.
    pub messages: u64,
    /// Messages of which something was rejected.
    pub dead_letters: u64,
    /// Readings accepted.
    pub accepted: u64,
    /// Readings accepted as a correction.
    pub corrections: u64,
    /// Readings and whole messages rejected, by reason.
    pub rejected: BTreeMap<RejectCode, u64>,
    /// Accepted readings marked, by rule.
    pub suspect: BTreeMap<RuleId, u64>,
    /// Accepted readings that a rule could not be applied to, by rule.
    pub skipped: BTreeMap<RuleId, u64>,
}

impl Tally {
    /// Counts a decision.
    pub fn add(&mut self, decision: &Decision<'_>) {
        self.messages += 1;
        self.dead_letters += u64::from(!decision.rejected.is_empty());
        self.accepted += decision.accepted.len() as u64;
        for accepted in &decision.accepted {
            self.corrections += u64::from(accepted.version > 1);
            for rule in accepted.failed.iter() {
                *self.suspect.entry(rule).or_default() += 1;
            }
            for rule in accepted.skipped.iter() {
                *self.skipped.entry(rule).or_default() += 1;
            }
        }
        for rejected in &decision.rejected {
            *self.rejected.entry(rejected.code).or_default() += 1;
        }
    }
}

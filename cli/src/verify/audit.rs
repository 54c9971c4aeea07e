//! Holds the decisions of one partition against its raw messages. Pure: fed message by message, in log order.

use super::tally::{Cell, Tallies, Tally};
use std::collections::{BTreeMap, BTreeSet};

/// What a raw message holds, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RawMessage {
    /// No ReadingBatch: only a decision that rejects the whole message is right.
    Undecodable,
    /// Digest and local day of each reading, in order.
    Readings(Vec<(u128, Option<i32>)>),
}

/// What a decision says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Decision {
    /// Offset of the raw message.
    pub(crate) source_offset: i64,
    /// Digest and local day of each accepted reading, in order.
    pub(crate) accepted: Vec<(u128, i32)>,
    /// Positions of the rejected readings; -1 stands for the whole message.
    pub(crate) rejected: Vec<i32>,
}

/// Something that does not add up.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Finding {
    /// Offset of the raw message.
    pub(crate) source_offset: i64,
    /// What is wrong.
    pub(crate) what: String,
}

/// The state of the audit of one partition.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    partition: i32,
    raw: BTreeMap<i64, RawMessage>,
    decided: BTreeSet<i64>,
    /// Readings in raw messages within the window.
    pub(crate) raw_readings: u64,
    /// Accepted readings, by local day.
    pub(crate) accepted: Tallies,
    /// Rejected readings; those of a message rejected whole count one by one, an undecodable message counts none.
    pub(crate) rejected_readings: u64,
    /// Raw messages rejected whole.
    pub(crate) rejected_messages: u64,
    /// Entries of the rejected table that the decisions ask for.
    pub(crate) rejections: Tally,
    /// Decisions about an offset that had been decided before.
    pub(crate) re_emissions: u64,
    /// Messages that do not lie where their writer counted on, and decide nothing.
    pub(crate) displaced: u64,
    /// What does not add up.
    pub(crate) findings: Vec<Finding>,
}

impl Audit {
    /// An audit of the raw messages of a partition, by offset.
    pub(crate) fn new(partition: i32, raw: BTreeMap<i64, RawMessage>) -> Self {
        let raw_readings = raw.values().map(|message| message.len() as u64).sum();
        Self { partition, raw, raw_readings, ..Self::default() }
    }

    /// Takes the next decision of the log. Decisions about offsets outside the raw messages are none of our business.
    pub(crate) fn decide(&mut self, decision: &Decision) {
        let offset = decision.source_offset;
        let Some(raw) = self.raw.get(&offset) else { return };
        if !self.decided.insert(offset) {
            self.re_emissions += 1;
            return;
        }
        if let Some(what) = contradiction(raw, decision) {
            self.findings.push(Finding { source_offset: offset, what });
        }
        for (digest, day) in &decision.accepted {
            self.accepted.add(Cell { partition: self.partition, local_day: Some(*day) }, *digest);
        }
        if decision.rejected.contains(&-1) {
            self.rejected_messages += 1;
            self.rejected_readings += raw.len() as u64;
        } else {
            self.rejected_readings += decision.rejected.len() as u64;
        }
        for index in &decision.rejected {
            self.rejections.add(rejection_digest(self.partition, offset, *index));
        }
    }

    /// A message that is no decision, because it does not lie where its writer counted on.
    pub(crate) fn displaced(&mut self) {
        self.displaced += 1;
    }

    /// A message of the decisions topic that is no decision: nobody can say what it decided.
    pub(crate) fn unreadable(&mut self, offset: i64) {
        self.findings
            .push(Finding { source_offset: -1, what: format!("decision at offset {offset} cannot be decoded") });
    }

    /// The raw message at an offset.
    pub(crate) fn raw(&self, offset: i64) -> Option<&RawMessage> {
        self.raw.get(&offset)
    }

    /// The partition.
    pub(crate) fn partition(&self) -> i32 {
        self.partition
    }

    /// Number of raw messages that no decision has named so far.
    pub(crate) fn undecided(&self) -> usize {
        self.raw.len() - self.decided.len()
    }

    /// Number of raw messages.
    pub(crate) fn messages(&self) -> usize {
        self.raw.len()
    }

    /// Ends the audit: every raw message without a decision becomes a finding.
    pub(crate) fn finish(&mut self) {
        for offset in self.raw.keys().filter(|offset| !self.decided.contains(offset)) {
            self.findings.push(Finding { source_offset: *offset, what: "no decision about this message".to_owned() });
        }
    }
}

impl RawMessage {
    fn len(&self) -> usize {
        match self {
            Self::Undecodable => 0,
            Self::Readings(readings) => readings.len(),
        }
    }
}

/// Why the decision is not one about this message: each reading must be either accepted unchanged or rejected.
fn contradiction(raw: &RawMessage, decision: &Decision) -> Option<String> {
    let whole = decision.rejected.contains(&-1);
    let readings = match raw {
        _ if whole && (decision.rejected.len() > 1 || !decision.accepted.is_empty()) => {
            return Some("rejected whole and in part at once".to_owned());
        }
        _ if whole => return None,
        RawMessage::Undecodable => return Some("accepted although it cannot be decoded".to_owned()),
        RawMessage::Readings(readings) => readings,
    };
    let mut rejected = decision.rejected.clone();
    rejected.sort_unstable();
    if rejected.windows(2).any(|pair| pair[0] == pair[1]) {
        return Some("a reading is rejected twice".to_owned());
    }
    let kept = readings.iter().enumerate().filter(|(i, _)| rejected.binary_search(&(*i as i32)).is_err());
    let expected: Vec<_> = kept.map(|(_, reading)| *reading).collect();
    if expected.len() + rejected.len() != readings.len() || expected.len() != decision.accepted.len() {
        let (accepted, rejected) = (decision.accepted.len(), rejected.len());
        return Some(format!("{} readings, but {accepted} accepted and {rejected} rejected", readings.len()));
    }
    let pairs = || expected.iter().zip(&decision.accepted);
    if pairs().any(|((raw, _), (accepted, _))| raw != accepted) {
        return Some("an accepted reading is not the delivered one".to_owned());
    }
    if pairs().any(|((_, raw), (_, accepted))| raw.is_some_and(|day| day != *accepted)) {
        return Some("an accepted reading is on another local day".to_owned());
    }
    None
}

/// Digest of an entry of the rejected table.
pub(crate) fn rejection_digest(partition: i32, offset: i64, index: i32) -> u128 {
    let mut bytes = [0u8; 16];
    bytes[..4].copy_from_slice(&partition.to_le_bytes());
    bytes[4..12].copy_from_slice(&offset.to_le_bytes());
    bytes[12..].copy_from_slice(&index.to_le_bytes());
    xxhash_rust::xxh3::xxh3_128(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(messages: &[(i64, RawMessage)]) -> Audit {
        Audit::new(0, messages.iter().cloned().collect())
    }

    fn raw() -> RawMessage {
        RawMessage::Readings(vec![(1, Some(10)), (2, Some(10)), (3, None)])
    }

    fn decision(source_offset: i64, accepted: &[(u128, i32)], rejected: &[i32]) -> Decision {
        Decision { source_offset, accepted: accepted.to_vec(), rejected: rejected.to_vec() }
    }

    #[test]
    fn right_decisions_leave_no_finding() {
        let mut audit = audit(&[(7, raw()), (8, RawMessage::Undecodable)]);
        audit.decide(&decision(7, &[(1, 10), (3, 11)], &[1]));
        audit.decide(&decision(8, &[], &[-1]));
        audit.finish();
        assert_eq!(audit.findings, []);
        assert_eq!((audit.raw_readings, audit.accepted.total().count, audit.rejected_readings), (3, 2, 1));
        assert_eq!((audit.rejected_messages, audit.rejections.count), (1, 2));
    }

    #[test]
    fn the_first_decision_holds_and_later_ones_are_counted() {
        let mut audit = audit(&[(7, raw())]);
        audit.decide(&decision(7, &[], &[-1]));
        audit.decide(&decision(7, &[(1, 10), (2, 10), (3, 11)], &[]));
        assert_eq!((audit.re_emissions, audit.accepted.total().count), (1, 0));
    }

    #[test]
    fn each_way_to_be_wrong_is_found() {
        let cases: &[(RawMessage, Decision, &str)] = &[
            (raw(), decision(7, &[(1, 10)], &[1]), "3 readings, but 1 accepted and 1 rejected"),
            (raw(), decision(7, &[(1, 10), (9, 10)], &[2]), "an accepted reading is not the delivered one"),
            (raw(), decision(7, &[(1, 12), (2, 10)], &[2]), "an accepted reading is on another local day"),
            (raw(), decision(7, &[(1, 10)], &[1, 1]), "a reading is rejected twice"),
            (raw(), decision(7, &[(1, 10)], &[-1]), "rejected whole and in part at once"),
            (RawMessage::Undecodable, decision(7, &[], &[]), "accepted although it cannot be decoded"),
        ];
        for (raw, decision, expected) in cases {
            let mut audit = audit(&[(7, raw.clone())]);
            audit.decide(decision);
            assert_eq!(audit.findings.first().map(|f| f.what.as_str()), Some(*expected));
        }
    }

    #[test]
    fn a_message_without_decision_is_found() {
        let mut audit = audit(&[(7, raw()), (8, raw())]);
        audit.decide(&decision(8, &[], &[-1]));
        assert_eq!(audit.undecided(), 1);
        audit.finish();
        assert_eq!(audit.findings.iter().map(|f| f.source_offset).collect::<Vec<_>>(), [7]);
    }
}

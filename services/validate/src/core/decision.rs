//! The one decision about a message, and its form in the validated topic.

use crate::core::devices::Device;
use crate::core::replay::{self, Marks};
use crate::core::rules::{Rule, RuleId, RuleSet};
use hashbrown::HashMap;
use meter_model::{DeviceId, LocalDay, RejectCode, Verdict};
use meterway_schemas::Source;
use meterway_schemas::encode::{self, ReadingBatch, Rejection, ValidatedBatch, ValidatedReading};
use meterway_schemas::replay::ReplayNote;
use std::borrow::Cow;

/// Index of a rejection that is about the whole message.
pub const WHOLE_MESSAGE: i32 = -1;

/// Longest detail of a rejection, in bytes; a test holds the rules to it.
pub const MAX_DETAIL_BYTES: usize = 128;

/// Most that a verdict or a rejection adds to the bytes of a reading: all rule names once (a rule either fails or is
/// skipped), or a code and a detail, and a dozen small numbers.
const MAX_VERDICT_BYTES: usize = {
    let (mut names, mut rule) = (0, 0);
    while rule < RuleId::ALL.len() {
        names += RuleId::ALL[rule].name().len() + 1;
        rule += 1;
    }
    let rejection = MAX_DETAIL_BYTES + 32;
    (if names > rejection { names } else { rejection }) + 32
};

/// Bytes of a decision beside its readings: identifiers, numbers, the names of the rules.
const MAX_HEADER_BYTES: usize = 4_096;

/// Upper bound of the size of a decision about a message, whatever the rules will say.
pub fn max_encoded_bytes(payload_bytes: usize, readings: usize) -> usize {
    MAX_HEADER_BYTES + payload_bytes + readings * MAX_VERDICT_BYTES
}

/// An accepted reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Position in the raw message.
    pub index: usize,
    /// Rules it failed; VALID when none.
    pub failed: RuleSet,
    /// Rules that could not be applied.
    pub skipped: RuleSet,
    /// 1, or more for a correction.
    pub version: i32,
    /// Calendar day of its start at the site.
    pub local_day: LocalDay,
}

impl Accepted {
    /// VALID or SUSPECT.
    pub fn verdict(&self) -> Verdict {
        if self.failed.is_empty() { Verdict::Valid } else { Verdict::Suspect }
    }
}

/// A rejection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Position in the raw message, or [`WHOLE_MESSAGE`].
    pub index: i32,
    /// Reason.
    pub code: RejectCode,
    /// What was found and expected; at most [`MAX_DETAIL_BYTES`].
    pub detail: Cow<'static, str>,
}

/// What became of every reading of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The message. Identifiers that are none are empty.
    pub batch: ReadingBatch<'a>,
    /// Its device; `None` when the whole message was rejected before it was known.
    pub device: Option<&'a Device>,
    /// The accepted readings in source order.
    pub accepted: Vec<Accepted>,
    /// What was rejected.
    pub rejected: Vec<Rejected>,
}

impl<'a> Decision<'a> {
    /// The whole message is rejected.
    pub fn whole(batch: &ReadingBatch<'a>, code: RejectCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let identifier = |text: &'a str| if DeviceId::check(text).is_ok() { text } else { "" };
        let batch = ReadingBatch {
            tenant_id: identifier(batch.tenant_id),
            device_id: identifier(batch.device_id),
            gateway_id: identifier(batch.gateway_id),
            ..*batch
        };
        let rejected = vec![Rejected { index: WHOLE_MESSAGE, code, detail: shortened(detail.into()) }];
        Self { batch, device: None, accepted: Vec::new(), rejected }
    }

    /// The bytes are no message. All that may be known is the device, from the key.
    pub fn poison(key: Option<&'a [u8]>, code: RejectCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let device_id = key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or("");
        let nothing = ReadingBatch {
            tenant_id: "",
            device_id,
            gateway_id: "",
            sequence: 0,
            received_at: None,
            source: Source::Kafka,
            readings: &[],
        };
        Self::whole(&nothing, code, detail)
    }
}

fn shortened(detail: Cow<'static, str>) -> Cow<'static, str> {
    match detail.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_DETAIL_BYTES).last() {
        Some(end) if end < detail.len() => detail[..end].to_owned().into(),
        _ => detail,
    }
}

/// Where a message stands in the raw topic, and where its decision is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Partition of the raw topic, and of the decision.
    pub partition: i32,
    /// Offset in the raw topic.
    pub source: i64,
    /// Offset that the decision counts on; elsewhere it is none.
    pub decision: i64,
}

/// Writes decisions. Keeps the lists of rule names that verdicts have in common.
#[derive(Debug)]
pub struct DecisionWriter {
    rules: Vec<&'static str>,
    lists: HashMap<RuleSet, Box<[&'static str]>, ahash::RandomState>,
}

impl DecisionWriter {
    /// Writer of decisions that were made by these rules, and by those of admission.
    pub fn new(rules: &[Rule]) -> Self {
        let admission = [RuleId::Structure, RuleId::Device, RuleId::Channel];
        let rules = admission.into_iter().chain(rules.iter().map(|rule| rule.id)).map(RuleId::name).collect();
        Self { rules, lists: HashMap::default() }
    }

    /// Appends the datum of a decision that was made at `now` (UTC microseconds).
    pub fn write(&mut self, decision: &Decision<'_>, at: Position, now: i64, out: &mut Vec<u8>) {
        self.write_on(None, decision, at, now, out);
    }

    /// As [`Self::write`]; on the replay lane with the message's note and the marks of the decision.
    pub fn write_on(
        &mut self,
        replayed: Option<(&ReplayNote, &Marks)>,
        decision: &Decision<'_>,
        at: Position,
        now: i64,
        out: &mut Vec<u8>,
    ) {
        let note = replayed.map(|(note, _)| note);
        for set in decision.accepted.iter().flat_map(|accepted| [accepted.failed, accepted.skipped]) {
            self.lists.entry(set).or_insert_with(|| set.iter().map(RuleId::name).collect());
        }
        let readings: Vec<_> = decision.accepted.iter().map(|accepted| self.validated(decision, accepted)).collect();
        let rejections: Vec<_> =
            decision.rejected.iter().map(|r| Rejection { index: r.index, code: r.code, detail: &r.detail }).collect();
        let batch = &decision.batch;
        let validated = ValidatedBatch {
            tenant_id: batch.tenant_id,
            device_id: batch.device_id,
            gateway_id: batch.gateway_id,
            sequence: batch.sequence,
            received_at: batch.received_at,
            source: batch.source,
            customer_id: decision.device.and_then(|device| match note {
                None => device.customer.as_deref(),
                Some(note) => replay::customer(note, device),
            }),
            site_id: decision.device.map(|device| note.map_or(&*device.site, |note| replay::site(note, device))),
            source_partition: at.partition,
            source_offset: at.source,
            decision_offset: at.decision,
            validated_at: now,
            rules: &self.rules,
            readings: &readings,
            rejections: &rejections,
        };
        let marks = replayed.map(|(_, marks)| marks.borrow()).unwrap_or_default();
        encode::replayed_batch(&validated, &marks, out);
    }

    fn validated<'a>(&'a self, decision: &Decision<'a>, accepted: &Accepted) -> ValidatedReading<'a> {
        ValidatedReading {
            reading: decision.batch.readings[accepted.index],
            verdict: accepted.verdict(),
            failed_rules: &self.lists[&accepted.failed],
            skipped_rules: &self.lists[&accepted.skipped],
            estimation_method: None,
            version: accepted.version,
            local_day: accepted.local_day,
            commodity: decision.device.map_or(meter_model::Commodity::Unknown, |device| device.commodity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rules::RULES;
    use crate::core::testing::interval;

    #[test]
    fn no_decision_is_larger_than_its_bound() {
        let readings = [interval(0, 1); 200];
        let batch = ReadingBatch {
            tenant_id: "t",
            device_id: "d",
            gateway_id: "g",
            sequence: i64::MAX,
            received_at: Some(i64::MAX),
            source: Source::Kafka,
            readings: &readings,
        };
        let mut raw = Vec::new();
        encode::reading_batch(&batch, &mut raw);
        let accepted = (0..readings.len()).map(|index| Accepted {
            index,
            failed: RuleId::ALL.iter().copied().collect(),
            skipped: RuleSet::EMPTY,
            version: i32::MAX,
            local_day: LocalDay(i32::MIN),
        });
        let rejected =
            |index| Rejected { index, code: RejectCode::ValueOutOfRange, detail: "x".repeat(MAX_DETAIL_BYTES).into() };
        let largest = [
            Decision { batch, device: None, accepted: accepted.collect(), rejected: vec![] },
            Decision { batch, device: None, accepted: vec![], rejected: (0..200).map(rejected).collect() },
        ];
        for decision in largest {
            let mut out = Vec::new();
            let at = Position { partition: i32::MAX, source: i64::MAX, decision: i64::MAX };
            DecisionWriter::new(RULES).write(&decision, at, i64::MAX, &mut out);
            let bound = max_encoded_bytes(raw.len(), readings.len());
            assert!(out.len() <= bound && out.len() * 2 > bound, "{} of at most {bound}", out.len());
        }
    }

    #[test]
    fn poison_keeps_the_key_only_when_it_is_an_identifier() {
        let device = |key| Decision::poison(key, RejectCode::Truncated, "ends inside a value").batch.device_id;
        assert_eq!(device(Some(b"d-1")), "d-1");
        assert_eq!(device(Some(b"d 1")), "");
        assert_eq!(device(Some(b"\xff")), "");
        assert_eq!(device(None), "");
    }

    #[test]
    fn long_detail_is_cut_between_characters() {
        let detail = "é".repeat(100);
        let decision = Decision::poison(None, RejectCode::BadEnum, detail.clone());
        assert_eq!(*decision.rejected[0].detail, detail[..MAX_DETAIL_BYTES]);
    }
}

//! Writes the two hot contracts straight into a reused buffer, without building a tree of values first.
//!
//! The encoders follow the Avro specification's binary encoding of `reading_batch.avsc` and `validated_batch.avsc`; tests
//! hold them against apache-avro byte for byte, so a changed schema with an unchanged encoder fails.

use crate::Source;
use meter_model::{Commodity, Kind, LocalDay, RejectCode, Verdict};

/// One value of one channel, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading<'a> {
    /// OBIS code or plain name.
    pub channel: &'a str,
    /// What sort of value this is.
    pub kind: Kind,
    /// Start of the interval or instant of the read; UTC microseconds.
    pub start: i64,
    /// Length of the interval in seconds; 0 unless an interval.
    pub duration_s: i32,
    /// Unscaled decimal(18,6), in millionths of the unit. Not a `Quantity`: the raw topic must be able to carry what
    /// validation rejects.
    pub value: i64,
    /// Unit symbol.
    pub unit: &'a str,
    /// Quality codes of the source.
    pub flags: &'a [&'a str],
}

/// What one device delivered together, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadingBatch<'a> {
    /// Tenant claimed for the device.
    pub tenant_id: &'a str,
    /// The device; also the message key.
    pub device_id: &'a str,
    /// Gateway; empty when the device speaks for itself.
    pub gateway_id: &'a str,
    /// The gateway's delivery counter.
    pub sequence: i64,
    /// When our door received the delivery; UTC microseconds.
    pub received_at: Option<i64>,
    /// Way into the raw topic.
    pub source: Source,
    /// The readings in the device's order.
    pub readings: &'a [Reading<'a>],
}

/// An accepted reading with its verdict, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidatedReading<'a> {
    /// The reading as delivered.
    pub reading: Reading<'a>,
    /// Outcome of validation.
    pub verdict: Verdict,
    /// Names of the failed rules.
    pub failed_rules: &'a [&'a str],
    /// Names of the rules that could not be applied.
    pub skipped_rules: &'a [&'a str],
    /// Method that made the value.
    pub estimation_method: Option<&'a str>,
    /// 1, or more for a correction.
    pub version: i32,
    /// Calendar day of the start in the site's zone.
    pub local_day: LocalDay,
    /// Commodity of the device.
    pub commodity: Commodity,
}

/// Something that was not accepted, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection<'a> {
    /// Position in the raw message, or -1 for the whole message.
    pub index: i32,
    /// Reason.
    pub code: RejectCode,
    /// What was found and expected.
    pub detail: &'a str,
}

/// The one decision about a raw message, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidatedBatch<'a> {
    /// Tenant; empty when the raw message could not be decoded.
    pub tenant_id: &'a str,
    /// Device; empty when the raw message could not be decoded.
    pub device_id: &'a str,
    /// Gateway; empty when unknown.
    pub gateway_id: &'a str,
    /// The gateway's delivery counter; 0 when unknown.
    pub sequence: i64,
    /// As in the raw message.
    pub received_at: Option<i64>,
    /// As in the raw message.
    pub source: Source,
    /// Customer at validation.
    pub customer_id: Option<&'a str>,
    /// Site at validation.
    pub site_id: Option<&'a str>,
    /// Partition of the raw message.
    pub source_partition: i32,
    /// Offset of the raw message.
    pub source_offset: i64,
    /// Offset in the topic of decisions that the writer counts on for this message; see [`counts`](crate::counts).
    pub decision_offset: i64,
    /// When the decision was made; UTC microseconds.
    pub validated_at: i64,
    /// Names of the rules of the rule set.
    pub rules: &'a [&'a str],
    /// What was accepted.
    pub readings: &'a [ValidatedReading<'a>],
    /// What was rejected.
    pub rejections: &'a [Rejection<'a>],
}

/// What a decision of the replay lane says beside what every decision says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplayMarks<'a> {
    /// Number of the replay; 0 on the live lane.
    pub revision: i64,
    /// Offset of the raw message in the raw topic.
    pub origin_offset: Option<i64>,
    /// For each accepted reading, whether the lake holds this outcome already; readings behind its end are new.
    pub unchanged: &'a [bool],
    /// For each rejection, whether the reading was accepted before; rejections behind its end are not.
    pub had_row: &'a [bool],
}

/// Appends the datum of a raw batch.
pub fn reading_batch(batch: &ReadingBatch<'_>, out: &mut Vec<u8>) {
    let mut datum = Datum(out);
    datum.string(batch.tenant_id);
    datum.string(batch.device_id);
    datum.string(batch.gateway_id);
    datum.long(batch.sequence);
    datum.optional(batch.received_at, Datum::long);
    datum.long(batch.source as i64);
    datum.array(batch.readings, |datum, reading| datum.reading(reading));
}

/// Appends the datum of a decision of the live lane.
pub fn validated_batch(batch: &ValidatedBatch<'_>, out: &mut Vec<u8>) {
    replayed_batch(batch, &ReplayMarks::default(), out);
}

/// Appends the datum of a decision of the replay lane.
pub fn replayed_batch(batch: &ValidatedBatch<'_>, marks: &ReplayMarks<'_>, out: &mut Vec<u8>) {
    let mut datum = Datum(out);
    datum.string(batch.tenant_id);
    datum.string(batch.device_id);
    datum.string(batch.gateway_id);
    datum.long(batch.sequence);
    datum.optional(batch.received_at, Datum::long);
    datum.long(batch.source as i64);
    datum.optional(batch.customer_id, Datum::string);
    datum.optional(batch.site_id, Datum::string);
    datum.long(i64::from(batch.source_partition));
    datum.long(batch.source_offset);
    datum.long(batch.validated_at);
    datum.strings(batch.rules);
    datum.array_with(batch.readings, marks.unchanged, Datum::validated_reading);
    datum.array_with(batch.rejections, marks.had_row, Datum::rejection);
    datum.long(marks.revision);
    datum.optional(marks.origin_offset, Datum::long);
    datum.long(batch.decision_offset);
}

/// Avro's binary encoding onto a buffer.
struct Datum<'a>(&'a mut Vec<u8>);

impl Datum<'_> {
    /// Zigzag, then seven bits a byte, lowest first.
    fn long(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    fn string(&mut self, text: &str) {
        self.long(text.len() as i64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.long(0),
            Some(value) => {
                self.long(1);
                write(self, value);
            }
        }
    }

    fn array<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        if !items.is_empty() {
            self.long(items.len() as i64);
            items.iter().for_each(|item| write(self, item));
        }
        self.long(0);
    }

    /// An array whose items end with a flag each; missing flags are false.
    fn array_with<T>(&mut self, items: &[T], flags: &[bool], write: impl Fn(&mut Self, &T)) {
        if !items.is_empty() {
            self.long(items.len() as i64);
            for (index, item) in items.iter().enumerate() {
                write(self, item);
                self.0.push(u8::from(flags.get(index).copied().unwrap_or(false)));
            }
        }
        self.long(0);
    }

    fn strings(&mut self, texts: &[&str]) {
        self.array(texts, |datum, text| datum.string(text));
    }

    fn reading(&mut self, reading: &Reading<'_>) {
        self.string(reading.channel);
        self.long(reading.kind as i64);
        self.long(reading.start);
        self.long(i64::from(reading.duration_s));
        self.0.extend_from_slice(&reading.value.to_be_bytes());
        self.string(reading.unit);
        self.strings(reading.flags);
    }

    fn validated_reading(&mut self, validated: &ValidatedReading<'_>) {
        self.reading(&validated.reading);
        self.long(validated.verdict as i64);
        self.strings(validated.failed_rules);
        self.strings(validated.skipped_rules);
        self.optional(validated.estimation_method, Datum::string);
        self.long(i64::from(validated.version));
        self.long(i64::from(validated.local_day.0));
        self.long(validated.commodity as i64);
    }

    fn rejection(&mut self, rejection: &Rejection<'_>) {
        self.long(i64::from(rejection.index));
        self.string(rejection.code.as_str());
        self.string(rejection.detail);
    }
}

//! Marks: records beside the dead letters that say what became of them. Nothing is ever deleted or changed.
//!
//! A mark lies in the partition of its letter and behind it, so whoever reads on from a letter meets its marks, and
//! retention removes the letter first. It has no value; what it says stands in its headers.

use super::{OFFSET, PARTITION, TOPIC};
use crate::producer::{DeliveryReceipt, Producer, ProducerRecord, SendError};
use crate::record::RecordRef;
use std::str::FromStr;

/// What was done with the letter: a [`Deed`]. Only marks have this header.
pub const MARK: &str = "x-dlq-mark";
/// The letter, `partition:offset`.
const LETTER: &str = "x-dlq-letter";
/// Who did it.
const BY: &str = "x-dlq-by";
/// Why.
const REASON: &str = "x-dlq-reason";
/// The run of the tool.
const RUN: &str = "x-dlq-run";
/// Where the replay was stored, `partition:offset` of the source topic.
const TO: &str = "x-dlq-to";
/// How often the message has been replayed then.
const COUNT: &str = "x-dlq-count";

/// What was done with a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A run is about to replay it. The first claim in the log holds; one that is not followed by [`Deed::Replayed`] is
    /// that of a run that died, or is under way.
    Claimed,
    /// It was sent back to the topic it came from.
    Replayed,
    /// Somebody decided that it needs no replay.
    Dropped,
}

impl Deed {
    /// The name in the header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Replayed => "replayed",
            Self::Dropped => "dropped",
        }
    }
}

impl FromStr for Deed {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Claimed, Self::Replayed, Self::Dropped].into_iter().find(|deed| deed.name() == name).ok_or(())
    }
}

/// A mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// What was done.
    pub deed: Deed,
    /// Offset of the letter, in the partition of the mark.
    pub letter: i64,
    /// The message that the letter holds: topic, partition, offset. Copies of a letter share it, and so their marks.
    pub source: (String, i32, i64),
    /// The run that made it.
    pub run: String,
    /// Who did it.
    pub by: String,
    /// Why; empty when nobody said.
    pub reason: String,
    /// Where the replay was stored: partition and offset. Only with [`Deed::Replayed`], and only when the broker said.
    pub to: Option<(i32, i64)>,
    /// How often the message has been replayed, this replay included. 0 with [`Deed::Dropped`].
    pub count: u32,
}

impl Mark {
    /// The mark that a record of the dead-letter topic is; `None` for a letter, and for a mark that cannot be read.
    #[must_use]
    pub fn of(record: &RecordRef<'_>) -> Option<Self> {
        let text = |name: &str| record.header(name).and_then(|value| std::str::from_utf8(value).ok());
        let owned = |name: &str| text(name).unwrap_or_default().to_owned();
        Some(Self {
            deed: text(MARK)?.parse().ok()?,
            letter: pair(text(LETTER)?)?.1,
            source: (owned(TOPIC), text(PARTITION)?.parse().ok()?, text(OFFSET)?.parse().ok()?),
            run: owned(RUN),
            by: owned(BY),
            reason: owned(REASON),
            to: text(TO).and_then(pair),
            count: text(COUNT).and_then(|count| count.parse().ok()).unwrap_or(0),
        })
    }

    /// Whether a record of the dead-letter topic is a mark, readable or not.
    #[must_use]
    pub fn is(record: &RecordRef<'_>) -> bool {
        record.header(MARK).is_some()
    }

    /// Writes the mark beside its letter, under the letter's key. It is stored when the receipt says so.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub async fn send(
        &self,
        producer: &Producer,
        topic: &str,
        partition: i32,
        key: Option<&[u8]>,
    ) -> Result<DeliveryReceipt, SendError> {
        let (letter, count) = (format!("{partition}:{}", self.letter), self.count.to_string());
        let (source_partition, source_offset) = (self.source.1.to_string(), self.source.2.to_string());
        let to = self.to.map(|(partition, offset)| format!("{partition}:{offset}"));
        let mut headers: Vec<(&str, &[u8])> = vec![
            (MARK, self.deed.name().as_bytes()),
            (LETTER, letter.as_bytes()),
            (TOPIC, self.source.0.as_bytes()),
            (PARTITION, source_partition.as_bytes()),
            (OFFSET, source_offset.as_bytes()),
            (RUN, self.run.as_bytes()),
            (BY, self.by.as_bytes()),
            (REASON, self.reason.as_bytes()),
            (COUNT, count.as_bytes()),
        ];
        headers.extend(to.as_deref().map(|to| (TO, to.as_bytes())));
        let record = ProducerRecord {
            topic,
            partition: Some(partition),
            key,
            payload: None,
            headers: &headers,
            timestamp_ms: None,
        };
        producer.send(record).await
    }
}

/// `partition:offset`.
pub(super) fn pair(text: &str) -> Option<(i32, i64)> {
    let (partition, offset) = text.split_once(':')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

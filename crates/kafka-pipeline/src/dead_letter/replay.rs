//! Replays: a letter sent back to where it came from, bytes, key and original headers unchanged.

use super::{OFFSET, PARTITION, TOPIC, original_headers};
use crate::producer::{DeliveryReceipt, Producer, ProducerRecord, SendError};
use crate::record::{Header, RecordRef, TopicPartition};

/// How often the message has been replayed, decimal. A message without it came by itself.
pub const REPLAY_COUNT: &str = "x-replay-count";
/// The letter that it was replayed from, `partition:offset` of the dead-letter topic.
pub const REPLAY_OF: &str = "x-replay-of";

/// How often a message has been replayed; 0 for one that came by itself. A count that cannot be read is the highest, so
/// that no loop hides behind it.
#[must_use]
pub fn count(record: &RecordRef<'_>) -> u32 {
    let Some(header) = record.headers.iter().rev().find(|header| header.key == REPLAY_COUNT) else { return 0 };
    let text = header.value.as_deref().and_then(|value| std::str::from_utf8(value).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(u32::MAX)
}

/// Whether a message was replayed.
#[must_use]
pub fn is_replay(record: &RecordRef<'_>) -> bool {
    record.headers.iter().any(|header| header.key == REPLAY_COUNT)
}

/// The letter that a message was replayed from: partition and offset of the dead-letter topic.
#[must_use]
pub fn letter_of(record: &RecordRef<'_>) -> Option<(i32, i64)> {
    super::mark::pair(std::str::from_utf8(record.header(REPLAY_OF)?).ok()?)
}

/// Where a letter's message stood: partition and offset. `None` when its headers do not say.
#[must_use]
pub fn source(letter: &RecordRef<'_>) -> Option<(TopicPartition, i64)> {
    let text = |name: &str| std::str::from_utf8(letter.header(name)?).ok();
    let at = TopicPartition::new(text(TOPIC)?, text(PARTITION)?.parse().ok()?);
    Some((at, text(OFFSET)?.parse().ok()?))
}

/// Sends a letter back to its source partition, as its replay number `count`. It is stored when the receipt says so.
///
/// # Errors
/// As [`Producer::send`].
pub async fn send(
    producer: &Producer,
    letter: &RecordRef<'_>,
    partition: i32,
    to: &TopicPartition,
    count: u32,
) -> Result<DeliveryReceipt, SendError> {
    let (count, of) = (count.to_string(), format!("{partition}:{}", letter.offset));
    let kept: Vec<Header> =
        original_headers(letter.headers).iter().filter(|header| !is_ours(header)).cloned().collect();
    let record = ProducerRecord {
        topic: &to.topic,
        partition: Some(to.partition),
        key: letter.key,
        payload: letter.payload,
        headers: &[(REPLAY_COUNT, count.as_bytes()), (REPLAY_OF, of.as_bytes())],
        timestamp_ms: None,
    };
    producer.send_behind(&kept, record).await
}

/// Headers of an earlier replay, which this one replaces.
fn is_ours(header: &Header) -> bool {
    header.key == REPLAY_COUNT || header.key == REPLAY_OF
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordBlockBuilder;
    use bytes::Bytes;

    fn with(headers: &[(&str, Option<&'static [u8]>)]) -> crate::record::RecordBlock {
        let headers: Vec<Header> = headers
            .iter()
            .map(|(key, value)| Header { key: (*key).to_owned(), value: value.map(Bytes::from_static) })
            .collect();
        let mut block = RecordBlockBuilder::new("rejected", 1);
        block.push(7, 0, None, None, &headers);
        block.build()
    }

    #[test]
    fn replays_are_counted_and_a_count_that_makes_no_sense_stops_them() {
        let of = |headers: &[(&str, Option<&'static [u8]>)]| {
            let block = with(headers);
            (is_replay(&block.get(0)), count(&block.get(0)))
        };
        assert_eq!(of(&[]), (false, 0));
        assert_eq!(of(&[(REPLAY_COUNT, Some(b"2"))]), (true, 2));
        assert_eq!(of(&[(REPLAY_COUNT, Some(b"-1"))]), (true, u32::MAX));
        assert_eq!(of(&[(REPLAY_COUNT, None)]), (true, u32::MAX));
    }

    #[test]
    fn a_letter_tells_its_source_or_nothing() {
        let block = with(&[(TOPIC, Some(b"raw")), (PARTITION, Some(b"3")), (OFFSET, Some(b"99"))]);
        assert_eq!(source(&block.get(0)), Some((TopicPartition::new("raw", 3), 99)));
        let block = with(&[(TOPIC, Some(b"raw")), (PARTITION, Some(b"x")), (OFFSET, Some(b"99"))]);
        assert_eq!(source(&block.get(0)), None);
    }
}

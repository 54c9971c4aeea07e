//! Dead letters: the bytes of a message that could not be processed, unchanged, with the reason in headers.
//!
//! Headers follow Kafka's own convention (`__dlq.errors.*`) plus `x-error-code` (a closed list), `x-stage` and
//! `x-version`. Key, payload and the original headers are byte-identical, the partition is the source's, and
//! [`DeadLetters::send`] returns only when the broker has the copy: after that, and not before, the source may advance.
//!
//! [`replay`] sends a letter back, [`Mark`] notes beside it what became of it.

mod mark;
pub mod replay;

pub use mark::{Deed, MARK, Mark};

use crate::metrics;
use crate::producer::{DeliveryError, Producer, ProducerRecord, SendError};
use crate::record::{Header, RecordRef, TopicPartition};

/// Topic that the message came from.
pub const TOPIC: &str = "__dlq.errors.topic";
/// Partition that it came from, decimal.
pub const PARTITION: &str = "__dlq.errors.partition";
/// Its offset there, decimal.
pub const OFFSET: &str = "__dlq.errors.offset";
/// Consumer group that gave it up.
pub const GROUP: &str = "__dlq.errors.group";
/// How often it was tried, decimal.
pub const DELIVERY_COUNT: &str = "__dlq.errors.delivery.count";
/// What is wrong, for a person.
pub const MESSAGE: &str = "__dlq.errors.message";
/// What is wrong, from a closed list.
pub const ERROR_CODE: &str = "x-error-code";
/// Processing stage that gave it up.
pub const STAGE: &str = "x-stage";
/// Version of this header set.
pub const VERSION: &str = "x-version";

/// The headers that [`DeadLetters`] adds behind the original ones, in this order.
const ADDED: [&str; 9] = [TOPIC, PARTITION, OFFSET, GROUP, DELIVERY_COUNT, MESSAGE, ERROR_CODE, STAGE, VERSION];

/// Current [`VERSION`].
const HEADERS_VERSION: &str = "1";
/// Longest [`MESSAGE`] in bytes: the detail may quote hostile input.
const LONGEST_MESSAGE: usize = 1024;

/// Writes dead letters of one stage.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    producer: Producer,
    topic: String,
    stage: String,
    group: String,
}

impl DeadLetters {
    /// Dead letters of a stage and consumer group, written to `topic`.
    pub fn new(
        producer: Producer,
        topic: impl Into<String>,
        stage: impl Into<String>,
        group: impl Into<String>,
    ) -> Self {
        Self { producer, topic: topic.into(), stage: stage.into(), group: group.into() }
    }

    /// Copies a record to the dead-letter topic and waits until it is stored there.
    ///
    /// # Errors
    /// The copy was not stored, so the source must not advance: [`SendError::Invalid`] when it can never be (the topic
    /// admits less than the source topic), otherwise [`SendError::Failed`].
    pub async fn send(
        &self,
        record: &RecordRef<'_>,
        source: &TopicPartition,
        code: &str,
        message: &str,
    ) -> Result<(), SendError> {
        let group = self.producer.group();
        self.send_in(&group, record, source, code, message).await?;
        group.delivered().await.map_err(|error: DeliveryError| error.into())
    }

    /// As [`send`](Self::send), as part of a group of records that is waited for together.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub async fn send_in(
        &self,
        group: &crate::producer::SendGroup,
        record: &RecordRef<'_>,
        source: &TopicPartition,
        code: &str,
        message: &str,
    ) -> Result<(), SendError> {
        let (partition, offset) = (source.partition.to_string(), record.offset.to_string());
        let values: [&[u8]; ADDED.len()] = [
            source.topic.as_bytes(),
            partition.as_bytes(),
            offset.as_bytes(),
            self.group.as_bytes(),
            b"1",
            shortened(message).as_bytes(),
            code.as_bytes(),
            self.stage.as_bytes(),
            HEADERS_VERSION.as_bytes(),
        ];
        let added: Vec<(&str, &[u8])> = ADDED.into_iter().zip(values).collect();
        let letter = ProducerRecord {
            topic: &self.topic,
            partition: Some(source.partition),
            key: record.key,
            payload: record.payload,
            headers: &added,
            timestamp_ms: None,
        };
        group.send_behind(record.headers, letter).await?;
        metrics::dead_letter(&self.stage, code);
        Ok(())
    }
}

/// The headers that the message had before it was set aside.
///
/// What stands behind them is cut off as a whole, so a message that had headers of these names itself keeps them. A letter
/// of a foreign writer loses whatever of these names stands at its end.
#[must_use]
pub fn original_headers(headers: &[Header]) -> &[Header] {
    let (kept, added) = headers.split_at(headers.len().saturating_sub(ADDED.len()));
    if added.len() == ADDED.len() && added.iter().zip(ADDED).all(|(header, name)| header.key == name) {
        return kept;
    }
    let foreign = headers.iter().rev().take_while(|header| ADDED.contains(&header.key.as_str())).count();
    &headers[..headers.len() - foreign]
}

fn shortened(message: &str) -> &str {
    &message[..message.floor_char_boundary(LONGEST_MESSAGE)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn header(key: &str) -> Header {
        Header { key: key.to_owned(), value: Some(Bytes::from_static(b"v")) }
    }

    #[test]
    fn original_headers_come_out_as_they_were_also_with_names_like_ours() {
        let original = [header("traceparent"), header(VERSION), header(STAGE)];
        let letter: Vec<Header> = original.iter().cloned().chain(ADDED.map(header)).collect();
        assert_eq!(original_headers(&letter), original);
        let twice: Vec<Header> = letter.iter().cloned().chain(ADDED.map(header)).collect();
        assert_eq!(original_headers(&twice), letter, "a letter about a letter");
        assert_eq!(original_headers(&[header("a"), header(TOPIC), header(OFFSET)]), [header("a")], "foreign writer");
        assert_eq!(original_headers(&[]), []);
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        assert_eq!(shortened("short"), "short");
        let long = "ä".repeat(LONGEST_MESSAGE);
        assert_eq!(shortened(&long).len(), LONGEST_MESSAGE);
        let odd = format!("x{long}");
        assert_eq!(shortened(&odd).len(), LONGEST_MESSAGE - 1);
    }
}

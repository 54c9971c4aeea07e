//! A dead letter as the headers describe it. Pure.

use chrono::{DateTime, Utc};
use kafka_pipeline::RecordRef;
use kafka_pipeline::dead_letter::{self as header, replay};
use serde::Serialize;

/// Where the message stood before it was set aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) struct Source {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// A dead letter without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Letter {
    /// When it was set aside.
    pub at: Option<DateTime<Utc>>,
    /// Its partition in the dead-letter topic.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Where it came from; `None` when the headers do not say.
    pub source: Option<Source>,
    /// Why, from a closed list; `None` when no stage of Meterway wrote it.
    pub code: Option<String>,
    /// Why, for people.
    pub message: String,
    /// Which stage set it aside.
    pub stage: Option<String>,
    /// Its key, which is the device.
    pub key: Option<String>,
    /// Bytes of its value; `None` when it has none.
    pub size: Option<usize>,
    /// How often its message had been replayed when it was set aside.
    pub replays: u32,
    /// The letter that it was replayed from: partition and offset.
    pub replay_of: Option<(i32, i64)>,
}

impl Letter {
    /// What a record of the dead-letter topic says of itself.
    pub(crate) fn of(partition: i32, record: &RecordRef<'_>) -> Self {
        let text = |name: &str| record.header(name).map(printable);
        Self {
            at: (record.timestamp_ms >= 0).then(|| DateTime::from_timestamp_millis(record.timestamp_ms)).flatten(),
            partition,
            offset: record.offset,
            source: source(record),
            code: text(header::ERROR_CODE),
            message: text(header::MESSAGE).unwrap_or_default(),
            stage: text(header::STAGE),
            key: record.key.map(printable),
            size: record.payload.map(<[u8]>::len),
            replays: replay::count(record),
            replay_of: replay::letter_of(record),
        }
    }

    /// The letter as commands take it: `partition:offset`.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.partition, self.offset)
    }
}

fn source(record: &RecordRef<'_>) -> Option<Source> {
    let text = |name: &str| std::str::from_utf8(record.header(name)?).ok();
    Some(Source {
        topic: record.header(header::TOPIC).map(printable)?,
        partition: text(header::PARTITION)?.parse().ok()?,
        offset: text(header::OFFSET)?.parse().ok()?,
    })
}

/// Text of a stranger, safe for a terminal: control characters are escaped, bytes that are no UTF-8 replaced.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for character in String::from_utf8_lossy(bytes).chars() {
        if character.is_control() || is_directional(character) {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

/// Marks that turn the direction of the text after them, and so can make a line read as another.
fn is_directional(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;

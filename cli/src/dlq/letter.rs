//! A dead letter as the headers describe it, and which letters are asked for. Pure.

use chrono::{DateTime, Utc};
use kafka_pipeline::{RecordRef, dead_letter as header};
use serde::Serialize;
use std::collections::BTreeMap;

/// Where the message stood before it was set aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
        }
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

/// Which letters are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Codes; all when empty.
    pub reasons: Vec<String>,
    /// Device, as key or in the content.
    pub device: Option<String>,
    /// Tenant, in the content.
    pub tenant: Option<String>,
    /// Set aside at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Set aside before this time.
    pub until: Option<DateTime<Utc>>,
}

/// What the bytes themselves say of their sender.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sender {
    /// Tenant.
    pub tenant_id: Option<String>,
    /// Device.
    pub device_id: Option<String>,
}

impl Filter {
    /// Whether code and time are those asked for; what costs more to know is asked after this.
    pub(crate) fn admits(&self, letter: &Letter) -> bool {
        let reason = self.reasons.is_empty() || letter.code.as_ref().is_some_and(|code| self.reasons.contains(code));
        let since = self.since.is_none_or(|since| letter.at.is_some_and(|at| at >= since));
        let until = self.until.is_none_or(|until| letter.at.is_some_and(|at| at < until));
        reason && since && until
    }

    /// Whether the bytes must be decoded to know.
    pub(crate) fn needs_content(&self, letter: &Letter) -> bool {
        self.tenant.is_some() || self.device.as_ref().is_some_and(|device| Some(device) != letter.key.as_ref())
    }

    /// Whether it comes from the sender asked for.
    pub(crate) fn admits_sender(&self, letter: &Letter, sender: &Sender) -> bool {
        let tenant = self.tenant.is_none() || self.tenant == sender.tenant_id;
        let device = self.device.is_none() || self.device == letter.key || self.device == sender.device_id;
        tenant && device
    }
}

/// The newest letters, up to a limit, in the order in which they were set aside.
#[derive(Debug)]
pub(crate) struct Newest {
    limit: usize,
    /// Matching letters, also those that are no longer kept.
    pub matching: u64,
    letters: BTreeMap<(Option<DateTime<Utc>>, i32, i64), Letter>,
}

impl Newest {
    /// Keeps up to `limit` letters.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, matching: 0, letters: BTreeMap::new() }
    }

    /// Takes a letter in.
    pub(crate) fn push(&mut self, letter: Letter) {
        self.matching += 1;
        self.letters.insert((letter.at, letter.partition, letter.offset), letter);
        if self.letters.len() > self.limit {
            self.letters.pop_first();
        }
    }

    /// What was kept, oldest first.
    pub(crate) fn into_letters(self) -> Vec<Letter> {
        self.letters.into_values().collect()
    }
}

/// The letters of one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CodeCount {
    /// The code; `None` for letters that name none.
    pub code: Option<String>,
    /// Letters.
    pub letters: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Distinct keys, which are devices.
    pub keys: usize,
    /// The oldest.
    pub first: Option<DateTime<Utc>>,
    /// The newest.
    pub last: Option<DateTime<Utc>>,
}

/// Counts letters by code.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<Option<String>, (CodeCount, std::collections::BTreeSet<Option<String>>)>);

impl Counts {
    /// Takes a letter in.
    pub(crate) fn push(&mut self, letter: &Letter) {
        let (count, keys) =
            self.0.entry(letter.code.clone()).or_insert_with(|| (CodeCount::of(letter), Default::default()));
        count.letters += 1;
        count.bytes += letter.size.unwrap_or(0) as u64;
        count.first = count.first.into_iter().chain(letter.at).min();
        count.last = count.last.max(letter.at);
        keys.insert(letter.key.clone());
        count.keys = keys.len();
    }

    /// The counts, most letters first.
    pub(crate) fn into_counts(self) -> Vec<CodeCount> {
        let mut counts: Vec<_> = self.0.into_values().map(|(count, _)| count).collect();
        counts.sort_by(|left, right| right.letters.cmp(&left.letters).then_with(|| left.code.cmp(&right.code)));
        counts
    }
}

impl CodeCount {
    fn of(letter: &Letter) -> Self {
        Self { code: letter.code.clone(), letters: 0, bytes: 0, keys: 0, first: None, last: None }
    }
}

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;

//! Records, blocks of records, and what an offset means.
//!
//! An offset that leaves or enters this crate as a position is always [`NextOffset`]: the offset of the next record to
//! read. Ranges are half open. A [`RecordBlock`] holds records of one partition with rising offsets in one contiguous
//! buffer: one copy out of the Kafka client and two allocations per block, not per record.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The next offset to read of a partition: one more than the last record that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NextOffset(pub i64);

impl NextOffset {
    /// The position behind the record at `offset`.
    #[must_use]
    pub const fn after(offset: i64) -> Self {
        Self(offset + 1)
    }

    /// The plain number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for NextOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A partition of a topic. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// A record header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Name; Kafka allows it to repeat within a record.
    pub key: String,
    /// Value; `None` is Kafka's null, which differs from an empty value.
    pub value: Option<Bytes>,
}

/// One record of a block, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    /// Offset of this record (the position after it is `NextOffset::after(offset)`).
    pub offset: i64,
    /// Kafka's timestamp in milliseconds since 1970-01-01 UTC; -1 when the record has none.
    pub timestamp_ms: i64,
    /// Key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is null (a tombstone on a compacted topic).
    pub payload: Option<&'a [u8]>,
    /// Headers in the order of the record.
    pub headers: &'a [Header],
}

impl RecordRef<'_> {
    /// The last header of that name that has a value.
    #[must_use]
    pub fn header(&self, key: &str) -> Option<&[u8]> {
        self.headers.iter().rev().find(|header| header.key == key).and_then(|header| header.value.as_deref())
    }
}

const NULL: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: i64,
    timestamp_ms: i64,
    /// Where the key begins in the arena; the payload follows it.
    start: usize,
    key_len: u32,
    payload_len: u32,
    headers_end: u32,
}

/// Records of one partition, offsets rising, in one buffer.
#[derive(Clone)]
pub struct RecordBlock {
    at: TopicPartition,
    arena: Vec<u8>,
    entries: Vec<Entry>,
    headers: Vec<Header>,
}

impl fmt::Debug for RecordBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBlock")
            .field("partition", &self.at)
            .field("first_offset", &self.first_offset())
            .field("next_offset", &self.next_offset())
            .field("records", &self.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl RecordBlock {
    /// Topic of the records.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.at.topic
    }

    /// Partition of the records.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.at.partition
    }

    /// Topic and partition of the records.
    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.at
    }

    /// Number of records; blocks of a consumer have at least one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the block has no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Offset of the first record; 0 for an empty block.
    #[must_use]
    pub fn first_offset(&self) -> i64 {
        self.entries.first().map_or(0, |entry| entry.offset)
    }

    /// Position behind the last record; 0 for an empty block.
    #[must_use]
    pub fn next_offset(&self) -> NextOffset {
        self.entries.last().map_or(NextOffset(0), |entry| NextOffset::after(entry.offset))
    }

    /// Bytes of keys and payloads.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// The record at an index of this block.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn get(&self, index: usize) -> RecordRef<'_> {
        let entry = &self.entries[index];
        let headers_start = index.checked_sub(1).map_or(0, |before| self.entries[before].headers_end as usize);
        let key_end = entry.start + length(entry.key_len);
        RecordRef {
            offset: entry.offset,
            timestamp_ms: entry.timestamp_ms,
            key: (entry.key_len != NULL).then(|| &self.arena[entry.start..key_end]),
            payload: (entry.payload_len != NULL).then(|| &self.arena[key_end..key_end + length(entry.payload_len)]),
            headers: &self.headers[headers_start..entry.headers_end as usize],
        }
    }

    /// A block of some of the records, by rising index.
    ///
    /// # Panics
    /// When an index is not below [`len`](Self::len), or they do not rise.
    #[must_use]
    pub fn pick(&self, indexes: impl IntoIterator<Item = usize>) -> Self {
        let mut picked = RecordBlockBuilder::at(self.at.clone());
        for index in indexes {
            let record = self.get(index);
            picked.push(record.offset, record.timestamp_ms, record.key, record.payload, record.headers);
        }
        picked.build()
    }

    /// The records in order of offset.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RecordRef<'_>> {
        self.indexes().map(|index| self.get(index))
    }

    fn indexes(&self) -> Range<usize> {
        0..self.entries.len()
    }
}

fn length(encoded: u32) -> usize {
    if encoded == NULL { 0 } else { encoded as usize }
}

/// Builds a [`RecordBlock`]; also for tests and benches.
#[derive(Debug, Clone)]
pub struct RecordBlockBuilder {
    block: RecordBlock,
}

impl RecordBlockBuilder {
    /// An empty block of a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self::at(TopicPartition::new(topic, partition))
    }

    pub(crate) fn at(at: TopicPartition) -> Self {
        Self { block: RecordBlock { at, arena: Vec::new(), entries: Vec::new(), headers: Vec::new() } }
    }

    /// Copies a record to the end of the block.
    ///
    /// # Panics
    /// When the offset is not above the one before it, or a key or payload is 4 GiB long: Kafka delivers neither.
    pub fn push(
        &mut self,
        offset: i64,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: &[Header],
    ) -> &mut Self {
        self.block.headers.extend_from_slice(headers);
        self.finish_record(offset, timestamp_ms, key, payload)
    }

    /// Adds a header to the record that the next [`finish_record`](Self::finish_record) closes.
    pub(crate) fn push_header(&mut self, key: &str, value: Option<&[u8]>) {
        self.block.headers.push(Header { key: key.to_owned(), value: value.map(Bytes::copy_from_slice) });
    }

    pub(crate) fn finish_record(
        &mut self,
        offset: i64,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) -> &mut Self {
        let block = &mut self.block;
        assert!(block.entries.last().is_none_or(|last| last.offset < offset), "offsets of a block must rise");
        let start = block.arena.len();
        let key_len = append(&mut block.arena, key);
        let payload_len = append(&mut block.arena, payload);
        let headers_end = u32::try_from(block.headers.len()).expect("a block holds fewer than 2^32 headers");
        block.entries.push(Entry { offset, timestamp_ms, start, key_len, payload_len, headers_end });
        self
    }

    /// Records so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.block.len()
    }

    /// Whether nothing was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// Bytes of keys and payloads so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.block.bytes()
    }

    /// The finished block.
    #[must_use]
    pub fn build(self) -> RecordBlock {
        self.block
    }

    /// Takes the finished block and starts an empty one of the same partition with room for as much again.
    pub(crate) fn take(&mut self) -> RecordBlock {
        let next = RecordBlock {
            at: self.block.at.clone(),
            arena: Vec::with_capacity(self.block.arena.len()),
            entries: Vec::with_capacity(self.block.entries.len()),
            headers: Vec::new(),
        };
        std::mem::replace(&mut self.block, next)
    }

    /// Forgets the records.
    pub(crate) fn clear(&mut self) {
        self.block.arena.clear();
        self.block.entries.clear();
        self.block.headers.clear();
    }
}

fn append(arena: &mut Vec<u8>, bytes: Option<&[u8]>) -> u32 {
    let Some(bytes) = bytes else { return NULL };
    arena.extend_from_slice(bytes);
    u32::try_from(bytes.len()).ok().filter(|len| *len != NULL).expect("Kafka's messages are below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Parts = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

    fn parts() -> impl Strategy<Value = Parts> {
        let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20));
        (bytes(), bytes(), proptest::collection::vec(("[a-z]{1,4}", bytes()), 0..3))
    }

    proptest! {
        #[test]
        fn block_gives_back_what_was_pushed(records in proptest::collection::vec(parts(), 0..20), first in 0_i64..1000) {
            let mut builder = RecordBlockBuilder::new("t", 3);
            let headers_of = |list: &[(String, Option<Vec<u8>>)]| list.iter()
                .map(|(key, value)| Header { key: key.clone(), value: value.clone().map(Bytes::from) }).collect::<Vec<_>>();
            for (index, (key, payload, headers)) in records.iter().enumerate() {
                let offset = first + 2 * index as i64;
                builder.push(offset, offset + 5, key.as_deref(), payload.as_deref(), &headers_of(headers));
            }
            let block = builder.build();
            prop_assert_eq!(block.len(), records.len());
            for (index, (record, (key, payload, headers))) in block.iter().zip(&records).enumerate() {
                prop_assert_eq!(record.offset, first + 2 * index as i64);
                prop_assert_eq!(record.timestamp_ms, record.offset + 5);
                prop_assert_eq!(record.key, key.as_deref());
                prop_assert_eq!(record.payload, payload.as_deref());
                prop_assert_eq!(record.headers, &headers_of(headers)[..]);
            }
            if let Some(last) = block.iter().last() {
                prop_assert_eq!(block.next_offset(), NextOffset(last.offset + 1));
                prop_assert_eq!(block.first_offset(), first);
            }
        }
    }

    #[test]
    fn taking_a_block_leaves_an_empty_builder_of_the_same_partition() {
        let mut builder = RecordBlockBuilder::new("t", 3);
        builder.push(7, 0, Some(b"k"), None, &[]);
        let block = builder.take();
        assert_eq!((block.first_offset(), block.next_offset(), block.len()), (7, NextOffset(8), 1));
        assert!(builder.is_empty());
        builder.push(3, 0, None, Some(b""), &[]);
        let block = builder.build();
        assert_eq!((block.topic(), block.partition()), ("t", 3));
        assert_eq!(block.get(0).payload, Some(&b""[..]), "empty is not null");
    }

    #[test]
    #[should_panic(expected = "offsets of a block must rise")]
    fn falling_offsets_are_refused() {
        RecordBlockBuilder::new("t", 0).push(1, 0, None, None, &[]).push(1, 0, None, None, &[]);
    }

    #[test]
    fn last_header_of_a_name_wins() {
        let header =
            |key: &str, value: Option<&'static [u8]>| Header { key: key.into(), value: value.map(Bytes::from_static) };
        let mut builder = RecordBlockBuilder::new("t", 0);
        builder.push(0, 0, None, None, &[header("a", Some(b"1")), header("b", None), header("a", Some(b"2"))]);
        let block = builder.build();
        assert_eq!(block.get(0).header("a"), Some(&b"2"[..]));
        assert_eq!(block.get(0).header("b"), None);
    }
}

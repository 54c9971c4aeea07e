//! In which order the files of the landing table are read, so that every partition's messages come by their offsets and
//! memory has a bound. Pure.
//!
//! A file holds messages of many Kafka partitions, and files of one commit may interleave. Files that interleave in any
//! partition make a group; groups follow one another in every partition. A group is read in slices of about the same size,
//! each slice by looking through all files of its group once.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What a file holds of one Kafka partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Lowest offset.
    pub(crate) first: i64,
    /// Highest offset.
    pub(crate) last: i64,
    /// Messages.
    pub(crate) messages: u64,
    /// Bytes of their payloads.
    pub(crate) bytes: u64,
}

impl Span {
    /// A span of one message.
    pub(crate) fn of(offset: i64, bytes: u64) -> Self {
        Self { first: offset, last: offset, messages: 1, bytes }
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            messages: self.messages + other.messages,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// A file of the landing table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Surveyed {
    /// Object URL.
    pub(crate) path: String,
    /// Commit that added it.
    pub(crate) sequence_number: i64,
    /// What it holds, by partition; only messages that are wanted.
    pub(crate) spans: BTreeMap<i32, Span>,
}

/// Files that are read together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Group {
    /// Object URLs.
    pub(crate) paths: Vec<String>,
    /// What they hold, by partition.
    pub(crate) spans: BTreeMap<i32, Span>,
}

/// Offsets of several partitions that are read at once.
pub(crate) type Slice = BTreeMap<i32, RangeInclusive<i64>>;

/// Puts files into groups whose order is that of the offsets in every partition.
pub(crate) fn groups(mut files: Vec<Surveyed>) -> Vec<Group> {
    files.retain(|file| !file.spans.is_empty());
    files.sort_by(|a, b| (a.sequence_number, &a.path).cmp(&(b.sequence_number, &b.path)));
    let mut groups: Vec<Group> = Vec::new();
    for file in files {
        // A file that holds anything below what an earlier group reaches has to be read together with it.
        let reaches = |group: &Group| {
            file.spans
                .iter()
                .any(|(partition, span)| group.spans.get(partition).is_some_and(|reached| reached.last >= span.first))
        };
        let from = groups.iter().position(reaches).unwrap_or(groups.len());
        let mut merged = Group { paths: vec![file.path], spans: file.spans };
        for group in groups.drain(from..) {
            merged.paths.extend(group.paths);
            for (partition, span) in group.spans {
                merged.spans.entry(partition).and_modify(|held| *held = held.and(span)).or_insert(span);
            }
        }
        groups.push(merged);
    }
    groups
}

/// Divides a group into slices of about so many bytes.
pub(crate) fn slices(group: &Group, bytes: u64) -> Vec<Slice> {
    let mut slices = vec![(0, Slice::new())];
    for (partition, span) in &group.spans {
        let pieces = span.bytes.div_ceil(bytes.max(1)).clamp(1, span.messages.max(1));
        let width = (span.last - span.first + 1) as u64;
        let start = |piece: u64| span.first + (u128::from(width) * u128::from(piece) / u128::from(pieces)) as i64;
        for piece in 0..pieces {
            let (range, size) = (start(piece)..=start(piece + 1) - 1, span.bytes / pieces);
            let filled = slices.last().is_some_and(|(held, slice)| {
                !slice.is_empty() && (held + size > bytes || slice.contains_key(partition))
            });
            if filled {
                slices.push((0, Slice::new()));
            }
            if let Some((held, slice)) = slices.last_mut().filter(|_| !range.is_empty()) {
                *held += size;
                slice.insert(*partition, range);
            }
        }
    }
    slices.into_iter().map(|(_, slice)| slice).filter(|slice| !slice.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Sequence number of a file and its messages, by partition and offset.
    type File = (i64, Vec<(i32, i64)>);

    /// Files of messages: each message goes to one of few files, as commits and days would have it.
    fn files() -> impl Strategy<Value = Vec<File>> {
        prop::collection::vec((0i64..6, prop::collection::vec((0i32..3, 0i64..40), 0..12)), 0..10)
    }

    fn surveyed(files: &[File]) -> Vec<Surveyed> {
        let of = |(number, (sequence_number, messages)): (usize, &File)| {
            let mut file =
                Surveyed { path: number.to_string(), sequence_number: *sequence_number, ..Surveyed::default() };
            for (partition, offset) in messages {
                let span = Span::of(*offset, 100);
                file.spans.entry(*partition).and_modify(|held| *held = held.and(span)).or_insert(span);
            }
            file
        };
        files.iter().enumerate().map(of).collect()
    }

    proptest! {
        #[test]
        fn every_message_is_read_once_and_in_its_partition_by_its_offset(files in files(), bytes in 1u64..2_000) {
            let mut read = Vec::new();
            for group in groups(surveyed(&files)) {
                for slice in slices(&group, bytes) {
                    let mut found: Vec<(i32, i64)> = group
                        .paths
                        .iter()
                        .flat_map(|path| &files[path.parse::<usize>().unwrap()].1)
                        .filter(|(partition, offset)| slice.get(partition).is_some_and(|range| range.contains(offset)))
                        .copied()
                        .collect();
                    found.sort_unstable();
                    read.extend(found);
                }
            }
            let mut all: Vec<_> = files.iter().flat_map(|(_, messages)| messages).copied().collect();
            let mut last: BTreeMap<i32, i64> = BTreeMap::new();
            for (partition, offset) in &read {
                let before = last.insert(*partition, *offset);
                prop_assert!(before.is_none_or(|before| before <= *offset), "partition {partition}: {offset} behind {before:?}");
            }
            let mut sorted = read.clone();
            sorted.sort_unstable();
            all.sort_unstable();
            prop_assert_eq!(sorted, all);
        }

        #[test]
        fn slices_of_one_partition_are_of_the_size_asked_for(messages in 1u64..5_000, bytes in 1_000u64..50_000) {
            let span = Span { first: 10, last: 9 + messages as i64, messages, bytes: messages * 100 };
            let group = Group { paths: vec![], spans: BTreeMap::from([(0, span)]) };
            let slices = slices(&group, bytes);
            let sizes: BTreeSet<u64> = slices.iter().map(|slice| (slice[&0].end() - slice[&0].start() + 1) as u64 * 100).collect();
            prop_assert!(sizes.iter().all(|size| *size <= bytes + 100), "{sizes:?}");
        }
    }

    #[test]
    fn files_that_follow_one_another_are_read_one_by_one() {
        let files = [(1, vec![(0, 0), (0, 5), (1, 3)]), (2, vec![(0, 6)]), (3, vec![(1, 4), (0, 7)])];
        assert_eq!(groups(surveyed(&files)).len(), 3);
        let interleaved = [(1, vec![(0, 0), (0, 5)]), (1, vec![(0, 3)]), (2, vec![(0, 6)])];
        assert_eq!(groups(surveyed(&interleaved)).len(), 2);
    }
}

//! How far a route has come in the partitions it owns, against what its table says.

use std::collections::BTreeMap;

use lake::{Advance, Head, HeadKey, HeadSet, TopicReplaced};

/// A partition that the route owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The partition.
    pub key: HeadKey,
    /// Where the table's head stands; `None` when it has none.
    pub committed: Option<i64>,
    /// Where reading began: the head, or the oldest record.
    pub began: i64,
    /// What has been taken in since.
    pub head: Head,
}

impl Progress {
    fn has_advanced(&self) -> bool {
        self.head.next > self.committed.unwrap_or(self.began)
    }
}

/// Why a partition cannot be read on from where its table stands. An operator has to decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The topic is not the one the table was fed from.
    #[error(transparent)]
    TopicReplaced(#[from] TopicReplaced),
    /// Records that the table lacks have been removed by retention.
    #[error("{key}: the table continues at offset {next}, but the oldest record left is {low}: {} records are lost", low - next)]
    Expired {
        /// The partition.
        key: HeadKey,
        /// Head of the table.
        next: i64,
        /// Oldest offset of the partition.
        low: i64,
    },
    /// The table is ahead of the topic: the topic was truncated.
    #[error(
        "{key}: the table continues at offset {next}, but the topic ends at {high}: records were removed from its end"
    )]
    Truncated {
        /// The partition.
        key: HeadKey,
        /// Head of the table.
        next: i64,
        /// End of the partition.
        high: i64,
    },
}

/// The partitions of a topic that a route owns.
#[derive(Debug, Clone, Default)]
pub struct Owned(BTreeMap<i32, Progress>);

impl Owned {
    /// Takes a partition over from where the table stands; returns the offset to read from.
    ///
    /// # Errors
    /// [`Unreadable`] when the partition does not hold what the table needs next.
    pub fn begin(&mut self, key: HeadKey, heads: &HeadSet, (low, high): (i64, i64)) -> Result<i64, Unreadable> {
        let known = heads.get(&key)?;
        let head = match known {
            None => Head::starting_at(low),
            Some(head) if head.next < low => return Err(Unreadable::Expired { key, next: head.next, low }),
            Some(head) if head.next > high => return Err(Unreadable::Truncated { key, next: head.next, high }),
            Some(head) => head,
        };
        let progress = Progress { committed: known.map(|head| head.next), began: head.next, head, key: key.clone() };
        self.0.insert(key.partition, progress);
        Ok(head.next)
    }

    /// Gives a partition up.
    pub fn release(&mut self, partition: i32) {
        self.0.remove(&partition);
    }

    /// The progress of a partition, if it is owned.
    pub fn get_mut(&mut self, partition: i32) -> Option<&mut Progress> {
        self.0.get_mut(&partition)
    }

    /// The partitions.
    pub fn partitions(&self) -> Vec<i32> {
        self.0.keys().copied().collect()
    }

    /// Whether no partition is owned.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The moves of heads that a commit has to make.
    pub fn advances(&self) -> Vec<Advance> {
        let advanced = self.0.values().filter(|progress| progress.has_advanced());
        advanced
            .map(|progress| Advance { key: progress.key.clone(), from: progress.committed, to: progress.head })
            .collect()
    }

    /// Takes note that the advances were committed; returns the positions to commit to the group.
    pub fn mark_committed(&mut self) -> Vec<(i32, i64)> {
        let mut positions = Vec::new();
        for (partition, progress) in &mut self.0 {
            if progress.has_advanced() {
                progress.committed = Some(progress.head.next);
                positions.push((*partition, progress.head.next));
            }
        }
        positions
    }

    /// Whether the table's heads of all owned partitions stand where this route left them. When they do, whatever else
    /// changed in the table, the rows gathered since are still exactly those that are missing. When one does not,
    /// somebody else took in some of the same records, and everything gathered has to be dropped.
    pub fn agrees_with(&self, heads: &HeadSet) -> bool {
        self.0
            .values()
            .all(|progress| heads.get(&progress.key).is_ok_and(|head| head.map(|head| head.next) == progress.committed))
    }
}

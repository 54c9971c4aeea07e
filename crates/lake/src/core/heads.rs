//! Heads: how far a table has taken in each source partition, and the algebra of moving them.
//!
//! A head is part of the table: it is written in the summary of the snapshot that adds the rows. Moving it is a
//! compare-and-set: an [`Advance`] names the position it starts from, and [`HeadSet::advance`] refuses one that starts
//! anywhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Watermark of a head that has seen no decision.
pub const NO_WATERMARK: i64 = -1;

/// Version of the text written in snapshot summaries.
const FORMAT_VERSION: u32 = 1;

/// A source partition, told apart from a partition of a re-created topic by Kafka's topic id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadKey {
    /// Kafka's identifier of the topic.
    pub topic_id: Arc<str>,
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
}

impl HeadKey {
    /// A key of its parts.
    pub fn new(topic: &str, topic_id: &str, partition: i32) -> Self {
        Self { topic_id: topic_id.into(), topic: topic.into(), partition }
    }
}

impl fmt::Display for HeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}] (topic id {})", self.topic, self.partition, self.topic_id)
    }
}

/// How far a table has taken in one source partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Next offset to read of the topic that the table is fed from.
    pub next: i64,
    /// Highest `source_offset` among the decisions taken in; [`NO_WATERMARK`] when there is none, as in tables that are
    /// not fed with decisions.
    pub watermark: i64,
}

/// What a decision is to a table that has taken in everything below its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first decision about its source offset, right behind the one before.
    First,
    /// The first decision about its source offset, but `missing` source offsets before it have none.
    FirstAfterGap {
        /// Number of source offsets without a decision.
        missing: u64,
    },
    /// An earlier decision about this source offset holds; this one must be dropped.
    ReEmission,
}

impl Head {
    /// The head of a partition of which nothing was taken in, when reading begins at `next`.
    pub fn starting_at(next: i64) -> Self {
        Self { next, watermark: NO_WATERMARK }
    }

    /// Judges the decision about `source_offset` and raises the watermark to it when it is a first one.
    ///
    /// The very first decision of a partition is never behind a gap: where the source began is unknown.
    pub fn judge(&mut self, source_offset: i64) -> Verdict {
        if source_offset <= self.watermark {
            return Verdict::ReEmission;
        }
        let missing = source_offset - self.watermark - 1;
        let first_ever = self.watermark == NO_WATERMARK;
        self.watermark = source_offset;
        match u64::try_from(missing) {
            Ok(missing) if missing > 0 && !first_ever => Verdict::FirstAfterGap { missing },
            _ => Verdict::First,
        }
    }
}

/// A wish to move one head: refused unless the head stands at `from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The source partition.
    pub key: HeadKey,
    /// Where the head is expected to stand; `None` when the table has no head of this partition yet.
    pub from: Option<i64>,
    /// Where it is to stand.
    pub to: Head,
}

/// Why a set of heads did not move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdvanceError {
    /// The head is not where the advance starts: somebody else took in these offsets.
    #[error("head of {key} stands at {found:?}, the advance starts from {expected:?}")]
    Moved {
        /// The source partition.
        key: HeadKey,
        /// Start of the advance.
        expected: Option<i64>,
        /// Position of the head.
        found: Option<i64>,
    },
    /// The advance would move the head or its watermark back.
    #[error("head of {key} would move back from {from:?} to {to:?}")]
    Backwards {
        /// The source partition.
        key: HeadKey,
        /// The head.
        from: Head,
        /// Where it would be moved.
        to: Head,
    },
}

/// A topic of this name was taken in before, but it was another topic: deleted and created again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "topic {topic} has the id {found}, but the table was fed from a topic of that name with the id {known}: the topic was \
     created again, and offsets of the two have nothing in common"
)]
pub struct TopicReplaced {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Id in the table's heads.
    pub known: Arc<str>,
    /// Id of the topic that exists now.
    pub found: Arc<str>,
}

/// The heads of all source partitions of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadSet(BTreeMap<HeadKey, Head>);

impl HeadSet {
    /// Number of source partitions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no partition has a head.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The heads, ordered by topic id and partition.
    pub fn iter(&self) -> impl Iterator<Item = (&HeadKey, &Head)> {
        self.0.iter()
    }

    /// The head of a partition; `None` when the table has taken in nothing of it.
    ///
    /// # Errors
    /// [`TopicReplaced`] when the table has heads of a topic of the same name but another id.
    pub fn get(&self, key: &HeadKey) -> Result<Option<Head>, TopicReplaced> {
        match self.0.keys().find(|known| known.topic == key.topic && known.topic_id != key.topic_id) {
            Some(known) => Err(TopicReplaced {
                topic: Arc::clone(&key.topic),
                known: Arc::clone(&known.topic_id),
                found: Arc::clone(&key.topic_id),
            }),
            None => Ok(self.0.get(key).copied()),
        }
    }

    /// Forgets the heads of earlier topics of the same name.
    pub(super) fn retire_former(&mut self, key: &HeadKey) {
        self.0.retain(|known, _| known.topic != key.topic || known.topic_id == key.topic_id);
    }

    /// Puts a head where an operator wants it. Not for commits of rows: these use [`Self::advance`].
    pub(super) fn set(&mut self, key: HeadKey, head: Head) {
        self.0.insert(key, head);
    }

    /// The set after all advances, or an error and no change at all.
    ///
    /// # Errors
    /// [`AdvanceError::Moved`] when a head is not where its advance starts, [`AdvanceError::Backwards`] when it would
    /// move back.
    pub fn advance(&self, advances: &[Advance]) -> Result<Self, AdvanceError> {
        let mut heads = self.0.clone();
        for advance in advances {
            let current = heads.get(&advance.key).copied();
            let found = current.map(|head| head.next);
            if found != advance.from {
                return Err(AdvanceError::Moved { key: advance.key.clone(), expected: advance.from, found });
            }
            if let Some(from) = current
                && (advance.to.next < from.next || advance.to.watermark < from.watermark)
            {
                return Err(AdvanceError::Backwards { key: advance.key.clone(), from, to: advance.to });
            }
            heads.insert(advance.key.clone(), advance.to);
        }
        Ok(Self(heads))
    }

    /// The text that a snapshot summary carries.
    pub fn to_summary(&self) -> String {
        let mut topics: Vec<SummaryTopic> = Vec::new();
        for (key, head) in &self.0 {
            let entry = (key.partition, head.next, head.watermark);
            match topics.last_mut() {
                Some(topic) if topic.id == *key.topic_id && topic.name == *key.topic => topic.heads.push(entry),
                _ => topics.push(SummaryTopic {
                    id: key.topic_id.to_string(),
                    name: key.topic.to_string(),
                    heads: vec![entry],
                }),
            }
        }
        serde_json::to_string(&Summary { v: FORMAT_VERSION, topics }).expect("strings and integers always serialise")
    }

    /// Reads what [`Self::to_summary`] wrote.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn from_summary(text: &str) -> Result<Self, String> {
        let summary: Summary = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if summary.v != FORMAT_VERSION {
            return Err(format!("version {} of the heads is not known to this release", summary.v));
        }
        let heads = summary.topics.iter().flat_map(|topic| {
            topic.heads.iter().map(|&(partition, next, watermark)| {
                (HeadKey::new(&topic.name, &topic.id, partition), Head { next, watermark })
            })
        });
        Ok(Self(heads.collect()))
    }
}

impl FromIterator<(HeadKey, Head)> for HeadSet {
    fn from_iter<I: IntoIterator<Item = (HeadKey, Head)>>(heads: I) -> Self {
        Self(heads.into_iter().collect())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Summary {
    v: u32,
    topics: Vec<SummaryTopic>,
}

/// Grouped by topic, because the name and the id repeat for each of its partitions in every snapshot of the table.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SummaryTopic {
    id: String,
    name: String,
    heads: Vec<(i32, i64, i64)>,
}

//! Moving heads by hand: what is allowed, and what it costs.
//!
//! A head moves forward over records that are gone, or to a topic that was created again. Backwards it moves only where
//! no row can come twice: in tables that are fed with decisions, whose watermark stays and drops what was taken in
//! before; or to the very end of a log that was truncated.

use std::str::FromStr;
use std::sync::Arc;

use super::gap::{Gap, Offsets, Position};
use super::heads::{Head, HeadKey, HeadSet, NO_WATERMARK};

/// Where heads are to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// At the oldest record that is left.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// At this offset.
    Offset(i64),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            _ => match text.parse() {
                Ok(offset) if offset >= 0 => Ok(Self::Offset(offset)),
                _ => Err("is neither earliest, latest nor an offset".to_owned()),
            },
        }
    }
}

/// What the rows of a table are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// Of the records themselves: a record that is read twice is two rows.
    Records,
    /// Of decisions: one at or below the watermark is dropped. `renewed` says that the topic the decisions are *about* was
    /// created again too, so that its offsets begin anew and the watermark must be forgotten.
    Decisions {
        /// See above.
        renewed: bool,
    },
}

/// A partition of the topic as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The partition, with the present id of its topic.
    pub key: HeadKey,
    /// Oldest offset.
    pub low: i64,
    /// Offset of the next record.
    pub high: i64,
    /// Where the log ended after it lost its end, when it has grown since: records from there on are others than those that
    /// were taken in before.
    pub cut: Option<i64>,
}

/// Heads that are to be moved, and what that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetPlan {
    /// The heads afterwards.
    pub heads: HeadSet,
    /// One entry for each head that moves; empty when all stand where they are wanted.
    pub gaps: Vec<Gap>,
}

/// Why heads may not be moved so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResetRefused {
    /// Rows would come twice.
    #[error(
        "{key}: the table has taken in the records from {from} up to {to} already, and reading them again would double their \
         rows; move the head to {safe} or beyond, or begin a new table"
    )]
    WouldDouble {
        /// The partition.
        key: HeadKey,
        /// First record that would be read again.
        from: i64,
        /// Behind the last one.
        to: i64,
        /// Lowest offset that is allowed.
        safe: i64,
    },
    /// The offset is not in the log.
    #[error("{key}: offset {to} is not in the log, which holds {low} up to {high}")]
    NotInLog {
        /// The partition.
        key: HeadKey,
        /// The offset.
        to: i64,
        /// Oldest offset.
        low: i64,
        /// End.
        high: i64,
    },
    /// A topic that was created again is another topic as a whole.
    #[error("topic {0} was created again: its heads can only be moved all together, without --partition")]
    WholeTopic(
        /// The topic.
        Arc<str>,
    ),
    /// Forgetting the watermark while the decisions are still about the same messages.
    #[error(
        "topic {0} is the one the table was fed from: forgetting the watermark would let every decision in a second time"
    )]
    WatermarkStillHolds(
        /// The topic.
        Arc<str>,
    ),
}

/// Plans to move the heads of partitions of one topic. `whole` says that `logs` are all its partitions and none was named:
/// then only those heads move that cannot go on from where they stand.
///
/// # Errors
/// [`ResetRefused`]; nothing is to be moved then.
pub fn plan(
    heads: &HeadSet,
    (logs, whole): (&[Log], bool),
    target: Target,
    feed: Feed,
) -> Result<ResetPlan, ResetRefused> {
    let mut after = heads.clone();
    let mut gaps = Vec::new();
    for log in logs {
        let former = heads.iter().find(|(known, _)| is_former(known, &log.key)).map(|(known, _)| known);
        match former {
            Some(_) if !whole => return Err(ResetRefused::WholeTopic(Arc::clone(&log.key.topic))),
            None if feed == (Feed::Decisions { renewed: true }) => {
                return Err(ResetRefused::WatermarkStillHolds(Arc::clone(&log.key.topic)));
            }
            _ => {}
        }
        if whole && heads.standing(&log.key, (log.low, log.high)).is_ok() {
            continue;
        }
        let gap = one(heads, log, resolve(log, target)?, feed)?;
        after.retire_former(&log.key);
        after.set(log.key.clone(), Head { next: gap.now.next, watermark: gap.now.watermark });
        gaps.extend((gap.was.as_ref() != Some(&gap.now)).then_some(gap));
    }
    Ok(ResetPlan { heads: after, gaps })
}

fn is_former(known: &HeadKey, key: &HeadKey) -> bool {
    known.topic == key.topic && known.topic_id != key.topic_id
}

fn resolve(log: &Log, target: Target) -> Result<i64, ResetRefused> {
    let to = match target {
        Target::Earliest => log.low,
        Target::Latest => log.high,
        Target::Offset(offset) => offset,
    };
    if (log.low..=log.high).contains(&to) {
        return Ok(to);
    }
    Err(ResetRefused::NotInLog { key: log.key.clone(), to, low: log.low, high: log.high })
}

fn one(heads: &HeadSet, log: &Log, to: i64, feed: Feed) -> Result<Gap, ResetRefused> {
    let same_partition = |known: &HeadKey| known.topic == log.key.topic && known.partition == log.key.partition;
    let was = heads.iter().find(|(known, _)| same_partition(known));
    let watermark = match (was, feed) {
        (Some((_, head)), Feed::Decisions { renewed: false }) => head.watermark,
        _ => NO_WATERMARK,
    };
    let position = |key: &HeadKey, head: Head| Position {
        topic_id: key.topic_id.to_string(),
        next: head.next,
        watermark: head.watermark,
    };
    let mut gap = Gap {
        topic: log.key.topic.to_string(),
        partition: log.key.partition,
        was: was.map(|(key, head)| position(key, *head)),
        now: position(&log.key, Head { next: to, watermark }),
        lost: Offsets::non_empty(0, to),
        lost_behind: None,
        again: None,
        removed: None,
    };
    match was {
        Some((key, head)) if *key == log.key => {
            let same_until = log.cut.unwrap_or(log.high).min(log.high);
            gap.lost = Offsets::non_empty(head.next, to);
            gap.again = Offsets::non_empty(to, head.next.min(same_until));
            gap.removed = Offsets::non_empty(same_until, head.next);
        }
        Some((_, head)) => gap.lost_behind = Some(head.next),
        None => {}
    }
    match gap.again {
        Some(again) if feed == Feed::Records => {
            Err(ResetRefused::WouldDouble { key: log.key.clone(), from: again.from, to: again.to, safe: again.to })
        }
        _ => Ok(gap),
    }
}

//! One owned partition: its state and the two feeds behind it.

use kafka_pipeline::{NextOffset, TopicPartition};

use super::input::Feed;
use crate::core::partition::{Mode, Partition};

/// A partition that this process owns.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) state: Partition,
    pub(crate) decisions: Feed,
    /// Begins when the decisions are live: what is known from readings decides what an event means.
    pub(crate) events: Option<Feed>,
}

impl Owned {
    pub(crate) fn new(state: Partition, decisions: Feed) -> Self {
        Self { state, decisions, events: None }
    }

    /// Whether recovery is over.
    pub(crate) fn is_live(&self) -> bool {
        self.events.as_ref().is_some_and(Feed::is_live)
    }

    /// Positions that may be committed once everything so far is written. A feed that is still learning has none: its
    /// position lies before what is committed already.
    pub(crate) fn positions(&self) -> (Option<Position>, Option<Position>) {
        let of = |feed: &Feed| feed.is_live().then(|| (feed.at.clone(), feed.next));
        (of(&self.decisions), self.events.as_ref().and_then(of))
    }
}

pub(crate) type Position = (TopicPartition, NextOffset);

/// Whether a record of a feed only teaches the state.
pub(crate) fn mode(feed: &Feed, offset: i64) -> Mode {
    if offset < feed.live_from.0 { Mode::Learn } else { Mode::Live }
}

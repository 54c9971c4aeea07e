//! The two input topics, and where a partition of them begins.
//!
//! Decisions are read as a group member. Device events are read by the owner of the decisions' partition of the same
//! number, assigned by hand, so that all that is known of a device is in one place; their positions are kept under a group
//! of their own, which has no members.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kafka_pipeline::{
    Consumer, ConsumerConfig, ConsumerError, Events, KafkaConfig, NextOffset, OffsetReset, StartAt, TopicPartition,
};
use service_runtime::Clock;

use super::retry::Patience;
use crate::config::{InputConfig, TopicsConfig};
use crate::core::episode::Seen;

/// Read side of one partition of one topic.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub(crate) at: TopicPartition,
    /// Position behind what was processed.
    pub(crate) next: NextOffset,
    /// First record whose results are ours to write; what lies before only teaches the state.
    pub(crate) live_from: NextOffset,
}

impl Feed {
    /// Whether the state has learned all that lies before its live part.
    pub(crate) fn is_live(&self) -> bool {
        self.next >= self.live_from
    }
}

/// The consumers of both topics.
pub(crate) struct Inputs {
    pub(crate) decisions: Consumer,
    pub(crate) decision_events: Events,
    pub(crate) events: Consumer,
    pub(crate) event_events: Events,
    events_topic: Arc<str>,
    window: Duration,
    clock: Arc<dyn Clock>,
    patience: Patience,
}

impl Inputs {
    /// Joins the group; `partitions` is the number of partitions of the events topic.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub(crate) fn join(
        kafka: &KafkaConfig,
        (topics, input): (&TopicsConfig, &InputConfig),
        partitions: i32,
        clock: Arc<dyn Clock>,
        patience: Patience,
    ) -> anyhow::Result<Self> {
        // Where a partition begins is worked out here, so the reset is only reached when retention overtakes a start.
        let reset = OffsetReset::Earliest;
        let config = ConsumerConfig { reset, ..ConsumerConfig::new(&input.group, [&topics.validated]) };
        let (decisions, decision_events) = Consumer::subscribe(kafka, config).context("subscribe to decisions")?;

        let events_topic: Arc<str> = topics.events.as_str().into();
        let all = (0..partitions).map(|p| TopicPartition::new(Arc::clone(&events_topic), p)).collect::<Vec<_>>();
        let config = ConsumerConfig {
            group: format!("{}-events", input.group),
            reset,
            block_bytes: 1 << 18,
            queue_blocks: 8,
            ..ConsumerConfig::default()
        };
        // None is ours yet.
        let (events, event_events) = Consumer::assign_later(kafka, config, &all).context("assign events")?;
        let window = input.state_window;
        Ok(Self { decisions, decision_events, events, event_events, events_topic, window, clock, patience })
    }

    /// Where the logs of an assigned partition of decisions and of its events end now.
    pub(crate) async fn ends(&self, at: &TopicPartition) -> anyhow::Result<Seen> {
        let events = TopicPartition::new(Arc::clone(&self.events_topic), at.partition);
        let end = async |consumer: &Consumer, at: &TopicPartition| {
            let marks = self.patience.run(|| consumer.watermarks(at)).await;
            marks.map(|(_, high)| high).with_context(|| format!("look at the end of {at}"))
        };
        Ok(Seen { decision: end(&self.decisions, at).await?, event: end(&self.events, &events).await? })
    }

    /// Starts an assigned partition of decisions, a window before the group's position.
    pub(crate) async fn start_decisions(&self, at: &TopicPartition) -> anyhow::Result<Feed> {
        let feed =
            self.patience.run(|| self.feed(&self.decisions, at)).await.with_context(|| format!("position {at}"))?;
        self.decisions.start(at, StartAt::Offset(feed.next))?;
        Ok(feed)
    }

    /// Starts a partition of events.
    pub(crate) async fn start_events(&self, partition: i32) -> anyhow::Result<Feed> {
        let at = TopicPartition::new(Arc::clone(&self.events_topic), partition);
        let feed =
            self.patience.run(|| self.feed(&self.events, &at)).await.with_context(|| format!("position {at}"))?;
        self.events.start(&at, StartAt::Offset(feed.next))?;
        self.events.resume(&at)?;
        Ok(feed)
    }

    /// Stops reading a partition of events.
    pub(crate) fn stop_events(&self, partition: i32) -> Result<(), ConsumerError> {
        self.events.pause(&TopicPartition::new(Arc::clone(&self.events_topic), partition))
    }

    async fn feed(&self, consumer: &Consumer, at: &TopicPartition) -> Result<Feed, ConsumerError> {
        let (low, high) = consumer.watermarks(at).await?;
        let committed = consumer.committed(at).await?;
        let live_from = match committed {
            Some(NextOffset(next)) if (low..=high).contains(&next) => next,
            Some(NextOffset(next)) => {
                tracing::error!(partition = %at, committed = next, low, high, "position is not in the log any more");
                low
            }
            None => low,
        };
        let since_ms =
            self.clock.now_millis().saturating_sub(i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX));
        let window_start = consumer.offset_at(at, since_ms).await?.map_or(live_from, |next| next.0);
        let next = NextOffset(window_start.clamp(low, live_from));
        tracing::info!(partition = %at, from = next.0, live_from, "start partition");
        Ok(Feed { at: at.clone(), next, live_from: NextOffset(live_from) })
    }
}

//! Keeps a route from reading what is not the continuation of its table: topics that were created again, records that
//! retention took away, logs that lost their end.
//!
//! A refused partition stays assigned and unread while the others go on. It is looked at again every
//! [`RouteSettings::recheck_interval`](super::route::RouteSettings), so that it goes on by itself when an operator has
//! moved the head.

use std::time::Instant;

use anyhow::Context;
use kafka_pipeline::{AdminError, Consumer, ConsumerError, Events, TopicId, TopicPartition, topic_id, topic_replaced};
use lake::{HeadKey, HeadSet, Refusal};
use service_runtime::Readiness;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::patience::Component;
use super::route::{Route, RouteSettings};
use crate::core::file_policy::CommitReason;
use crate::core::progress::Owned;
use crate::core::refusals::Refusals;
use crate::metrics::RouteMetrics;

/// What a route must not read, and how it is watched and told.
pub(crate) struct Guard {
    refusals: Refusals,
    checked_at: Instant,
    /// Ends when the topic is another one.
    watch: Option<JoinHandle<(String, TopicId)>>,
    readiness: Readiness,
    metrics: RouteMetrics,
}

impl Guard {
    pub(crate) fn new(readiness: Readiness, metrics: RouteMetrics) -> Self {
        let guard = Self { refusals: Refusals::default(), checked_at: Instant::now(), watch: None, readiness, metrics };
        guard.publish();
        guard
    }

    /// Waits until the topic that is being read was replaced by another. Cancel safe.
    pub(crate) async fn replaced(&mut self) -> TopicId {
        if let Some(watch) = &mut self.watch {
            let ended = watch.await;
            self.watch = None;
            if let Ok((_, id)) = ended {
                return id;
            }
        }
        std::future::pending().await
    }

    /// Watches the topic whose partitions are about to be read, and no other.
    pub(crate) fn watch(&mut self, settings: &RouteSettings, known: TopicId) {
        let known = vec![(settings.topic.to_string(), known)];
        let watch = topic_replaced(settings.kafka.clone(), known, settings.recheck_interval);
        self.stop_watching();
        self.watch = Some(tokio::spawn(watch));
    }

    fn stop_watching(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.abort();
        }
    }

    pub(crate) fn refuse(&mut self, partition: i32, refusal: Refusal) {
        let (reason, text) = (refusal.reason(), refusal.to_string());
        if self.refusals.add(partition, refusal) {
            tracing::error!(
                route = self.metrics.0,
                kafka.partition = partition,
                reason,
                refusal = text,
                "partition is refused until an operator moves its head"
            );
        }
        self.publish();
    }

    /// Whether an earlier refusal holds whatever the log looks like now, see [`Refusals::holds`].
    pub(crate) fn holds(&self, key: &HeadKey, heads: &HeadSet) -> bool {
        self.refusals.holds(key, heads)
    }

    pub(crate) fn accept(&mut self, partition: i32) {
        if self.refusals.remove(partition) {
            self.publish();
        }
    }

    fn publish(&self) {
        for (reason, partitions) in self.refusals.counts() {
            self.metrics.refused(reason, partitions);
        }
        let part = format!("route {}", self.metrics.0);
        match self.refusals.summary() {
            Some(summary) => self.readiness.object(part, summary),
            None => self.readiness.withdraw(&part),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop_watching();
    }
}

impl Route {
    /// The topic was created again under the running route. Nobody can say which of the gathered rows are from which of the
    /// two topics, so none is committed; what comes next is decided as at an assignment.
    pub(super) async fn on_replaced(&mut self, found: &TopicId, stop: &CancellationToken) -> anyhow::Result<()> {
        tracing::error!(route = self.metrics.0, kafka.topic = %self.settings.topic, found = %found, "topic was created again");
        self.suspects.clear();
        self.restart(stop).await
    }

    /// Looks again at refused partitions, when it is time.
    pub(super) async fn recheck(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        if self.guard.refusals.is_empty() || self.guard.checked_at.elapsed() < self.settings.recheck_interval {
            return Ok(());
        }
        let at = |partition| TopicPartition::new(std::sync::Arc::clone(&self.settings.topic), partition);
        let refused = self.guard.refusals.partitions().into_iter().map(at).collect();
        self.adopt(refused, stop).await?;
        self.guard.checked_at = Instant::now();
        Ok(())
    }

    /// The client has ended because a position is not in the log any more. What is gathered came from before that position
    /// and may not be there to be read again, so it is committed first; then a new client begins at the table's heads, and
    /// the partitions that cannot go on from there are refused.
    pub(super) async fn rejoin(
        &mut self,
        error: &ConsumerError,
        events: &mut Events,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        tracing::error!(route = self.metrics.0, error = %error, "position is not in the log, joining the group again");
        self.flush(CommitReason::Revoked, stop).await?;
        self.abandon();
        // The new client is given its partitions anew, and none of the old ones before that.
        self.owned = Owned::default();
        self.suspects.clear();
        for partition in self.guard.refusals.partitions() {
            self.guard.accept(partition);
        }
        if !self.patience.series(Component::Kafka).wait(error, stop).await {
            return Ok(());
        }
        (self.consumer, *events) =
            Consumer::subscribe(&self.settings.kafka, self.settings.consumer.clone()).context("subscribe again")?;
        Ok(())
    }

    /// Whether what was read up to now is of the topic that the heads are about: asked between the last read and the commit,
    /// so that nothing of another topic is committed under its offsets. A topic that is gone is no other topic.
    pub(super) async fn is_same_topic(&self, stop: &CancellationToken) -> anyhow::Result<bool> {
        let ask = || async {
            match topic_id(&self.settings.kafka, &self.settings.topic).await {
                Err(AdminError::UnknownTopic(_)) => Ok(None),
                answer => answer.map(Some),
            }
        };
        let found = self.patience.until_done(Component::Kafka, stop, |_| true, ask).await?;
        Ok(found.is_some_and(|found| found.is_none_or(|found| self.owned.are_of(&found.0))))
    }
}

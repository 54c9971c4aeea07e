//! One topic into one table: the loop.
//!
//! The loop owns everything of its route, so nothing is locked. While it writes or commits it does not look at events;
//! the consumer has a thread of its own and keeps polling, with partitions paused when its queue is full.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use kafka_pipeline::{
    Consumer, ConsumerConfig, ConsumerError, Event, Events, KafkaConfig, NextOffset, RecordBlock, RevokeAck, StartAt,
    TopicId, TopicPartition, topic_id,
};
use lake::{HeadKey, PartitionValue, TableHeads};
use service_runtime::{Clock, SystemClock, fail_point};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::guard::Guard;
use super::intake::Intake;
use super::isolate::{Guarded, taken};
use super::patience::{Component, Patience};
use super::publish::{Outcome, Publisher, Written};
use crate::core::budget::Budget;
use crate::core::file_policy::{CommitReason, CommitTriggers, Relief, Uncommitted, relief};
use crate::core::progress::{Admission, Owned};
use crate::core::rows::TableRows;
use crate::metrics::RouteMetrics;

/// How often triggers are looked at when no record comes. A commit is late by at most this.
const TICK: Duration = Duration::from_millis(200);

/// Settings of a route.
#[derive(Debug, Clone)]
pub(crate) struct RouteSettings {
    pub(crate) topic: Arc<str>,
    pub(crate) kafka: KafkaConfig,
    /// For a client that takes the place of one that has ended.
    pub(crate) consumer: ConsumerConfig,
    /// How often the identity of the topic and refused partitions are looked at again.
    pub(crate) recheck_interval: Duration,
    pub(crate) triggers: CommitTriggers,
    pub(crate) revoke_grace: Duration,
    pub(crate) stop_grace: Duration,
}

/// See the module documentation.
pub(crate) struct Route {
    pub(crate) settings: RouteSettings,
    pub(crate) consumer: Consumer,
    pub(crate) guard: Guard,
    pub(crate) intake: Intake,
    pub(crate) publisher: Publisher,
    pub(crate) rows: Box<dyn TableRows>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) patience: Patience,
    pub(crate) metrics: RouteMetrics,
    pub(crate) owned: Owned,
    /// When the oldest uncommitted record was taken in.
    pub(crate) since_micros: Option<i64>,
    /// Memory as last reported to the budget.
    pub(crate) reported_bytes: usize,
    /// By partition, up to which offset records are tried before they are taken in: some of them cannot be written.
    pub(crate) suspects: BTreeMap<i32, i64>,
}

impl Route {
    /// Runs until `stop`, then commits what there is and leaves the group.
    ///
    /// # Errors
    /// What another attempt cannot mend: the table is not ours, access is denied, a defect. Partitions that lack what the
    /// table needs are no error: they are refused and waited for.
    pub(crate) async fn run(mut self, mut events: Events, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.finish().await,
                event = events.recv() => match event {
                    Some(Err(error @ ConsumerError::OffsetOutOfRange { .. })) => {
                        Box::pin(self.rejoin(&error, &mut events, &stop)).await?;
                    }
                    Some(event) => self.handle(event.context("consume")?, &stop).await?,
                    None => bail!("consumer has ended"),
                },
                found = self.guard.replaced() => self.on_replaced(&found, &stop).await?,
                _ = ticks.tick() => {}
            }
            self.patience.beat();
            self.turn(&stop).await?;
            self.recheck(&stop).await?;
        }
    }

    async fn handle(&mut self, event: Event, stop: &CancellationToken) -> anyhow::Result<()> {
        match event {
            Event::Assigned(partitions) => self.adopt(partitions, stop).await,
            Event::Revoked(partitions, ack) => self.give_up(partitions, ack, stop).await,
            Event::Records(block) => self.take(&block, stop).await,
            Event::PartitionEof(..) => Ok(()),
        }
    }

    /// Takes new partitions over from where the table stands.
    pub(super) async fn adopt(
        &mut self,
        partitions: Vec<TopicPartition>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        let Some(heads) = self.publisher.read_heads(stop).await? else { return Ok(()) };
        let partitions: Vec<i32> = partitions.iter().map(|at| at.partition).collect();
        let adoption = self.owned.adopt(&partitions, &heads.heads);
        if adoption.void {
            self.drop_gathered();
        }
        self.begin(&adoption.begin, heads, stop).await
    }

    /// Begins partitions at the heads, or refuses them.
    async fn begin(&mut self, partitions: &[i32], heads: TableHeads, stop: &CancellationToken) -> anyhow::Result<()> {
        if partitions.is_empty() {
            self.publisher.base = heads;
            return Ok(());
        }
        let Some(id) = self.topic_id(stop).await? else { return Ok(()) };
        for partition in partitions {
            let at = TopicPartition::new(Arc::clone(&self.settings.topic), *partition);
            let key = HeadKey::new(&self.settings.topic, &id.0, *partition);
            if self.guard.holds(&key, &heads.heads) {
                continue;
            }
            let Some(bounds) = self.bounds(&at, stop).await? else { return Ok(()) };
            let next = match self.owned.begin(key, &heads.heads, bounds) {
                Ok(next) => next,
                Err(refusal) => {
                    self.guard.refuse(*partition, refusal);
                    self.consumer.pause(&at).context("leave a partition alone")?;
                    continue;
                }
            };
            self.guard.accept(*partition);
            self.consumer.resume(&at).context("start a partition")?;
            self.consumer.start(&at, StartAt::Offset(NextOffset(next))).context("start a partition")?;
            tracing::info!(
                route = self.metrics.0,
                kafka.topic = %self.settings.topic,
                kafka.partition = *partition,
                kafka.offset = next,
                "partition begins"
            );
        }
        self.publisher.base = heads;
        self.guard.watch(&self.settings, id);
        Ok(())
    }

    async fn topic_id(&self, stop: &CancellationToken) -> anyhow::Result<Option<TopicId>> {
        let ask = || topic_id(&self.settings.kafka, &self.settings.topic);
        self.patience.until_done(Component::Kafka, stop, |_| true, ask).await
    }

    async fn bounds(&self, at: &TopicPartition, stop: &CancellationToken) -> anyhow::Result<Option<(i64, i64)>> {
        let ask = || self.consumer.watermarks(at);
        let transient = |error: &ConsumerError| matches!(error, ConsumerError::Query(_));
        self.patience.until_done(Component::Kafka, stop, transient, ask).await
    }

    /// Lets partitions go, with a last commit when there is time for it. What is not committed is read again by whoever
    /// gets them; rows of different partitions share files, so abandoning some abandons all that was gathered.
    async fn give_up(
        &mut self,
        partitions: Vec<TopicPartition>,
        ack: RevokeAck,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let grace = self.settings.revoke_grace;
        let committed = if ack.is_lost() {
            false
        } else {
            let flush = self.flush(CommitReason::Revoked, stop);
            tokio::time::timeout(grace, Box::pin(flush)).await.unwrap_or(Ok(false))?
        };
        for at in &partitions {
            self.owned.release(at.partition);
            self.guard.accept(at.partition);
        }
        fail_point("sink.before_revoke_ack").await;
        // The positions went out with the commit; the acknowledgement has nothing to add.
        ack.done([]);
        tracing::info!(route = self.metrics.0, partitions = partitions.len(), committed, "partitions given up");
        if committed { Ok(()) } else { self.restart(stop).await }
    }

    async fn take(&mut self, block: &RecordBlock, stop: &CancellationToken) -> anyhow::Result<()> {
        let (partition, offset) = (block.partition(), block.first_offset());
        let head = match self.owned.admit(partition, offset) {
            Admission::NotOurs => return Ok(()),
            Admission::Again => {
                bail!("{}[{partition}]: offset {offset} came again without a restart", self.settings.topic)
            }
            Admission::Take(head) => head,
        };
        let Some(unwritable) = self.unwritable(block, stop).await? else { return Ok(()) };
        let taken = self.intake.take(block, &unwritable, head, self.rows.as_mut(), stop).guarded().await;
        let Ok(taken) = taken else {
            return self.isolate("gathering rows panicked", Some(block), stop).await;
        };
        let (Some(head), Some(progress)) = (taken?, self.owned.get_mut(partition)) else { return Ok(()) };
        progress.head = head;
        self.since_micros.get_or_insert_with(|| SystemClock.now_micros());
        Ok(())
    }

    /// Writes files while memory is short, and commits when it is time.
    async fn turn(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        self.report();
        while self.budget.must_close(self.reported_bytes) {
            match relief(&self.rows.gathered(), self.budget.limit_bytes()) {
                None => break,
                Some(Relief::Commit) => return Box::pin(self.flush(CommitReason::Memory, stop)).await.map(drop),
                Some(Relief::Close(partition)) => {
                    if !self.write_parts(vec![partition], stop).await? {
                        return Ok(());
                    }
                }
            }
            self.report();
        }
        match self.settings.triggers.due(&self.uncommitted(), SystemClock.now_micros()) {
            Some(reason) => Box::pin(self.flush(reason, stop)).await.map(drop),
            None => Ok(()),
        }
    }

    /// Writes everything and commits it; false when it did not happen, and then nothing is gathered any more.
    pub(super) async fn flush(&mut self, reason: CommitReason, stop: &CancellationToken) -> anyhow::Result<bool> {
        if self.owned.advances().is_empty() {
            return Ok(true);
        }
        let partitions = self.rows.gathered().into_keys().collect();
        if !self.write_parts(partitions, stop).await? {
            return Ok(false);
        }
        if !self.is_same_topic(stop).await? {
            return self.restart(stop).await.map(|()| false);
        }
        let outcome = self.publisher.commit(&self.owned, reason, stop).await?;
        match outcome {
            Some(Outcome::Done(committed)) => {
                let after = self.owned.committed(&committed.heads.heads);
                self.acquit(&after.positions);
                self.since_micros = None;
                self.report();
                self.commit_positions(&after.positions);
                if after.restart { self.restart(stop).await.map(|()| true) } else { Ok(true) }
            }
            Some(Outcome::Overtaken) => {
                tracing::warn!(route = self.metrics.0, "what was gathered is dropped, starting from the table's heads");
                self.restart(stop).await.map(|()| false)
            }
            None => {
                self.abandon();
                Ok(false)
            }
        }
    }

    /// Writes parts as files; false when it did not happen, and then nothing is gathered any more.
    async fn write_parts(&mut self, partitions: Vec<PartitionValue>, stop: &CancellationToken) -> anyhow::Result<bool> {
        let rows = self.rows.as_mut();
        let parts = partitions.into_iter().map(|partition| (partition, taken(rows, partition)));
        match self.publisher.write(parts, stop).await? {
            Written::Files => Ok(true),
            Written::Stopped => {
                // Some rows are out of the buffers and in no file.
                self.abandon();
                Ok(false)
            }
            Written::Unwritable(reason) => self.isolate(&reason, None, stop).await.map(|()| false),
        }
    }

    /// Drops what was gathered and begins all partitions at the table's heads again.
    pub(super) async fn restart(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        self.abandon();
        let Some(heads) = self.publisher.read_heads(stop).await? else { return Ok(()) };
        self.begin(&self.owned.waiting(), heads, stop).await
    }

    /// Drops what was gathered, and with it how far the partitions have come. Always safe: the table does not know of it,
    /// and files without a commit are seen by nobody.
    pub(super) fn abandon(&mut self) {
        self.owned.abandon();
        self.drop_gathered();
    }

    fn drop_gathered(&mut self) {
        self.rows.clear();
        self.publisher.files.clear();
        self.since_micros = None;
        self.report();
    }

    /// Tells the group how far the table is. A hint for lag displays: reading begins at the table's heads.
    fn commit_positions(&self, positions: &[(i32, i64)]) {
        let positions: Vec<_> = positions
            .iter()
            .map(|(partition, next)| {
                (TopicPartition::new(Arc::clone(&self.settings.topic), *partition), NextOffset(*next))
            })
            .collect();
        self.consumer.commit(&positions);
    }

    fn uncommitted(&self) -> Uncommitted {
        let in_files: u64 = self.publisher.files.iter().map(lake::WrittenFile::rows).sum();
        let gathered = self.rows.gathered();
        let in_memory: usize = gathered.values().map(|part| part.rows).sum();
        Uncommitted {
            rows: in_files + in_memory as u64,
            files: self.publisher.files.len() + gathered.len(),
            file_bytes: self.publisher.files.iter().map(lake::WrittenFile::bytes).sum(),
            memory_bytes: self.reported_bytes as u64,
            since_micros: self.since_micros,
        }
    }

    fn report(&mut self) {
        let bytes = self.rows.bytes();
        self.budget.report(self.reported_bytes, bytes);
        self.reported_bytes = bytes;
        let waited = self.since_micros.map_or(0, |since| SystemClock.now_micros().saturating_sub(since));
        self.metrics.waiting(bytes, Duration::from_micros(u64::try_from(waited).unwrap_or(0)));
    }

    /// The last commit, and the farewell to the group.
    async fn finish(mut self) -> anyhow::Result<()> {
        let half = self.settings.stop_grace / 2;
        let never = CancellationToken::new();
        let flushed = tokio::time::timeout(half, Box::pin(self.flush(CommitReason::Shutdown, &never))).await;
        match flushed {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::error!(route = self.metrics.0, error = format!("{error:#}"), "last commit failed")
            }
            Err(_) => tracing::warn!(route = self.metrics.0, "no time for the last commit, its records are read again"),
        }
        self.abandon();
        // Not to leave in time only makes the group wait for the session to end.
        if let Err(error) = self.consumer.close(half).await {
            tracing::warn!(route = self.metrics.0, error = %error, "group was not left in time");
        }
        Ok(())
    }
}

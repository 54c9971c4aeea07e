//! Consumers: a poll thread per consumer, blocks of records out, positions in.
//!
//! [`Consumer::subscribe`] joins a group with cooperative rebalancing; [`Consumer::assign`] reads given partitions
//! without one. Either way the service gets a handle and [`Events`].

mod config;
mod context;
mod error;
mod events;
mod flow;
mod poller;
mod shared;
mod tail;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{Mutex, mpsc, oneshot};

use self::context::Context;
pub(crate) use self::context::log_line;
use self::poller::Poller;
use self::shared::{Command, Shared, Slot};
pub use self::{
    config::{ConsumerConfig, OffsetReset, StartAt},
    error::ConsumerError,
    events::{Event, Events, RevokeAck},
    tail::{TailBlocks, read_tail},
};
use crate::config::{CreateError, KafkaConfig};
use crate::core::position::Epoch;
use crate::metrics;
use crate::record::{NextOffset, TopicPartition};

/// Bound of every question to a broker.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

struct Handle {
    shared: Arc<Shared>,
    commands: std_mpsc::Sender<Command>,
    client: Weak<BaseConsumer<Context>>,
    reset: OffsetReset,
    done: Mutex<oneshot::Receiver<()>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// The service's handle of a consumer; clones share it. Dropping the last one closes the consumer in the background.
#[derive(Clone)]
pub struct Consumer {
    handle: Arc<Handle>,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("shared", &self.handle.shared).finish_non_exhaustive()
    }
}

impl Consumer {
    /// Joins the group and subscribes to the topics of the settings.
    ///
    /// # Errors
    /// [`ConsumerError::Create`]. An unreachable cluster is not an error here: the client
    /// keeps trying.
    pub fn subscribe(kafka: &KafkaConfig, config: ConsumerConfig) -> Result<(Self, Events), ConsumerError> {
        if config.group.is_empty() {
            return Err(CreateError::Config("a subscription needs a group".to_owned()).into());
        }
        config.check(config.topics.len())?;
        let topics = config.topics.clone();
        Self::launch(kafka, config, |poller| {
            let topics: Vec<_> = topics.iter().map(String::as_str).collect();
            Ok(poller.client().subscribe(&topics).map_err(CreateError::from)?)
        })
    }

    /// Reads the given partitions at once, from the given positions, without joining a group. No
    /// [`Event::Assigned`] is sent.
    ///
    /// # Errors
    /// [`ConsumerError::Create`].
    pub fn assign(
        kafka: &KafkaConfig,
        config: ConsumerConfig,
        partitions: Vec<(TopicPartition, StartAt)>,
    ) -> Result<(Self, Events), ConsumerError> {
        let (consumer, events) = Self::assign_later(kafka, config, partitions.iter().map(|(at, _)| at))?;
        partitions.iter().try_for_each(|(at, from)| consumer.start(at, *from))?;
        Ok((consumer, events))
    }

    /// Takes the given partitions on without joining a group, and reads none of them before [`start`](Self::start) says
    /// where it begins. Questions about them can be asked at once.
    ///
    /// # Errors
    /// [`ConsumerError::Create`].
    pub fn assign_later<'a>(
        kafka: &KafkaConfig,
        config: ConsumerConfig,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(Self, Events), ConsumerError> {
        let partitions: Vec<_> = partitions.into_iter().cloned().collect();
        config.check(partitions.len())?;
        Self::launch(kafka, config, |poller| poller.assign(&partitions))
    }

    fn launch(
        kafka: &KafkaConfig,
        config: ConsumerConfig,
        set_up: impl FnOnce(&mut Poller) -> Result<(), ConsumerError>,
    ) -> Result<(Self, Events), ConsumerError> {
        metrics::describe();
        let shared = Shared::new();
        let (notice_tx, notices) = mpsc::unbounded_channel();
        let (delivery_tx, deliveries) = mpsc::channel(config.queue_blocks);
        let (commands, command_rx) = std_mpsc::channel();
        let (done_tx, done) = oneshot::channel();
        let context = Context::new(Arc::clone(&shared), notice_tx, config.revoke_timeout);
        let client = BaseConsumer::from_config_and_context(&config.client(kafka), context);
        let mut client: BaseConsumer<Context> = client.map_err(CreateError::from)?;
        let waking = Arc::clone(&shared);
        client.set_nonempty_callback(move || waking.wake());
        let client = Arc::new(client);
        let weak = Arc::downgrade(&client);
        let mut poller = Poller::new(client, command_rx, delivery_tx, &config, done_tx);
        set_up(&mut poller)?;
        spawn("kafka-poll", move || poller.run())?;
        if !config.lag_interval.is_zero() {
            let (client, shared) = (Weak::clone(&weak), Arc::clone(&shared));
            spawn("kafka-lag", move || watch_lag(&client, &shared, config.lag_interval))?;
        }
        let events = Events { notices, deliveries, shared: Arc::clone(&shared) };
        let done = Mutex::new(done);
        let handle = Arc::new(Handle { shared, commands, client: weak, reset: config.reset, done });
        Ok((Self { handle }, events))
    }

    /// Says where an assigned partition begins, and lets it run. May be called again to go elsewhere. Records read before
    /// the call can no longer come out of [`Events`]. A partition that has been revoked meanwhile is left alone.
    ///
    /// # Errors
    /// [`ConsumerError::Closed`]. That the position exists is checked later and reported through [`Events`].
    ///
    /// # Panics
    /// Outside a Tokio runtime, unless with [`StartAt::Offset`].
    pub fn start(&self, at: &TopicPartition, from: StartAt) -> Result<(), ConsumerError> {
        let Some(slot) = self.handle.shared.slot(at) else { return self.if_open() };
        let (at, epoch) = (at.clone(), slot.renew());
        if let StartAt::Offset(from) = from {
            return self.command(Command::Start { at, epoch, from });
        }
        self.if_open()?;
        let consumer = self.clone();
        tokio::spawn(async move { consumer.start_where(from, at, slot, epoch).await });
        Ok(())
    }

    /// Finds the position out and starts there, unless the partition was started again or revoked meanwhile.
    async fn start_where(&self, from: StartAt, at: TopicPartition, slot: Arc<Slot>, epoch: Epoch) {
        while slot.is_current(epoch) && !self.handle.shared.is_closing() {
            let command = match self.resolve(from, &at).await {
                Ok(Some(from)) => Command::Start { at, epoch, from },
                Ok(None) => Command::Fail(ConsumerError::NoCommittedOffset(at)),
                Err(error) => {
                    tracing::warn!(partition = %at, error = %error, "the position to start at is not known yet");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            // A closed consumer needs no start.
            let _ = self.command(command);
            return;
        }
    }

    /// The offset that is meant; `None` when the group has committed nothing and the settings allow no other.
    async fn resolve(&self, from: StartAt, at: &TopicPartition) -> Result<Option<NextOffset>, ConsumerError> {
        let from = match (from, self.handle.reset) {
            (StartAt::Offset(next), _) => return Ok(Some(next)),
            (StartAt::Committed, reset) => match (self.committed(at).await?, reset) {
                (Some(next), _) => return Ok(Some(next)),
                (None, OffsetReset::Earliest) => StartAt::Beginning,
                (None, OffsetReset::Latest) => StartAt::End,
                (None, OffsetReset::Error) => return Ok(None),
            },
            (other, _) => other,
        };
        let (low, high) = self.watermarks(at).await?;
        Ok(Some(NextOffset(if from == StartAt::End { high } else { low })))
    }

    /// Queues positions to commit; the newest per partition wins, and they go out every
    /// [`commit_interval`](ConsumerConfig::commit_interval), at a revocation and at the close. A commit that the broker
    /// refuses is counted and logged: it only makes the next replay longer.
    pub fn commit(&self, positions: &[(TopicPartition, NextOffset)]) {
        self.handle.shared.offer_commits(positions);
    }

    /// Stops fetching a partition until [`resume`](Self::resume); blocks already queued still come.
    ///
    /// # Errors
    /// [`ConsumerError::Closed`].
    pub fn pause(&self, at: &TopicPartition) -> Result<(), ConsumerError> {
        self.command(Command::Pause(at.clone(), true))
    }

    /// Fetches a paused partition again, from where it stopped.
    ///
    /// # Errors
    /// [`ConsumerError::Closed`].
    pub fn resume(&self, at: &TopicPartition) -> Result<(), ConsumerError> {
        self.command(Command::Pause(at.clone(), false))
    }

    /// Oldest offset of a partition, and the offset that its next record will get.
    ///
    /// # Errors
    /// [`ConsumerError::Query`] when the broker does not answer, [`ConsumerError::Closed`].
    pub async fn watermarks(&self, at: &TopicPartition) -> Result<(i64, i64), ConsumerError> {
        let at = at.clone();
        self.ask(move |client| client.fetch_watermarks(&at.topic, at.partition, QUERY_TIMEOUT)).await
    }

    /// What the group has committed for a partition; `None` when nothing.
    ///
    /// # Errors
    /// [`ConsumerError::Query`] when the broker does not answer, [`ConsumerError::Closed`].
    pub async fn committed(&self, at: &TopicPartition) -> Result<Option<NextOffset>, ConsumerError> {
        let at = at.clone();
        self.ask(move |client| {
            let mut list = TopicPartitionList::new();
            list.add_partition(&at.topic, at.partition);
            let committed = client.committed_offsets(list, QUERY_TIMEOUT)?;
            let element = committed.find_partition(&at.topic, at.partition);
            Ok(element.and_then(|element| element.offset().to_raw()).filter(|offset| *offset >= 0).map(NextOffset))
        })
        .await
    }

    /// The first record of a partition whose timestamp is not before the given one, in milliseconds since 1970-01-01
    /// UTC; `None` when all records are older.
    ///
    /// # Errors
    /// [`ConsumerError::Query`] when the broker does not answer, [`ConsumerError::Closed`].
    pub async fn offset_at(&self, at: &TopicPartition, timestamp_ms: i64) -> Result<Option<NextOffset>, ConsumerError> {
        let at = at.clone();
        self.ask(move |client| {
            let mut list = TopicPartitionList::new();
            // The question carries the timestamp in the place of the offset; the answer carries the offset.
            list.add_partition_offset(&at.topic, at.partition, Offset::Offset(timestamp_ms))?;
            let found = client.offsets_for_times(list, QUERY_TIMEOUT)?;
            let offset = found.find_partition(&at.topic, at.partition).map(|element| element.offset());
            Ok(match offset {
                Some(Offset::Offset(offset)) => Some(NextOffset(offset)),
                _ => None,
            })
        })
        .await
    }

    /// When the poll thread last came round. A watchdog beats its heart while this is recent; half of
    /// [`max_poll_interval`](ConsumerConfig::max_poll_interval) is too long.
    #[must_use]
    pub fn last_poll(&self) -> Instant {
        self.handle.shared.last_poll()
    }

    /// Partitions assigned at this moment.
    #[must_use]
    pub fn assigned(&self) -> Vec<TopicPartition> {
        let mut assigned: Vec<_> = self.handle.shared.slots().keys().cloned().collect();
        assigned.sort();
        assigned
    }

    /// Commits what is queued, leaves the group and waits for it. No revocation is sent: flush and commit before.
    ///
    /// # Errors
    /// [`ConsumerError::CloseTimeout`] when the deadline passes first; the thread is then left to itself.
    pub async fn close(&self, deadline: Duration) -> Result<(), ConsumerError> {
        self.handle.shared.close();
        let mut done = self.handle.done.lock().await;
        // The sender is dropped when the thread has left the group, so the error is the good news; a second close finds
        // the channel used up.
        match tokio::time::timeout(deadline, async {
            if !done.is_terminated() {
                let _ = (&mut *done).await;
            }
        })
        .await
        {
            Ok(()) => Ok(()),
            Err(_) => Err(ConsumerError::CloseTimeout),
        }
    }

    fn command(&self, command: Command) -> Result<(), ConsumerError> {
        self.handle.commands.send(command).map_err(|_| ConsumerError::Closed)?;
        self.handle.shared.wake();
        Ok(())
    }

    fn if_open(&self) -> Result<(), ConsumerError> {
        if self.handle.shared.is_closing() { Err(ConsumerError::Closed) } else { Ok(()) }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer<Context>) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, ConsumerError> {
        let client = Weak::clone(&self.handle.client);
        let answer = tokio::task::spawn_blocking(move || client.upgrade().map(|client| question(&client))).await;
        match answer {
            Ok(Some(answer)) => answer.map_err(ConsumerError::Query),
            Ok(None) | Err(_) => Err(ConsumerError::Closed),
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), CreateError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    spawned.map(drop).map_err(|error| CreateError::Config(format!("start thread {name}: {error}")))
}

/// Refreshes the lag gauge. Own thread: a question to a broker may take seconds, which the poll thread does not have.
fn watch_lag<C: ClientContext + rdkafka::consumer::ConsumerContext>(
    client: &Weak<BaseConsumer<C>>,
    shared: &Shared,
    interval: Duration,
) {
    let mut next = Instant::now() + interval;
    while !shared.is_closing() {
        std::thread::sleep(Duration::from_millis(200));
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + interval;
        let assigned: Vec<_> = shared.slots().iter().map(|(at, slot)| (at.clone(), Arc::clone(slot))).collect();
        for (at, slot) in assigned {
            let position = slot.position.load(Ordering::Relaxed);
            let Some(client) = client.upgrade() else { return };
            if position >= 0
                && let Ok((_, high)) = client.fetch_watermarks(&at.topic, at.partition, QUERY_TIMEOUT)
            {
                metrics::lag(&at, (high - position).max(0));
            }
        }
    }
}

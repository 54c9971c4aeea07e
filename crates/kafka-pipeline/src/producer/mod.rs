//! The producer: idempotent, acknowledged by all in-sync replicas, without gaps.
//!
//! A record that cannot be delivered fails the whole producer: every later call returns the first failure, and with the
//! gapless guarantee nothing that was sent after the lost record reaches the log before it. So a service may send many
//! records and look at the outcome once, and a restart finds an unbroken prefix.

mod config;
mod delivery;
mod partitioner;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer as _, ThreadedProducer};
use tokio::sync::oneshot;

use self::delivery::{Pending, ProducerState, Reports, Tally};
pub use self::{
    config::{Compression, ProducerConfig},
    delivery::{Delivered, DeliveryError},
    partitioner::partition_of,
};
use crate::config::{CreateError, KafkaConfig};
use crate::metrics;
use crate::record::Header as RecordHeader;

/// A record to send, borrowed: librdkafka copies it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProducerRecord<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition; `None` lets the key's murmur2 hash decide, as Java's clients do.
    pub partition: Option<i32>,
    /// Key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is null.
    pub payload: Option<&'a [u8]>,
    /// Headers in order.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Timestamp in milliseconds since 1970-01-01 UTC; `None` is now.
    pub timestamp_ms: Option<i64>,
}

/// Why a record was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// The queue is full; only [`Producer::try_send`] says so, [`Producer::send`] waits.
    #[error("producer queue is full")]
    QueueFull,
    /// The record can never be sent: too large, or a topic name that is none. Others are not affected.
    #[error("record cannot be sent to {topic}")]
    Invalid {
        /// Topic of the record.
        topic: String,
        /// What the client reported.
        #[source]
        error: KafkaError,
    },
    /// The producer has failed before; the service must end.
    #[error(transparent)]
    Failed(#[from] DeliveryError),
}

/// The producer was not flushed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FlushError {
    /// Records are still under way after the deadline.
    #[error("{0} records are still under way")]
    Timeout(usize),
    /// A delivery has failed.
    #[error(transparent)]
    Failed(#[from] DeliveryError),
}

type Client = ThreadedProducer<Reports, NoCustomPartitioner>;

struct Inner {
    client: Client,
    state: Arc<ProducerState>,
}

/// A Kafka producer; clones share it.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("state", &self.inner.state).finish_non_exhaustive()
    }
}

/// First wait for room in the queue; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

impl Producer {
    /// Creates a producer. Connects in the background.
    ///
    /// # Errors
    /// [`CreateError`] when librdkafka refuses the settings.
    pub fn new(kafka: &KafkaConfig, config: &ProducerConfig) -> Result<Self, CreateError> {
        metrics::describe();
        let state = ProducerState::new();
        let reports = Reports { state: Arc::clone(&state) };
        let client = Client::from_config_and_context(&config.client(kafka), reports)?;
        Ok(Self { inner: Arc::new(Inner { client, state }) })
    }

    /// Hands a record to the client; waits while its queue is full. The record is stored only when the receipt says so.
    ///
    /// # Errors
    /// [`SendError::Invalid`] or [`SendError::Failed`], never `QueueFull`.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the record was not accepted.
    pub async fn send(&self, record: ProducerRecord<'_>) -> Result<DeliveryReceipt, SendError> {
        let (answer, receiver) = oneshot::channel();
        self.enqueue(&[], record, Pending::One(answer)).await?;
        Ok(DeliveryReceipt { answer: receiver, producer: self.clone() })
    }

    /// As [`send`](Self::send), with headers of another record, nulls included, before the record's own.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_behind(
        &self,
        first_headers: &[RecordHeader],
        record: ProducerRecord<'_>,
    ) -> Result<DeliveryReceipt, SendError> {
        let (answer, receiver) = oneshot::channel();
        self.enqueue(first_headers, record, Pending::One(answer)).await?;
        Ok(DeliveryReceipt { answer: receiver, producer: self.clone() })
    }

    /// Hands a record to the client if its queue has room.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn try_send(&self, record: ProducerRecord<'_>) -> Result<DeliveryReceipt, SendError> {
        let (answer, receiver) = oneshot::channel();
        self.offer(&[], &record, Pending::One(answer)).map_err(|(error, _)| error)?;
        Ok(DeliveryReceipt { answer: receiver, producer: self.clone() })
    }

    /// Starts a group of records with one common receipt: the cheap way for many records.
    pub fn group(&self) -> SendGroup {
        SendGroup { producer: self.clone(), tally: Arc::default() }
    }

    /// Sends records and waits until all of them are stored. In a spawned task, pass a `Vec`: the compiler does not see
    /// that a mapped iterator may cross threads.
    ///
    /// # Errors
    /// [`SendError::Invalid`] or [`SendError::Failed`]; records before the one in error may be stored.
    pub async fn send_all<'a>(&self, records: impl IntoIterator<Item = ProducerRecord<'a>>) -> Result<(), SendError> {
        let group = self.group();
        for record in records {
            group.send(record).await?;
        }
        Ok(group.delivered().await?)
    }

    /// Waits until everything that was sent before the call is acknowledged.
    ///
    /// # Errors
    /// [`FlushError::Timeout`] at the deadline, [`FlushError::Failed`] when a delivery failed.
    pub async fn flush(&self, deadline: Duration) -> Result<(), FlushError> {
        let producer = self.clone();
        let flushed = tokio::task::spawn_blocking(move || producer.inner.client.flush(deadline)).await;
        self.inner.state.check()?;
        match flushed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(FlushError::Timeout(self.in_flight())),
        }
    }

    /// Whether the producer still works.
    ///
    /// # Errors
    /// The first failed delivery.
    pub fn check(&self) -> Result<(), DeliveryError> {
        self.inner.state.check()
    }

    /// Waits for the first failed delivery. Supervise it: the process must end then.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn failed(&self) -> DeliveryError {
        self.inner.state.failed().await
    }

    /// Records accepted and not yet acknowledged.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.inner.state.in_flight()
    }

    /// Records acknowledged since the start.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.inner.state.delivered()
    }

    async fn enqueue(
        &self,
        first_headers: &[RecordHeader],
        record: ProducerRecord<'_>,
        mut pending: Pending,
    ) -> Result<(), SendError> {
        let mut wait = FIRST_WAIT;
        loop {
            match self.offer(first_headers, &record, pending) {
                Ok(()) => return Ok(()),
                Err((SendError::QueueFull, back)) => pending = back,
                Err((error, _)) => return Err(error),
            }
            metrics::queue_full();
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn offer(
        &self,
        first_headers: &[RecordHeader],
        record: &ProducerRecord<'_>,
        pending: Pending,
    ) -> Result<(), (SendError, Pending)> {
        if let Err(failure) = self.inner.state.check() {
            return Err((failure.into(), pending));
        }
        let mut message: BaseRecord<'_, [u8], [u8], Box<Pending>> =
            BaseRecord::with_opaque_to(record.topic, Box::new(pending));
        message.partition = record.partition;
        message.key = record.key;
        message.payload = record.payload;
        message.timestamp = record.timestamp_ms;
        message.headers = headers_of(first_headers, record.headers);
        self.inner.state.enter();
        self.inner.client.send(message).map_err(|(error, message)| {
            self.inner.state.leave();
            (self.classify(record, error), *message.delivery_opaque)
        })
    }

    fn classify(&self, record: &ProducerRecord<'_>, error: KafkaError) -> SendError {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => SendError::QueueFull,
            Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::GaplessGuarantee) => {
                SendError::Failed(self.inner.state.fail(record.topic, error.to_string()))
            }
            _ => SendError::Invalid { topic: record.topic.to_owned(), error },
        }
    }
}

fn headers_of(first: &[RecordHeader], then: &[(&str, &[u8])]) -> Option<OwnedHeaders> {
    let count = first.len() + then.len();
    if count == 0 {
        return None;
    }
    let first = first.iter().map(|header| (header.key.as_str(), header.value.as_deref()));
    let then = then.iter().map(|(key, value)| (*key, Some(*value)));
    let add = |headers: OwnedHeaders, (key, value): (&str, Option<&[u8]>)| {
        headers.insert(Header { key, value: value.as_ref().map(|value| *value) })
    };
    Some(first.chain(then).fold(OwnedHeaders::new_with_capacity(count), add))
}

/// Resolves when the broker has acknowledged the record, or when the producer has failed.
///
/// Dropping it loses nothing: the record is still delivered, and a failure still ends the producer.
#[derive(Debug)]
#[must_use = "a record is stored only when its receipt says so"]
pub struct DeliveryReceipt {
    answer: oneshot::Receiver<Result<Delivered, DeliveryError>>,
    /// Keeps the client alive, so that the answer comes.
    producer: Producer,
}

impl Future for DeliveryReceipt {
    type Output = Result<Delivered, DeliveryError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.answer).poll(cx);
        // Silence is never success: a report that cannot come any more is a failure.
        answer.map(|answer| answer.unwrap_or_else(|_| Err(self.producer.inner.state.failure_or_gone())))
    }
}

/// Records that are waited for together. Costs a counter per record instead of a channel.
#[derive(Debug)]
#[must_use = "records are stored only when `delivered` says so"]
pub struct SendGroup {
    producer: Producer,
    tally: Arc<Tally>,
}

impl SendGroup {
    /// Hands a record to the client; waits while its queue is full.
    ///
    /// # Errors
    /// As [`Producer::send`].
    ///
    /// # Cancel safety
    /// Dropped before it returns, the record was not accepted.
    pub async fn send(&self, record: ProducerRecord<'_>) -> Result<(), SendError> {
        self.send_behind(&[], record).await
    }

    /// As [`send`](Self::send), with headers of another record, nulls included, before the record's own.
    pub(crate) async fn send_behind(
        &self,
        first_headers: &[RecordHeader],
        record: ProducerRecord<'_>,
    ) -> Result<(), SendError> {
        self.producer.enqueue(first_headers, record, Pending::group(&self.tally)).await
    }

    /// Waits until every record of the group is stored. May be called again after more were sent.
    ///
    /// # Errors
    /// The first failed delivery of the producer.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn delivered(&self) -> Result<(), DeliveryError> {
        let state = &self.producer.inner.state;
        if self.tally.settled().await { state.check() } else { Err(state.failure_or_gone()) }
    }

    /// Records of the group that are not acknowledged yet.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.tally.outstanding()
    }
}

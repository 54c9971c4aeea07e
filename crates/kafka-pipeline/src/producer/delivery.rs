//! What becomes of a record after it was accepted: who is told, and the state that a failure leaves.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use metrics::Counter;
use rdkafka::Message;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::{Notify, oneshot};

use crate::consumer::log_line;
use crate::metrics as own_metrics;

/// Where the broker stored a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Partition that the record went to.
    pub partition: i32,
    /// Offset that it got; -1 when the broker answered a retry whose first attempt had already been stored.
    pub offset: i64,
}

/// A record was not stored, or nobody can say whether it was. The producer refuses everything from then on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record was not delivered to {topic}: {reason}")]
pub struct DeliveryError {
    /// Topic of the first record that failed.
    pub topic: String,
    /// What the client reported.
    pub reason: String,
}

/// Counts the records of one group that are still under way: a receipt for many records at the price of a counter.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    outstanding: AtomicUsize,
    failed: AtomicBool,
    changed: Notify,
}

impl Tally {
    fn remove(&self) {
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.changed.notify_waiters();
        }
    }

    fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Acquire)
    }

    /// Waits until nothing is under way; false when a record failed.
    pub(crate) async fn settled(&self) -> bool {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable(); // before the look, so that no change falls in between
            if self.failed.load(Ordering::Acquire) {
                return false;
            }
            if self.outstanding() == 0 {
                return true;
            }
            changed.await;
        }
    }
}

/// A record's place in its group. Dropping it frees the place: the record was settled, or never accepted.
#[derive(Debug)]
pub(crate) struct Place(Arc<Tally>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.remove();
    }
}

/// Who wants to know about a record. Travels through librdkafka with it.
#[derive(Debug)]
pub(crate) enum Pending {
    One(oneshot::Sender<Result<Delivered, DeliveryError>>),
    Group(Place),
}

impl Pending {
    pub(crate) fn group(tally: &Arc<Tally>) -> Self {
        tally.outstanding.fetch_add(1, Ordering::AcqRel);
        Self::Group(Place(Arc::clone(tally)))
    }

    pub(crate) fn settle(self, outcome: Result<Delivered, DeliveryError>) {
        match self {
            Self::One(answer) => drop(answer.send(outcome)), // nobody waits for a dropped receipt
            Self::Group(place) if outcome.is_err() => place.0.fail(),
            Self::Group(_) => {}
        }
    }
}

/// The first failure, kept for ever, and the counters.
#[derive(Debug)]
pub(crate) struct ProducerState {
    failure: OnceLock<DeliveryError>,
    failed: Notify,
    delivered: AtomicU64,
    in_flight: AtomicUsize,
    counter: Counter,
}

impl ProducerState {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            failure: OnceLock::new(),
            failed: Notify::new(),
            delivered: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            counter: metrics::counter!(own_metrics::PRODUCER_RECORDS_DELIVERED),
        })
    }

    pub(crate) fn check(&self) -> Result<(), DeliveryError> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    pub(crate) fn failure_or_gone(&self) -> DeliveryError {
        let gone = || DeliveryError { topic: String::new(), reason: "producer was dropped".to_owned() };
        self.failure.get().cloned().unwrap_or_else(gone)
    }

    pub(crate) fn fail(&self, topic: &str, reason: String) -> DeliveryError {
        own_metrics::delivery_failed();
        let error = DeliveryError { topic: topic.to_owned(), reason };
        if self.failure.set(error.clone()).is_ok() {
            tracing::error!(kafka.topic = topic, error = %error, "producer has failed");
        }
        self.failed.notify_waiters();
        error
    }

    /// Waits for the first failure.
    pub(crate) async fn failed(&self) -> DeliveryError {
        loop {
            let failed = self.failed.notified();
            tokio::pin!(failed);
            failed.as_mut().enable();
            if let Some(failure) = self.failure.get() {
                return failure.clone();
            }
            failed.await;
        }
    }

    /// The client's own count has its log lines in it.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    pub(crate) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub(crate) struct Reports {
    pub(crate) state: Arc<ProducerState>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.state.fail("", reason.to_owned());
        } else {
            tracing::warn!(error = %error, reason, "kafka producer error");
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Pending>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Box<Pending>) {
        self.state.leave();
        match result {
            Ok(message) => {
                self.state.delivered.fetch_add(1, Ordering::Relaxed);
                self.state.counter.increment(1);
                pending.settle(Ok(Delivered { partition: message.partition(), offset: message.offset() }));
            }
            Err((error, message)) => {
                let failure = self.state.fail(message.topic(), error.to_string());
                pending.settle(Err(failure));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn delivered() -> Result<Delivered, DeliveryError> {
        Ok(Delivered { partition: 0, offset: 1 })
    }

    #[tokio::test]
    async fn group_is_settled_when_its_last_record_is() {
        let tally = Arc::new(Tally::default());
        assert!(tally.settled().await, "an empty group is settled");
        let (first, second) = (Pending::group(&tally), Pending::group(&tally));
        let waiter = tokio::spawn({
            let tally = Arc::clone(&tally);
            async move { tally.settled().await }
        });
        first.settle(delivered());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiter.is_finished());
        second.settle(delivered());
        assert!(waiter.await.unwrap());
    }

    #[tokio::test]
    async fn one_failure_fails_the_group_at_once_and_for_ever() {
        let tally = Arc::new(Tally::default());
        let (first, second) = (Pending::group(&tally), Pending::group(&tally));
        first.settle(Err(DeliveryError { topic: "t".into(), reason: "r".into() }));
        assert!(!tally.settled().await);
        second.settle(delivered());
        assert!(!tally.settled().await);
    }

    #[tokio::test]
    async fn record_that_was_never_accepted_is_not_waited_for() {
        let tally = Arc::new(Tally::default());
        drop(Pending::group(&tally));
        assert!(tally.settled().await);
    }

    #[tokio::test]
    async fn first_failure_stays() {
        let state = ProducerState::new();
        assert_eq!(state.check(), Ok(()));
        state.fail("a", "one".into());
        state.fail("b", "two".into());
        assert_eq!(state.check().unwrap_err().reason, "one");
        assert_eq!(state.failed().await.topic, "a");
    }
}

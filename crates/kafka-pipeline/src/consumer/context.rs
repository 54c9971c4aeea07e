//! The rebalance callback: the one place where assignments change.
//!
//! Runs inside `poll` on the poll thread. librdkafka's default handler ignores the return codes of the incremental
//! calls; this one checks them, because a member that believes in an assignment it does not have loses records.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::ConsumerError;
use super::events::{Event, RevokeAck};
use super::shared::{Notice, Shared, Slot};
use crate::core::revocation::{Leaving, farewell};
use crate::metrics;
use crate::record::{NextOffset, TopicPartition};

/// A change of the assignment that the poll loop has not taken over yet.
#[derive(Debug)]
pub(crate) enum Change {
    Added(TopicPartition, Arc<Slot>),
    Removed(TopicPartition),
    Failed(ConsumerError),
}

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) notices: mpsc::UnboundedSender<Notice>,
    pub(crate) revoke_timeout: Duration,
    changes: Mutex<Vec<Change>>,
    last_reason: Mutex<String>,
}

impl Context {
    pub(crate) fn new(shared: Arc<Shared>, notices: mpsc::UnboundedSender<Notice>, revoke_timeout: Duration) -> Self {
        Self { shared, notices, revoke_timeout, changes: Mutex::default(), last_reason: Mutex::default() }
    }

    pub(crate) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What librdkafka said about its last error; names topic and partition where the error itself does not.
    pub(crate) fn last_reason(&self) -> String {
        self.last_reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }

    fn tell(&self, event: Event) {
        if self.notices.send(Notice::Event(event)).is_err() {
            self.shared.close(); // nobody listens any more
        }
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> KafkaResult<()> {
        rest(consumer, list, |list| match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
            _ => consumer.assign(list),
        })?;
        let partitions = partitions_of(list);
        for at in &partitions {
            let slot = Slot::new();
            self.shared.slots().insert(at.clone(), Arc::clone(&slot));
            self.change(Change::Added(at.clone(), slot));
        }
        tracing::info!(partitions = %names(&partitions), "partitions assigned");
        self.tell(Event::Assigned(partitions));
        Ok(())
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> KafkaResult<()> {
        let lost = consumer.assignment_lost();
        let partitions = partitions_of(list);
        metrics::rebalance(if lost { "lost" } else { "revoked" });
        tracing::info!(partitions = %names(&partitions), lost, "partitions revoked");
        for at in &partitions {
            if let Some(slot) = self.shared.slots().remove(at) {
                slot.renew();
            }
            self.change(Change::Removed(at.clone()));
            metrics::lag(at, 0);
        }
        let leaving = if lost { Leaving::Lost } else { Leaving::Revoked };
        let acknowledged = match leaving {
            Leaving::Revoked if !partitions.is_empty() => self.ask_to_give_up(&partitions),
            _ => Vec::new(),
        };
        let pending = self.shared.take_commits_of(&partitions);
        commit(consumer, &farewell(leaving, &partitions, pending, acknowledged), CommitMode::Sync);
        if lost {
            self.tell(Event::Revoked(partitions, RevokeAck::lost()));
        }
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            _ => consumer.unassign(),
        }
    }

    /// Tells the service and waits for its positions. While closing nobody is asked: the service has said goodbye.
    fn ask_to_give_up(&self, partitions: &[TopicPartition]) -> Vec<(TopicPartition, NextOffset)> {
        if self.shared.is_closing() {
            return Vec::new();
        }
        let (reply, answer) = sync_channel(1);
        self.tell(Event::Revoked(partitions.to_vec(), RevokeAck::waiting(reply)));
        let deadline = Instant::now() + self.revoke_timeout;
        while Instant::now() < deadline && !self.shared.is_closing() {
            self.shared.touch(); // waiting here is by design, not a hang
            match answer.recv_timeout(Duration::from_millis(100)) {
                Ok(positions) => return positions,
                Err(RecvTimeoutError::Disconnected) => return Vec::new(),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        tracing::warn!(partitions = %names(partitions), "revocation was not acknowledged in time");
        metrics::rebalance("unacknowledged");
        Vec::new()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        reason.clone_into(&mut self.last_reason.lock().unwrap_or_else(PoisonError::into_inner));
        tracing::debug!(error = %error, reason, "kafka client error");
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let outcome = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                metrics::rebalance("assigned");
                self.assign(consumer, list)
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoke(consumer, list),
            other => Err(KafkaError::Rebalance(other.into())),
        };
        if let Err(error) = outcome
            && !self.shared.is_closing()
        {
            self.change(Change::Failed(ConsumerError::Rebalance(error)));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            note_commit_failure(&error);
        }
    }
}

/// Assigns partitions that are not read before their start.
///
/// They get a number for a position, and never "beginning", "end" or "committed", which the client asks the broker about:
/// when that answer comes after a start, librdkafka 2.12 asks again half a second later and goes there, whatever the start
/// said (`rd_kafka_toppar_handle_Offset`, "outdated offset response"). Paused before the assignment too, so that nothing
/// is fetched from that number.
pub(crate) fn rest(
    consumer: &BaseConsumer<Context>,
    list: &mut TopicPartitionList,
    assign: impl FnOnce(&TopicPartitionList) -> KafkaResult<()>,
) -> KafkaResult<()> {
    list.set_all_offsets(Offset::Offset(0))?;
    consumer.pause(list)?;
    assign(list)?;
    consumer.pause(list)
}

/// Commits positions and reports failures. A failed commit only lengthens the next replay.
pub(crate) fn commit(
    consumer: &BaseConsumer<Context>,
    positions: &BTreeMap<TopicPartition, NextOffset>,
    mode: CommitMode,
) {
    if positions.is_empty() {
        return;
    }
    let mut list = TopicPartitionList::with_capacity(positions.len());
    let added = positions
        .iter()
        .try_for_each(|(at, next)| list.add_partition_offset(&at.topic, at.partition, Offset::Offset(next.0)));
    if let Err(error) = added.and_then(|()| consumer.commit(&list, mode)) {
        note_commit_failure(&error);
    }
}

fn note_commit_failure(error: &KafkaError) {
    metrics::commit_failed();
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId,
        ) => tracing::debug!(error = %error, "commit refused during a rebalance"),
        _ => tracing::warn!(error = %error, "commit refused"),
    }
}

pub(crate) fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(facility, detail = message, "kafka client");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(facility, detail = message, "kafka client"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, detail = message, "kafka client"),
        RDKafkaLogLevel::Debug => tracing::debug!(facility, detail = message, "kafka client"),
    }
}

fn partitions_of(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}

fn names(partitions: &[TopicPartition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

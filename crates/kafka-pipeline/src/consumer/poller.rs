//! The poll thread: it polls, pauses, resumes, seeks and commits, and does nothing else.
//!
//! It never waits for the service except inside a revocation, where the wait is bounded. When the channel is full the
//! blocks stay here, every partition is paused and polling goes on, so the member keeps its partitions however slow the
//! service is.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::ConsumerError;
use super::config::ConsumerConfig;
use super::context::{Change, Context, commit};
use super::flow::{BlockLimits, Flow};
use super::shared::{Command, Content, Delivery, Notice, Shared};
use crate::metrics::{self, PausedSeconds};
use crate::record::TopicPartition;

/// Longest wait in `poll`: bounds how late a command, a commit or a free place in the channel is noticed.
const LONGEST_POLL: Duration = Duration::from_millis(50);
/// Wait in `poll` while something is about to happen: a start that waits for its seek.
const SHORT_POLL: Duration = Duration::from_millis(5);
/// Housekeeping at least every so many records.
const CHORES_EVERY: u32 = 64;
/// How long one seek may hold the thread; it is answered by a local thread, usually in microseconds.
const SEEK_TIMEOUT: Duration = Duration::from_millis(500);
/// A start that could not be carried out for so long ends the consumer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A start whose seek has not succeeded yet.
#[derive(Debug)]
struct PendingStart {
    at: TopicPartition,
    epoch: u64,
    offset: Offset,
    since: Instant,
}

pub(crate) struct Poller {
    pub(crate) consumer: Arc<BaseConsumer<Context>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: std_mpsc::Receiver<Command>,
    pub(crate) deliveries: mpsc::Sender<Delivery>,
    pub(crate) config: ConsumerConfig,
    /// Kept until the thread ends; its closing tells `close` that the group was left.
    pub(crate) done: oneshot::Sender<()>,
    pub(crate) flows: Vec<Flow>,
    limits: BlockLimits,
    current: usize,
    starts: Vec<PendingStart>,
    held: VecDeque<Delivery>,
    paused_since: Option<Instant>,
    paused_seconds: PausedSeconds,
    last_commit: Instant,
    failed: bool,
}

impl Poller {
    pub(crate) fn new(
        consumer: BaseConsumer<Context>,
        commands: std_mpsc::Receiver<Command>,
        deliveries: mpsc::Sender<Delivery>,
        config: ConsumerConfig,
        done: oneshot::Sender<()>,
    ) -> Self {
        let shared = Arc::clone(&consumer.context().shared);
        let limits = BlockLimits::from(&config);
        Self {
            consumer: Arc::new(consumer),
            shared,
            commands,
            deliveries,
            config,
            done,
            flows: Vec::new(),
            limits,
            current: 0,
            starts: Vec::new(),
            held: VecDeque::new(),
            paused_since: None,
            paused_seconds: PausedSeconds::default(),
            last_commit: Instant::now(),
            failed: false,
        }
    }

    /// Runs until closed, failed, or until nobody listens any more; then leaves the group.
    pub(crate) fn run(mut self) {
        let mut since_chores = 0;
        while !self.shared.is_closing() && !self.failed {
            // While records flow, `poll` does not wait and the timeout need not be worked out.
            let timeout = if since_chores == 0 {
                self.do_chores();
                self.poll_timeout()
            } else {
                Duration::ZERO
            };
            let polled = Arc::clone(&self.consumer).poll(timeout).map(|polled| self.on_polled(polled));
            since_chores = if polled.is_some() { (since_chores + 1) % CHORES_EVERY } else { 0 };
            self.take_over_changes();
        }
        self.finish();
    }

    fn do_chores(&mut self) {
        self.shared.touch();
        let now = Instant::now();
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command, now);
        }
        self.carry_out_starts(now);
        self.close_due_blocks(now);
        self.relieve(now);
        if now.duration_since(self.last_commit) >= self.config.commit_interval {
            self.last_commit = now;
            self.commit_pending(CommitMode::Async);
        }
    }

    fn poll_timeout(&self) -> Duration {
        if !self.starts.is_empty() {
            return SHORT_POLL;
        }
        let now = Instant::now();
        let due = self.flows.iter().filter_map(|flow| flow.due_at(self.limits)).min();
        due.map_or(LONGEST_POLL, |due| due.saturating_duration_since(now).min(LONGEST_POLL))
    }

    fn on_polled(&mut self, polled: Result<BorrowedMessage<'_>, KafkaError>) {
        match polled {
            Ok(message) => self.on_message(&message),
            Err(KafkaError::PartitionEOF(partition)) => self.on_end(partition),
            Err(error) => self.on_error(error),
        }
    }

    fn on_message(&mut self, message: &BorrowedMessage<'_>) {
        let belongs = |flow: &Flow| flow.at.partition == message.partition() && *flow.at.topic == *message.topic();
        if !self.flows.get(self.current).is_some_and(belongs) {
            // Records come in runs of one partition, so this search is rare.
            let Some(index) = self.flows.iter().position(belongs) else { return };
            self.current = index;
        }
        let full = self.flows[self.current].push(message, self.limits, Instant::now());
        if let Some(delivery) = full {
            self.deliver(delivery);
        }
    }

    fn on_end(&mut self, partition: i32) {
        // Exactly one topic: checked when the consumer was made.
        let Some(flow) = self.flows.iter_mut().find(|flow| flow.at.partition == partition) else { return };
        let (last_block, end) = (flow.take_block(), flow.end());
        for delivery in last_block.into_iter().chain(end) {
            self.deliver(delivery);
        }
    }

    fn on_error(&mut self, error: KafkaError) {
        let reason = self.consumer.context().last_reason();
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return self.fail(ConsumerError::Fatal { error, reason });
        }
        match code {
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
                let positions = self.positions();
                self.fail(ConsumerError::OffsetOutOfRange { reason, positions });
            }
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::Fatal => self.fail(ConsumerError::Fatal { error, reason }),
            _ => {
                metrics::consumer_error(&format!("{code:?}"));
                tracing::warn!(error = %error, reason, "kafka consumer error");
            }
        }
    }

    /// Where the started partitions stand; the client's error does not say which one it is about.
    fn positions(&self) -> String {
        let started = self.flows.iter().filter(|flow| flow.epoch.is_some());
        started.map(|flow| format!("{} at {}", flow.at, flow.next())).collect::<Vec<_>>().join(", ")
    }

    fn fail(&mut self, error: ConsumerError) {
        tracing::error!(error = %error, "consumer has ended");
        self.failed = true;
        // Without a listener there is nobody to tell; the thread ends in either case.
        let _ = self.consumer.context().notices.send(Notice::Failed(error));
    }

    fn take_over_changes(&mut self) {
        for change in self.consumer.context().take_changes() {
            match change {
                Change::Added(at, slot) => self.flows.push(Flow::new(at, slot)),
                Change::Removed(at) => {
                    self.flows.retain(|flow| flow.at != at);
                    self.starts.retain(|start| start.at != at);
                }
                Change::Failed(error) => self.fail(error),
            }
            self.current = 0;
        }
        self.held.retain(|delivery| delivery.slot.is_current(delivery.epoch));
    }

    fn obey(&mut self, command: Command, now: Instant) {
        match command {
            Command::Start { at, epoch, offset } => {
                self.starts.retain(|start| start.at != at);
                self.starts.push(PendingStart { at, epoch, offset, since: now });
            }
            Command::Pause(at) => self.set_paused(&at, true),
            Command::Resume(at) => self.set_paused(&at, false),
            Command::Fail(error) => self.fail(error),
        }
    }

    fn set_paused(&mut self, at: &TopicPartition, paused: bool) {
        let Some(flow) = self.flows.iter_mut().find(|flow| flow.at == *at) else { return };
        if flow.paused_by_service == paused || flow.epoch.is_none() {
            flow.paused_by_service = paused;
            return;
        }
        flow.paused_by_service = paused;
        if self.paused_since.is_none() {
            self.switch(paused, |flow| flow.at == *at);
        }
    }

    fn carry_out_starts(&mut self, now: Instant) {
        for start in std::mem::take(&mut self.starts) {
            let Some(index) = self.flows.iter().position(|flow| flow.at == start.at) else { continue };
            match self.consumer.seek(&start.at.topic, start.at.partition, start.offset, SEEK_TIMEOUT) {
                Ok(()) => self.begin(index, &start),
                Err(error) if now.duration_since(start.since) > START_TIMEOUT => {
                    self.fail(ConsumerError::Seek { at: start.at, error });
                }
                // Just after an assignment the client has not begun to serve the partition.
                Err(_) => self.starts.push(start),
            }
        }
    }

    fn begin(&mut self, index: usize, start: &PendingStart) {
        let lowest = if let Offset::Offset(offset) = start.offset { offset } else { 0 };
        let flow = &mut self.flows[index];
        flow.begin(start.epoch, lowest);
        let fetch = flow.wants_records() && self.paused_since.is_none();
        tracing::debug!(partition = %start.at, offset = ?start.offset, "partition started");
        if fetch {
            self.switch(false, |flow| flow.at == start.at);
        }
    }

    fn close_due_blocks(&mut self, now: Instant) {
        for index in 0..self.flows.len() {
            if let Some(delivery) = self.flows[index].take_due(self.limits, now) {
                self.deliver(delivery);
            }
        }
    }

    /// Hands a block over, or holds it and pauses everything when the channel is full.
    fn deliver(&mut self, delivery: Delivery) {
        if !self.held.is_empty() {
            return self.held.push_back(delivery);
        }
        if let Some(rejected) = self.send(delivery) {
            self.held.push_back(rejected);
            self.paused_since = Some(Instant::now());
            self.switch(true, Flow::wants_records);
        }
    }

    /// Empties the held blocks into the channel; resumes once half of the channel is free, so that a service at its
    /// limit does not make partitions pause and refetch on every block.
    fn relieve(&mut self, now: Instant) {
        let Some(since) = self.paused_since else { return };
        self.paused_seconds.add(now.duration_since(since));
        self.paused_since = Some(now);
        while let Some(delivery) = self.held.pop_front() {
            if let Some(rejected) = self.send(delivery) {
                return self.held.push_front(rejected);
            }
        }
        if self.deliveries.capacity() * 2 >= self.deliveries.max_capacity() {
            self.paused_since = None;
            self.switch(false, Flow::wants_records);
        }
    }

    /// Returns the delivery when there is no room.
    fn send(&self, delivery: Delivery) -> Option<Delivery> {
        match self.deliveries.try_reserve() {
            Ok(place) => {
                if let Content::Records(block) = &delivery.content {
                    metrics::block_read(block);
                }
                place.send(delivery);
                metrics::queue_depth(self.deliveries.max_capacity() - self.deliveries.capacity());
                None
            }
            Err(TrySendError::Full(())) => Some(delivery),
            Err(TrySendError::Closed(())) => {
                self.shared.close(); // the service has dropped its end
                None
            }
        }
    }

    fn switch(&mut self, pause: bool, which: impl Fn(&Flow) -> bool) {
        let mut list = TopicPartitionList::new();
        for flow in self.flows.iter().filter(|flow| which(flow)) {
            list.add_partition(&flow.at.topic, flow.at.partition);
        }
        if list.count() == 0 {
            return;
        }
        let outcome = if pause { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        if let Err(error) = outcome {
            self.fail(ConsumerError::Pause(error));
        }
    }

    fn commit_pending(&self, mode: CommitMode) {
        let mut positions = self.shared.take_commits();
        positions.retain(|at, _| self.flows.iter().any(|flow| flow.at == *at));
        commit(&self.consumer, &positions, mode);
    }

    /// Commits what the service asked for and leaves the group. Queries of the handle may still hold the client; they
    /// are bounded, and the last one to let go must be this thread, because leaving the group polls.
    fn finish(self) {
        self.shared.close();
        self.commit_pending(CommitMode::Sync);
        let Self { mut consumer, done, .. } = self;
        loop {
            match Arc::try_unwrap(consumer) {
                Ok(last) => break drop(last),
                Err(shared) => consumer = shared,
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(done);
    }
}

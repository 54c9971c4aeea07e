//! The poll thread: it polls, seeks and commits, and does nothing else.
//!
//! Every partition has a queue of its own in the client, apart from the queue of group events. When the channel to the
//! service is full, the partition queues are left alone and the event queue is still polled: the member keeps its
//! partitions however slow the service is, what is fetched ahead stays within the client's limit per partition, and
//! reading goes on without delay. (Pausing partitions instead throws away what is fetched ahead, and fetching begins again
//! up to a second after the resumption.) The thread waits for the service in a revocation only, and there for a bounded time.

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
use super::context::{Change, Context, commit, rest};
use super::flow::{BlockLimits, Flow, Polled};
use super::shared::{Command, Content, Delivery, Notice, Shared, Slot};
use crate::config::CreateError;
use crate::core::position::Epoch;
use crate::metrics::{self, PausedSeconds};
use crate::record::{NextOffset, TopicPartition};

/// Longest sleep without work. Records, commands and a free place in the channel end it early.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);
/// Sleep while a start waits for its seek.
const SHORT_SLEEP: Duration = Duration::from_millis(5);
/// Records taken from one partition before the next has its turn.
const TURN: usize = 256;
/// Group events, errors and log lines taken at a time.
const EVENTS: usize = 8;
/// How long one seek may hold the thread; it is answered by a local thread, usually in microseconds.
const SEEK_TIMEOUT: Duration = Duration::from_millis(500);
/// A start that could not be carried out for so long ends the consumer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A start whose seek has not succeeded yet.
#[derive(Debug)]
struct PendingStart {
    at: TopicPartition,
    epoch: Epoch,
    from: NextOffset,
    since: Instant,
}

pub(crate) struct Poller {
    consumer: Arc<BaseConsumer<Context>>,
    shared: Arc<Shared>,
    commands: std_mpsc::Receiver<Command>,
    deliveries: mpsc::Sender<Delivery>,
    commit_interval: Duration,
    /// Kept until the thread ends; its closing tells `close` that the group was left.
    done: oneshot::Sender<()>,
    flows: Vec<Flow>,
    /// The partition whose turn comes first in the next round.
    first: usize,
    limits: BlockLimits,
    starts: Vec<PendingStart>,
    held: VecDeque<Delivery>,
    full_since: Option<Instant>,
    paused_seconds: PausedSeconds,
    last_commit: Instant,
    failed: bool,
}

impl Poller {
    pub(crate) fn new(
        consumer: Arc<BaseConsumer<Context>>,
        commands: std_mpsc::Receiver<Command>,
        deliveries: mpsc::Sender<Delivery>,
        config: &ConsumerConfig,
        done: oneshot::Sender<()>,
    ) -> Self {
        Self {
            shared: Arc::clone(&consumer.context().shared),
            consumer,
            commands,
            deliveries,
            commit_interval: config.commit_interval,
            done,
            flows: Vec::new(),
            first: 0,
            limits: BlockLimits::from(config),
            starts: Vec::new(),
            held: VecDeque::new(),
            full_since: None,
            paused_seconds: PausedSeconds::default(),
            last_commit: Instant::now(),
            failed: false,
        }
    }

    /// Takes a partition on: gives it its own queue in the client.
    pub(crate) fn add(&mut self, at: TopicPartition, slot: Arc<Slot>) -> Result<&mut Flow, ConsumerError> {
        let queue = self.consumer.split_partition_queue(&at.topic, at.partition);
        let mut queue = queue.ok_or_else(|| ConsumerError::Rebalance(KafkaError::Subscription(at.to_string())))?;
        let shared = Arc::clone(&self.shared);
        queue.set_nonempty_callback(move || shared.wake());
        self.flows.push(Flow::new(at, slot, queue));
        Ok(self.flows.last_mut().expect("just added"))
    }

    /// Takes partitions on without a group; none is read before its start.
    pub(crate) fn assign(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumerError> {
        let mut list = TopicPartitionList::new();
        for at in partitions {
            list.add_partition(&at.topic, at.partition);
            let slot = Slot::new();
            self.shared.slots().insert(at.clone(), Arc::clone(&slot));
            self.add(at.clone(), slot)?;
        }
        let consumer = Arc::clone(&self.consumer);
        Ok(rest(&consumer, &mut list, |list| consumer.assign(list)).map_err(CreateError::from)?)
    }

    pub(crate) fn client(&self) -> &BaseConsumer<Context> {
        &self.consumer
    }

    /// Runs until closed, failed, or until nobody listens any more; then leaves the group.
    pub(crate) fn run(mut self) {
        self.shared.set_waker(std::thread::current());
        while !self.shared.is_closing() && !self.failed {
            self.shared.touch();
            self.obey_commands();
            self.serve_events();
            self.carry_out_starts();
            self.relieve();
            let busy = self.read_round();
            self.close_due_blocks();
            self.commit_when_due();
            if !busy {
                std::thread::park_timeout(self.sleep());
            }
        }
        self.finish();
    }

    fn obey_commands(&mut self) {
        let now = Instant::now();
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command, now);
        }
    }

    fn commit_when_due(&mut self) {
        if self.last_commit.elapsed() >= self.commit_interval {
            self.last_commit = Instant::now();
            self.commit_pending(CommitMode::Async);
        }
    }

    fn sleep(&self) -> Duration {
        if !self.held.is_empty() && self.deliveries.capacity() > 0 {
            return Duration::ZERO; // room was made before the receiver knew that somebody waits for it
        }
        if !self.starts.is_empty() {
            return SHORT_SLEEP;
        }
        let now = Instant::now();
        let due = self.flows.iter().filter_map(|flow| flow.due_at(self.limits)).min();
        due.map_or(LONGEST_SLEEP, |due| due.saturating_duration_since(now).min(LONGEST_SLEEP))
    }

    /// Polls the queue of group events, which also tells the client that this member is alive.
    fn serve_events(&mut self) {
        for _ in 0..EVENTS {
            let consumer = Arc::clone(&self.consumer);
            let polled = consumer.poll(Duration::ZERO);
            let served = polled.is_some();
            match polled {
                Some(Ok(message)) => self.on_message(&message),
                Some(Err(error)) => self.on_error(None, error),
                None => {}
            }
            // Events of the client itself give nothing either; what is left of those is served in the next round.
            if !self.take_over_changes() && !served {
                return;
            }
        }
    }

    /// Gives every partition its turn; says whether there may be more to read at once.
    fn read_round(&mut self) -> bool {
        let count = self.flows.len();
        let mut busy = false;
        for step in 0..count {
            let index = (self.first + step) % count;
            if self.held.is_empty() && !self.failed {
                busy |= self.read_turn(index);
            }
        }
        // Whoever was cut off by a full channel is not always the same.
        self.first = if count == 0 { 0 } else { (self.first + 1) % count };
        busy && self.held.is_empty()
    }

    fn read_turn(&mut self, index: usize) -> bool {
        let now = Instant::now();
        for _ in 0..TURN {
            match self.flows[index].poll(self.limits, now) {
                Polled::Nothing => return false,
                Polled::Taken => {}
                Polled::Complete(delivery) => self.deliver(delivery),
                Polled::End => {
                    let flow = &mut self.flows[index];
                    let (last_block, end) = (flow.take_block(), flow.end());
                    last_block.into_iter().chain(end).for_each(|delivery| self.deliver(delivery));
                }
                Polled::Failed(error) => self.on_error(Some(index), error),
            }
            if !self.held.is_empty() || self.failed {
                return false;
            }
        }
        true
    }

    /// A record that reached the event queue before its partition had a queue of its own.
    fn on_message(&mut self, message: &BorrowedMessage<'_>) {
        let belongs = |flow: &&mut Flow| flow.at.partition == message.partition() && *flow.at.topic == *message.topic();
        let taken = self.flows.iter_mut().find(belongs);
        if let Some(delivery) = taken.and_then(|flow| flow.push(message, self.limits, Instant::now())) {
            self.deliver(delivery);
        }
    }

    /// An error of a partition, or of the client as a whole.
    fn on_error(&mut self, index: Option<usize>, error: KafkaError) {
        let reason = self.consumer.context().last_reason();
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return self.fail(ConsumerError::Fatal { error, reason });
        }
        match code {
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
                let position =
                    index.map(|index| &self.flows[index]).map(|flow| format!("{} at {}", flow.at, flow.next()));
                self.fail(ConsumerError::OffsetOutOfRange { reason, position: position.unwrap_or_default() });
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

    fn fail(&mut self, error: ConsumerError) {
        tracing::error!(error = %error, "consumer has ended");
        self.failed = true;
        // Without a listener there is nobody to tell; the thread ends in either case.
        let _ = self.consumer.context().notices.send(Notice::Failed(error));
    }

    /// Whether there were any.
    fn take_over_changes(&mut self) -> bool {
        let changes = self.consumer.context().take_changes();
        let any = !changes.is_empty();
        for change in changes {
            match change {
                Change::Added(at, slot) => {
                    if let Err(error) = self.add(at, slot) {
                        self.fail(error);
                    }
                }
                Change::Removed(at) => {
                    self.flows.retain(|flow| flow.at != at);
                    self.starts.retain(|start| start.at != at);
                }
                Change::Failed(error) => self.fail(error),
            }
        }
        self.held.retain(|delivery| delivery.slot.is_current(delivery.epoch));
        any
    }

    fn obey(&mut self, command: Command, now: Instant) {
        match command {
            Command::Start { at, epoch, from } => {
                // An older start may come later: some have to ask the broker first.
                if self.shared.slot(&at).is_some_and(|slot| slot.is_current(epoch)) {
                    self.starts.retain(|start| start.at != at);
                    self.starts.push(PendingStart { at, epoch, from, since: now });
                }
            }
            Command::Pause(at, paused) => {
                if let Some(flow) = self.flows.iter_mut().find(|flow| flow.at == at) {
                    flow.paused = paused;
                }
            }
            Command::Fail(error) => self.fail(error),
        }
    }

    fn carry_out_starts(&mut self) {
        for start in std::mem::take(&mut self.starts) {
            let Some(index) = self.flows.iter().position(|flow| flow.at == start.at) else { continue };
            match self.consumer.seek(&start.at.topic, start.at.partition, Offset::Offset(start.from.0), SEEK_TIMEOUT) {
                Ok(()) => self.begin(index, &start),
                Err(error) if start.since.elapsed() > START_TIMEOUT => {
                    self.fail(ConsumerError::Seek { at: start.at, error });
                }
                // Just after an assignment the client has not begun to serve the partition.
                Err(_) => self.starts.push(start),
            }
        }
    }

    fn begin(&mut self, index: usize, start: &PendingStart) {
        self.flows[index].begin(start.epoch, start.from.0);
        tracing::debug!(partition = %start.at, offset = start.from.0, "partition started");
        let mut list = TopicPartitionList::new();
        list.add_partition(&start.at.topic, start.at.partition);
        if let Err(error) = self.consumer.resume(&list) {
            self.fail(ConsumerError::Resume { at: start.at.clone(), error });
        }
    }

    fn close_due_blocks(&mut self) {
        let now = Instant::now();
        for index in 0..self.flows.len() {
            if let Some(delivery) = self.flows[index].take_due(self.limits, now) {
                self.deliver(delivery);
            }
        }
    }

    /// Hands a block over, or holds it when the channel is full.
    fn deliver(&mut self, delivery: Delivery) {
        let rejected = if self.held.is_empty() { self.send(delivery) } else { Some(delivery) };
        if let Some(rejected) = rejected {
            self.full_since.get_or_insert_with(Instant::now);
            self.shared.set_starved(true);
            self.held.push_back(rejected);
        }
    }

    /// Empties the held blocks into the channel, as far as there is room now.
    fn relieve(&mut self) {
        let Some(since) = self.full_since else { return };
        let now = Instant::now();
        self.paused_seconds.add(now.duration_since(since));
        self.full_since = Some(now);
        while let Some(delivery) = self.held.pop_front() {
            if let Some(rejected) = self.send(delivery) {
                return self.held.push_front(rejected);
            }
        }
        self.full_since = None;
        self.shared.set_starved(false);
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
        let Self { mut consumer, done, flows, .. } = self;
        drop(flows); // their queues hold the client
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

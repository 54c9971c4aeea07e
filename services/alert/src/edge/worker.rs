//! The loop: input to the partitions, their output to the stores, then the positions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kafka_pipeline::{Event, RecordBlock, RevokeAck, TopicPartition};
use service_runtime::{Beat, Readiness, fail_point};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::owned::{Owned, Position, mode};
use super::{
    AlertsTable, DecisionReader, DeviceFeed, EventReader, Inputs, Letters, Notifier, Publisher, StatusTable, decisions,
};
use crate::config::FlushConfig;
use crate::core::admission::EventOutcome;
use crate::core::outbox::Output;
use crate::core::partition::{DecisionOutcome, Mode, Partition};
use crate::core::register::Register;
use crate::core::thresholds::Thresholds;
use crate::metrics;

/// How often an idle loop turns: for its heartbeat and the gauges.
const IDLE_TURN: Duration = Duration::from_secs(5);
/// How long the group may take to be left at the end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// Where output goes.
pub(crate) struct Stores {
    pub(crate) publisher: Publisher,
    pub(crate) alerts: AlertsTable,
    pub(crate) status: StatusTable,
    pub(crate) notifier: Option<Notifier>,
}

impl Stores {
    /// Writes everything and waits until it is stored. Alerts reach the topic before the table: a new owner of the
    /// partition takes the table for what is done, so whatever it finds there must be in the topic.
    async fn write(&self, output: &Output) -> anyhow::Result<()> {
        self.publisher.publish(&output.alerts).await?;
        fail_point("alert.after_publish").await;
        let alerts = self.alerts.write(&output.alerts);
        let statuses = self.status.write(&output.statuses, &output.powers);
        futures::future::try_join(alerts, statuses).await?;
        if let Some(notifier) = &self.notifier {
            notifier.offer(&output.alerts);
        }
        Ok(())
    }
}

/// Owns all state of the process.
pub(crate) struct Worker {
    pub(crate) inputs: Inputs,
    pub(crate) devices: DeviceFeed,
    pub(crate) register: Register,
    pub(crate) decision_reader: DecisionReader,
    pub(crate) event_reader: EventReader,
    pub(crate) letters: Letters,
    pub(crate) stores: Stores,
    pub(crate) thresholds: Arc<Thresholds>,
    pub(crate) seed_window: Duration,
    pub(crate) flush: FlushConfig,
    pub(crate) readiness: Readiness,
    pub(crate) beat: Arc<Beat>,
    pub(crate) owned: BTreeMap<i32, Owned>,
    pub(crate) unflushed: Unflushed,
}

/// Input that was processed and whose results are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Unflushed {
    records: usize,
    since: Option<Instant>,
}

impl Unflushed {
    fn add(&mut self, records: usize) {
        self.records += records;
        self.since.get_or_insert_with(Instant::now);
    }

    fn age(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn is_due(&self, flush: &FlushConfig) -> bool {
        self.since.is_some() && (self.records >= flush.records || self.age() >= flush.interval)
    }
}

/// What the loop woke up for.
enum Turn {
    Shutdown,
    Devices(Option<RecordBlock>),
    Decisions(Option<Event>),
    Events(Option<Event>),
    Tick,
}

impl Worker {
    /// Runs until the token is cancelled; then writes what is left and leaves the group.
    ///
    /// # Errors
    /// When a consumer ended, a store refused or a delivery failed. Nothing is lost: positions stay where all is written.
    pub(crate) async fn run(mut self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let ended = self.turn_until(shutdown).await;
        if let Err(error) = ended {
            if shutdown.is_cancelled() {
                // Asked to end while a store is away: the next process does this part of the log again.
                tracing::warn!(error = %format!("{error:#}"), "end without writing the last results");
                return Ok(());
            }
            return Err(error);
        }
        self.flush().await.context("write the last results")?;
        self.close().await
    }

    async fn turn_until(&mut self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        loop {
            self.beat.beat();
            if self.unflushed.is_due(&self.flush) {
                self.flush().await?;
            }
            match self.next_turn(shutdown).await? {
                Turn::Shutdown => return Ok(()),
                Turn::Devices(block) => {
                    let block = block.context("the devices consumer was closed")?;
                    self.on_devices(&block).await?;
                }
                Turn::Decisions(event) => {
                    self.on_decisions(event.context("the decisions consumer was closed")?).await?
                }
                Turn::Events(event) => self.on_events(event.context("the events consumer was closed")?).await?,
                Turn::Tick => self.on_tick(),
            }
            metrics::oldest_unflushed(self.unflushed.age());
        }
    }

    async fn next_turn(&mut self, shutdown: &CancellationToken) -> anyhow::Result<Turn> {
        let due_in =
            self.unflushed.since.map_or(IDLE_TURN, |_| self.flush.interval.saturating_sub(self.unflushed.age()));
        let turn = tokio::select! {
            biased;
            () = shutdown.cancelled() => Turn::Shutdown,
            block = self.devices.recv() => Turn::Devices(block?),
            event = self.inputs.event_events.recv() => Turn::Events(event.transpose().context("read events")?),
            event = self.inputs.decision_events.recv() => Turn::Decisions(event.transpose().context("read decisions")?),
            () = service_runtime::sleep(due_in) => Turn::Tick,
        };
        Ok(turn)
    }

    /// A commit that the group refused in a rebalance is not repeated by itself; without input, nobody else would.
    fn on_tick(&self) {
        if self.unflushed.since.is_none() {
            self.commit();
        }
    }

    async fn on_devices(&mut self, block: &RecordBlock) -> anyhow::Result<()> {
        let gone = self.devices.apply(block, &mut self.register).await?;
        for device_id in &gone {
            self.owned.values_mut().filter(|owned| owned.is_live()).for_each(|owned| owned.state.retire(device_id));
        }
        if !gone.is_empty() {
            self.unflushed.add(gone.len());
        }
        Ok(())
    }

    async fn on_decisions(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Assigned(partitions) => self.on_assigned(partitions).await,
            Event::Revoked(partitions, ack) => self.on_revoked(&partitions, ack).await,
            Event::Records(block) => self.on_decision_block(&block).await,
            Event::PartitionEof(..) => Ok(()),
        }
    }

    async fn on_assigned(&mut self, partitions: Vec<TopicPartition>) -> anyhow::Result<()> {
        metrics::rebalance("assigned");
        tracing::info!(partitions = partitions.len(), "partitions assigned");
        if !partitions.is_empty() {
            let seeds = self.stores.alerts.seeds(&self.register.tenants(), self.seed_window).await;
            let seeds = Arc::new(seeds.context("read stored alerts")?);
            for at in partitions {
                let ends = self.inputs.ends(&at).await?;
                let feed = self.inputs.start_decisions(&at).await?;
                let state = Partition::new(at.partition, Arc::clone(&self.thresholds), Arc::clone(&seeds), ends);
                self.owned.insert(at.partition, Owned::new(state, feed));
                self.go_live_if_learned(at.partition).await?;
            }
        }
        self.readiness.set_ready();
        Ok(())
    }

    async fn on_revoked(&mut self, partitions: &[TopicPartition], ack: RevokeAck) -> anyhow::Result<()> {
        metrics::rebalance(if ack.is_lost() { "lost" } else { "revoked" });
        tracing::info!(partitions = partitions.len(), lost = ack.is_lost(), "partitions revoked");
        if !ack.is_lost() {
            self.flush().await?;
        }
        let mut positions = Vec::new();
        for at in partitions {
            self.inputs.stop_events(at.partition)?;
            positions.extend(self.owned.remove(&at.partition).and_then(|owned| owned.positions().0));
        }
        ack.done(positions);
        Ok(())
    }

    async fn on_decision_block(&mut self, block: &RecordBlock) -> anyhow::Result<()> {
        metrics::records_read(block.topic(), block.len());
        let decoded = self.decision_reader.decode(block).await.context("decode decisions")?;
        let Some(owned) = self.owned.get_mut(&block.partition()) else { return Ok(()) };
        let (state, feed, register) = (&mut owned.state, &mut owned.decisions, &self.register);
        let mut panicked = Vec::new();
        decisions::for_each(block, &decoded, |decision| {
            let mode = mode(feed, decision.offset);
            let outcome = state.on_decision(decision, register, mode);
            metrics::decision(outcome);
            // What is only learned again was set aside by whoever was live then.
            if (outcome, mode) == (DecisionOutcome::Panicked, Mode::Live) {
                panicked.push(decision.offset);
            }
        })?;
        self.letters.bury_panicked(block, &panicked).await?;
        feed.next = block.next_offset();
        if feed.is_live() {
            self.unflushed.add(block.len());
        }
        self.go_live_if_learned(block.partition()).await
    }

    /// When the decisions are learned, the events of the same partition begin.
    async fn go_live_if_learned(&mut self, partition: i32) -> anyhow::Result<()> {
        let Some(owned) = self.owned.get_mut(&partition) else { return Ok(()) };
        if owned.events.is_none() && owned.decisions.is_live() {
            owned.events = Some(self.inputs.start_events(partition).await?);
            owned.state.go_live(&self.register);
            tracing::info!(kafka.partition = partition, devices = owned.state.devices(), "partition is live");
        }
        Ok(())
    }

    async fn on_events(&mut self, event: Event) -> anyhow::Result<()> {
        let Event::Records(block) = event else { return Ok(()) };
        metrics::records_read(block.topic(), block.len());
        let (events, broken) = self.event_reader.read(&block).await.context("read events")?;
        let Some(owned) = self.owned.get_mut(&block.partition()) else { return Ok(()) };
        let Some(feed) = owned.events.as_mut() else { return Ok(()) };
        let mut panicked = Vec::new();
        for (arrived, event) in &events {
            let mode = mode(feed, arrived.offset);
            let outcome = owned.state.on_event(event, *arrived, &self.register, mode);
            metrics::event(outcome);
            if (outcome, mode) == (EventOutcome::Panicked, Mode::Live) {
                panicked.push(arrived.offset);
            }
        }
        for (index, poison) in &broken {
            if mode(feed, block.get(*index).offset) == Mode::Live {
                self.letters.bury(&block, *index, poison.code(), &poison.to_string()).await?;
            }
        }
        self.letters.bury_panicked(&block, &panicked).await?;
        feed.next = block.next_offset();
        self.unflushed.add(block.len());
        Ok(())
    }

    /// Writes all output, then lets the positions follow.
    async fn flush(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut output = Output::default();
        for owned in self.owned.values_mut() {
            output.append(owned.state.drain(&self.register));
        }
        output.late.iter().for_each(|kind| metrics::late(*kind));
        metrics::unapplied_corrections(output.unapplied_corrections);
        if !output.is_empty() {
            self.stores.write(&output).await.context("write alerts and statuses")?;
            fail_point("alert.after_store").await;
        }
        self.commit();
        self.unflushed = Unflushed::default();
        metrics::flushed(started.elapsed());
        self.show_owned();
        Ok(())
    }

    fn commit(&self) {
        let (decisions, events): (Vec<_>, Vec<_>) = self.owned.values().map(Owned::positions).unzip();
        let known = |positions: Vec<Option<Position>>| positions.into_iter().flatten().collect::<Vec<_>>();
        self.inputs.decisions.commit(&known(decisions));
        self.inputs.events.commit(&known(events));
    }

    fn show_owned(&self) {
        let live = self.owned.values().filter(|owned| owned.is_live()).count();
        let devices = self.owned.values().map(|owned| owned.state.devices()).sum();
        metrics::owned(self.owned.len() - live, live, devices);
        metrics::open_alerts(self.owned.values().flat_map(|owned| owned.state.open_alerts()));
    }

    async fn close(self) -> anyhow::Result<()> {
        self.inputs.events.close(CLOSE_DEADLINE).await.context("close the events consumer")?;
        self.inputs.decisions.close(CLOSE_DEADLINE).await.context("leave the group")?;
        if let Some(notifier) = self.stores.notifier {
            notifier.close().await;
        }
        Ok(())
    }
}

//! Wiring: everything that can fail at the start fails here, before the group is joined.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use kafka_pipeline::{Admin, Producer, ProducerConfig, Registry};
use service_runtime::{Clock, Runtime, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::core::register::Register;
use crate::edge::{
    AlertsTable, DecisionReader, DeviceFeed, Dynamo, EventReader, Inputs, Letters, Notifier, Patience, Publisher,
    StatusTable, Stores, Unflushed, Worker, create_missing,
};
use crate::metrics;

/// The loop beats with every turn and with every attempt at a store. The longest wait between two beats is for the
/// producer's acknowledgements, which end with a failure after two minutes; a longer silence is a hang.
const MAX_SILENCE: Duration = Duration::from_secs(180);

/// The service, ready to run.
pub struct App {
    worker: Worker,
    producer: Producer,
    shutdown: CancellationToken,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("producer", &self.producer).finish_non_exhaustive()
    }
}

impl App {
    /// Connects to everything and loads the device register.
    ///
    /// # Errors
    /// When the topics don't fit together, or a component refuses.
    pub async fn build(config: Config, runtime: &Runtime) -> anyhow::Result<Self> {
        metrics::describe();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let beat = Arc::new(runtime.liveness.beat_handle("worker", MAX_SILENCE));
        let (policy, shutdown) = (config.retry.clone(), runtime.shutdown.clone());
        let waits = Patience { policy, shutdown, beat: Arc::clone(&beat) };

        let partitions = check_topics(&config, &waits).await?;
        let registry = Registry::new(&config.registry).context("prepare the schema registry")?;
        let producer = Producer::new(&config.kafka, &ProducerConfig::default()).context("make the producer")?;
        let letters = Letters::new(&producer, &config.topics.rejected, &config.consumer.group);
        let topic = config.topics.alerts.clone();
        let publisher = Publisher::new(producer.clone(), &registry, topic, &waits).await?;
        let (alerts, status) = tables(&config, waits.clone(), Arc::clone(&clock)).await?;
        let notifier = match config.webhook.is_on() {
            true => Some(Notifier::start(&config.webhook, Arc::clone(&clock), runtime.shutdown.clone())?),
            false => None,
        };

        let mut register = Register::default();
        let devices = (config.topics.devices.as_str(), partitions.devices);
        let devices = DeviceFeed::load(&config.kafka, registry.clone(), devices, waits.clone(), &mut register).await?;
        tracing::info!(devices = register.len(), "device register loaded");

        let topics = (&config.topics, &config.consumer);
        let inputs = Inputs::join(&config.kafka, topics, partitions.events, clock, waits.clone())?;
        let worker = Worker {
            inputs,
            devices,
            register,
            decision_reader: DecisionReader::new(registry.clone(), waits.clone())?,
            event_reader: EventReader::new(registry, waits)?,
            letters,
            stores: Stores { publisher, alerts, status, notifier },
            thresholds: Arc::new(config.rules),
            seed_window: config.consumer.state_window,
            flush: config.flush,
            readiness: runtime.readiness.clone(),
            beat,
            owned: BTreeMap::new(),
            unflushed: Unflushed::default(),
        };
        Ok(Self { worker, producer, shutdown: runtime.shutdown.clone() })
    }

    /// Runs until the runtime is told to shut down.
    ///
    /// # Errors
    /// When a component failed for good. Positions stay where everything is written, so the next process goes on there.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self { worker, producer, shutdown } = self;
        tokio::select! {
            result = Box::pin(worker.run(&shutdown)) => result,
            failure = producer.failed() => Err(failure).context("deliver alerts"),
        }
    }
}

/// Partition counts of the topics that are read.
struct Partitions {
    events: i32,
    devices: i32,
}

/// A device's events must be where its decisions are: in the partition of the same number.
async fn check_topics(config: &Config, waits: &Patience) -> anyhow::Result<Partitions> {
    let admin = waits.run(|| Admin::connect(&config.kafka)).await.context("connect to Kafka")?;
    let count = async |topic: &str| {
        let marks = waits.run(|| admin.watermarks(topic)).await.with_context(|| format!("look at topic {topic}"))?;
        i32::try_from(marks.len()).context("count partitions")
    };
    let topics = &config.topics;
    let (validated, events) = (count(&topics.validated).await?, count(&topics.events).await?);
    ensure!(
        validated == events,
        "topic {} has {validated} partitions and topic {} has {events}: they must have the same number",
        topics.validated,
        topics.events
    );
    count(&topics.alerts).await?;
    let rejected = count(&topics.rejected).await?;
    ensure!(
        rejected >= events,
        "topic {} has {rejected} partitions and topic {} has {events}: a letter lies in its source's partition",
        topics.rejected,
        topics.events
    );
    Ok(Partitions { events, devices: count(&topics.devices).await? })
}

async fn tables(config: &Config, waits: Patience, clock: Arc<dyn Clock>) -> anyhow::Result<(AlertsTable, StatusTable)> {
    let settings = &config.dynamodb;
    let dynamo = Dynamo::connect(settings, waits).await;
    if settings.create_tables {
        create_missing(&dynamo.client, settings).await?;
    }
    dynamo
        .check("alerts", &settings.alerts_table)
        .await
        .with_context(|| format!("look at {}", settings.alerts_table))?;
    dynamo
        .check("device_status", &settings.status_table)
        .await
        .with_context(|| format!("look at {}", settings.status_table))?;
    let alerts = AlertsTable::new(dynamo.clone(), settings.alerts_table.clone(), settings.alert_retention, clock);
    Ok((alerts, StatusTable::new(dynamo, settings.status_table.clone())))
}

//! Composition: connects the parts, runs them, and takes them down in order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use kafka_pipeline::{
    Admin, AdminError, Consumer, ConsumerConfig, DeadLetters, Events, Producer, Registry, TopicId, topic_id,
    topic_replaced,
};
use meterway_schemas::VALIDATED_BATCH;
use service_runtime::{Beat, Clock, Liveness, Readiness, SystemClock, sleep};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Topics};
use crate::core::rules::{RULES, Rule};
use crate::edge::assignment::Assignment;
use crate::edge::devices::{Devices, Follower, Opening};
use crate::edge::line::Line;
use crate::edge::memory::Memory;
use crate::metrics;

/// Stage that dead letters name.
const STAGE: &str = "validate";
/// How often the poll thread is looked at.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How often it is made sure that the topics are still the same; each look is a connection and three requests.
const TOPICS_EVERY: Duration = Duration::from_secs(5);

/// How the service tells the orchestrator about itself.
#[derive(Debug, Clone)]
pub struct Health {
    /// `/ready`: the device table is loaded and the group was joined.
    pub readiness: Readiness,
    /// `/live`: the poll thread turns.
    pub liveness: Liveness,
}

/// The service, connected and not yet running.
pub struct App {
    config: Config,
    health: Health,
    clock: Arc<dyn Clock>,
    registry: Registry,
    schema_id: u32,
    producer: Producer,
    devices: Arc<Devices>,
    follower: Follower,
    rules: &'static [Rule],
    raw_partitions: usize,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}

impl App {
    /// Connects, checks the topics and registers the schema of decisions.
    ///
    /// # Errors
    /// A component that does not answer, topics that don't exist or don't have the same partitions, a registry that
    /// refuses the schema.
    pub async fn build(config: Config, health: Health) -> anyhow::Result<Self> {
        metrics::describe();
        let admin = Admin::connect(&config.kafka).await.context("connect to kafka")?;
        let (raw_partitions, device_partitions) =
            check_topics(&admin, &config.topics).await.context("check the topics")?;
        let registry = Registry::new(&config.registry).context("configure the schema registry")?;
        let subject = format!("{}-value", config.topics.validated);
        let schema_id =
            registry.register(&subject, VALIDATED_BATCH.avsc).await.context("register the schema of decisions")?;
        let producer = Producer::new(&config.kafka, &config.producer()).context("create the producer")?;
        let opening = Opening {
            kafka: &config.kafka,
            admin,
            registry: &registry,
            topic: &config.topics.devices,
            partitions: device_partitions,
            settings: config.devices.clone(),
            backoff: config.backoff.clone(),
        };
        let (devices, follower) = Devices::open(opening).context("open the device topic")?;
        let clock = Arc::new(SystemClock);
        Ok(Self {
            config,
            health,
            clock,
            registry,
            schema_id,
            producer,
            devices,
            follower,
            raw_partitions,
            rules: RULES,
        })
    }

    /// Decides by another rule set.
    #[must_use]
    pub fn with_rules(self, rules: &'static [Rule]) -> Self {
        Self { rules, ..self }
    }

    /// Decides until the token is cancelled, then drains: decisions under way, the last commit, the group.
    ///
    /// # Errors
    /// Whatever must end the process: a failed delivery, a fatal client error, another writer in our output.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { config, health, clock, registry, schema_id, producer, devices, follower, rules, raw_partitions } =
            self;
        let follower = follower.run();
        tokio::pin!(follower);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            ended = &mut follower => return ended.context("follow the device topic"),
            loaded = load_devices(&devices, &config) => loaded?,
        }
        let known = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            known = topic_ids(&config) => known.context("look up the topics' ids")?,
        };
        let (_, raw_id) = known.first().context("the raw topic comes first")?.clone();
        let raw = ConsumerConfig { fetch_partitions: raw_partitions, ..config.raw_consumer() };
        let (consumer, events) = Consumer::subscribe(&config.kafka, raw).context("join the group")?;
        let dead_letters = DeadLetters::new(producer.clone(), &config.topics.rejected, STAGE, &config.consumer.group);
        let line = Arc::new(Line {
            kafka: config.kafka.clone(),
            topics: config.topics.clone(),
            lane: config.lane,
            raw_id: raw_id.0,
            readiness: health.readiness.clone(),
            settings: config.settings(),
            rules,
            memory: Memory::new(config.settings().history.bytes),
            window_messages: config.state.window_messages,
            drain_timeout: config.consumer.drain_timeout,
            backoff: config.backoff.clone(),
            clock,
            registry,
            schema_id,
            consumer,
            producer,
            dead_letters,
            devices,
        });
        let replaced = topic_replaced(config.kafka.clone(), known, TOPICS_EVERY);
        let running = Running::new(line, events, &config, health);
        tokio::select! {
            biased;
            // Positions and history mean nothing in another topic; a new start finds out what does.
            (topic, id) = replaced => bail!("topic {topic} was created again, its id is {id} now"),
            ended = &mut follower => ended.context("follow the device topic").and_then(|()| bail!("device topic ended")),
            ended = running.run(shutdown) => ended,
        }
    }
}

/// Partitions of the raw topic and of the device topic, after a check of all topics.
async fn check_topics(admin: &Admin, topics: &Topics) -> anyhow::Result<(usize, usize)> {
    let count = async |topic: &str| -> anyhow::Result<usize> {
        let partitions = admin.watermarks(topic).await.with_context(|| format!("look up {topic}"))?;
        ensure!(!partitions.is_empty(), "topic {topic} does not exist");
        Ok(partitions.len())
    };
    let raw = count(&topics.raw).await?;
    for topic in [&topics.validated, &topics.rejected] {
        let partitions = count(topic).await?;
        ensure!(
            partitions == raw,
            "{topic} has {partitions} partitions and {} has {raw}: they must have the same number",
            topics.raw
        );
    }
    Ok((raw, count(&topics.devices).await?))
}

/// The ids of the raw topic, of the topic of decisions and of the devices' topic, in this order.
async fn topic_ids(config: &Config) -> anyhow::Result<Vec<(String, TopicId)>> {
    let topics = &config.topics;
    let mut known = Vec::new();
    for topic in [&topics.raw, &topics.validated, &topics.devices] {
        let mut backoff = config.backoff.clone();
        let id = loop {
            match topic_id(&config.kafka, topic).await {
                Ok(id) => break id,
                Err(error @ AdminError::NoTopicId(_)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(kafka.topic = topic, error = %error, "wait for the broker");
                    sleep(backoff.next_delay(&mut rand::rng())).await;
                }
            }
        };
        known.push((topic.clone(), id));
    }
    Ok(known)
}

/// Waits until the table holds all devices that the topic held at the start.
async fn load_devices(devices: &Devices, config: &Config) -> anyhow::Result<()> {
    let mut backoff = config.backoff.clone();
    while let Err(error) = devices.catch_up().await {
        tracing::warn!(error = %error, "wait for the device topic");
        sleep(backoff.next_delay(&mut rand::rng())).await;
    }
    tracing::info!(devices = devices.table().len(), "device table loaded");
    Ok(())
}

/// The running service.
struct Running {
    line: Arc<Line>,
    events: Events,
    assignment: Assignment,
    health: Health,
    drain_timeout: Duration,
    max_poll_silence: Duration,
    beat: Beat,
}

impl Running {
    fn new(line: Arc<Line>, events: Events, config: &Config, health: Health) -> Self {
        let max_poll_silence = config.raw_consumer().max_poll_interval / 2;
        Self {
            assignment: Assignment::new(Arc::clone(&line), config.consumer.queued_blocks),
            beat: health.liveness.beat_handle("raw consumer", max_poll_silence),
            line,
            events,
            health,
            drain_timeout: config.consumer.drain_timeout,
            max_poll_silence,
        }
    }

    async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut watch = tokio::time::interval(WATCH_EVERY);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let producer = self.line.producer.clone();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                error = producer.failed() => return Err(error).context("deliver decisions"),
                error = self.assignment.failed() => return Err(error),
                _ = watch.tick() => self.watch_poll_thread(),
                event = self.events.recv() => match event {
                    Some(event) => self.handle(event.context("read the raw topic")?).await?,
                    None => bail!("the raw consumer was closed"),
                },
            }
        }
        self.shut_down().await
    }

    async fn handle(&mut self, event: kafka_pipeline::Event) -> anyhow::Result<()> {
        let assigned = matches!(event, kafka_pipeline::Event::Assigned(_));
        self.assignment.handle(event).await?;
        if assigned {
            self.health.readiness.set_ready();
        }
        Ok(())
    }

    fn watch_poll_thread(&self) {
        if self.line.consumer.last_poll().elapsed() < self.max_poll_silence {
            self.beat.beat();
        }
    }

    async fn shut_down(mut self) -> anyhow::Result<()> {
        self.health.readiness.set_unready("shutting down");
        self.assignment.stop_all().await.context("drain the partitions")?;
        self.line.consumer.close(self.drain_timeout).await.context("leave the group")
    }
}

//! Wiring: what is connected to what, and what ends the process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use kafka_pipeline::{
    Admin, AdminError, AvroWriter, BatchDecoder, CodecError, Consumer, ConsumerConfig, DeadLetters, Events,
    OffsetReset, Producer, ProducerConfig, Registry,
};
use lake::{Lake, LakeError, ProbeError, TableHeads, TableSpec, tables};
use meterway_schemas::{ALERT, LAKE_COMMIT, VALIDATED_BATCH};
use service_runtime::{Readiness, Runtime};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, RouteConfig};
use crate::core::alerts::AlertRows;
use crate::core::budget::Budget;
use crate::core::dead_letters::DeadLetterRows;
use crate::core::landing::LandingRows;
use crate::core::progress::Owned;
use crate::core::readings::{self, ReadingRows};
use crate::core::rejected::{self, RejectedRows};
use crate::core::rows::TableRows;
use crate::core::view::reader_schema;
use crate::edge::guard::Guard;
use crate::edge::hints::Hints;
use crate::edge::intake::{Intake, Reading};
use crate::edge::patience::{Component, Patience};
use crate::edge::publish::Publisher;
use crate::edge::route::{Route, RouteSettings};
use crate::metrics::{RouteMetrics, describe};

/// A route that is silent for so long hangs. Longer than any single request to the store or the catalog may take: those
/// have time-outs and retries of their own below this.
const MAX_SILENCE: Duration = Duration::from_secs(300);

/// Blocks of 1 MiB that wait for a route. There are five routes, and the memory budget does not cover this.
const QUEUE_BLOCKS: usize = 4;
/// Bytes that the client of a route fetches ahead.
const FETCH_QUEUE_BYTES: usize = 16 << 20;

/// The assembled service.
pub struct App {
    routes: Vec<(Route, Events)>,
    dead_letters: Producer,
    readiness: Readiness,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("routes", &self.routes.len()).finish_non_exhaustive()
    }
}

/// What the routes are made with.
struct Parts<'a> {
    config: &'a Config,
    runtime: &'a Runtime,
    lake: Lake,
    registry: Registry,
    dead_letters: Producer,
    budget: Arc<Budget>,
}

impl App {
    /// Connects everything. Waits for components that are not there yet.
    ///
    /// # Errors
    /// The store is not fit, a table is not ours, or the configuration cannot work.
    pub async fn build(config: Config, runtime: &Runtime) -> anyhow::Result<Self> {
        describe();
        let patience = patience(&config, runtime, "start");
        let Some(lake) = connect(&config, runtime, &patience).await? else { bail!("stopped while connecting") };
        let enabled: Vec<_> = config.routes.all().into_iter().filter(|(_, route)| route.enabled).collect();
        let memory = usize::try_from(config.sink.memory_budget.as_u64()).context("memory budget")?;
        let producer = ProducerConfig { message_max_bytes: MAX_RECORD_BYTES, ..ProducerConfig::default() };
        let parts = Parts {
            config: &config,
            runtime,
            lake,
            registry: Registry::new(&config.registry).context("set up the registry client")?,
            dead_letters: Producer::new(&config.kafka, &producer).context("create a producer")?,
            budget: Arc::new(Budget::new(memory, enabled.len())),
        };
        let mut routes = Vec::with_capacity(enabled.len());
        for (name, route) in &enabled {
            routes.push(parts.route(name, route).await.with_context(|| format!("set up route {name}"))?);
        }
        Ok(Self { routes, dead_letters: parts.dead_letters, readiness: runtime.readiness.clone() })
    }

    /// Runs until `shutdown`; the first route that ends by itself ends the process.
    ///
    /// # Errors
    /// What ended the route.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let stop = shutdown.child_token();
        let mut running = JoinSet::new();
        for (route, events) in self.routes {
            let (name, stop) = (route.metrics.0, stop.clone());
            running.spawn(async move { route.run(events, stop).await.with_context(|| format!("route {name}")) });
        }
        self.readiness.set_ready();
        let mut outcome = Ok(());
        tokio::select! {
            () = shutdown.cancelled() => {}
            Some(ended) = running.join_next() => outcome = ended.context("route panicked").flatten(),
            error = self.dead_letters.failed() => outcome = Err(error).context("store dead letters"),
        }
        self.readiness.set_unready("shutting down");
        stop.cancel();
        while let Some(ended) = running.join_next().await {
            outcome = outcome.and(ended.context("route panicked").flatten());
        }
        outcome
    }
}

/// Largest record that can be set aside: decisions may have 8 MiB, and headers are added.
const MAX_RECORD_BYTES: usize = 9 * 1024 * 1024;

impl Parts<'_> {
    async fn route(&self, name: &'static str, route: &RouteConfig) -> anyhow::Result<(Route, Events)> {
        let metrics = RouteMetrics(name);
        let patience = patience(self.config, self.runtime, name);
        let (spec, rows) = self.rows(name);
        let publisher = self.publisher(&spec, metrics, &patience).await?;
        let reading = self.reading(name)?;
        let ask = || async { Admin::connect(&self.config.kafka).await?.topics().await };
        let topics = patience.until_done(Component::Kafka, &self.runtime.shutdown, |_: &AdminError| true, ask).await?;
        let Some(topics) = topics else { bail!("stopped while connecting") };
        let partitions = topics.get(&route.topic).map_or(0, |topic| usize::try_from(topic.partitions).unwrap_or(0));
        let settings = RouteSettings {
            topic: route.topic.as_str().into(),
            kafka: self.config.kafka.clone(),
            consumer: self.consumer(route, partitions),
            recheck_interval: self.config.sink.recheck_interval,
            triggers: self.config.sink.triggers(),
            revoke_grace: self.config.sink.revoke_grace,
            // The rest of the grace is for the admin endpoint and for whatever is slower than it should be.
            stop_grace: self.config.shutdown_grace.mul_f64(0.9),
        };
        let (consumer, events) =
            Consumer::subscribe(&settings.kafka, settings.consumer.clone()).context("subscribe")?;
        let route = Route {
            settings,
            consumer,
            guard: Guard::new(self.runtime.readiness.clone(), metrics),
            intake: Intake { reading, dead_letters: self.letters(name, route), metrics, patience: patience.clone() },
            publisher,
            rows,
            budget: Arc::clone(&self.budget),
            patience,
            metrics,
            owned: Owned::default(),
            since_micros: None,
            reported_bytes: 0,
            suspects: BTreeMap::new(),
        };
        Ok((route, events))
    }

    fn rows(&self, name: &str) -> (TableSpec, Box<dyn TableRows>) {
        let source_topic = &self.config.sink.source_topic;
        match name {
            "readings" => (tables::readings(), Box::new(ReadingRows::new(source_topic))),
            "rejected" => (tables::rejected(), Box::new(RejectedRows::new(source_topic))),
            "landing" => (tables::landing(), Box::<LandingRows>::default()),
            "dead_letters" => (tables::dead_letters(), Box::<DeadLetterRows>::default()),
            _ => (tables::alerts(), Box::<AlertRows>::default()),
        }
    }

    fn reading(&self, name: &str) -> anyhow::Result<Reading> {
        let decoder = |avsc: &str, unused: &[&str]| -> anyhow::Result<Box<BatchDecoder>> {
            let schema = reader_schema(avsc, unused).context("derive the reader schema")?;
            Ok(Box::new(BatchDecoder::new(self.registry.clone(), &schema).context("set up the decoder")?))
        };
        Ok(match name {
            "readings" => Reading::Decisions(decoder(VALIDATED_BATCH.avsc, readings::UNUSED_FIELDS)?),
            "rejected" => Reading::Decisions(decoder(VALIDATED_BATCH.avsc, rejected::UNUSED_FIELDS)?),
            "landing" | "dead_letters" => Reading::Raw,
            _ => Reading::Decoded(decoder(ALERT.avsc, &[])?),
        })
    }

    /// Where a route sets records aside.
    fn letters(&self, name: &str, route: &RouteConfig) -> Option<DeadLetters> {
        let topic = &self.config.sink.dead_letter_topic;
        let letters = || DeadLetters::new(self.dead_letters.clone(), topic, env!("CARGO_PKG_NAME"), &route.group);
        (name != "dead_letters").then(letters)
    }

    async fn publisher(
        &self,
        spec: &TableSpec,
        metrics: RouteMetrics,
        patience: &Patience,
    ) -> anyhow::Result<Publisher> {
        let stop = &self.runtime.shutdown;
        let open = || self.lake.open_or_create(spec);
        let table = patience.until_done(Component::Catalog, stop, LakeError::is_transient, open).await?;
        let topic = &self.config.sink.commits_topic;
        let subject = format!("{topic}-value");
        let register = || AvroWriter::new(&self.registry, &subject, LAKE_COMMIT.avsc);
        let writer = patience.until_done(Component::Registry, stop, CodecError::is_transient, register).await?;
        let (Some(table), Some(writer)) = (table, writer) else { bail!("stopped while connecting") };
        Ok(Publisher {
            table,
            hints: Hints::new(self.config.kafka.clone(), topic.clone(), writer, metrics),
            patience: patience.clone(),
            metrics,
            base: TableHeads::default(),
            files: Vec::new(),
            has_written: false,
        })
    }

    fn consumer(&self, route: &RouteConfig, partitions: usize) -> ConsumerConfig {
        ConsumerConfig {
            // The table says where to begin. A position that does not exist is a loss somebody has to look at.
            reset: OffsetReset::Error,
            revoke_timeout: self.config.sink.revoke_grace + Duration::from_secs(5),
            queue_blocks: QUEUE_BLOCKS,
            fetch_queue_bytes: FETCH_QUEUE_BYTES,
            fetch_partitions: partitions,
            ..ConsumerConfig::new(&route.group, [&route.topic])
        }
    }
}

fn patience(config: &Config, runtime: &Runtime, name: &'static str) -> Patience {
    let beat = Arc::new(runtime.liveness.beat_handle(name, MAX_SILENCE));
    Patience::new(config.sink.backoff.clone(), RouteMetrics(name), beat)
}

/// Connects to the catalog and makes sure that the store keeps its promise; `None` when the process was stopped first.
async fn connect(config: &Config, runtime: &Runtime, patience: &Patience) -> anyhow::Result<Option<Lake>> {
    let stop = &runtime.shutdown;
    let connect = || Lake::connect(&config.lake);
    let lake = patience.until_done(Component::Catalog, stop, LakeError::is_transient, connect).await?;
    let Some(lake) = lake else { return Ok(None) };
    if !config.sink.probe_store {
        return Ok(Some(lake));
    }
    let probe = || lake.probe_store();
    let report = patience.until_done(Component::Store, stop, ProbeError::is_transient, probe).await?;
    let Some(report) = report else { return Ok(None) };
    tracing::info!(rounds = report.rounds, writers = report.writers, "object store keeps conditional writes atomic");
    Ok(Some(lake))
}

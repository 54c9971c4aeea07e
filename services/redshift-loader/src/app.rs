//! Wiring: connects, migrates, and runs the tasks until one ends or the process is told to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kafka_pipeline::Registry;
use lake::Lake;
use service_runtime::{Readiness, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Dialect};
use crate::core::refresh::RefreshPolicy;
use crate::edge::announcer::Announcer;
use crate::edge::devices::DeviceLoader;
use crate::edge::hints::Hints;
use crate::edge::loader::{Listeners, Pace, TableLoader};
use crate::edge::postgres::{PostgresSettings, PostgresWarehouse, migrate};
use crate::edge::redshift::{self, RedshiftWarehouse};
use crate::edge::refresher::Refresher;
use crate::edge::warehouse::Warehouse;
use crate::metrics;

/// The loader, ready to run.
#[derive(Debug)]
pub struct App {
    loaders: Vec<TableLoader>,
    hints: Option<Hints>,
    devices: Option<DeviceLoader>,
    announcer: Option<Announcer>,
    refresher: Option<Refresher>,
    readiness: Readiness,
}

impl App {
    /// Connects to lake and warehouse and brings schema `raw` up to date.
    ///
    /// # Errors
    /// When a store is away, a table of the lake has other columns, or a migration fails.
    pub async fn build(config: Config, runtime: &Runtime) -> anyhow::Result<Self> {
        metrics::describe();
        let settings = config.warehouse.settings().context("read warehouse.tls_ca_file")?;
        prepare_warehouse(&config, &settings).await?;
        let lake = Lake::connect(&config.lake).await.context("connect to the lake")?;
        let listeners = Listeners::default();
        // One for each task: a long load of one table must not hold up another, nor a notice.
        let session = || session(&config, &settings);
        let mut loaders = Vec::new();
        let mut wake = HashMap::new();
        for table in config.loads.load_tables() {
            let source = lake.open_or_create(table.spec()).await.with_context(|| format!("open {}", table.name()))?;
            let notify = Arc::new(Notify::new());
            wake.insert(source.name().to_owned(), Arc::clone(&notify));
            let beat = runtime.liveness.beat_handle(format!("load {}", table.name()), longest_silence(&config));
            let pace = Pace { poll_interval: config.loads.poll_interval, backoff: config.loads.backoff.clone() };
            loaders.push(TableLoader::new(table, source, session(), notify, listeners.clone(), (pace, beat)));
        }
        let registry = Registry::new(&config.registry).context("prepare the schema registry's client")?;
        Ok(Self {
            loaders,
            hints: hints(&config, wake),
            devices: devices(&config, &registry, &listeners, session())?,
            announcer: announcer(&config, registry, &listeners, session()),
            refresher: refresher(&config, &listeners),
            readiness: runtime.readiness.clone(),
        })
    }

    /// Runs until shutdown.
    ///
    /// # Errors
    /// When a task ends although nobody asked it to.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        for loader in self.loaders {
            tasks.spawn(loader.run(shutdown.clone()));
        }
        self.hints.map(|task| tasks.spawn(task.run(shutdown.clone())));
        self.devices.map(|task| tasks.spawn(task.run(shutdown.clone())));
        self.announcer.map(|task| tasks.spawn(task.run(shutdown.clone())));
        self.refresher.map(|task| tasks.spawn(task.run(shutdown.clone())));
        self.readiness.set_ready();
        let mut result = Ok(());
        while let Some(ended) = tasks.join_next().await {
            let ended = ended.context("a task panicked").and_then(|result| result);
            if result.is_ok() {
                result = match ended {
                    Ok(()) if shutdown.is_cancelled() => Ok(()),
                    Ok(()) => Err(anyhow::anyhow!("a task ended by itself")),
                    Err(error) => Err(error),
                };
            }
            // The first to end early takes the others along.
            shutdown.cancel();
        }
        result
    }
}

async fn prepare_warehouse(config: &Config, settings: &PostgresSettings) -> anyhow::Result<()> {
    if !config.warehouse.migrate {
        return Ok(());
    }
    match config.warehouse.dialect {
        Dialect::Postgres => migrate(settings, &config.warehouse.readers).await.context("prepare the warehouse"),
        Dialect::Redshift => {
            redshift::create_tables(settings, &config.warehouse.readers).await.context("prepare the warehouse")
        }
    }
}

fn session(config: &Config, settings: &PostgresSettings) -> Box<dyn Warehouse> {
    let settings = settings.clone();
    match config.warehouse.dialect {
        Dialect::Postgres => Box::new(PostgresWarehouse::new(settings)),
        Dialect::Redshift => Box::new(RedshiftWarehouse::new(settings, config.warehouse.redshift_iam_role.clone())),
    }
}

/// A turn of a loader's loop waits for a lock and runs a few statements; between turns it waits for the poll or a retry.
fn longest_silence(config: &Config) -> Duration {
    let turn = config.warehouse.lock_timeout + 3 * config.warehouse.statement_timeout;
    turn + config.loads.poll_interval + Duration::from_secs(60)
}

fn hints(config: &Config, wake: HashMap<String, Arc<Notify>>) -> Option<Hints> {
    let topic = named(&config.loads.hints_topic)?;
    Some(Hints::new(config.kafka.clone(), config.loads.hints_group.clone(), topic, wake))
}

fn devices(
    config: &Config,
    registry: &Registry,
    listeners: &Listeners,
    warehouse: Box<dyn Warehouse>,
) -> anyhow::Result<Option<DeviceLoader>> {
    let Some(topic) = named(&config.devices.topic) else { return Ok(None) };
    let source = (config.devices.group.clone(), topic);
    let (backoff, refresher) = (config.loads.backoff.clone(), Arc::clone(&listeners.refresher));
    let task = DeviceLoader::new(config.kafka.clone(), source, registry.clone(), warehouse, backoff, refresher);
    task.map(Some).context("prepare the devices task")
}

fn announcer(
    config: &Config,
    registry: Registry,
    listeners: &Listeners,
    warehouse: Box<dyn Warehouse>,
) -> Option<Announcer> {
    let topic = named(&config.loads.announce_topic)?;
    let (backoff, loaded) = (config.loads.backoff.clone(), Arc::clone(&listeners.announcer));
    Some(Announcer::new(config.kafka.clone(), topic, registry, warehouse, backoff, loaded))
}

fn refresher(config: &Config, listeners: &Listeners) -> Option<Refresher> {
    let command = config.dbt.command.clone();
    let policy = RefreshPolicy::new(config.dbt.min_interval);
    (!command.is_empty()).then(|| Refresher::new(command, config.dbt.timeout, policy, Arc::clone(&listeners.refresher)))
}

fn named(topic: &str) -> Option<String> {
    (!topic.is_empty()).then(|| topic.to_owned())
}

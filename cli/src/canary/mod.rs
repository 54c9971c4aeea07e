//! `meterway canary`: known readings on their whole way, for ever or for a few rounds.
//!
//! One reading per partition and interval goes in through Kafka or the door, and is looked for in the topic of decisions,
//! the lake, the warehouse and the live status. What does not come, comes twice or comes changed is counted, logged and
//! exported. The readings are of a tenant and devices of their own. A reading's time and value follow from each other, so a
//! restart needs no state: what the run before sent and validate has decided is followed on.

mod core;
mod edge;
mod report;

use self::core::known::devices;
use self::core::ledger::{Ledger, Limits, Stage};
use crate::connection::{KafkaArgs, RegistryArgs};
use crate::exit::Exit;
use crate::metadata::MetadataArgs;
use crate::out::Out;
use crate::stores::{DynamoArgs, WarehouseArgs, given};
use crate::verify::iceberg::LakeArgs;
use anyhow::Context;
use edge::shared::{Shared, now};
use edge::write::{HttpWay, KafkaWay, Via, Writer};
use kafka_pipeline::{Admin, KafkaConfig, Registry};
use report::Report;
use service_runtime::{AdminConfig, AdminServer, Liveness, MetricsHandle, Readiness, ServiceInfo};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const HELP: &str = "\
Stages: topic (decisions of validate), lake, warehouse, live (status in DynamoDB). A reading is missing at a stage when the
stage was looked at after --patience and did not have it; a stage that does not answer is reported as such, not as a loss.

Examples:
  meterway --env-file .local/demo.env canary --count 3
  meterway canary --via both --interval 15s --admin-listen 0.0.0.0:9110
  meterway canary --once --stages topic,lake --patience 60s --json

Exit codes (with --once or --count): 0 every reading arrived everywhere, once, unchanged and in time; 1 one did not, or a
stage does not answer; 64 a setting is missing; 70 a server cannot be reached at the start.";

/// Options of `canary`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct CanaryArgs {
    /// Rounds to send before reporting and ending; without it, for ever
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Same as --count 1
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// Time between rounds; a round is one reading per partition
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = span)]
    interval: Duration,
    /// Time that a reading may take to each stage
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = span)]
    patience: Duration,
    /// Time between looks at lake, warehouse and live status
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = span)]
    look: Duration,
    /// Way in
    #[arg(long, value_enum, default_value = "kafka")]
    via: Via,
    /// Stages to look at
    #[arg(long, value_enum, value_delimiter = ',', default_value = "topic,lake,warehouse,live")]
    stages: Vec<Stage>,
    /// Tenant of the canary's devices; made, as the devices are, when it is not there
    #[arg(long, value_name = "TENANT", default_value = "meterway-canary")]
    tenant: String,
    /// Where metrics and health are served (/metrics, /live, /ready); not served with --count unless given
    #[arg(long, value_name = "HOST:PORT", env = "METERWAY_CANARY_LISTEN")]
    admin_listen: Option<SocketAddr>,
    /// Address of ingest, for --via http
    #[arg(long, env = "INGEST_URL", value_name = "URL")]
    ingest_url: Option<String>,
    /// API key for ingest; the register makes one when not given
    #[arg(long, env = "METERWAY_CANARY_API_KEY", value_name = "KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Raw topic
    #[arg(long, default_value = "meter.readings.raw.v1")]
    raw_topic: String,
    /// Topic of decisions
    #[arg(long, default_value = "meter.readings.validated.v1")]
    validated_topic: String,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    metadata: MetadataArgs,
    #[command(flatten)]
    lake: LakeArgs,
    #[command(flatten)]
    warehouse: WarehouseArgs,
    #[command(flatten)]
    dynamo: DynamoArgs,
}

/// Where a canary that runs for ever listens, when nothing else is said.
const LISTEN: &str = "127.0.0.1:9110";
/// Readings are remembered for so many times the patience, to see them come late or twice.
const MEMORY: u32 = 4;
/// Readings remembered at most.
const CAPACITY: usize = 20_000;
/// How long after the patience a bounded run ends at the latest.
const SETTLE: Duration = Duration::from_secs(60);
/// How long it may take until `validate` knows a device that was registered just now; a reading that came earlier would be
/// rejected. Nothing outside `validate` can tell when it does.
const KNOWN_AFTER: Duration = Duration::from_secs(10);
/// Wait before a follower that failed is started anew.
const RESTART: Duration = Duration::from_secs(2);
/// Longest time of one look at a stage.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

fn span(text: &str) -> Result<Duration, String> {
    let found = humantime_serde::re::humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let sensible = Duration::from_millis(100)..=Duration::from_secs(86_400);
    if sensible.contains(&found) { Ok(found) } else { Err("must be 100ms to 1day".to_owned()) }
}

/// Runs the command.
///
/// # Errors
/// [`BadConfig`](crate::exit::BadConfig) for a missing setting; otherwise when something does not answer at the start.
pub(crate) async fn run(args: CanaryArgs, out: &Out) -> anyhow::Result<Exit> {
    let rounds = if args.once { Some(1) } else { args.count };
    let stop = CancellationToken::new();
    let _end_all = stop.clone().drop_guard();
    watch_signals(&stop)?;
    edge::metrics::describe(&args.stages);
    let readiness = serve_admin(&args, rounds, &stop).await?;
    let (kafka, registry) = (args.kafka.config()?, Registry::new(&args.registry.config()?)?);
    let partitions = partitions(&kafka, &args.raw_topic).await?;
    let limits = Limits { patience: micros(args.patience), memory: micros(args.patience * MEMORY), capacity: CAPACITY };
    let shared = Shared::new(&args.tenant, devices(partitions), Ledger::new(args.stages.clone(), limits));
    if edge::register::ensure(args.metadata.connect().await?, &args.tenant, &shared.devices).await? {
        stop.run_until_cancelled(tokio::time::sleep(KNOWN_AFTER)).await;
    }
    let mut writer = connect(&args, &kafka, &registry).await?;
    let back = if rounds.is_some() { 0 } else { limits.patience };
    let mut stages = start_stages(&args, &shared, &kafka, &registry, back, &stop).await?;
    readiness.set_ready();
    let mut unconfirmed = 0;
    let mut turns = tokio::time::interval(args.interval);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 0.. {
        if rounds.is_some_and(|rounds| round >= rounds) {
            break;
        }
        tokio::select! {
            _ = turns.tick() => {}
            () = stop.cancelled() => break,
        }
        shared.ledger().forget(now());
        unconfirmed += writer.round(&shared).await as u64;
        if writer.has_failed() {
            writer.kafka = Some(KafkaWay::connect(&kafka, &registry, &args.raw_topic).await?);
        }
    }
    if rounds.is_some() {
        settle(&shared, args.patience + SETTLE, &stop).await;
    }
    let away = shared.away();
    stop.cancel();
    while stages.join_next().await.is_some() {}
    let sent = shared.ledger().sent();
    let report = Report::new(&args.tenant, sent, unconfirmed, shared.figures(), away);
    if rounds.is_none() {
        return Ok(Exit::Ok);
    }
    out.report(&report, &Report::HEADS, |report, rows| report.fill(rows))?;
    if out.is_table() {
        out.note(&report.conclusion());
    }
    Ok(Exit::ok_if(report.good))
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn watch_signals(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        stop.cancel();
    });
    Ok(())
}

/// Serves health and metrics where an endless run, or the caller, wants them.
async fn serve_admin(args: &CanaryArgs, rounds: Option<u64>, stop: &CancellationToken) -> anyhow::Result<Readiness> {
    let readiness = Readiness::default();
    let metrics = MetricsHandle::install()?;
    let address = match (args.admin_listen, rounds) {
        (Some(address), _) => address,
        (None, None) => LISTEN.parse().context("parse the default address")?,
        (None, Some(_)) => return Ok(readiness),
    };
    let info = ServiceInfo { name: "canary", version: env!("CARGO_PKG_VERSION"), defaults: "" };
    let config = AdminConfig { listen: address };
    let server = AdminServer::bind(&config, info, readiness.clone(), Liveness::default(), metrics).await?;
    tokio::spawn(server.serve(stop.clone()));
    Ok(readiness)
}

async fn partitions(kafka: &KafkaConfig, topic: &str) -> anyhow::Result<i32> {
    let admin = Admin::connect(kafka).await.context("connect to kafka")?;
    let marks = admin.watermarks(topic).await.with_context(|| format!("ask for the partitions of {topic}"))?;
    i32::try_from(marks.len()).context("count partitions")
}

async fn connect(args: &CanaryArgs, kafka: &KafkaConfig, registry: &Registry) -> anyhow::Result<Writer> {
    let straight = match args.via {
        Via::Kafka | Via::Both => Some(KafkaWay::connect(kafka, registry, &args.raw_topic).await?),
        Via::Http => None,
    };
    let door = match args.via {
        Via::Http | Via::Both => {
            let url = crate::required(args.ingest_url.as_ref(), "--ingest-url", "INGEST_URL")?;
            let key = given(&args.api_key).map(str::to_owned);
            Some(HttpWay::connect(url, key, &args.metadata, &args.tenant).await?)
        }
        Via::Kafka => None,
    };
    Ok(Writer::new(straight, door))
}

/// A task for each stage, which goes on whatever happens.
async fn start_stages(
    args: &CanaryArgs,
    shared: &Shared,
    kafka: &KafkaConfig,
    registry: &Registry,
    back: i64,
    stop: &CancellationToken,
) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    if args.stages.contains(&Stage::Topic) {
        let (kafka, registry, topic) = (kafka.clone(), registry.clone(), args.validated_topic.clone());
        let follower = edge::topic::Follower::start(shared.clone(), &kafka, registry.clone(), &topic, back).await?;
        let follower = if back > 0 { follower.adopting() } else { follower };
        let (shared, stop) = (shared.clone(), stop.clone());
        tasks.spawn(async move {
            let follow = follow(shared, kafka, registry, topic, follower);
            stop.run_until_cancelled(follow).await;
        });
    }
    for stage in &args.stages {
        let eye = match stage {
            Stage::Topic => continue,
            Stage::Lake => Eye::Lake(Box::new(edge::lake::Look::new(shared.clone(), &args.lake)?)),
            Stage::Warehouse => Eye::Warehouse(args.warehouse.clone(), None),
            Stage::Live => Eye::Live(args.dynamo.client().await?, args.dynamo.status_table.clone()),
        };
        let (every, shared, stop) = (args.look, shared.clone(), stop.clone());
        let stage = *stage;
        tasks.spawn(async move {
            stop.run_until_cancelled(look_for_ever(eye, stage, every, shared)).await;
        });
    }
    Ok(tasks)
}

/// Follows the topic; begins anew, a patience back, when the consumer fails.
async fn follow(
    shared: Shared,
    kafka: KafkaConfig,
    registry: Registry,
    topic: String,
    mut follower: edge::topic::Follower,
) {
    loop {
        let Err(error) = follower.run().await else { return };
        shared.failed(Stage::Topic, &error);
        follower = loop {
            tokio::time::sleep(RESTART).await;
            let back = shared.ledger().oldest().map_or(0, |oldest| (now() - oldest).max(1));
            let again = edge::topic::Follower::start(shared.clone(), &kafka, registry.clone(), &topic, back).await;
            match again {
                Ok(follower) => break follower,
                Err(error) => shared.failed(Stage::Topic, &error),
            }
        };
    }
}

/// How a stage is looked at.
enum Eye {
    Lake(Box<edge::lake::Look>),
    Warehouse(WarehouseArgs, Option<tokio_postgres::Client>),
    Live(aws_sdk_dynamodb::Client, String),
}

impl Eye {
    async fn look(&mut self, shared: &Shared) -> anyhow::Result<()> {
        match self {
            Self::Lake(lake) => lake.look().await,
            Self::Warehouse(args, kept) => edge::warehouse::look(shared, args, kept).await,
            Self::Live(client, table) => edge::live::look(shared, client, table).await,
        }
    }
}

/// Looks at a stage again and again. A look that fails or takes too long is a stage that does not answer.
async fn look_for_ever(mut eye: Eye, stage: Stage, every: Duration, shared: Shared) {
    loop {
        match tokio::time::timeout(LONGEST_LOOK, eye.look(&shared)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => shared.failed(stage, &error),
            Err(_) => shared.failed(stage, &anyhow::anyhow!("no answer in {} s", LONGEST_LOOK.as_secs())),
        }
        tokio::time::sleep(every).await;
    }
}

/// Waits until every reading was seen or found missing everywhere; at most so long.
async fn settle(shared: &Shared, limit: Duration, stop: &CancellationToken) {
    let settled = async {
        while !shared.ledger().is_settled() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let limited = tokio::time::timeout(limit, settled);
    if !matches!(stop.run_until_cancelled(limited).await, Some(Ok(()))) {
        tracing::warn!("not every stage could be looked at in time");
    }
}

//! Readings per CPU second from a topic to committed files, on the local stack: fills a topic, then runs the service in
//! this process until its table has everything.
//!
//! `cargo bench -p parquet-sink --bench sink -- [READINGS] [READINGS PER MESSAGE]…`, by default 1000000 and 48 1.
//! CPU time is that of the whole process while the service runs, the Kafka client's threads included.
#![expect(clippy::print_stdout, reason = "a report for a person")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kafka_pipeline::{
    Admin, KafkaConfig, Producer, ProducerConfig, ProducerRecord, Registry, RegistryConfig, TopicSpec, frame, topic_id,
};
use lake::{HeadKey, Lake, LakeTable, tables};
use meter_model::{Commodity, Kind, LocalDay, Verdict};
use meterway_schemas::encode::{self, Reading, ValidatedBatch, ValidatedReading};
use meterway_schemas::{Source, VALIDATED_BATCH};
use parquet_sink::{App, Config};
use service_runtime::{Liveness, MetricsHandle, Readiness, Runtime, ServiceInfo, sleep};
use test_support::{Stack, unique};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PARTITIONS: i32 = 4;
const DEVICES: i64 = 20_000;
const DEFAULT_READINGS: i64 = 1_000_000;
const DEFAULT_SHAPES: [i64; 2] = [48, 1];
/// Records that are produced before their delivery is waited for.
const PRODUCED_AT_ONCE: i64 = 20_000;
/// Kernel ticks per second, the unit of CPU times in `/proc`: a constant of Linux's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    service_runtime::use_small_pages();
    service_runtime::install_crypto_provider();
    // Cargo adds --bench to the arguments of every bench.
    let numbers: Vec<i64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (readings, shapes) = match numbers.split_first() {
        None => (DEFAULT_READINGS, &DEFAULT_SHAPES[..]),
        Some((readings, [])) => (*readings, &DEFAULT_SHAPES[..]),
        Some((readings, shapes)) => (*readings, shapes),
    };
    for per_message in shapes {
        measure(readings, *per_message).await.with_context(|| format!("{per_message} readings per message"))?;
    }
    Ok(())
}

async fn measure(readings: i64, per_message: i64) -> anyhow::Result<()> {
    let name = unique("bench_sink");
    let config = config(&name)?;
    let topic = config.routes.readings.topic.clone();
    let bytes = fill(&config.kafka, &topic, readings / per_message, per_message).await?;
    let table = Lake::connect(&config.lake).await?.open_or_create(&tables::readings()).await?;
    let kafka = config.kafka.clone();

    std::fs::write("/proc/self/clear_refs", "5").context("forget the peak memory so far")?;
    let before_mib = peak_mib()?;
    let (cpu_before, started) = (cpu_seconds()?, Instant::now());
    let runtime = runtime()?;
    let app = App::build(config, &runtime).await?;
    let stop = runtime.shutdown.clone();
    let running = tokio::spawn(app.run(runtime.shutdown.clone()));
    drained(&table, &kafka, &topic).await?;
    let (cpu, wall) = (cpu_seconds()? - cpu_before, started.elapsed().as_secs_f64());
    stop.cancel();
    running.await??;

    let files: Vec<_> = table.snapshots_after(None).await?.into_iter().flat_map(|snapshot| snapshot.files).collect();
    let (rows, stored) = files.iter().fold((0, 0), |(rows, bytes), file| (rows + file.rows, bytes + file.bytes));
    ensure!(rows as i64 == readings / per_message * per_message, "{rows} rows in the table, {readings} readings sent");
    println!(
        "{per_message:>3} per message: {:>9.0} readings per CPU second, {:>9.0} per second, peak {} MiB ({before_mib} \
         before), {:.1} bytes per reading in {} files ({:.1} in the topic), {rows} rows",
        rows as f64 / cpu,
        rows as f64 / wall,
        peak_mib()?,
        stored as f64 / rows as f64,
        files.len(),
        bytes as f64 / rows as f64,
    );
    Ok(())
}

fn config(name: &str) -> anyhow::Result<Config> {
    let stack = Stack::from_env();
    let catalog = stack.iceberg_catalog_url();
    let settings = [
        ("KAFKA__BOOTSTRAP_SERVERS", stack.kafka_bootstrap()),
        ("REGISTRY__URL", stack.schema_registry_url()),
        ("LAKE__NAMESPACE", name.to_owned()),
        ("LAKE__CATALOG__NAME", "sinkbench".to_owned()),
        ("LAKE__CATALOG__URI", catalog),
        ("LAKE__CATALOG__WAREHOUSE", format!("s3://{}/sinkbench", stack.s3_bucket())),
        ("LAKE__S3__ENDPOINT", stack.s3_endpoint()),
        ("LAKE__S3__REGION", stack.s3_region()),
        ("LAKE__S3__ACCESS_KEY", stack.s3_access_key()),
        ("LAKE__S3__SECRET_KEY", stack.s3_secret_key()),
        ("LAKE__S3__PATH_STYLE", "true".to_owned()),
        ("SINK__PROBE_STORE", "false".to_owned()),
        ("SINK__COMMIT_AGE", "5s".to_owned()),
        ("SINK__SOURCE_TOPIC", format!("{name}.raw")),
        ("SINK__COMMITS_TOPIC", format!("{name}.commits")),
        ("ROUTES__READINGS__TOPIC", format!("{name}.validated")),
        ("ROUTES__READINGS__GROUP", name.to_owned()),
        ("ROUTES__REJECTED__ENABLED", "false".to_owned()),
        ("ROUTES__LANDING__ENABLED", "false".to_owned()),
        ("ROUTES__DEAD_LETTERS__ENABLED", "false".to_owned()),
        ("ROUTES__ALERTS__ENABLED", "false".to_owned()),
    ];
    let environment = settings.map(|(key, value)| (format!("METER_PARQUET_SINK__{key}"), value));
    let info = ServiceInfo { name: "parquet-sink", version: "bench", defaults: include_str!("../config.default.toml") };
    Ok(service_runtime::load::<Config>(info, None, environment)?.config)
}

fn runtime() -> anyhow::Result<Runtime> {
    Ok(Runtime {
        shutdown: CancellationToken::new(),
        readiness: Readiness::default(),
        liveness: Liveness::default(),
        metrics: MetricsHandle::install()?,
        admin_address: ([127, 0, 0, 1], 0).into(),
    })
}

/// Fills the topic with decisions; returns the bytes of their payloads.
async fn fill(kafka: &KafkaConfig, topic: &str, messages: i64, per_message: i64) -> anyhow::Result<usize> {
    let admin = Admin::connect(kafka).await?;
    let spec = TopicSpec { name: topic.to_owned(), partitions: PARTITIONS, replication: 1, configs: BTreeMap::new() };
    admin.create_topic(&spec).await?;
    let registry = Registry::new(&RegistryConfig { url: Stack::from_env().schema_registry_url() })?;
    let id = registry.register(&format!("{topic}-value"), VALIDATED_BATCH.avsc).await?;
    let producer = Producer::new(kafka, &ProducerConfig::default())?;
    let mut bytes = 0;
    for first in (0..messages).step_by(usize::try_from(PRODUCED_AT_ONCE)?) {
        let group = producer.group();
        for message in first..(first + PRODUCED_AT_ONCE).min(messages) {
            let payload = decision(id, message, per_message);
            bytes += payload.len();
            let partition = Some((message % i64::from(PARTITIONS)) as i32);
            let record = ProducerRecord {
                topic,
                partition,
                key: None,
                payload: Some(&payload),
                headers: &[],
                timestamp_ms: None,
            };
            group.send(record).await?;
        }
        group.delivered().await?;
    }
    Ok(bytes)
}

/// A decision about a delivery of one of the devices: a block of half-hours, or one of them.
fn decision(schema_id: u32, message: i64, per_message: i64) -> Vec<u8> {
    let device = format!("northgrid-e-{:05}", message % DEVICES);
    let start = 20_000 * 86_400_000_000 + message / DEVICES * per_message * 1_800_000_000;
    let readings: Vec<_> = (0..per_message).map(|index| reading(start + index * 1_800_000_000, message)).collect();
    let batch = ValidatedBatch {
        tenant_id: ["northgrid", "lakeside", "seaside", "hillside"][(message % 4) as usize],
        device_id: &device,
        gateway_id: "gateway-0017",
        sequence: message,
        received_at: None,
        source: Source::Kafka,
        customer_id: Some("customer-00012345"),
        site_id: Some("site-00012345"),
        source_partition: (message % i64::from(PARTITIONS)) as i32,
        source_offset: message / i64::from(PARTITIONS),
        decision_offset: -1,
        validated_at: start + 86_400_000_000 + message,
        rules: &["structure", "device", "channel", "unit", "interval_length", "time_bounds", "gap", "spike"],
        readings: &readings,
        rejections: &[],
    };
    let (mut datum, mut payload) = (Vec::new(), Vec::new());
    encode::validated_batch(&batch, &mut datum);
    frame(schema_id, &datum, &mut payload);
    payload
}

fn reading(start: i64, message: i64) -> ValidatedReading<'static> {
    // Three decimals, as meters have, and as hard to compress as a load that nobody can predict.
    let mixed = (start / 1_800_000_000 + message * 1_000_003).wrapping_mul(0x5851_f42d_4c95_7f2d);
    let value = (mixed >> 33).rem_euclid(2_000) * 1_000;
    ValidatedReading {
        reading: Reading {
            channel: "1-0:1.29.0",
            kind: Kind::Interval,
            start,
            duration_s: 1800,
            value,
            unit: "kWh",
            flags: &[],
        },
        verdict: Verdict::Valid,
        failed_rules: &[],
        skipped_rules: &[],
        estimation_method: None,
        version: 1,
        local_day: LocalDay((start / 86_400_000_000) as i32),
        commodity: Commodity::Electricity,
    }
}

async fn drained(table: &LakeTable, kafka: &KafkaConfig, topic: &str) -> anyhow::Result<()> {
    let id = topic_id(kafka, topic).await?.to_string();
    let ends = Admin::connect(kafka).await?.watermarks(topic).await?;
    loop {
        let heads = table.heads().await?.heads;
        let mut done = true;
        for (partition, low, high) in &ends {
            let head = heads.get(&HeadKey::new(topic, &id, *partition))?;
            done &= head.map_or(*low, |head| head.next) == *high;
        }
        if done {
            return Ok(());
        }
        sleep(Duration::from_millis(250)).await;
    }
}

fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Fields 14 and 15; the second field is in parentheses and may hold spaces.
    let after_name = stat.rsplit_once(')').context("parse /proc/self/stat")?.1;
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|field| field.parse().unwrap_or(0)).sum();
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

fn peak_mib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("find the peak memory")?;
    let kib: u64 = peak.split_whitespace().next().context("parse the peak memory")?.parse()?;
    Ok(kib / 1024)
}

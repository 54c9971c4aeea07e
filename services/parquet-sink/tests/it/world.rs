//! Topics and tables of its own for every test, and the service running on them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use kafka_pipeline::{
    Admin, KafkaConfig, NextOffset, Producer, ProducerConfig, ProducerRecord, RecordBlock, Registry, RegistryConfig,
    StartAt, TopicPartition, TopicSpec, frame, read_tail,
};
use lake::{HeadKey, Lake, LakeTable, TableSpec};
use meter_model::{Commodity, Kind, LocalDay, RejectCode, Verdict};
use meterway_schemas::encode::{self, Reading, Rejection, ValidatedBatch, ValidatedReading};
use meterway_schemas::{Contract, Source, VALIDATED_BATCH};
use parquet_sink::{App, Config};
use service_runtime::{Clock, Liveness, MetricsHandle, Readiness, Runtime, ServiceInfo, SystemClock, sleep};
use test_support::{Stack, unique};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take. Joining a group alone takes three to six seconds.
const PATIENCE: Duration = Duration::from_secs(90);
pub(crate) const PARTITIONS: i32 = 2;

/// Topics and tables nobody else uses.
pub(crate) struct World {
    pub(crate) name: String,
    pub(crate) kafka: KafkaConfig,
    pub(crate) producer: Producer,
    registry: Registry,
    schema_id: u32,
}

/// The service at work.
pub(crate) struct Sink {
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

/// Coordinates of a row: source partition, source offset, reading index.
pub(crate) type Coordinates = (i32, i64, i32);

impl World {
    pub(crate) async fn new(test: &str) -> Self {
        service_runtime::install_crypto_provider();
        let stack = Stack::from_env();
        let name = unique(&format!("sink_{test}"));
        let kafka = KafkaConfig::new(stack.kafka_bootstrap(), "parquet-sink-test");
        let registry = Registry::new(&RegistryConfig { url: stack.schema_registry_url() }).unwrap();
        let producer = Producer::new(&kafka, &ProducerConfig::default()).unwrap();
        let schema_id = registry.register(&format!("{name}.validated-value"), VALIDATED_BATCH.avsc).await.unwrap();
        let world = Self { name, kafka, producer, registry, schema_id };
        for topic in ["validated", "raw", "alerts", "commits", "dead"] {
            world.create_topic(topic).await;
        }
        world
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    pub(crate) async fn create_topic(&self, name: &str) {
        let spec =
            TopicSpec { name: self.topic(name), partitions: PARTITIONS, replication: 1, configs: BTreeMap::new() };
        let admin = Admin::connect(&self.kafka).await.unwrap();
        admin.create_topic(&spec).await.unwrap();
        // The answer may come before every part of the broker knows of the topic.
        eventually("topic exists", async || admin.watermarks(&spec.name).await.is_ok()).await;
    }

    /// The configuration of a sink with these routes; later settings win.
    pub(crate) fn config(&self, routes: &[&str], settings: &[(&str, &str)]) -> Config {
        let info =
            ServiceInfo { name: "parquet-sink", version: "test", defaults: include_str!("../../config.default.toml") };
        service_runtime::load::<Config>(info, None, self.environment(routes, settings)).unwrap().config
    }

    /// The same as variables, for a process.
    pub(crate) fn environment(&self, routes: &[&str], settings: &[(&str, &str)]) -> Vec<(String, String)> {
        let stack = Stack::from_env();
        let mut environment: Vec<(String, String)> = Vec::new();
        let mut set =
            |key: &str, value: &str| environment.push((format!("METER_PARQUET_SINK__{key}"), value.to_owned()));
        set("KAFKA__BOOTSTRAP_SERVERS", &stack.kafka_bootstrap());
        set("REGISTRY__URL", &stack.schema_registry_url());
        set("LAKE__NAMESPACE", &self.name);
        set("LAKE__CATALOG__NAME", "sinktest");
        set("LAKE__CATALOG__URI", &stack.iceberg_catalog_url());
        set("LAKE__CATALOG__WAREHOUSE", &format!("s3://{}/sinktest", stack.s3_bucket()));
        set("LAKE__S3__ENDPOINT", &stack.s3_endpoint());
        set("LAKE__S3__REGION", &stack.s3_region());
        set("LAKE__S3__ACCESS_KEY", &stack.s3_access_key());
        set("LAKE__S3__SECRET_KEY", &stack.s3_secret_key());
        set("LAKE__S3__PATH_STYLE", "true");
        set("SINK__COMMIT_AGE", "300ms");
        set("SINK__IDLE_COMMIT_AGE", "600ms");
        set("SINK__PROBE_STORE", "false");
        set("SINK__SOURCE_TOPIC", &self.topic("raw"));
        set("SINK__COMMITS_TOPIC", &self.topic("commits"));
        set("SINK__DEAD_LETTER_TOPIC", &self.topic("dead"));
        for (route, topic) in [
            ("readings", "validated"),
            ("rejected", "validated"),
            ("landing", "raw"),
            ("dead_letters", "dead"),
            ("alerts", "alerts"),
        ] {
            let key = route.to_uppercase();
            set(&format!("ROUTES__{key}__ENABLED"), if routes.contains(&route) { "true" } else { "false" });
            set(&format!("ROUTES__{key}__TOPIC"), &self.topic(topic));
            set(&format!("ROUTES__{key}__GROUP"), &format!("{}-{route}", self.name));
        }
        for (key, value) in settings {
            set(key, value);
        }
        environment
    }

    pub(crate) async fn start(&self, config: Config) -> Sink {
        let runtime = Runtime {
            shutdown: CancellationToken::new(),
            readiness: Readiness::default(),
            liveness: Liveness::default(),
            metrics: MetricsHandle::install().unwrap(),
            admin_address: ([127, 0, 0, 1], 0).into(),
        };
        let stop = runtime.shutdown.clone();
        let app = App::build(config, &runtime).await.unwrap();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { app.run(stop).await }
        });
        Sink { stop, running }
    }

    /// Produces decisions about consecutive source offsets, each with `readings` accepted readings and one rejection for
    /// every third message; returns the coordinates of the rows they make.
    pub(crate) async fn decide(
        &self,
        partition: i32,
        source_offsets: std::ops::Range<i64>,
        readings: usize,
    ) -> Vec<Coordinates> {
        let mut expected = Vec::new();
        let mut payloads = Vec::new();
        for source_offset in source_offsets {
            payloads.push(self.decision(partition, source_offset, readings));
            expected.extend((0..readings as i32).map(|index| (partition, source_offset, index)));
        }
        self.produce("validated", partition, &payloads).await;
        expected
    }

    /// The framed bytes of a decision.
    pub(crate) fn decision(&self, partition: i32, source_offset: i64, readings: usize) -> Vec<u8> {
        let device = format!("device-{partition}-{}", source_offset % 7);
        let start = 20_000 * 86_400_000_000 + source_offset * 60_000_000;
        let readings: Vec<_> = (0..readings as i64).map(|index| reading(start + index * 1_800_000_000)).collect();
        let rejection = [Rejection { index: 5, code: RejectCode::Duplicate, detail: "same value again" }];
        let batch = ValidatedBatch {
            tenant_id: if source_offset % 2 == 0 { "northgrid" } else { "lakeside" },
            device_id: &device,
            gateway_id: "gateway-1",
            sequence: source_offset,
            received_at: None,
            source: Source::Kafka,
            customer_id: None,
            site_id: None,
            source_partition: partition,
            source_offset,
            decision_offset: -1,
            validated_at: SystemClock.now_micros(),
            rules: &["structure", "device"],
            readings: &readings,
            rejections: if source_offset % 3 == 0 { &rejection } else { &[] },
        };
        let (mut datum, mut payload) = (Vec::new(), Vec::new());
        encode::validated_batch(&batch, &mut datum);
        frame(self.schema_id, &datum, &mut payload);
        payload
    }

    /// A decision about one reading that starts at this microsecond.
    pub(crate) fn decision_at(&self, partition: i32, source_offset: i64, start: i64, local_day: LocalDay) -> Vec<u8> {
        let mut reading = reading(0);
        reading.reading.start = start;
        reading.local_day = local_day;
        let batch = ValidatedBatch {
            tenant_id: "northgrid",
            device_id: "cursed",
            gateway_id: "gateway-1",
            sequence: source_offset,
            received_at: None,
            source: Source::Kafka,
            customer_id: None,
            site_id: None,
            source_partition: partition,
            source_offset,
            decision_offset: -1,
            validated_at: SystemClock.now_micros(),
            rules: &["structure"],
            readings: &[reading],
            rejections: &[],
        };
        let (mut datum, mut payload) = (Vec::new(), Vec::new());
        encode::validated_batch(&batch, &mut datum);
        frame(self.schema_id, &datum, &mut payload);
        payload
    }

    /// Lets producers write any timestamp, as brokers before Kafka 4 do.
    pub(crate) async fn allow_any_timestamp(&self, topic: &str) {
        let admin = Admin::connect(&self.kafka).await.unwrap();
        let any = BTreeMap::from([("message.timestamp.after.max.ms".to_owned(), i64::MAX.to_string())]);
        admin.set_configs(&self.topic(topic), &any).await.unwrap();
    }

    pub(crate) async fn produce_at(&self, topic: &str, partition: i32, payload: &[u8], timestamp_ms: Option<i64>) {
        let topic = self.topic(topic);
        let record = ProducerRecord {
            topic: &topic,
            partition: Some(partition),
            payload: Some(payload),
            timestamp_ms,
            ..ProducerRecord::default()
        };
        self.producer.send_all([record]).await.unwrap();
    }

    pub(crate) async fn produce(&self, topic: &str, partition: i32, payloads: &[Vec<u8>]) {
        let topic = self.topic(topic);
        let records = payloads.iter().map(|payload| ProducerRecord {
            topic: &topic,
            partition: Some(partition),
            key: Some(b"device-1"),
            payload: Some(payload),
            headers: &[("x-test", b"1")],
            timestamp_ms: None,
        });
        self.producer.send_all(records).await.unwrap();
    }

    pub(crate) async fn schema_id_of(&self, topic: &str, contract: Contract) -> u32 {
        self.registry.register(&format!("{}-value", self.topic(topic)), contract.avsc).await.unwrap()
    }

    /// Everything that is in a partition of a topic now.
    pub(crate) async fn read(&self, topic: &str, partition: i32) -> Vec<RecordBlock> {
        let at = TopicPartition::new(self.topic(topic), partition);
        let mut tail = read_tail(&self.kafka, &at, StartAt::Offset(NextOffset(0))).await.unwrap();
        let mut blocks = Vec::new();
        while let Some(block) = tail.next().await.unwrap() {
            blocks.push(block);
        }
        blocks
    }

    pub(crate) async fn table(&self, spec: &TableSpec) -> LakeTable {
        let config = self.config(&["readings"], &[]).lake;
        Lake::connect(&config).await.unwrap().open_or_create(spec).await.unwrap()
    }

    /// All rows of a table, as a reader that follows its log sees them.
    pub(crate) async fn rows(&self, table: &LakeTable) -> Vec<RecordBatch> {
        let mut batches = Vec::new();
        for snapshot in table.snapshots_after(None).await.unwrap() {
            for file in snapshot.files {
                let read: Vec<RecordBatch> = table.read_file(&file.path).await.unwrap().try_collect().await.unwrap();
                batches.extend(read);
            }
        }
        batches
    }

    /// Coordinates of all rows of `readings` or `rejected`, sorted.
    pub(crate) async fn coordinates(&self, table: &LakeTable) -> Vec<Coordinates> {
        let mut found = Vec::new();
        for batch in self.rows(table).await {
            let partition = batch.column_by_name("source_partition").unwrap().as_primitive::<Int32Type>().values();
            let offset = batch.column_by_name("source_offset").unwrap().as_primitive::<Int64Type>().values();
            let index = batch.column_by_name("reading_index").unwrap().as_primitive::<Int32Type>().values();
            found.extend((0..batch.num_rows()).map(|row| (partition[row], offset[row], index[row])));
        }
        found.sort_unstable();
        found
    }

    /// Waits until the table has as many rows as expected and its heads stand at the end of the topic, then compares.
    pub(crate) async fn expect_rows(&self, table: &LakeTable, topic: &str, mut expected: Vec<Coordinates>) {
        self.drained(table, topic).await;
        expected.sort_unstable();
        assert_eq!(self.coordinates(table).await, expected);
    }

    /// Waits until the heads of a table stand at the end of the topic.
    pub(crate) async fn drained(&self, table: &LakeTable, topic: &str) {
        let topic = self.topic(topic);
        let id = kafka_pipeline::topic_id(&self.kafka, &topic).await.unwrap().to_string();
        let ends = Admin::connect(&self.kafka).await.unwrap().watermarks(&topic).await.unwrap();
        eventually("table has taken in the topic", async || {
            let heads = table.heads().await.unwrap().heads;
            ends.iter().all(|(partition, low, high)| {
                let head = heads.get(&HeadKey::new(&topic, &id, *partition)).unwrap();
                head.map_or(*low, |head| head.next) == *high
            })
        })
        .await;
    }
}

impl Sink {
    /// Ends as on SIGTERM: with a last commit.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.running.await.context("join")?
    }

    /// Ends as on SIGKILL, as far as the lake is concerned: nothing of what was gathered is committed.
    pub(crate) async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }

    /// Waits until the service ends by itself.
    pub(crate) async fn ended(self) -> anyhow::Result<()> {
        tokio::time::timeout(PATIENCE, self.running).await.context("it should have ended by itself")?.context("join")?
    }
}

fn reading(start: i64) -> ValidatedReading<'static> {
    ValidatedReading {
        reading: Reading {
            channel: "1-0:1.29.0",
            kind: Kind::Interval,
            start,
            duration_s: 1800,
            value: start % 1_000_000,
            unit: "kWh",
            flags: &[],
        },
        verdict: Verdict::Valid,
        failed_rules: &[],
        skipped_rules: &["gap"],
        estimation_method: None,
        version: 1,
        local_day: LocalDay(20_000),
        commodity: Commodity::Electricity,
    }
}

pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            sleep(Duration::from_millis(150)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}

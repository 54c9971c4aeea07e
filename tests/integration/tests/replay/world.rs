//! Topics, tables and a warehouse that nobody else uses, and the services on them.

use crate::process::{Environment, Process, Ran, Running};
use kafka_pipeline::{
    Admin, AvroWriter, KafkaConfig, Producer, ProducerConfig, ProducerRecord, Registry, RegistryConfig, StartAt,
    TopicPartition, TopicSpec, frame, read_tail,
};
use meterway_schemas::{DEVICE, Device, READING_BATCH};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use test_support::{Stack, unique};
use tokio_postgres::{Client, NoTls};

pub(crate) const PARTITIONS: i32 = 2;
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) struct World {
    pub(crate) name: String,
    stack: Stack,
    kafka: KafkaConfig,
    admin: Admin,
    producer: Producer,
    devices: AvroWriter<Device>,
    raw_schema_id: u32,
    binaries: PathBuf,
    folder: PathBuf,
}

impl World {
    pub(crate) async fn new(prefix: &str) -> Self {
        service_runtime::install_crypto_provider();
        let stack = Stack::from_env();
        let name = unique(prefix);
        let kafka = KafkaConfig::new(stack.kafka_bootstrap(), &name);
        let admin = Admin::connect(&kafka).await.unwrap();
        let registry = Registry::new(&RegistryConfig { url: stack.schema_registry_url() }).unwrap();
        for topic in TOPICS {
            let configs = BTreeMap::from([
                ("cleanup.policy".to_owned(), if *topic == "devices" { "compact" } else { "delete" }.to_owned()),
                ("max.message.bytes".to_owned(), (8 << 20).to_string()),
            ]);
            let spec = TopicSpec { name: format!("{name}.{topic}"), partitions: PARTITIONS, replication: 1, configs };
            admin.create_topic(&spec).await.unwrap();
        }
        let raw_schema_id = registry.register(&format!("{name}.raw-value"), READING_BATCH.avsc).await.unwrap();
        let devices = AvroWriter::new(&registry, &format!("{name}.devices-value"), DEVICE.avsc).await.unwrap();
        let producer = Producer::new(&kafka, &ProducerConfig::default()).unwrap();
        let postgres = connect(&stack.postgres_admin_url()).await;
        postgres.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        postgres.batch_execute(&format!("GRANT ALL ON DATABASE {name} TO loader, dbt")).await.unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = root.join(".local/replay-tests").join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        let (folder, binaries) = (folder.canonicalize().unwrap(), binaries());
        Self { name, stack, kafka, admin, producer, devices, raw_schema_id, binaries, folder }
    }

    pub(crate) fn topic(&self, topic: &str) -> String {
        format!("{}.{topic}", self.name)
    }

    /// Registers devices, or changes them.
    pub(crate) async fn register(&self, devices: &[Device]) {
        for device in devices {
            let state = self.devices.write(device).unwrap();
            self.send("devices", &device.device_id, &state).await;
        }
    }

    /// Delivers datums, by device, and waits until they are stored.
    pub(crate) async fn deliver(&self, deliveries: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let (topic, group) = (self.topic("raw"), self.producer.group());
        for (device, datum) in deliveries {
            let mut payload = Vec::new();
            frame(self.raw_schema_id, &datum, &mut payload);
            let key = Some(device.as_bytes());
            let record = ProducerRecord { topic: &topic, key, payload: Some(&payload), ..ProducerRecord::default() };
            group.send(record).await.unwrap();
        }
        group.delivered().await.unwrap();
    }

    /// Writes bytes that are no delivery.
    pub(crate) async fn deliver_nonsense(&self, device: &str) {
        self.send("raw", device, b"\x00\x00\x00\x00\x01nonsense").await;
    }

    async fn send(&self, topic: &str, key: &str, payload: &[u8]) {
        let topic = self.topic(topic);
        let (key, payload) = (Some(key.as_bytes()), Some(payload));
        let record = ProducerRecord { topic: &topic, key, payload, ..ProducerRecord::default() };
        self.producer.send(record).await.unwrap().await.unwrap();
    }

    /// Records that a topic holds.
    pub(crate) async fn records(&self, topic: &str) -> i64 {
        let watermarks = self.admin.watermarks(&self.topic(topic)).await.unwrap();
        watermarks.iter().map(|(_, low, high)| high - low).sum()
    }

    /// Keys of the records that a topic holds.
    pub(crate) async fn keys(&self, topic: &str) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        for partition in 0..PARTITIONS {
            let at = TopicPartition::new(self.topic(topic), partition);
            for block in read_tail(&self.kafka, &at, StartAt::Beginning).await.unwrap().collect().await.unwrap() {
                keys.extend(block.iter().filter_map(|record| String::from_utf8(record.key?.to_vec()).ok()));
            }
        }
        keys
    }

    /// Waits until a topic holds so many records.
    pub(crate) async fn until_records(&self, topic: &str, count: i64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let held = self.records(topic).await;
            if held >= count {
                return;
            }
            assert!(Instant::now() < deadline, "{held} of {count} records in {topic}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn validate(&self) -> Process {
        let topics = [("RAW", "raw"), ("VALIDATED", "validated"), ("REJECTED", "rejected"), ("DEVICES", "devices")];
        let mut environment = self.environment("validate", "validate", &topics);
        environment.insert("METER_VALIDATE__CONSUMER__GROUP".into(), format!("{}-validate", self.name));
        self.start("validate", environment)
    }

    /// The validate of the replay lane.
    pub(crate) fn validate_of_the_lane(&self) -> Process {
        let topics = [
            ("RAW", "replay"),
            ("VALIDATED", "replay.validated"),
            ("REJECTED", "replay.rejected"),
            ("DEVICES", "devices"),
        ];
        let mut environment = self.environment("validate", "validate-replay", &topics);
        environment.insert("METER_VALIDATE__LANE".into(), "replay".into());
        environment.insert("METER_VALIDATE__CONSUMER__GROUP".into(), format!("{}-replay", self.name));
        self.start("validate", environment)
    }

    pub(crate) fn sink(&self, settings: &[(&str, &str)]) -> Process {
        let routes = [("READINGS", "validated"), ("REJECTED", "validated"), ("LANDING", "raw"), ("ALERTS", "alerts")];
        self.sink_with("parquet-sink", &routes, settings)
    }

    /// The parquet-sink of the replay lane.
    pub(crate) fn sink_of_the_lane(&self, settings: &[(&str, &str)]) -> Process {
        self.sink_with("parquet-sink-replay", &[("READINGS", "replay.validated")], settings)
    }

    fn sink_with(&self, instance: &str, routes: &[(&str, &str)], settings: &[(&str, &str)]) -> Process {
        let mut environment = self.environment("parquet-sink", instance, &[]);
        let mut set = |key: String, value: String| environment.insert(format!("METER_PARQUET_SINK__{key}"), value);
        for route in ["READINGS", "REJECTED", "LANDING", "ALERTS"] {
            let topic = routes.iter().find(|(name, _)| *name == route).map(|(_, topic)| self.topic(topic));
            set(format!("ROUTES__{route}__ENABLED"), topic.is_some().to_string());
            set(format!("ROUTES__{route}__TOPIC"), topic.unwrap_or_else(|| "none".to_owned()));
            set(format!("ROUTES__{route}__GROUP"), format!("{}-{instance}-{route}", self.name));
        }
        set("SINK__SOURCE_TOPIC".into(), self.topic("raw"));
        set("SINK__COMMITS_TOPIC".into(), self.topic("commits"));
        set("SINK__DEAD_LETTER_TOPIC".into(), self.topic("rejected"));
        for (key, value) in settings {
            set((*key).to_owned(), (*value).to_owned());
        }
        self.start("parquet-sink", environment)
    }

    pub(crate) fn loader(&self) -> Process {
        let mut environment = self.environment("redshift-loader", "redshift-loader", &[]);
        let own = [
            ("WAREHOUSE__URL", at_database(&self.stack.warehouse_loader_url(), &self.name)),
            ("WAREHOUSE__READERS", r#"["reader"]"#.to_owned()),
            ("LOADS__HINTS_TOPIC", self.topic("commits")),
            ("LOADS__HINTS_GROUP", format!("{}-hints", self.name)),
            ("LOADS__ANNOUNCE_TOPIC", self.topic("loads")),
            ("LOADS__POLL_INTERVAL", "1s".to_owned()),
            ("DEVICES__TOPIC", self.topic("devices")),
            ("DEVICES__GROUP", format!("{}-devices", self.name)),
        ];
        environment.extend(own.map(|(key, value)| (format!("METER_REDSHIFT_LOADER__{key}"), value)));
        self.start("redshift-loader", environment)
    }

    pub(crate) fn alert(&self) -> Process {
        let topics = [("VALIDATED", "validated"), ("EVENTS", "events"), ("DEVICES", "devices"), ("ALERTS", "alerts")];
        let mut environment = self.environment("alert", "alert", &topics);
        let own = [
            ("CONSUMER__GROUP", format!("{}-alert", self.name)),
            ("DYNAMODB__ENDPOINT", self.stack.dynamodb_endpoint()),
            ("DYNAMODB__REGION", self.stack.aws_region()),
            ("DYNAMODB__ACCESS_KEY", self.stack.aws_access_key_id()),
            ("DYNAMODB__SECRET_KEY", self.stack.aws_secret_access_key()),
            ("DYNAMODB__STATUS_TABLE", format!("{}-status", self.name)),
            ("DYNAMODB__ALERTS_TABLE", format!("{}-alerts", self.name)),
            ("DYNAMODB__CREATE_TABLES", "true".to_owned()),
        ];
        environment.extend(own.map(|(key, value)| (format!("METER_ALERT__{key}"), value)));
        self.start("alert", environment)
    }

    fn start(&self, service: &str, environment: Environment) -> Process {
        Process::start(&self.binaries, service, &self.folder, environment)
    }

    fn environment(&self, service: &str, instance: &str, topics: &[(&str, &str)]) -> Environment {
        let stack = &self.stack;
        let prefix = format!("METER_{}", service.replace('-', "_").to_uppercase());
        let shared = [
            ("METER__KAFKA__BOOTSTRAP_SERVERS", stack.kafka_bootstrap()),
            ("METER__REGISTRY__URL", stack.schema_registry_url()),
            ("METER__LOG__FORMAT", "text".to_owned()),
            ("METER__LAKE__NAMESPACE", self.name.clone()),
            ("METER__LAKE__CATALOG__NAME", CATALOG.to_owned()),
            ("METER__LAKE__CATALOG__URI", stack.iceberg_catalog_url()),
            ("METER__LAKE__CATALOG__WAREHOUSE", format!("s3://{}/warehouse", stack.s3_bucket())),
            ("METER__LAKE__S3__ENDPOINT", stack.s3_endpoint()),
            ("METER__LAKE__S3__REGION", stack.s3_region()),
            ("METER__LAKE__S3__ACCESS_KEY", stack.s3_access_key()),
            ("METER__LAKE__S3__SECRET_KEY", stack.s3_secret_key()),
            ("METER__LAKE__S3__PATH_STYLE", "true".to_owned()),
            ("NAME", instance.to_owned()),
        ];
        let topics = topics.iter().map(|(key, topic)| (format!("{prefix}__TOPICS__{key}"), self.topic(topic)));
        shared.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(topics).collect()
    }

    /// Starts the command with its settings and topics.
    pub(crate) fn meterway(&self, arguments: &[&str]) -> Running {
        let stack = &self.stack;
        let settings = [
            ("KAFKA_BOOTSTRAP", stack.kafka_bootstrap()),
            ("SCHEMA_REGISTRY_URL", stack.schema_registry_url()),
            ("S3_ENDPOINT", stack.s3_endpoint()),
            ("S3_BUCKET", stack.s3_bucket()),
            ("S3_REGION", stack.s3_region()),
            ("S3_READER_ACCESS_KEY", stack.s3_reader_access_key()),
            ("S3_READER_SECRET_KEY", stack.s3_reader_secret_key()),
            ("ICEBERG_CATALOG_URL", stack.iceberg_catalog_url()),
            ("ICEBERG_CATALOG_NAME", CATALOG.to_owned()),
            ("ICEBERG_NAMESPACE", self.name.clone()),
            ("WAREHOUSE_READER_URL", at_database(&stack.warehouse_reader_url(), &self.name)),
        ];
        let environment = settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Running::start(&self.binaries.join("meterway"), &environment, arguments)
    }

    /// Starts a replay on the lane.
    pub(crate) fn replay(&self, options: &[&str]) -> Running {
        let topics = ["raw", "validated", "replay", "replay.validated"].map(|topic| self.topic(topic));
        let names = ["--raw-topic", "--validated-topic", "--replay-topic", "--replay-validated-topic"];
        let mut arguments = vec!["replay", "--json"];
        arguments.extend(names.iter().zip(&topics).flat_map(|(name, topic)| [*name, topic.as_str()]));
        arguments.extend(options);
        self.meterway(&arguments)
    }

    /// Verifies, waiting until the stores have caught up; the report.
    pub(crate) async fn verify(&self) -> serde_json::Value {
        let topics = ["raw", "validated", "replay", "replay.validated", "devices"].map(|topic| self.topic(topic));
        let names =
            ["--raw-topic", "--validated-topic", "--replay-topic", "--replay-validated-topic", "--devices-topic"];
        let mut arguments = vec!["verify", "--json", "--wait", "180"];
        arguments.extend(names.iter().zip(&topics).flat_map(|(name, topic)| [*name, topic.as_str()]));
        let ran: Ran = self.meterway(&arguments).ended().await;
        let report = ran.json();
        assert_eq!(ran.code, Some(0), "{report:#}\n{}", ran.stderr);
        report
    }

    /// Waits until the warehouse holds so many readings; as long as it goes on.
    pub(crate) async fn until_loaded(&self, readings: i64) {
        let client = self.warehouse().await;
        let (mut held, mut since) = (-1, Instant::now());
        while held < readings {
            let now: i64 = client.query_one("SELECT count(*) FROM raw.readings", &[]).await.unwrap().get(0);
            if now > held {
                (held, since) = (now, Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "{held} of {readings} readings are loaded");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// A file of this world.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A connection to the warehouse.
    pub(crate) async fn warehouse(&self) -> Client {
        connect(&at_database(&self.stack.warehouse_loader_url(), &self.name)).await
    }

    /// Takes the warehouse and the topics away.
    pub(crate) async fn remove(self) {
        let postgres = connect(&self.stack.postgres_admin_url()).await;
        postgres.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
        for topic in TOPICS {
            self.admin.delete_topic(&self.topic(topic)).await.unwrap();
        }
    }
}

const CATALOG: &str = "replaytest";

const TOPICS: &[&str] = &[
    "raw",
    "validated",
    "rejected",
    "events",
    "alerts",
    "devices",
    "commits",
    "loads",
    "replay",
    "replay.validated",
    "replay.rejected",
];

/// The binaries lie beside the test, or where METERWAY_BIN says.
fn binaries() -> PathBuf {
    let given = std::env::var_os("METERWAY_BIN").map(PathBuf::from);
    let beside = std::env::current_exe().unwrap().parent().and_then(Path::parent).map(Path::to_owned);
    let folder = given.or(beside).unwrap();
    assert!(folder.join("meterway").exists(), "{} has no meterway: run `make build`", folder.display());
    folder
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn at_database(url: &str, name: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

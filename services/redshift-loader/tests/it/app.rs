//! The whole service: from a commit in the lake to rows, announcement and facts command.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_pipeline::{
    Admin, AvroReader, AvroWriter, KafkaConfig, Producer, ProducerConfig, ProducerRecord, Registry, RegistryConfig,
    StartAt, TopicPartition, TopicSpec, read_tail,
};
use lake::Lake;
use meterway_schemas::{DEVICE, Device, WAREHOUSE_LOAD, WarehouseLoad};
use redshift_loader::config::Dialect;
use redshift_loader::core::table::LoadTable;
use redshift_loader::{App, Config};
use service_runtime::{Liveness, MetricsHandle, Readiness, Runtime, Secret, ServiceInfo};
use test_support::{Stack, unique};
use tokio_util::sync::CancellationToken;

use crate::devices::device;
use crate::fixture::{IAM_ROLE, REDSHIFT_DOUBLE, Target, Warehouses, commit, lake_config, rows};

const DEFAULTS: &str = include_str!("../../config.default.toml");

fn info() -> ServiceInfo {
    ServiceInfo { name: "redshift-loader", version: "0", defaults: DEFAULTS }
}

struct World {
    warehouses: Warehouses,
    config: Config,
    kafka: KafkaConfig,
    registry: Registry,
    facts: tempfile::TempDir,
}

impl World {
    async fn create(target: Target) -> Self {
        let stack = Stack::from_env();
        let warehouses = Warehouses::create(target).await;
        let facts = tempfile::tempdir().unwrap();
        let kafka = KafkaConfig::new(stack.kafka_bootstrap(), "loader-it");
        let registry = RegistryConfig { url: stack.schema_registry_url() };
        let mut config = service_runtime::load::<Config>(info(), None, []).unwrap().config;
        config.kafka = kafka.clone();
        config.registry = registry.clone();
        config.lake = lake_config();
        config.warehouse.url = Secret::new(warehouses.loader_url());
        if target != Target::Postgres {
            config.warehouse.dialect = Dialect::Redshift;
            config.warehouse.redshift_iam_role = IAM_ROLE.to_owned();
        }
        config.warehouse.readers = vec!["dbt".into(), "reader".into()];
        // Only a hint can make the loader look again within the test.
        config.loads.poll_interval = Duration::from_secs(600);
        config.loads.hints_topic = unique("loader_it.hints");
        config.loads.hints_group = unique("loader_it");
        config.loads.announce_topic = unique("loader_it.loads");
        config.devices.topic = unique("loader_it.devices");
        config.devices.group = unique("loader_it");
        let marker = facts.path().join("built");
        config.dbt.command = vec!["sh".into(), "-c".into(), format!("echo x >> {}", marker.display())];
        config.dbt.min_interval = Duration::from_millis(100);
        let admin = Admin::connect(&kafka).await.unwrap();
        for name in [&config.loads.hints_topic, &config.loads.announce_topic, &config.devices.topic] {
            let spec = TopicSpec { name: name.clone(), partitions: 1, replication: 1, configs: BTreeMap::new() };
            admin.create_topic(&spec).await.unwrap();
        }
        Self { warehouses, config, kafka, registry: Registry::new(&registry).unwrap(), facts }
    }

    async fn produce(&self, topic: &str, key: &str, payload: &[u8]) {
        let producer = Producer::new(&self.kafka, &ProducerConfig::default()).unwrap();
        let record =
            ProducerRecord { topic, key: Some(key.as_bytes()), payload: Some(payload), ..ProducerRecord::default() };
        producer.send(record).await.unwrap().await.unwrap();
    }

    async fn announced(&self) -> Vec<WarehouseLoad> {
        let at = TopicPartition::new(self.config.loads.announce_topic.as_str(), 0);
        let blocks = read_tail(&self.kafka, &at, StartAt::Beginning).await.unwrap().collect().await.unwrap();
        let reader = AvroReader::new(self.registry.clone(), WAREHOUSE_LOAD.avsc).unwrap();
        let mut loads = Vec::new();
        for record in blocks.iter().flat_map(|block| block.iter()) {
            assert_eq!(record.key, Some(&b"raw.readings"[..]), "the key is the table");
            loads.push(reader.read(record.payload.unwrap()).await.unwrap());
        }
        loads
    }

    async fn until(&self, what: &str, query: &str, expected: i64) {
        let client = self.warehouses.client().await;
        for _ in 0..400 {
            if client.query_one(query, &[]).await.unwrap().get::<_, i64>(0) == expected {
                return;
            }
            service_runtime::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} did not happen within 20 s");
    }
}

fn runtime() -> Runtime {
    Runtime {
        shutdown: CancellationToken::new(),
        readiness: Readiness::default(),
        liveness: Liveness::default(),
        metrics: MetricsHandle::install().unwrap(),
        admin_address: "127.0.0.1:0".parse().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_becomes_rows_an_announcement_and_facts_on_postgres() {
    a_commit_becomes_rows_an_announcement_and_facts(Target::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_becomes_rows_an_announcement_and_facts_on_the_redshift_double() {
    a_commit_becomes_rows_an_announcement_and_facts(REDSHIFT_DOUBLE).await;
}

async fn a_commit_becomes_rows_an_announcement_and_facts(target: Target) {
    let world = World::create(target).await;
    let lake = Lake::connect(&world.config.lake).await.unwrap();
    let table = LoadTable::named("readings").unwrap();
    let source = lake.open_or_create(table.spec()).await.unwrap();
    commit(&table, &source, &[rows(&table, "before", 30)]).await;

    let runtime = runtime();
    let app = App::build(world.config.clone(), &runtime).await.unwrap();
    let running = tokio::spawn(app.run(runtime.shutdown.clone()));
    let count = "SELECT count(*) FROM raw.readings";
    world.until("the load of what was there", count, 30).await;

    let subject = format!("{}-value", world.config.devices.topic);
    let writer = AvroWriter::<Device>::new(&world.registry, &subject, DEVICE.avsc).await.unwrap();
    let payload = writer.write(&device("a", 1, "Europe/London")).unwrap();
    world.produce(&world.config.devices.topic, "a", b"not avro").await;
    world.produce(&world.config.devices.topic, "a", &payload).await;
    world.until("the load of a device behind a broken one", "SELECT count(*) FROM raw.device_channels", 2).await;

    let snapshot = commit(&table, &source, &[rows(&table, "after", 12)]).await;
    // Hints are heard from when the group has settled; until then they are lost, which is what hints may be.
    for _ in 0..40 {
        world.produce(&world.config.loads.hints_topic, source.name(), b"ignored").await;
        service_runtime::sleep(Duration::from_millis(250)).await;
        if world.warehouses.value(count).await == 42 {
            break;
        }
    }
    assert_eq!(world.warehouses.value(count).await, 42, "a hint made the loader look");

    world.until("the announcement", "SELECT count(*) FROM raw.load_ledger WHERE announced_at IS NOT NULL", 2).await;
    let announced = world.announced().await;
    assert_eq!(announced.len(), 2);
    let last = &announced[1];
    assert_eq!((last.snapshot_id, last.rows, last.files, last.quarantined_files), (snapshot, 12, 1, 0));
    assert_eq!((last.table.as_str(), last.lake_table.as_str()), ("raw.readings", source.name()));
    assert!(last.started_at <= last.finished_at);

    service_runtime::sleep(Duration::from_millis(500)).await;
    assert!(world.facts.path().join("built").exists(), "the facts command ran");
    assert_eq!(runtime.readiness.unready_reason(), None);
    let metrics = runtime.metrics.render();
    for line in ["redshift_loader_rows_total{table=\"readings\"}", "redshift_loader_lag_snapshots{table=\"readings\"}"]
    {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }

    runtime.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(15), running).await;
    ended.expect("shutdown ends the service").unwrap().unwrap();
}

/// What dbt and readers may do is part of the promise: they read, and nothing else.
#[tokio::test]
async fn readers_may_read_and_not_write_on_postgres() {
    readers_may_read_and_not_write(Target::Postgres).await;
}

#[tokio::test]
async fn readers_may_read_and_not_write_on_the_redshift_double() {
    readers_may_read_and_not_write(REDSHIFT_DOUBLE).await;
}

async fn readers_may_read_and_not_write(target: Target) {
    let warehouses = Warehouses::create(target).await;
    let stack = Stack::from_env();
    for url in [stack.warehouse_dbt_url(), stack.warehouse_reader_url()] {
        let (client, connection) =
            tokio_postgres::connect(&warehouses.url_as(&url), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        for table in ["readings", "rejected", "alerts", "devices", "device_channels", "load_ledger", "load_quarantine"]
        {
            client.query(&format!("SELECT * FROM raw.{table}"), &[]).await.unwrap();
        }
        let error = client.execute("DELETE FROM raw.readings", &[]).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("42501"));
    }
}

#[test]
fn the_defaults_are_a_valid_configuration_and_mistakes_are_named() {
    service_runtime::load::<Config>(info(), None, []).unwrap();
    let mistakes = [
        ("METER_REDSHIFT_LOADER__LOADS__TABLES", "[\"landing\"]"),
        ("METER_REDSHIFT_LOADER__WAREHOUSE__DIALECT", "redshift"),
        ("METER_REDSHIFT_LOADER__WAREHOUSE__LOCK_TIMEOUT", "0s"),
    ];
    let mistakes = mistakes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let error = service_runtime::load::<Config>(info(), None, mistakes).unwrap_err();
    let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["warehouse.lock_timeout", "warehouse.redshift_iam_role", "loads.tables"]);
}

//! From a change to the topic, on the real broker and registry: nothing is forgotten, the newest version is last.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kafka_pipeline::{
    Admin, AvroReader, KafkaConfig, Registry, RegistryConfig, StartAt, TopicPartition, TopicSpec, read_tail,
};
use metadata::edge::database::{Database, Scope};
use metadata::edge::store::outbox;
use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::device_service_client::DeviceServiceClient;
use meterway_schemas::{DEVICE, Device};
use test_support::{Stack, unique};
use tonic::transport::Channel;

use crate::support::{Service, TestDatabase, World, create_site, create_tenant, device, postgres, register};

const PARTITIONS: i32 = 3;

struct Topic {
    name: String,
    kafka: KafkaConfig,
    registry: RegistryConfig,
}

impl Topic {
    async fn create() -> Self {
        service_runtime::install_crypto_provider();
        let stack = Stack::from_env();
        let topic = Self {
            name: unique("metadata_test_devices"),
            kafka: KafkaConfig::new(stack.kafka_bootstrap(), "metadata-test"),
            registry: RegistryConfig { url: stack.schema_registry_url() },
        };
        let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        let spec = TopicSpec { name: topic.name.clone(), partitions: PARTITIONS, replication: 1, configs };
        Admin::connect(&topic.kafka).await.unwrap().create_topic(&spec).await.unwrap();
        topic
    }

    fn settings(&self) -> [(&str, &str); 5] {
        [
            ("METER_METADATA__KAFKA__BOOTSTRAP_SERVERS", &self.kafka.bootstrap_servers),
            ("METER_METADATA__REGISTRY__URL", &self.registry.url),
            ("METER_METADATA__OUTBOX__TOPIC", &self.name),
            ("METER_METADATA__OUTBOX__TAKEOVER_DELAY", "50ms"),
            ("METER_METADATA__OUTBOX__POLL_INTERVAL", "50ms"),
        ]
    }

    /// Every message: key → its values in order.
    async fn messages(&self) -> BTreeMap<String, Vec<Device>> {
        let reader = AvroReader::<Device>::new(Registry::new(&self.registry).unwrap(), DEVICE.avsc).unwrap();
        let mut messages = BTreeMap::<String, Vec<Device>>::new();
        for partition in 0..PARTITIONS {
            let at = TopicPartition::new(self.name.as_str(), partition);
            let mut tail = read_tail(&self.kafka, &at, StartAt::Beginning).await.unwrap();
            while let Some(block) = tail.next().await.unwrap() {
                for record in block.iter() {
                    let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                    messages.entry(key).or_default().push(reader.read(record.payload.unwrap()).await.unwrap());
                }
            }
        }
        messages
    }
}

async fn wait_until_published(database: &TestDatabase) {
    wait_until_waiting(database, 0).await;
}

/// Waits until so many devices are left in the outbox.
async fn wait_until_waiting(database: &TestDatabase, left: i64) {
    let client = database.as_superuser().await;
    let since = Instant::now();
    loop {
        let waiting: i64 = client.query_one("SELECT count(*) FROM outbox", &[]).await.unwrap().get(0);
        if waiting == left {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "{waiting} devices still wait");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn update(channel: &Channel, id: &str, gateway: &str) -> Result<(), tonic::Status> {
    let device = v1::Device { gateway_id: gateway.into(), ..device(id) };
    let request = v1::UpdateDeviceRequest { tenant_id: "acme".into(), device: Some(device), expected_version: 0 };
    DeviceServiceClient::new(channel.clone()).update_device(request).await.map(drop)
}

/// What the register holds: device → version.
async fn versions(database: &TestDatabase) -> BTreeMap<String, i64> {
    let rows = database.as_superuser().await.query("SELECT device_id, version FROM device", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn changes_made_while_the_broker_was_away_are_published_by_the_next_start() {
    let (database, topic) = (TestDatabase::create().await, Topic::create().await);
    let offline = Service::start(&database, &[]).await;
    let channel = offline.channel().await;
    create_tenant(&channel, "acme").await;
    create_site(&channel, "acme", "site").await;
    for n in 0..20 {
        register(&channel, "acme", &format!("meter-{n}")).await.unwrap();
    }
    update(&channel, "meter-0", "gateway-1").await.unwrap();
    offline.stop().await;
    assert!(topic.messages().await.is_empty());

    let online = Service::start(&database, &topic.settings()).await;
    wait_until_published(&database).await;
    let messages = topic.messages().await;
    assert_eq!(messages.len(), 20);
    let newest = messages["meter-0"].last().unwrap();
    assert_eq!(
        (newest.version, newest.gateway_id.as_deref(), newest.zone.as_str()),
        (2, Some("gateway-1"), "Europe/London")
    );
    assert_eq!(newest.tenant_id, "acme");
    online.stop().await;
}

/// The service as a process of its own, to be killed without a chance to say goodbye.
fn process(database: &TestDatabase, settings: &[(&str, &str)]) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_metadata"))
        .envs(settings.iter().copied())
        .env("METER_METADATA__POSTGRES__URL", &database.app_url)
        .env("METER_METADATA__GRPC__LISTEN", "127.0.0.1:0")
        .env("METER_METADATA__ADMIN__LISTEN", "127.0.0.1:0")
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn the_newest_version_is_last_though_relays_compete_and_are_killed() {
    let (database, topic) = (TestDatabase::create().await, Topic::create().await);
    let settings = topic.settings();
    let steady = Service::start(&database, &settings).await;
    let channel = steady.channel().await;
    create_tenant(&channel, "acme").await;
    create_site(&channel, "acme", "site").await;
    let ids: Vec<String> = (0..6).map(|n| format!("meter-{n}")).collect();
    for id in &ids {
        register(&channel, "acme", id).await.unwrap();
    }
    let writers = ids.clone().into_iter().map(|id| {
        let channel = channel.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                update(&channel, &id, &format!("gateway-{n}")).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    // Others come, lead for a while after the leader lost its session, and are killed midway.
    let superuser = database.as_superuser().await;
    for _ in 0..4 {
        let mut rival = process(&database, &settings);
        tokio::time::sleep(Duration::from_millis(400)).await;
        const KILL: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks
            WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        superuser.query(KILL, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        rival.kill().unwrap();
        rival.wait().unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    wait_until_published(&database).await;

    let (messages, versions) = (topic.messages().await, versions(&database).await);
    assert_eq!(versions.len(), ids.len());
    for (id, version) in versions {
        let published: Vec<i64> = messages[&id].iter().map(|device| device.version).collect();
        assert_eq!(version, 101);
        assert_eq!(published.last(), Some(&version), "{id}: {published:?}");
        assert!(published.is_sorted(), "{id}: {published:?}");
    }
    steady.stop().await;
}

#[tokio::test]
async fn a_change_that_comes_up_while_an_older_state_is_published_stays_in_the_outbox() {
    let world = World::with_tenants(&["acme"]).await;
    for id in ["changes", "rests"] {
        register(&world.channel, "acme", id).await.unwrap();
    }
    let database = Database::new(&postgres(&world.database, 2)).unwrap();
    let mut relay = database.connection().await.unwrap();
    let tx = relay.scope(Scope::Relay).await.unwrap();
    let published = outbox::oldest(&tx, 10, &[]).await.unwrap().devices;
    tx.commit().await.unwrap();
    assert_eq!(published.iter().map(|device| device.version).collect::<Vec<_>>(), [1, 1]);

    // The relay is talking to the broker now.
    update(&world.channel, "changes", "gateway-1").await.unwrap();
    let tx = relay.scope(Scope::Relay).await.unwrap();
    assert_eq!(outbox::clear(&tx, &published).await.unwrap(), 1);
    let left = outbox::oldest(&tx, 10, &[]).await.unwrap().devices;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].spec.device_id.as_str(), left[0].version), ("changes", 2));

    // What could not be confirmed is put back, with the version that holds then.
    outbox::requeue(&tx, &published, 0).await.unwrap();
    let again = outbox::oldest(&tx, 10, &[]).await.unwrap().devices;
    let again: Vec<_> = again.iter().map(|device| (device.spec.device_id.as_str(), device.version)).collect();
    assert_eq!(again, [("rests", 1), ("changes", 2)]);
    tx.commit().await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_change_that_is_rolled_back_is_never_published() {
    let (database, topic) = (TestDatabase::create().await, Topic::create().await);
    let service = Service::start(&database, &topic.settings()).await;
    let channel = service.channel().await;
    create_tenant(&channel, "acme").await;
    create_site(&channel, "acme", "site").await;
    let dry = v1::BulkRegisterDevicesRequest {
        tenant_id: "acme".into(),
        lines: vec![v1::BulkLine { line: 1, device: Some(device("dry")), site: None, customer: None }],
        dry_run: true,
    };
    let mut devices = DeviceServiceClient::new(channel.clone());
    let mut reports = devices.bulk_register_devices(futures::stream::iter([dry])).await.unwrap().into_inner();
    assert_eq!(reports.message().await.unwrap().unwrap().reports[0].outcome(), v1::BulkOutcome::Created);
    register(&channel, "acme", "stored").await.unwrap();
    wait_until_published(&database).await;
    let messages = topic.messages().await;
    assert_eq!(messages.keys().collect::<Vec<_>>(), ["stored"]);
    service.stop().await;
}

#[tokio::test]
async fn a_row_that_holds_no_device_costs_no_other_device() {
    let (database, topic) = (TestDatabase::create().await, Topic::create().await);
    let offline = Service::start(&database, &[]).await;
    let channel = offline.channel().await;
    create_tenant(&channel, "acme").await;
    create_site(&channel, "acme", "site").await;
    for id in ["before", "broken", "behind"] {
        register(&channel, "acme", id).await.unwrap();
    }
    offline.stop().await;
    const BREAK: &str = "UPDATE device SET channels = '[{\"channel\": 7}]' WHERE device_id = 'broken'";
    assert_eq!(database.as_superuser().await.execute(BREAK, &[]).await.unwrap(), 1);

    let online = Service::start(&database, &topic.settings()).await;
    wait_until_waiting(&database, 1).await;
    assert_eq!(topic.messages().await.keys().collect::<Vec<_>>(), ["before", "behind"]);
    // Others are published, and so is this one once it is sound again.
    let channel = online.channel().await;
    register(&channel, "acme", "later").await.unwrap();
    wait_until_waiting(&database, 1).await;
    const MEND: &str = "UPDATE device SET version = version + 1,
        channels = (SELECT channels FROM device WHERE device_id = 'before') WHERE device_id = 'broken'";
    assert_eq!(database.as_superuser().await.execute(MEND, &[]).await.unwrap(), 1);
    wait_until_published(&database).await;
    assert_eq!(topic.messages().await.keys().collect::<Vec<_>>(), ["before", "behind", "broken", "later"]);
    online.stop().await;
}

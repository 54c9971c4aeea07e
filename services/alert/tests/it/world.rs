//! Topics and tables of one test's own, and short words to fill and read them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use alert::{App, Config};
use aws_sdk_dynamodb::types::AttributeValue;
use kafka_pipeline::{
    Admin, AvroReader, AvroWriter, KafkaConfig, Producer, ProducerConfig, ProducerRecord, Registry, RegistryConfig,
    StartAt, TopicPartition, TopicSpec, frame, read_tail,
};
use meter_model::{Commodity, Kind, LocalDay, Verdict};
use meterway_schemas::{
    ALERT, Alert, CustomerClass, DEVICE, DEVICE_EVENT, Device, DeviceEvent, DeviceEventKind, DeviceStatus, Source,
    VALIDATED_BATCH, encode,
};
use service_runtime::{Liveness, MetricsHandle, Readiness, Runtime, ServiceInfo};
use test_support::{Stack, unique};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const DEFAULTS: &str = include_str!("../../config.default.toml");
pub(crate) const PARTITIONS: i32 = 2;
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const HOUR: i64 = 3_600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;
/// 2026-03-02T00:00:00Z.
pub(crate) const T0: i64 = 20_514 * DAY;
/// Generous: the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) struct World {
    pub(crate) name: String,
    pub(crate) stack: Stack,
    pub(crate) kafka: KafkaConfig,
    pub(crate) dynamo: aws_sdk_dynamodb::Client,
    registry: Registry,
    producer: Producer,
    admin: Admin,
    validated_id: u32,
    devices: AvroWriter<Device>,
    events: AvroWriter<DeviceEvent>,
    offsets: [AtomicI64; PARTITIONS as usize],
}

/// A reading to be decided as accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) channel: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) start: i64,
    pub(crate) duration_s: i32,
    pub(crate) micros: i64,
    pub(crate) commodity: Commodity,
    pub(crate) gap: bool,
}

pub(crate) fn water(start: i64, litres: i64) -> Accepted {
    Accepted {
        channel: "water.volume",
        unit: "L",
        start,
        duration_s: 3_600,
        micros: litres * SECOND,
        commodity: Commodity::Water,
        gap: false,
    }
}

pub(crate) fn electricity(start: i64, wh: i64) -> Accepted {
    Accepted {
        channel: "1-0:1.29.0",
        unit: "kWh",
        start,
        duration_s: 1_800,
        micros: wh * 1_000,
        commodity: Commodity::Electricity,
        gap: false,
    }
}

/// A running service in this process.
pub(crate) struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        service_runtime::install_crypto_provider();
        let stack = Stack::from_env();
        let name = unique("alert_it");
        let kafka = KafkaConfig::new(stack.kafka_bootstrap(), "alert-it");
        let admin = Admin::connect(&kafka).await.unwrap();
        for topic in ["validated", "events", "devices", "alerts", "rejected"] {
            let name = format!("{name}.{topic}");
            let spec = TopicSpec { name, partitions: PARTITIONS, replication: 1, configs: BTreeMap::new() };
            admin.create_topic(&spec).await.unwrap();
        }
        let registry = Registry::new(&RegistryConfig { url: stack.schema_registry_url() }).unwrap();
        let subject = |topic: &str| format!("{name}.{topic}-value");
        let validated_id = registry.register(&subject("validated"), VALIDATED_BATCH.avsc).await.unwrap();
        let devices = AvroWriter::new(&registry, &subject("devices"), DEVICE.avsc).await.unwrap();
        let events = AvroWriter::new(&registry, &subject("events"), DEVICE_EVENT.avsc).await.unwrap();
        let producer = Producer::new(&kafka, &ProducerConfig::default()).unwrap();
        let dynamo = dynamo_client(&stack).await;
        let offsets = [const { AtomicI64::new(100) }; PARTITIONS as usize];
        Self { name, stack, kafka, dynamo, registry, producer, admin, validated_id, devices, events, offsets }
    }

    /// Removes the topics and tables. A failed test leaves them behind for a look.
    pub(crate) async fn remove(self) {
        for topic in ["validated", "events", "devices", "alerts", "rejected"] {
            self.admin.delete_topic(&self.topic(topic)).await.unwrap();
        }
        for table in ["status", "alerts"] {
            self.dynamo.delete_table().table_name(self.topic(table)).send().await.unwrap();
        }
    }

    pub(crate) fn topic(&self, topic: &str) -> String {
        format!("{}.{topic}", self.name)
    }

    /// The settings of the service in this world, as environment variables.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let set = |key: &str, value: String| (format!("METER_ALERT__{key}"), value);
        let mut variables = vec![
            set("KAFKA__BOOTSTRAP_SERVERS", self.stack.kafka_bootstrap()),
            set("REGISTRY__URL", self.stack.schema_registry_url()),
            set("CONSUMER__GROUP", self.name.clone()),
            set("FLUSH__INTERVAL", "50ms".to_owned()),
            set("ADMIN__LISTEN", "127.0.0.1:0".to_owned()),
            set("DYNAMODB__REGION", self.stack.aws_region()),
            set("DYNAMODB__ENDPOINT", self.stack.dynamodb_endpoint()),
            set("DYNAMODB__ACCESS_KEY", self.stack.aws_access_key_id()),
            set("DYNAMODB__SECRET_KEY", self.stack.aws_secret_access_key()),
            set("DYNAMODB__STATUS_TABLE", self.topic("status")),
            set("DYNAMODB__ALERTS_TABLE", self.topic("alerts")),
            set("DYNAMODB__CREATE_TABLES", "true".to_owned()),
        ];
        for topic in ["validated", "events", "devices", "alerts", "rejected"] {
            variables.push(set(&format!("TOPICS__{}", topic.to_uppercase()), self.topic(topic)));
        }
        variables
    }

    pub(crate) fn config(&self) -> Config {
        let info = ServiceInfo { name: "alert", version: "0", defaults: DEFAULTS };
        service_runtime::load::<Config>(info, None, self.variables()).unwrap().config
    }

    /// Starts the service in this process.
    pub(crate) async fn start(&self) -> Running {
        let shutdown = CancellationToken::new();
        let runtime = Runtime {
            shutdown: shutdown.clone(),
            readiness: Readiness::default(),
            liveness: Liveness::default(),
            metrics: MetricsHandle::install().unwrap(),
            admin_address: "127.0.0.1:0".parse().unwrap(),
        };
        let app = Box::pin(App::build(self.config(), &runtime)).await.unwrap();
        Running { shutdown, task: tokio::spawn(async move { Box::pin(app.run()).await }) }
    }

    pub(crate) async fn register(&self, device_id: &str, commodity: Commodity) {
        let device = Device {
            tenant_id: "north".into(),
            device_id: device_id.into(),
            customer_id: None,
            site_id: "s-1".into(),
            gateway_id: None,
            status: DeviceStatus::Active,
            commodity,
            customer_class: CustomerClass::Residential,
            zone: "UTC".into(),
            channels: vec![],
            exchanges: vec![],
            version: 3,
            updated_at: 0,
        };
        self.send("devices", None, device_id, &self.devices.write(&device).unwrap()).await;
    }

    /// Writes a decision with the next source offset of the partition; returns that offset.
    pub(crate) async fn decide(&self, partition: i32, device_id: &str, readings: &[Accepted]) -> i64 {
        let source_offset = self.offsets[partition as usize].fetch_add(1, Ordering::Relaxed);
        self.decide_at(partition, source_offset, device_id, readings).await;
        source_offset
    }

    pub(crate) async fn decide_at(&self, partition: i32, source_offset: i64, device_id: &str, readings: &[Accepted]) {
        let readings: Vec<_> = readings.iter().map(validated).collect();
        self.decide_as(partition, source_offset, device_id, &readings).await;
    }

    /// As [`decide`](Self::decide), with a local day that no calendar has.
    pub(crate) async fn decide_beyond_days(&self, partition: i32, device_id: &str, reading: &Accepted) -> i64 {
        let source_offset = self.offsets[partition as usize].fetch_add(1, Ordering::Relaxed);
        let reading = encode::ValidatedReading { local_day: LocalDay(i32::MAX), ..validated(reading) };
        self.decide_as(partition, source_offset, device_id, &[reading]).await;
        source_offset
    }

    async fn decide_as(
        &self,
        partition: i32,
        source_offset: i64,
        device_id: &str,
        readings: &[encode::ValidatedReading<'_>],
    ) {
        let batch = encode::ValidatedBatch {
            tenant_id: "north",
            device_id,
            gateway_id: "g-1",
            sequence: source_offset,
            received_at: None,
            source: Source::Kafka,
            customer_id: None,
            site_id: Some("s-1"),
            source_partition: partition,
            source_offset,
            decision_offset: -1,
            validated_at: T0 + source_offset,
            rules: &["gap"],
            readings,
            rejections: &[],
        };
        let mut datum = Vec::new();
        encode::validated_batch(&batch, &mut datum);
        let mut payload = Vec::new();
        frame(self.validated_id, &datum, &mut payload);
        self.send("validated", Some(partition), device_id, &payload).await;
    }

    pub(crate) async fn event(&self, partition: i32, device_id: &str, kind: DeviceEventKind, at: i64) {
        let event = DeviceEvent {
            tenant_id: "north".into(),
            device_id: device_id.into(),
            gateway_id: String::new(),
            sequence: 0,
            received_at: None,
            source: Source::Kafka,
            kind,
            at,
            detail: None,
        };
        self.send("events", Some(partition), device_id, &self.events.write(&event).unwrap()).await;
    }

    pub(crate) async fn send(&self, topic: &str, partition: Option<i32>, key: &str, payload: &[u8]) {
        let topic = self.topic(topic);
        let (key, payload) = (Some(key.as_bytes()), Some(payload));
        let record = ProducerRecord { topic: &topic, partition, key, payload, ..ProducerRecord::default() };
        self.producer.send_all([record]).await.unwrap();
    }

    /// Waits until the group has committed everything in both input topics.
    pub(crate) async fn wait_until_done(&self) {
        self.wait_for("everything is committed", async || {
            for (topic, group) in [("validated", self.name.clone()), ("events", format!("{}-events", self.name))] {
                let marks = self.admin.watermarks(&self.topic(topic)).await.unwrap();
                let lags = self.admin.group_lag(&group).await.unwrap();
                let done = marks.iter().filter(|(_, _, high)| *high > 0).all(|(partition, _, high)| {
                    lags.iter().any(|lag| {
                        *lag.at.topic == *self.topic(topic) && lag.at.partition == *partition && lag.committed == *high
                    })
                });
                if !done {
                    return false;
                }
            }
            true
        })
        .await;
    }

    pub(crate) async fn wait_for(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(Instant::now() < deadline, "waited too long until {what}");
            service_runtime::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Everything in the alerts topic, in order within a device.
    pub(crate) async fn messages(&self) -> Vec<Alert> {
        let reader = AvroReader::<Alert>::new(self.registry.clone(), ALERT.avsc).unwrap();
        let mut alerts = Vec::new();
        for partition in 0..PARTITIONS {
            let at = TopicPartition::new(self.topic("alerts"), partition);
            let blocks = read_tail(&self.kafka, &at, StartAt::Beginning).await.unwrap().collect().await.unwrap();
            for record in blocks.iter().flat_map(|block| block.iter()) {
                let alert = reader.read(record.payload.unwrap()).await.unwrap();
                assert_eq!(record.key.unwrap(), alert.device_id.as_bytes());
                alerts.push(alert);
            }
        }
        alerts
    }

    /// All items of a table.
    pub(crate) async fn items(&self, table: &str) -> Vec<Item> {
        let scan = self.dynamo.scan().table_name(self.topic(table)).consistent_read(true);
        scan.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap()
    }

    pub(crate) async fn status(&self, device_id: &str) -> Option<Item> {
        let key = AttributeValue::S(format!("north#{device_id}"));
        let get = self.dynamo.get_item().table_name(self.topic("status")).key("pk", key).consistent_read(true);
        get.send().await.unwrap().item
    }
}

pub(crate) async fn dynamo_client(stack: &Stack) -> aws_sdk_dynamodb::Client {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
    let (access, secret) = (stack.aws_access_key_id(), stack.aws_secret_access_key());
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(stack.aws_region()))
        .endpoint_url(stack.dynamodb_endpoint())
        .credentials_provider(Credentials::new(access, secret, None, None, "test"))
        .load()
        .await;
    aws_sdk_dynamodb::Client::new(&config)
}

fn validated(reading: &Accepted) -> encode::ValidatedReading<'static> {
    encode::ValidatedReading {
        reading: encode::Reading {
            channel: reading.channel,
            kind: Kind::Interval,
            start: reading.start,
            duration_s: reading.duration_s,
            value: reading.micros,
            unit: reading.unit,
            flags: &[],
        },
        verdict: if reading.gap { Verdict::Suspect } else { Verdict::Valid },
        failed_rules: if reading.gap { &["gap"] } else { &[] },
        skipped_rules: &[],
        estimation_method: None,
        version: 1,
        local_day: LocalDay(reading.start.div_euclid(DAY) as i32),
        commodity: reading.commodity,
    }
}

pub(crate) fn number(item: &Item, attribute: &str) -> i64 {
    item[attribute].as_n().unwrap().parse().unwrap()
}

pub(crate) fn text<'a>(item: &'a Item, attribute: &str) -> &'a str {
    item[attribute].as_s().unwrap()
}

//! `status`: every number is that of the part it names, and what is away does not hide the rest.

use crate::doctor::create_table;
use crate::support::{
    Run, Settings, Warehouse, dynamodb, kafka, lake_config, meterway, remove_topics, settings, topic,
};
use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use aws_sdk_dynamodb::types::AttributeValue;
use kafka_pipeline::{
    Consumer, ConsumerConfig, Event, NextOffset, Producer, ProducerConfig, ProducerRecord, StartAt, TopicPartition,
    topic_id,
};
use lake::{Advance, CommitRequest, Head, HeadKey, Lake, LakeConfig, PartitionValue, tables};
use serde_json::{Value, json};
use service_runtime::{AdminConfig, AdminServer, Clock, Liveness, MetricsHandle, Readiness, ServiceInfo, SystemClock};
use std::sync::Arc;
use std::time::Duration;
use test_support::unique;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Ten messages in a topic of two partitions, of which a group has read four and the lake has taken in seven.
struct Pipeline {
    topic: String,
    group: String,
    warehouse: Warehouse,
    settings: Settings,
}

impl Pipeline {
    async fn create() -> Self {
        let (topic, group, namespace) = (topic("cli_status", 2).await, unique("cli_status"), unique("cli_status"));
        fill(&topic, 0, 6).await;
        fill(&topic, 1, 4).await;
        commit_position(&topic, &group, 4).await;
        let snapshot = commit_to_lake(&topic, &namespace).await;
        let warehouse = Warehouse::create().await;
        load(&warehouse, snapshot).await;
        let (status, alerts) = live_state().await;
        let mut settings = settings();
        settings.extend([
            ("ICEBERG_CATALOG_NAME", "clitest".to_owned()),
            ("ICEBERG_NAMESPACE", namespace),
            ("WAREHOUSE_READER_URL", warehouse.reader_url.clone()),
            ("METERWAY_STATUS_TABLE", status),
            ("METERWAY_ALERTS_TABLE", alerts),
        ]);
        Self { topic, group, warehouse, settings }
    }

    async fn status(&self, admin: &[String]) -> Run {
        let reader = format!("{}={}", self.group, self.topic);
        let mut arguments = vec!["status", "--json", "--topic", &self.topic, "--group", &reader];
        for endpoint in admin {
            arguments.extend(["--admin", endpoint]);
        }
        meterway(&self.settings, &arguments).await
    }

    async fn remove(self) {
        for table in ["METERWAY_STATUS_TABLE", "METERWAY_ALERTS_TABLE"] {
            dynamodb().delete_table().table_name(&self.settings[table]).send().await.unwrap();
        }
        remove_topics(&[&self.topic]).await;
        self.warehouse.remove().await;
    }
}

async fn fill(topic: &str, partition: i32, messages: usize) {
    let producer = Producer::new(&kafka(), &ProducerConfig::default()).unwrap();
    let record = ProducerRecord { topic, partition: Some(partition), payload: Some(b"x"), ..ProducerRecord::default() };
    producer.send_all(std::iter::repeat_n(record, messages)).await.unwrap();
}

/// Partition 0 up to `next`; of partition 1 nothing.
async fn commit_position(topic: &str, group: &str, next: i64) {
    let config =
        ConsumerConfig { group: group.to_owned(), topics: vec![topic.to_owned()], ..ConsumerConfig::default() };
    let (consumer, mut events) = Consumer::subscribe(&kafka(), config).unwrap();
    let joined = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.unwrap().unwrap().unwrap();
    assert!(matches!(joined, Event::Assigned(_)), "{joined:?}");
    let first = TopicPartition::new(topic, 0);
    consumer.start(&first, StartAt::Offset(NextOffset(next))).unwrap();
    consumer.commit(&[(first, NextOffset(next))]);
    consumer.close(Duration::from_secs(30)).await.unwrap();
}

/// All tables, and three rows in `rejected` with heads at 5 of 6 and 2 of 4; its snapshot.
async fn commit_to_lake(topic: &str, namespace: &str) -> i64 {
    let config = LakeConfig { namespace: namespace.to_owned(), ..lake_config("clitest") };
    let lake = Lake::connect(&config).await.unwrap();
    for spec in tables::all() {
        lake.open_or_create(&spec).await.unwrap();
    }
    let table = lake.open(&tables::rejected()).await.unwrap();
    let mut writer = table.file_writer(PartitionValue::Day(0)).await.unwrap();
    writer.write(&three_rejections()).await.unwrap();
    let id = topic_id(&kafka(), topic).await.unwrap().0;
    let advance = |(partition, next): (i32, i64)| Advance {
        key: HeadKey::new(topic, &id, partition),
        from: None,
        to: Head { next, watermark: next - 1 },
    };
    let request = CommitRequest {
        base: table.heads().await.unwrap(),
        commit_id: Uuid::now_v7(),
        advances: [(0, 5), (1, 2)].map(advance).into(),
        files: writer.close().await.unwrap(),
    };
    table.commit(&request).await.unwrap().snapshot_id
}

fn three_rejections() -> RecordBatch {
    let text = |value: &str| Arc::new(StringArray::from(vec![value; 3])) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        text("northgrid"),
        text("device-1"),
        text("meter.readings.raw.v1"),
        Arc::new(Int32Array::from(vec![0; 3])),
        Arc::new(Int64Array::from(vec![1, 2, 3])),
        Arc::new(Int32Array::from(vec![-1; 3])),
        text("TRUNCATED"),
        text("ends inside a value"),
        Arc::new(TimestampMicrosecondArray::from(vec![1_000_000; 3]).with_timezone("+00:00")),
    ];
    RecordBatch::try_new(tables::rejected().arrow_schema(), columns).unwrap()
}

/// Two of the three rejections, by a ledger that says which snapshot they came with, and a file that waits aside.
async fn load(warehouse: &Warehouse, snapshot: i64) {
    let load = format!(
        "INSERT INTO raw.rejected SELECT 'northgrid', 'device-1', 'raw', 0, n, -1, 'TRUNCATED', '', now(), {snapshot}, \
         now() FROM generate_series(1, 2) AS n; \
         INSERT INTO raw.load_ledger (lake_table, snapshot_id, load_number, rows, files, committed_at, started_at, \
         loaded_at) VALUES ('rejected', {snapshot}, 1, 2, 1, now(), now(), now()); \
         INSERT INTO raw.load_quarantine VALUES ('rejected', {snapshot}, 'waits', 1, 9, 'bad', now(), NULL, NULL), \
         ('rejected', {snapshot}, 'resolved', 1, 9, 'bad', now(), now(), now())"
    );
    warehouse.execute(&load).await;
}

/// A device heard of now and one heard of in 1970; one open alert and one closed. The names of the tables.
async fn live_state() -> (String, String) {
    let (status, alerts) = (unique("cli_status"), unique("cli_alerts"));
    create_table(&status, &["pk"], &[]).await;
    create_table(&alerts, &["tenant_id", "alert_id"], &["open_by_tenant"]).await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    for (device, seen) in [("acme#new", SystemClock.now_micros()), ("acme#old", 0)] {
        let item = dynamodb().put_item().table_name(&status).item("pk", text(device));
        item.item("last_seen", AttributeValue::N(seen.to_string())).send().await.unwrap();
    }
    for (alert, open) in [("open", true), ("closed", false)] {
        let item = dynamodb().put_item().table_name(&alerts).item("tenant_id", text("acme"));
        let item = item.item("alert_id", text(alert));
        let item = if open { item.item("open_tenant", text("acme")) } else { item };
        item.send().await.unwrap();
    }
    (status, alerts)
}

/// An admin endpoint as services have it.
async fn admin_endpoint(name: &str, readiness: Readiness) -> String {
    let info = ServiceInfo { name: "validate", version: "1.2.3", defaults: "" };
    let config = AdminConfig { listen: "127.0.0.1:0".parse().unwrap() };
    let metrics = MetricsHandle::install().unwrap();
    let server = AdminServer::bind(&config, info, readiness, Liveness::default(), metrics).await.unwrap();
    let address = server.address();
    tokio::spawn(server.serve(CancellationToken::new()));
    format!("{name}=http://{address}")
}

/// The line of a part.
fn part<'a>(report: &'a Value, stage: &str, part: &str) -> &'a Value {
    let is = |line: &&Value| line["stage"] == *stage && line["part"] == *part;
    report["parts"].as_array().unwrap().iter().find(is).unwrap_or_else(|| panic!("no {stage} {part} in {report:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_is_that_of_its_part() {
    let pipeline = Pipeline::create().await;
    let (ready, waiting) = (Readiness::default(), Readiness::default());
    ready.set_ready();
    waiting.set_unready("waits for devices");
    let admin = [admin_endpoint("validate", ready).await, admin_endpoint("alert", waiting).await];
    let run = pipeline.status(&admin[..1]).await;
    let report = run.json();
    assert!(run.code == 0 && report["healthy"] == json!(true), "{run:?}");

    let raw = part(&report, "topics", &pipeline.topic);
    assert_eq!(raw["count"], json!({ "value": 10, "unit": "messages" }));
    let group = part(&report, "groups", &pipeline.group);
    assert_eq!(group["lag"]["value"], json!(6), "2 of partition 0, and all 4 of partition 1: {group}");
    let rejected = part(&report, "lake", "rejected");
    assert_eq!((&rejected["count"]["value"], &rejected["lag"]["value"]), (&json!(3), &json!(3)), "{rejected}");
    assert_eq!(part(&report, "lake", "readings")["state"], json!("notice"), "nothing committed yet");
    let loaded = part(&report, "warehouse", "raw.rejected");
    assert_eq!((&loaded["count"]["value"], &loaded["lag"]["value"]), (&json!(2), &json!(1)), "{loaded}");
    let detail = loaded["detail"].as_str().unwrap();
    assert!(detail.ends_with("the lake's newest; 1 files are set aside, see raw.load_quarantine"), "{loaded}");
    let devices = part(&report, "live", &pipeline.settings["METERWAY_STATUS_TABLE"]);
    assert_eq!((&devices["count"]["value"], &devices["state"]), (&json!(1), &json!("notice")), "{devices}");
    let alerts = part(&report, "live", &pipeline.settings["METERWAY_ALERTS_TABLE"]);
    assert_eq!(alerts["count"], json!({ "value": 1, "unit": "open" }));
    assert_eq!(part(&report, "services", "validate")["detail"], json!("version 1.2.3"));

    let run = pipeline.status(&admin).await;
    assert_eq!(run.code, 1, "a service that is not ready: {run:?}");
    assert_eq!(part(&run.json(), "services", "alert")["state"], json!("not_ready"));
    pipeline.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_away_does_not_hide_the_rest() {
    let topic = topic("cli_status", 1).await;
    let mut settings = settings();
    let away = format!("127.0.0.1:{}", test_support::free_port());
    settings.insert("WAREHOUSE_READER_URL", format!("postgresql://reader:hush@{away}/warehouse"));
    settings.insert("METERWAY_ADMIN_URLS", format!("validate=http://{away},ingest=http://user:hush@{away}"));
    let group = format!("{}={topic}", unique("cli_status"));
    let run = meterway(&settings, &["status", "--json", "--topic", &topic, "--group", &group]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let report = run.json();
    assert_eq!(part(&report, "warehouse", "warehouse")["state"], json!("unreachable"));
    assert_eq!(part(&report, "services", "ingest")["state"], json!("unreachable"));
    assert_eq!(part(&report, "topics", &topic)["state"], json!("ok"));
    assert!(!run.stdout.contains("hush"), "{run:?}");

    let table =
        meterway(&settings, &["status", "--topic", &topic, "--topic", "cli_no_such_topic", "--group", &group]).await;
    assert!(table.code == 1 && table.stdout.contains("unreachable") && table.stdout.contains("missing"), "{table:?}");
    assert!(table.stderr.contains("are not as they should be"), "{table:?}");
    settings.remove("KAFKA_BOOTSTRAP");
    assert_eq!(meterway(&settings, &["status"]).await.code, 64);
    remove_topics(&[&topic]).await;
}

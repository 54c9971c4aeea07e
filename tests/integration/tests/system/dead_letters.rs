//! What was set aside is stored once after its cause was repaired, however often it is sent back, and everything still
//! adds up.
//!
//! Three causes: a device that nobody registered, a limit that was too low, a schema that was not registered.

use crate::world::World;
use anyhow::{Context, ensure};
use kafka_pipeline::{KafkaConfig, Producer, ProducerConfig, ProducerRecord, Registry, RegistryConfig, frame};
use meter_model::Kind;
use meterway_schemas::encode::{self, Reading, ReadingBatch};
use meterway_schemas::{READING_BATCH, Source};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const RAW: &str = "meter.readings.raw.v1";
const DEVICES: [&str; 3] = ["dlq-unknown", "dlq-tight", "dlq-schema"];
/// The registry's client remembers for half a minute that an id is not known.
const PATIENCE: Duration = Duration::from_secs(180);
const HOUR: i64 = 3_600_000_000;

pub(crate) async fn run(world: &mut World) -> anyhow::Result<()> {
    let registry = Registry::new(&RegistryConfig { url: world.setting("SCHEMA_REGISTRY_URL")?.to_owned() })?;
    onboard(world, "dlq-tight", "0.1").await?;
    onboard(world, "dlq-schema", "25").await?;
    let id = registry.register(&format!("{RAW}-value"), READING_BATCH.avsc).await.context("look up the schema")?;
    let later = next_schema_id(&registry).await?;
    deliver(world, "dlq-unknown", id, &[]).await?;
    deliver(world, "dlq-tight", id, &[]).await?;
    // The schema of a later release: one field more, which is an empty text here.
    deliver(world, "dlq-schema", later, &[0]).await?;
    for (device, code) in DEVICES.into_iter().zip(["UNKNOWN_DEVICE", "OVER_CAPACITY", "UNKNOWN_SCHEMA_ID"]) {
        until(&format!("{device} is set aside"), async || {
            let letters = list(world, device).await?;
            Ok(letters.iter().any(|letter| letter["code"] == code && letter["status"] == "open"))
        })
        .await?;
    }

    onboard(world, "dlq-unknown", "25").await?;
    onboard(world, "dlq-tight", "25").await?;
    ensure!(registry.register("dlq-later-value", &later_schema("note")).await? == later, "another id was given");
    for device in DEVICES {
        replay_until_resolved(world, device).await?;
        let again = ["dlq", "replay", "--device", device, "--again", "--max-replays", "99", "--json"];
        let report: Value = serde_json::from_str(&world.meterway(&again).await?)?;
        ensure!(
            !report["taken"].as_array().context("taken")?.is_empty(),
            "{device} was not sent a second time: {report}"
        );
    }
    world.meterway(&["dlq", "drop", "--reason", "TRUNCATED", "--limit", "5", "--because", "a test"]).await?;

    let verified = world.verify().await?;
    ensure!(verified.clean, "differences {:?}, findings {:?}", verified.differences, verified.findings);
    each_reading_once(world).await
}

/// Sends what is open back, again and again, until nothing of the device is left to do.
async fn replay_until_resolved(world: &World, device: &str) -> anyhow::Result<()> {
    until(&format!("{device} is resolved"), async || {
        let letters = list(world, device).await?;
        if letters.iter().any(|letter| letter["status"] == "open") {
            world.meterway(&["dlq", "replay", "--device", device, "--status", "open", "--max-replays", "99"]).await?;
            return Ok(false);
        }
        // An earlier letter stays "replayed" when its replay was set aside again; the last one of a row is resolved.
        Ok(letters.iter().filter(|letter| letter["became"].is_null()).all(|letter| letter["status"] == "resolved"))
    })
    .await
}

async fn list(world: &World, device: &str) -> anyhow::Result<Vec<Value>> {
    let listed = world.meterway(&["dlq", "list", "--device", device, "--json"]).await?;
    Ok(serde_json::from_str(&listed)?)
}

/// Both half-hours of each device, once.
async fn each_reading_once(world: &World) -> anyhow::Result<()> {
    const QUERY: &str = "SELECT device_id, count(*), count(DISTINCT start), max(version) FROM raw.readings \
         WHERE device_id LIKE 'dlq-%' GROUP BY 1 ORDER BY 1";
    let rows = world.warehouse().await?.query(QUERY, &[]).await.context("count readings")?;
    let found: Vec<(String, i64, i64, i32)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let expected = ["dlq-schema", "dlq-tight", "dlq-unknown"].map(|device| (device.to_owned(), 2, 2, 1));
    ensure!(found == expected, "{found:?}");
    Ok(())
}

async fn deliver(world: &World, device: &str, schema_id: u32, behind: &[u8]) -> anyhow::Result<()> {
    let now = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros())?;
    let start = now - now.rem_euclid(HOUR) - 48 * HOUR;
    let reading = |slot: i64| Reading {
        channel: "1-0:1.29.0",
        kind: Kind::Interval,
        start: start + slot * HOUR / 2,
        duration_s: 1_800,
        value: 250_000,
        unit: "kWh",
        flags: &[],
    };
    let batch = ReadingBatch {
        tenant_id: "northgrid",
        device_id: device,
        gateway_id: "dlq-gateway",
        sequence: 1,
        received_at: None,
        source: Source::Kafka,
        readings: &[reading(0), reading(1)],
    };
    let (mut datum, mut payload) = (Vec::new(), Vec::new());
    encode::reading_batch(&batch, &mut datum);
    datum.extend_from_slice(behind);
    frame(schema_id, &datum, &mut payload);
    let kafka = KafkaConfig::new(world.setting("KAFKA_BOOTSTRAP")?, "system-test");
    let producer = Producer::new(&kafka, &ProducerConfig::default())?;
    let (key, payload) = (Some(device.as_bytes()), Some(&*payload));
    producer.send_all([ProducerRecord { topic: RAW, key, payload, ..ProducerRecord::default() }]).await?;
    Ok(())
}

async fn onboard(world: &World, device: &str, capacity_per_hour: &str) -> anyhow::Result<()> {
    let line = json!({
        "tenant_id": "northgrid", "site_id": "dlq-site", "zone": "Europe/London", "device_id": device,
        "commodity": "ELECTRICITY", "channels": [{
            "channel": "1-0:1.29.0", "kind": "INTERVAL", "unit": "kWh", "interval_s": 1800,
            "capacity_per_hour": capacity_per_hour,
        }],
    });
    let file = world.file("dlq-device.ndjson");
    std::fs::write(&file, format!("{line}\n")).context("write the device file")?;
    world.meterway(&["onboard", &file]).await.map(drop)
}

/// The id that the registry will give to the next schema: ids rise one by one.
async fn next_schema_id(registry: &Registry) -> anyhow::Result<u32> {
    let before = format!("before_{}", uuid::Uuid::new_v4().simple());
    Ok(registry.register("dlq-before-value", &later_schema(&before)).await? + 1)
}

/// The contract with a text more.
fn later_schema(field: &str) -> String {
    let mut schema: Value = serde_json::from_str(READING_BATCH.avsc).expect("the contract is JSON");
    let fields = schema["fields"].as_array_mut().expect("the contract is a record");
    fields.push(json!({ "name": field, "type": "string", "default": "" }));
    schema.to_string()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await? {
        ensure!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

//! The ways in: as a gateway that speaks Kafka, and as one that speaks HTTP.

use super::register;
use super::shared::{Shared, now};
use crate::canary::core::known::{CHANNEL, GATEWAY, Id, UNIT, value_of};
use crate::canary::edge::metrics;
use crate::metadata::MetadataArgs;
use anyhow::{Context, bail};
use chrono::{DateTime, SecondsFormat};
use kafka_pipeline::{KafkaConfig, Producer, ProducerConfig, ProducerRecord, Registry, frame};
use meter_model::{Kind, Quantity};
use meterway_schemas::encode::{self, Reading, ReadingBatch};
use meterway_schemas::{READING_BATCH, Source};
use reqwest::{Client, StatusCode};
use std::time::Duration;
use uuid::Uuid;

/// Longest wait for the confirmation of one reading.
const LIMIT: Duration = Duration::from_secs(30);
/// Times a request is sent before its reading is given up.
const ATTEMPTS: u32 = 5;

/// How a reading gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Via {
    /// Straight into the raw topic.
    Kafka,
    /// Through `ingest`.
    Http,
    /// By turns.
    Both,
}

/// A producer of the raw topic.
#[derive(Debug)]
pub(crate) struct KafkaWay {
    producer: Producer,
    topic: String,
    schema: u32,
}

impl KafkaWay {
    /// Connects; the schema must be registered.
    ///
    /// # Errors
    /// When it is not, or the registry does not answer.
    pub(crate) async fn connect(kafka: &KafkaConfig, registry: &Registry, topic: &str) -> anyhow::Result<Self> {
        let subject = format!("{topic}-value");
        let schema = registry.lookup(&subject, READING_BATCH.avsc).await.context("look up the schema of readings")?;
        let schema = schema.with_context(|| format!("{subject} is not registered: run `meterway topics apply`"))?;
        // Short of the default, so that a reading that is given up cannot come hours later.
        let settings = ProducerConfig { delivery_timeout: LIMIT, ..ProducerConfig::default() };
        let producer = Producer::new(kafka, &settings).context("create producer")?;
        Ok(Self { producer, topic: topic.to_owned(), schema })
    }

    async fn send(&self, tenant: &str, device: &str, start: i64) -> anyhow::Result<()> {
        let value = value_of(device, start);
        let (channel, unit, kind) = (CHANNEL, UNIT, Kind::Gauge);
        let reading = Reading { channel, kind, start, duration_s: 0, value, unit, flags: &[] };
        let batch = ReadingBatch {
            tenant_id: tenant,
            device_id: device,
            gateway_id: GATEWAY,
            // The canary does not count: its readings are told apart by their time.
            sequence: 0,
            received_at: None,
            source: Source::Kafka,
            readings: &[reading],
        };
        let mut payload = Vec::new();
        frame(self.schema, &[], &mut payload);
        encode::reading_batch(&batch, &mut payload);
        let (key, payload) = (Some(device.as_bytes()), Some(&*payload));
        let record = ProducerRecord { topic: &self.topic, key, payload, ..ProducerRecord::default() };
        self.producer.send_all([record]).await.context("write the reading")
    }
}

/// A client of the door.
#[derive(Debug)]
pub(crate) struct HttpWay {
    client: Client,
    url: String,
    key: String,
    metadata: Option<MetadataArgs>,
}

impl HttpWay {
    /// With the given key, or one that the register makes.
    ///
    /// # Errors
    /// When the register makes none.
    pub(crate) async fn connect(
        url: &str,
        given: Option<String>,
        metadata: &MetadataArgs,
        tenant: &str,
    ) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(LIMIT).build().context("create http client")?;
        let (key, metadata) = match given {
            Some(key) => (key, None),
            None => (register::api_key(metadata.connect().await?, tenant).await?, Some(metadata.clone())),
        };
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), key, metadata })
    }

    /// Sends until it is answered; the same key each time, so that it is stored once.
    async fn send(&mut self, tenant: &str, device: &str, start: i64) -> anyhow::Result<()> {
        let body = delivery(device, start);
        let name = Uuid::new_v4().to_string();
        for _ in 0..ATTEMPTS {
            let request = self.client.post(format!("{}/v1/readings", self.url)).bearer_auth(&self.key);
            let request = request.header("content-type", "application/json").header("idempotency-key", &name);
            let response = match request.body(body.clone()).send().await {
                Ok(response) => response,
                Err(error) => {
                    tracing::warn!(%error, "the door does not answer");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            match (response.status(), &self.metadata) {
                (status, _) if status.is_success() => return Ok(()),
                (StatusCode::UNAUTHORIZED, Some(metadata)) => {
                    self.key = register::api_key(metadata.connect().await?, tenant).await?;
                }
                (StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, _) => {
                    let after =
                        response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
                    tokio::time::sleep(Duration::from_secs(after.unwrap_or(1)).min(LIMIT)).await;
                }
                (status, _) => {
                    let text = response.text().await.unwrap_or_default();
                    bail!("the door answers {status}: {}", text.chars().take(300).collect::<String>());
                }
            }
        }
        bail!("the door did not take the reading in {ATTEMPTS} attempts")
    }
}

/// The reading as a client of the door writes it.
fn delivery(device: &str, start: i64) -> String {
    let value = Quantity::from_micros(value_of(device, start)).unwrap_or_default().to_string();
    let at = DateTime::from_timestamp_micros(start).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true);
    let reading = serde_json::json!({ "channel": CHANNEL, "kind": "GAUGE", "start": at, "value": value, "unit": UNIT });
    serde_json::json!({ "device_id": device, "gateway_id": GATEWAY, "readings": [reading] }).to_string()
}

/// The ways that are used.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Straight.
    pub(crate) kafka: Option<KafkaWay>,
    /// Through the door.
    pub(crate) http: Option<HttpWay>,
    rounds: u64,
}

impl Writer {
    /// At least one way is needed.
    pub(crate) fn new(kafka: Option<KafkaWay>, http: Option<HttpWay>) -> Self {
        Self { kafka, http, rounds: 0 }
    }

    /// Sends one reading per device; how many were not confirmed.
    pub(crate) async fn round(&mut self, shared: &Shared) -> usize {
        self.rounds += 1;
        let mut failed = 0;
        for (number, device) in shared.devices.iter().enumerate() {
            let id = Id { start: now(), device: number };
            if !shared.ledger().begin(id) {
                tracing::warn!("too many canary readings are on their way; none is sent");
                return failed + shared.devices.len() - number;
            }
            let (via, sent) = self.send(shared, device, id.start).await;
            match sent {
                Ok(()) => {
                    shared.ledger().confirm(id);
                    metrics::sent(via, now() - id.start);
                }
                Err(error) => {
                    failed += 1;
                    shared.ledger().abandon(id);
                    metrics::send_failed(via);
                    tracing::error!(via, error = %format!("{error:#}"), "canary reading is not confirmed");
                }
            }
        }
        failed
    }

    async fn send(&mut self, shared: &Shared, device: &str, start: i64) -> (&'static str, anyhow::Result<()>) {
        let through_door = self.rounds.is_multiple_of(2) || self.kafka.is_none();
        match (&self.kafka, &mut self.http) {
            (_, Some(http)) if through_door => ("http", http.send(&shared.tenant, device, start).await),
            (Some(kafka), _) => ("kafka", kafka.send(&shared.tenant, device, start).await),
            (None, _) => ("none", Err(anyhow::anyhow!("no way in"))),
        }
    }

    /// Whether the producer has failed for good and must be made anew.
    pub(crate) fn has_failed(&self) -> bool {
        self.kafka.as_ref().is_some_and(|kafka| kafka.producer.check().is_err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_is_told_the_same_as_the_topic() {
        let json: serde_json::Value = serde_json::from_str(&delivery("canary-0-1", 1_774_744_200_000_001)).unwrap();
        let reading = &json["readings"][0];
        assert_eq!(reading["start"], "2026-03-29T00:30:00.000001Z");
        let value: Quantity = reading["value"].as_str().unwrap().parse().unwrap();
        assert_eq!(value.micros(), value_of("canary-0-1", 1_774_744_200_000_001));
    }
}

//! Gateways that can't speak Kafka: NDJSON over HTTP, one request at a time per gateway, so that a device's deliveries
//! stay in order.

use super::kafka::Note;
use crate::exit::BadConfig;
use crate::simulate::core::fleet::{GATEWAYS, TENANTS};
use crate::simulate::core::truth::Outcome;
use anyhow::{Context, bail};
use chrono::{DateTime, SecondsFormat};
use meter_model::Quantity;
use meterway_schemas::DeviceEvent;
use meterway_schemas::encode::ReadingBatch;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A request is sent when its body has this size.
const BODY_BYTES: usize = 256 * 1024;
/// Tries per request, the waits that the server asks for between them.
const ATTEMPTS: u32 = 60;
const LONGEST_WAIT: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct DeliveryJson<'a> {
    device_id: &'a str,
    gateway_id: &'a str,
    sequence: i64,
    readings: Vec<ReadingJson<'a>>,
}

#[derive(Serialize)]
struct ReadingJson<'a> {
    channel: &'a str,
    kind: &'static str,
    start: String,
    duration_s: i32,
    value: String,
    unit: &'a str,
}

#[derive(Serialize)]
struct EventJson<'a> {
    device_id: &'a str,
    gateway_id: &'a str,
    sequence: i64,
    kind: meterway_schemas::DeviceEventKind,
    at: String,
}

#[derive(Deserialize)]
struct Receipt {
    #[serde(default)]
    rejected: Vec<serde_json::Value>,
}

#[derive(Debug, Default)]
struct Body {
    text: Vec<u8>,
    notes: Vec<Note>,
}

/// The HTTP way into the raw topics.
#[derive(Debug)]
pub(crate) struct HttpWay {
    client: reqwest::Client,
    url: String,
    keys: [String; 2],
    bodies: [[Body; GATEWAYS]; 2],
    settled: Vec<(usize, Outcome)>,
    requests: u64,
    retries: u64,
    bytes: u64,
}

impl HttpWay {
    /// A client of the door at the URL, with an API key for each of the two tenants.
    ///
    /// # Errors
    /// [`BadConfig`] when the URL is none.
    pub(crate) fn new(url: &str, keys: [String; 2]) -> anyhow::Result<Self> {
        reqwest::Url::parse(url).map_err(BadConfig::new).with_context(|| format!("read the URL {url:?}"))?;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().context("make HTTP client")?;
        Ok(Self {
            client,
            url: url.trim_end_matches('/').to_owned(),
            keys,
            bodies: Default::default(),
            settled: Vec::new(),
            requests: 0,
            retries: 0,
            bytes: 0,
        })
    }

    /// Adds a delivery to its gateway's next request, and sends that when it is large enough.
    pub(crate) async fn deliver(&mut self, gateway: usize, batch: &ReadingBatch<'_>, note: Note) -> anyhow::Result<()> {
        let tenant = tenant_index(batch.tenant_id);
        let body = &mut self.bodies[tenant][gateway - 1];
        serde_json::to_writer(&mut body.text, &delivery_json(batch)).context("write delivery")?;
        body.text.push(b'\n');
        body.notes.push(note);
        if body.text.len() >= BODY_BYTES { self.flush_one(tenant, gateway - 1).await } else { Ok(()) }
    }

    /// Sends everything that waits.
    pub(crate) async fn flush(&mut self) -> anyhow::Result<()> {
        for tenant in 0..TENANTS.len() {
            for gateway in 0..GATEWAYS {
                self.flush_one(tenant, gateway).await?;
            }
        }
        Ok(())
    }

    async fn flush_one(&mut self, tenant: usize, gateway: usize) -> anyhow::Result<()> {
        let Body { text, notes } = std::mem::take(&mut self.bodies[tenant][gateway]);
        if text.is_empty() {
            return Ok(());
        }
        self.bytes += text.len() as u64;
        self.post("/v1/readings", tenant, text).await.context("deliver readings over HTTP")?;
        self.settled.extend(notes.into_iter().filter_map(|note| note.outcome));
        Ok(())
    }

    /// Sends a device event.
    pub(crate) async fn event(&mut self, event: &DeviceEvent) -> anyhow::Result<()> {
        let json = EventJson {
            device_id: &event.device_id,
            gateway_id: &event.gateway_id,
            sequence: event.sequence,
            kind: event.kind,
            at: rfc3339(event.at),
        };
        let text = serde_json::to_vec(&json).context("write event")?;
        self.post("/v1/events", tenant_index(&event.tenant_id), text).await.context("deliver an event over HTTP")
    }

    async fn post(&mut self, path: &str, tenant: usize, text: Vec<u8>) -> anyhow::Result<()> {
        let body = bytes::Bytes::from(text);
        for _ in 0..ATTEMPTS {
            let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.keys[tenant]);
            let request = request.header("content-type", "application/x-ndjson").body(body.clone());
            let response = request.send().await.context("send request")?;
            self.requests += 1;
            let status = response.status();
            if status.is_success() {
                let receipt: Receipt = response.json().await.context("read receipt")?;
                return match receipt.rejected.first() {
                    None => Ok(()),
                    Some(line) => bail!("{} lines were refused, the first with {line}", receipt.rejected.len()),
                };
            }
            if status != StatusCode::TOO_MANY_REQUESTS && status != StatusCode::SERVICE_UNAVAILABLE {
                let reason = response.text().await.unwrap_or_default();
                bail!("the server answers {status}: {}", reason.chars().take(500).collect::<String>());
            }
            self.retries += 1;
            tokio::time::sleep(wait_of(&response)).await;
        }
        bail!("the server was busy {ATTEMPTS} times")
    }

    /// Outcomes whose requests were answered since the last call.
    pub(crate) fn take_settled(&mut self) -> Vec<(usize, Outcome)> {
        std::mem::take(&mut self.settled)
    }

    /// Requests sent, those that were to be repeated among them, and bytes of bodies.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (self.requests, self.retries, self.bytes)
    }
}

fn wait_of(response: &reqwest::Response) -> Duration {
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let seconds = header.and_then(|text| text.parse().ok()).unwrap_or(1);
    Duration::from_secs(seconds).min(LONGEST_WAIT)
}

fn tenant_index(tenant_id: &str) -> usize {
    TENANTS.iter().position(|tenant| tenant.id == tenant_id).unwrap_or(0)
}

fn rfc3339(micros: i64) -> String {
    let at = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn delivery_json<'a>(batch: &ReadingBatch<'a>) -> DeliveryJson<'a> {
    let reading = |reading: &meterway_schemas::encode::Reading<'a>| ReadingJson {
        channel: reading.channel,
        kind: reading.kind.as_str(),
        start: rfc3339(reading.start),
        duration_s: reading.duration_s,
        value: Quantity::from_micros(reading.value).unwrap_or_default().to_string(),
        unit: reading.unit,
    };
    DeliveryJson {
        device_id: batch.device_id,
        gateway_id: batch.gateway_id,
        sequence: batch.sequence,
        readings: batch.readings.iter().map(reading).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::core::fleet::ELECTRICITY;
    use crate::simulate::core::usage::interval;
    use meterway_schemas::Source;

    #[test]
    fn delivery_is_written_exactly() {
        let readings = [interval(&ELECTRICITY, 1_774_744_200_000_000, 254)];
        let batch = ReadingBatch {
            tenant_id: "northgrid",
            device_id: "d",
            gateway_id: "g",
            sequence: 3,
            received_at: None,
            source: Source::Http,
            readings: &readings,
        };
        let json = serde_json::to_string(&delivery_json(&batch)).unwrap();
        assert_eq!(
            json,
            r#"{"device_id":"d","gateway_id":"g","sequence":3,"readings":[{"channel":"1-0:1.29.0","kind":"INTERVAL","start":"2026-03-29T00:30:00Z","duration_s":1800,"value":"0.254","unit":"kWh"}]}"#
        );
    }
}

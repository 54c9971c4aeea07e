//! Gateways that can't speak Kafka: NDJSON over HTTP, one request at a time per gateway, so that a device's deliveries
//! stay in order.

use super::journal::{Attempt, AttemptId, EventNote, Journal, Series};
use super::kafka::{Note, Topics};
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
use service_runtime::Backoff;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A request is sent when its body has this size.
const BODY_BYTES: usize = 256 * 1024;
/// Waits between the tries of a request when the server does not say how long.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Longest time for one try.
const TRY_LIMIT: Duration = Duration::from_secs(60);

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
    attempts: Vec<AttemptId>,
}

/// What became of one try.
enum Tried {
    Taken(Receipt),
    /// Nobody knows whether it was taken, or it was not for now; the server may have said when to come again.
    Again(String, Option<Duration>),
}

/// The HTTP way into the raw topics.
#[derive(Debug)]
pub(crate) struct HttpWay {
    client: reqwest::Client,
    url: String,
    keys: [String; 2],
    topics: Topics,
    patience: Duration,
    bodies: [[Body; GATEWAYS]; 2],
    settled: Vec<(usize, Outcome)>,
    requests: u64,
    retries: u64,
    bytes: u64,
}

impl HttpWay {
    /// A client of the door at the URL, with an API key for each of the two tenants, that tries each request for so long.
    /// The topics are those that the door writes.
    ///
    /// # Errors
    /// [`BadConfig`] when the URL is none.
    pub(crate) fn new(url: &str, keys: [String; 2], topics: Topics, patience: Duration) -> anyhow::Result<Self> {
        reqwest::Url::parse(url).map_err(BadConfig::new).with_context(|| format!("read the URL {url:?}"))?;
        let client = reqwest::Client::builder().timeout(TRY_LIMIT).build().context("make HTTP client")?;
        Ok(Self {
            client,
            url: url.trim_end_matches('/').to_owned(),
            keys,
            topics,
            patience,
            bodies: Default::default(),
            settled: Vec::new(),
            requests: 0,
            retries: 0,
            bytes: 0,
        })
    }

    /// Adds a delivery to its gateway's next request, and sends that when it is large enough.
    pub(crate) async fn deliver(
        &mut self,
        journal: &mut Journal,
        gateway: usize,
        batch: &ReadingBatch<'_>,
        note: Note,
    ) -> anyhow::Result<()> {
        let attempt = journal.attempt(|| Attempt {
            topic: &self.topics.readings,
            way: "http",
            tenant: batch.tenant_id,
            device: batch.device_id,
            fault: note.fault,
            readings: Series::of(batch.readings),
            ..Attempt::default()
        })?;
        let tenant = tenant_index(batch.tenant_id);
        let body = &mut self.bodies[tenant][gateway - 1];
        serde_json::to_writer(&mut body.text, &delivery_json(batch)).context("write delivery")?;
        body.text.push(b'\n');
        body.notes.push(note);
        body.attempts.push(attempt);
        if body.text.len() >= BODY_BYTES { self.flush_one(journal, tenant, gateway - 1).await } else { Ok(()) }
    }

    /// Sends everything that waits.
    pub(crate) async fn flush(&mut self, journal: &mut Journal) -> anyhow::Result<()> {
        for tenant in 0..TENANTS.len() {
            for gateway in 0..GATEWAYS {
                self.flush_one(journal, tenant, gateway).await?;
            }
        }
        Ok(())
    }

    async fn flush_one(&mut self, journal: &mut Journal, tenant: usize, gateway: usize) -> anyhow::Result<()> {
        let Body { text, notes, attempts } = std::mem::take(&mut self.bodies[tenant][gateway]);
        if text.is_empty() {
            return Ok(());
        }
        self.bytes += text.len() as u64;
        let status = self.post("/v1/readings", tenant, text).await.context("deliver readings over HTTP")?;
        journal.answered(&attempts, status.as_u16())?;
        self.settled.extend(notes.into_iter().filter_map(|note| note.outcome));
        Ok(())
    }

    /// Sends a device event.
    pub(crate) async fn event(&mut self, journal: &mut Journal, event: &DeviceEvent) -> anyhow::Result<()> {
        let attempt = journal.attempt(|| Attempt {
            topic: &self.topics.events,
            way: "http",
            tenant: &event.tenant_id,
            device: &event.device_id,
            event: Some(EventNote { kind: event.kind, at: event.at }),
            ..Attempt::default()
        })?;
        let json = EventJson {
            device_id: &event.device_id,
            gateway_id: &event.gateway_id,
            sequence: event.sequence,
            kind: event.kind,
            at: rfc3339(event.at),
        };
        let text = serde_json::to_vec(&json).context("write event")?;
        let sent = self.post("/v1/events", tenant_index(&event.tenant_id), text).await;
        journal.answered(&[attempt], sent.context("deliver an event over HTTP")?.as_u16())
    }

    /// Sends a request until it is taken. The door takes copies of one key for one, so a try whose answer was lost does no
    /// harm.
    async fn post(&mut self, path: &str, tenant: usize, text: Vec<u8>) -> anyhow::Result<StatusCode> {
        let body = bytes::Bytes::from(text);
        let key = Uuid::now_v7().to_string();
        let deadline = Instant::now() + self.patience;
        let mut backoff = Backoff::new(SHORTEST_WAIT, LONGEST_WAIT, 0.5).context("set up the waits")?;
        loop {
            let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.keys[tenant]);
            let request = request.header("content-type", "application/x-ndjson").header("idempotency-key", &key);
            self.requests += 1;
            let (reason, asked) = match attempt(request.body(body.clone())).await? {
                Tried::Taken(receipt) => {
                    return match receipt.rejected.first() {
                        None => Ok(StatusCode::ACCEPTED),
                        Some(line) => bail!("{} lines were refused, the first with {line}", receipt.rejected.len()),
                    };
                }
                Tried::Again(reason, asked) => (reason, asked),
            };
            self.retries += 1;
            let wait = asked.unwrap_or_else(|| backoff.next_delay(&mut rand::rng()));
            if Instant::now() + wait > deadline {
                bail!("not taken within {} s: {reason}", self.patience.as_secs());
            }
            tracing::info!(reason, wait_ms = wait.as_millis() as u64, "send the request again");
            service_runtime::sleep(wait).await;
        }
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

/// One try.
///
/// # Errors
/// When the server refuses for good.
async fn attempt(request: reqwest::RequestBuilder) -> anyhow::Result<Tried> {
    let again = |error: reqwest::Error| Tried::Again(format!("{:#}", anyhow::Error::new(error)), None);
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Ok(again(error)),
    };
    let status = response.status();
    if status.is_success() {
        return Ok(response.json().await.map_or_else(again, Tried::Taken));
    }
    let asked = wait_of(&response);
    // A conflict that says when to come back: another replica is at work on the same request, or died at it.
    let in_work = status == StatusCode::CONFLICT && asked.is_some();
    let busy = in_work || status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let reason = response.text().await.unwrap_or_default();
    let reason = format!("the server answers {status}: {}", reason.chars().take(500).collect::<String>());
    if busy { Ok(Tried::Again(reason, asked)) } else { bail!(reason) }
}

fn wait_of(response: &reqwest::Response) -> Option<Duration> {
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let seconds = header.and_then(|text| text.parse().ok());
    seconds.map(|seconds| Duration::from_secs(seconds).clamp(SHORTEST_WAIT, 3 * LONGEST_WAIT))
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
#[path = "http_tests.rs"]
mod tests;

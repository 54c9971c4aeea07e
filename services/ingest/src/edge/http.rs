//! The routes.

use super::{
    body,
    keys::{Grant, Keys},
    problem::{Code, Problem},
    publish::{Publisher, stored},
};
use crate::{
    config::{Config, HttpConfig, Limits},
    core::{
        delivery::{self, Envelope, Invalid},
        document::{self, Format, Item},
        rate::Bucket,
    },
    metrics,
};
use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use kafka_pipeline::DeliveryReceipt;
use meter_model::TenantId;
use serde::Serialize;
use service_runtime::{Clock, SystemClock};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::sync::Semaphore;

/// What the routes share.
#[derive(Debug)]
pub struct Door {
    http: HttpConfig,
    limits: Limits,
    keys: Keys,
    publisher: Arc<Publisher>,
    slots: Semaphore,
    /// One pair of buckets a tenant; tenants are few, and only valid keys get here.
    buckets: Mutex<HashMap<TenantId, Buckets>>,
}

#[derive(Debug)]
struct Buckets {
    requests: Bucket,
    readings: Bucket,
}

/// Bursts let through, as seconds of the rate.
const BURST_S: u32 = 10;

impl Door {
    /// The shared state.
    pub fn new(config: &Config, keys: Keys, publisher: Arc<Publisher>) -> Arc<Self> {
        Arc::new(Self {
            http: config.http.clone(),
            limits: config.limits,
            keys,
            publisher,
            slots: Semaphore::new(config.http.max_concurrent),
            buckets: Mutex::default(),
        })
    }

    /// The routes over this state.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/v1/readings", post(readings))
            .route("/v1/events", post(events))
            .route("/openapi.json", get(openapi))
            .fallback(async || Problem::new(Code::NotFound, "no such page"))
            .method_not_allowed_fallback(async || Problem::new(Code::MethodNotAllowed, "see /openapi.json"))
            .with_state(self)
    }
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../../openapi.json"))
}

async fn readings(State(door): State<Arc<Door>>, request: Request) -> Response {
    answer("/v1/readings", &door, request, Kind::Readings).await
}

async fn events(State(door): State<Arc<Door>>, request: Request) -> Response {
    answer("/v1/events", &door, request, Kind::Events).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Readings,
    Events,
}

async fn answer(route: &'static str, door: &Door, request: Request, kind: Kind) -> Response {
    let began = Instant::now();
    let work = tokio::time::timeout(door.http.request_timeout, door.take(request, kind));
    let response = match work.await {
        Ok(Ok(receipt)) => (StatusCode::ACCEPTED, Json(receipt)).into_response(),
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => {
            Problem::retry(Code::Unavailable, "no answer in time; the delivery may have been stored", 2).into_response()
        }
    };
    metrics::answered(route, response.status().as_u16(), began.elapsed());
    response
}

/// What was taken.
#[derive(Debug, Serialize)]
struct Receipt {
    /// Deliveries stored.
    deliveries: usize,
    /// Readings, or events, stored.
    items: usize,
    /// Lines that were not taken; only for NDJSON.
    rejected: Vec<RejectedLine>,
}

#[derive(Debug, Serialize)]
struct RejectedLine {
    line: usize,
    field: String,
    detail: String,
}

/// Most rejected lines that an answer lists.
const LISTED_LINES: usize = 1000;

impl Door {
    async fn take(&self, request: Request, kind: Kind) -> Result<Receipt, Problem> {
        let received_at = SystemClock.now_micros();
        let (parts, body) = request.into_parts();
        let _slot = self
            .slots
            .try_acquire()
            .map_err(|_| Problem::retry(Code::Unavailable, "too many requests are being worked on", 1))?;
        let grant = self.authorize(&parts.headers, kind).await?;
        let format = format(&parts.headers)?;
        let text = self.read(&parts.headers, body).await?;
        let envelope = Envelope { tenant: grant.tenant.clone(), received_at };
        let items = document::items(format, &text).map_err(|error| Problem::new(Code::Invalid, error))?;
        let (batch, rejected) = parse(&items, &envelope, kind, format)?;
        self.within_limits(&grant, batch.items(), received_at)?;
        let receipts = self.queue(&batch)?;
        stored(receipts).await?;
        metrics::stored(if kind == Kind::Readings { "reading" } else { "event" }, batch.items());
        Ok(Receipt { deliveries: batch.0.len(), items: batch.items(), rejected })
    }

    async fn authorize(&self, headers: &HeaderMap, kind: Kind) -> Result<Arc<Grant>, Problem> {
        let secret = api_key(headers).ok_or_else(|| {
            Problem::new(Code::Unauthenticated, "send the key as `Authorization: Bearer` or `X-API-Key`")
        })?;
        let grant = self.keys.check(secret).await?;
        let may = if kind == Kind::Readings { grant.readings } else { grant.events };
        if may { Ok(grant) } else { Err(Problem::new(Code::Forbidden, "the key lacks the scope for this")) }
    }

    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<String, Problem> {
        let text = body::read(headers, body, self.http.max_encoded, self.http.max_decoded).await?;
        metrics::decoded(text.len());
        Ok(text)
    }

    fn within_limits(&self, grant: &Grant, items: usize, now: i64) -> Result<(), Problem> {
        let or = |own: u32, default: u32| if own == 0 { default } else { own };
        let requests = or(grant.requests_per_second, self.limits.requests_per_second);
        let readings = or(grant.readings_per_second, self.limits.readings_per_second);
        let bucket = |rate: u32| Bucket::new(rate, rate.saturating_mul(BURST_S), now);
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let buckets = buckets
            .entry(grant.tenant.clone())
            .or_insert_with(|| Buckets { requests: bucket(requests), readings: bucket(readings) });
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        let taken = buckets.requests.take(1, now).and_then(|()| buckets.readings.take(items, now));
        taken.map_err(|seconds| Problem::retry(Code::RateLimited, format!("try again in {seconds} s"), seconds))
    }

    fn queue(&self, batch: &Batch) -> Result<Vec<DeliveryReceipt>, Problem> {
        let mut receipts = Vec::with_capacity(batch.0.len());
        for delivery in &batch.0 {
            match delivery {
                Delivery::Readings(messages) => receipts.extend(self.publisher.readings(messages)?),
                Delivery::Event(event) => receipts.push(self.publisher.event(event)?),
            }
        }
        Ok(receipts)
    }
}

#[derive(Debug)]
enum Delivery {
    Readings(delivery::Messages),
    Event(Box<meterway_schemas::DeviceEvent>),
}

#[derive(Debug)]
struct Batch(Vec<Delivery>);

impl Batch {
    fn items(&self) -> usize {
        self.0.iter().map(|d| if let Delivery::Readings(messages) = d { messages.items } else { 1 }).sum()
    }
}

/// JSON is taken as a whole or not at all; of NDJSON, the good lines are taken.
fn parse(
    items: &[Item<'_>],
    envelope: &Envelope,
    kind: Kind,
    format: Format,
) -> Result<(Batch, Vec<RejectedLine>), Problem> {
    let (mut taken, mut rejected) = (Vec::new(), Vec::new());
    for item in items {
        match parse_one(item, envelope, kind) {
            Ok(delivery) => taken.push(delivery),
            Err(error) if format == Format::Json => {
                return Err(Problem::new(Code::Invalid, format!("delivery {}: {error}", item.number)));
            }
            Err(Invalid { field, what }) => rejected.push(RejectedLine { line: item.number, field, detail: what }),
        }
    }
    if taken.is_empty() {
        let first = rejected.first().map(|r| format!("line {}: {}: {}", r.line, r.field, r.detail));
        return Err(Problem::new(Code::Invalid, first.unwrap_or_else(|| "the body holds no delivery".to_owned())));
    }
    rejected.truncate(LISTED_LINES);
    Ok((Batch(taken), rejected))
}

fn parse_one(item: &Item<'_>, envelope: &Envelope, kind: Kind) -> Result<Delivery, Invalid> {
    match kind {
        Kind::Readings => delivery::readings(item.json, envelope).map(Delivery::Readings),
        Kind::Events => delivery::event(item.json, envelope).map(|event| Delivery::Event(Box::new(event))),
    }
}

fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Format::of(content_type).ok_or_else(|| {
        Problem::new(Code::UnsupportedMediaType, "the content type must be application/json or application/x-ndjson")
    })
}

fn api_key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    text("authorization").and_then(|value| value.strip_prefix("Bearer ")).or_else(|| text("x-api-key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_every_route_and_every_code() {
        let document: serde_json::Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
        let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, ["/openapi.json", "/v1/events", "/v1/readings"]);
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(
            document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"],
            serde_json::json!(codes)
        );
    }

    #[test]
    fn json_is_taken_whole_and_ndjson_line_by_line() {
        let envelope = Envelope { tenant: TenantId::parse("t").unwrap(), received_at: 0 };
        let good = r#"{"device_id":"d","kind":"TAMPER","at":"2026-01-01T00:00:00Z"}"#;
        let items = [Item { number: 1, json: good }, Item { number: 2, json: "{}" }];
        assert!(parse(&items, &envelope, Kind::Events, Format::Json).is_err());
        let (batch, rejected) = parse(&items, &envelope, Kind::Events, Format::Ndjson).unwrap();
        assert_eq!((batch.items(), rejected.len(), rejected[0].line), (1, 1, 2));
        assert!(parse(&items[1..], &envelope, Kind::Events, Format::Ndjson).is_err());
    }
}

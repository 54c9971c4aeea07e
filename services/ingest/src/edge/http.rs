//! The routes.

use super::{
    body,
    intake::{self, Batch, Kind, RejectedLine},
    keys::{Grant, Keys},
    once::{Keyed, Once},
    problem::{Code, Problem},
    publish::{Publisher, stored},
};
use crate::{
    config::{Config, HttpConfig, Limits},
    core::{
        delivery::Envelope,
        document::{self, Format},
        once::{Fingerprint, IdempotencyKey},
        rate::Bucket,
    },
    metrics,
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use meter_model::TenantId;
use service_runtime::{Clock, SystemClock, fail_point};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the routes share.
#[derive(Debug)]
pub struct Door {
    http: HttpConfig,
    limits: Limits,
    keys: Keys,
    publisher: Arc<Publisher>,
    /// The work on requests with an `Idempotency-Key`; `None` when none are taken.
    once: Option<Arc<Once>>,
    slots: Arc<Semaphore>,
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
    pub(crate) fn new(config: &Config, keys: Keys, publisher: Arc<Publisher>, once: Option<Arc<Once>>) -> Arc<Self> {
        Arc::new(Self {
            http: config.http.clone(),
            limits: config.limits,
            keys,
            publisher,
            once,
            slots: Arc::new(Semaphore::new(config.http.max_concurrent)),
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

    /// Waits until no request is worked on, those whose client has gone away among them; at most so long.
    pub(crate) async fn idle(&self, limit: Duration) {
        let all = u32::try_from(self.http.max_concurrent).unwrap_or(u32::MAX);
        if tokio::time::timeout(limit, self.slots.acquire_many(all)).await.is_err() {
            tracing::warn!("requests are still being worked on at the end; their retries are taken over");
        }
    }
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../../openapi.json"))
}

async fn readings(State(door): State<Arc<Door>>, request: Request) -> Response {
    answer(&door, request, Kind::Readings).await
}

async fn events(State(door): State<Arc<Door>>, request: Request) -> Response {
    answer(&door, request, Kind::Events).await
}

async fn answer(door: &Door, request: Request, kind: Kind) -> Response {
    let began = Instant::now();
    let work = tokio::time::timeout(door.http.request_timeout, door.take(request, kind));
    let response = match work.await {
        Ok(Ok(receipt)) => {
            (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], receipt).into_response()
        }
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => {
            Problem::retry(Code::Unavailable, "no answer in time; the delivery may have been stored", 2).into_response()
        }
    };
    metrics::answered(kind.route(), response.status().as_u16(), began.elapsed());
    response
}

impl Door {
    async fn take(&self, request: Request, kind: Kind) -> Result<Bytes, Problem> {
        let received_at = SystemClock.now_micros();
        let (parts, body) = request.into_parts();
        let slot = Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| Problem::retry(Code::Unavailable, "too many requests are being worked on", 1))?;
        let grant = self.authorize(&parts.headers, kind).await?;
        let key = self.idempotency_key(&parts.headers)?;
        let format = format(&parts.headers)?;
        let text = self.read(&parts.headers, body).await?;
        let envelope = Envelope { tenant: grant.tenant.clone(), received_at };
        let items = document::items(format, &text).map_err(|error| Problem::new(Code::Invalid, error))?;
        let (batch, rejected) = intake::parse(&items, &envelope, kind, format)?;
        self.within_limits(&grant, batch.items(), received_at)?;
        match key {
            None => self.store(batch, &rejected, kind).await,
            Some((once, key)) => {
                let id = key.record_id(grant.tenant.as_str(), &grant.key_id);
                let fingerprint = Fingerprint::of(kind.route(), format.name(), &text);
                let (items, unsequenced, answer) = (batch.items(), batch.unsequenced(), batch.receipt(&rejected)?);
                let keyed = Keyed { id, fingerprint, messages: batch.into_messages(&self.publisher)?, answer };
                let (answer, first) = detached(once, keyed, slot).await?;
                if first {
                    metrics::stored(kind.item(), items);
                    metrics::unsequenced(unsequenced);
                }
                Ok(answer)
            }
        }
    }

    async fn store(&self, batch: Batch, rejected: &[RejectedLine], kind: Kind) -> Result<Bytes, Problem> {
        let (items, unsequenced, answer) = (batch.items(), batch.unsequenced(), batch.receipt(rejected)?);
        let messages = batch.into_messages(&self.publisher)?;
        let receipts = messages.iter().map(|message| self.publisher.try_send(message)).collect::<Result<_, _>>()?;
        stored(receipts).await?;
        fail_point("ingest.after_delivery").await;
        metrics::stored(kind.item(), items);
        metrics::unsequenced(unsequenced);
        Ok(answer)
    }

    /// The key of the request, and who works on such.
    fn idempotency_key(&self, headers: &HeaderMap) -> Result<Option<(Arc<Once>, IdempotencyKey)>, Problem> {
        let mut values = headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else { return Ok(None) };
        let bad = |what: &dyn std::fmt::Display| Problem::new(Code::BadKey, what);
        if values.next().is_some() {
            return Err(bad(&"more than one Idempotency-Key"));
        }
        let key = IdempotencyKey::parse(value.to_str().unwrap_or_default()).map_err(|error| bad(&error))?;
        let once = self.once.clone().ok_or_else(|| bad(&"this installation takes no Idempotency-Key"))?;
        Ok(Some((once, key)))
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
}

/// Works on a keyed request in a task of its own, which holds the request's slot: a client that goes away, or a time that
/// runs out, leaves no request half done. Also tells whether it was stored by this call.
async fn detached(once: Arc<Once>, keyed: Keyed, slot: OwnedSemaphorePermit) -> Result<(Bytes, bool), Problem> {
    let work = tokio::spawn(async move {
        let _slot = slot;
        once.run(&keyed).await
    });
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "work on a keyed request ended");
        Err(Problem::retry(Code::Unavailable, "the request was not finished", 1))
    })
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
    fn the_document_tells_of_the_key_where_it_is_taken() {
        let document: serde_json::Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
        for route in [Kind::Readings.route(), Kind::Events.route()] {
            let post = &document["paths"][route]["post"];
            assert_eq!(post["parameters"][0]["$ref"], "#/components/parameters/IdempotencyKey", "{route}");
            assert!(post["responses"]["409"].is_object(), "{route}");
        }
        assert_eq!(document["components"]["parameters"]["IdempotencyKey"]["name"], "Idempotency-Key");
    }
}

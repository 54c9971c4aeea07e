//! Checks API keys against `metadata`, and remembers the answers for as long as it says.
//!
//! The cache is keyed by the SHA-256 of the key, so that no secret lies in memory longer than its request.

use super::problem::{Code, Problem};
use crate::{config::MetadataConfig, metrics};
use anyhow::Context;
use meter_model::TenantId;
use meterway_proto::metadata::v1::{
    ApiKeyScope, ApiKeyVerdict, CheckApiKeyRequest, CheckApiKeyResponse, api_key_service_client::ApiKeyServiceClient,
};
use moka::{Expiry, future::Cache};
use sha2::{Digest, Sha256};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

/// Answers that come without a time to live are kept this long.
const DEFAULT_TTL: Duration = Duration::from_secs(30);

/// Whose key it is and what it may do.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Tenant.
    pub tenant: TenantId,
    /// Public part of the key.
    pub key_id: String,
    /// May deliver readings.
    pub readings: bool,
    /// May deliver events.
    pub events: bool,
    /// Requests per second; 0 for the default.
    pub requests_per_second: u32,
    /// Readings per second; 0 for the default.
    pub readings_per_second: u32,
}

#[derive(Debug, Clone)]
struct Answer {
    grant: Option<Arc<Grant>>,
    ttl: Duration,
}

struct AnswerTtl;

impl Expiry<[u8; 32], Answer> for AnswerTtl {
    fn expire_after_create(&self, _: &[u8; 32], answer: &Answer, _: Instant) -> Option<Duration> {
        Some(answer.ttl)
    }
}

/// The check of API keys.
#[derive(Debug, Clone)]
pub struct Keys {
    client: ApiKeyServiceClient<Channel>,
    /// Value of the `authorization` metadata, if one is to be sent.
    token: Option<MetadataValue<Ascii>>,
    cache: Cache<[u8; 32], Answer>,
}

impl Keys {
    /// Prepares the connection; metadata may be away until the first check.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(config: &MetadataConfig) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(config.url.clone()).context("parse metadata.url")?;
        let channel = endpoint.timeout(config.timeout).connect_timeout(config.timeout).connect_lazy();
        let cache = Cache::builder().max_capacity(config.cache_entries).expire_after(AnswerTtl).build();
        let token = if config.token.is_empty() { None } else { Some(format!("Bearer {}", config.token.expose())) };
        let token = token.map(|text| text.parse()).transpose().context("parse metadata.token")?;
        Ok(Self { client: ApiKeyServiceClient::new(channel), token, cache })
    }

    /// What the key grants.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] for a key that is not good, [`Code::Unavailable`] when nobody can be asked.
    pub async fn check(&self, secret: &str) -> Result<Arc<Grant>, Problem> {
        let hash: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let answer = match self.cache.get(&hash).await {
            Some(answer) => {
                metrics::key_check("cached");
                answer
            }
            None => {
                let answer = self.ask(secret).await?;
                self.cache.insert(hash, answer.clone()).await;
                answer
            }
        };
        answer.grant.ok_or_else(|| Problem::new(Code::Unauthenticated, "the API key is not valid"))
    }

    async fn ask(&self, secret: &str) -> Result<Answer, Problem> {
        let mut request = tonic::Request::new(CheckApiKeyRequest { secret: secret.to_owned() });
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        let response = self.client.clone().check_api_key(request).await.map_err(|status| {
            metrics::key_check("unavailable");
            tracing::warn!(error = %status, "api key cannot be checked");
            Problem::retry(Code::Unavailable, "the API key cannot be checked at the moment", 2)
        })?;
        Ok(answer(response.into_inner()))
    }
}

fn answer(response: CheckApiKeyResponse) -> Answer {
    let ttl = response
        .cache_ttl
        .and_then(|ttl| Some(Duration::new(u64::try_from(ttl.seconds).ok()?, u32::try_from(ttl.nanos).ok()?)))
        .unwrap_or(DEFAULT_TTL);
    let valid = response.verdict() == ApiKeyVerdict::Valid;
    metrics::key_check(if valid { "valid" } else { "refused" });
    let tenant = TenantId::parse(&response.tenant_id).ok().filter(|_| valid);
    let may = |scope| response.scopes().any(|granted| granted == scope);
    let limits = response.limits.unwrap_or_default();
    let (readings, events) = (may(ApiKeyScope::WriteReadings), may(ApiKeyScope::WriteEvents));
    let grant = tenant.map(|tenant| {
        Arc::new(Grant {
            tenant,
            key_id: response.key_id,
            readings,
            events,
            requests_per_second: limits.requests_per_second,
            readings_per_second: limits.readings_per_second,
        })
    });
    Answer { grant, ttl }
}

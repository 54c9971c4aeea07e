//! API keys for the gateways that speak HTTP: given, or made for this run.

use crate::exit::BadConfig;
use crate::metadata::Metadata;
use crate::simulate::core::fleet::TENANTS;
use anyhow::Context;
use meterway_proto::metadata::v1::api_key_service_client::ApiKeyServiceClient;
use meterway_proto::metadata::v1::{ApiKeyScope, CreateApiKeyRequest};
use uuid::Uuid;

/// Life of a key that is made for a run: a simulation that trickles for longer must be given keys.
const LIFETIME_S: i64 = 7 * 86_400;

/// Reads `tenant=key` for each simulated tenant.
///
/// # Errors
/// [`BadConfig`] names the tenant without a key; never a key.
pub(crate) fn given(pairs: &[String]) -> Result<[String; 2], BadConfig> {
    let of = |tenant: &str| {
        let found = pairs.iter().filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == tenant);
        found.map(|(_, key)| key.to_owned()).ok_or_else(|| BadConfig(format!("--api-key has no key of {tenant}")))
    };
    Ok([of(TENANTS[0].id)?, of(TENANTS[1].id)?])
}

/// Has the register make a key for each tenant, under a name of its own.
///
/// # Errors
/// When metadata is away or the tenants are not registered.
pub(crate) async fn create(metadata: Metadata) -> anyhow::Result<[String; 2]> {
    let mut client = ApiKeyServiceClient::with_interceptor(metadata.channel, metadata.token);
    let mut keys = [const { String::new() }; 2];
    let name = format!("simulator {}", Uuid::now_v7());
    for (key, tenant) in keys.iter_mut().zip(&TENANTS) {
        let scopes = vec![ApiKeyScope::WriteReadings.into(), ApiKeyScope::WriteEvents.into()];
        let lifetime = Some(prost_types::Duration { seconds: LIFETIME_S, nanos: 0 });
        let request = CreateApiKeyRequest { tenant_id: tenant.id.to_owned(), name: name.clone(), scopes, lifetime };
        let response = client.create_api_key(request).await;
        let response = response.with_context(|| format!("create an API key for {}", tenant.id))?;
        *key = response.into_inner().secret;
    }
    Ok(keys)
}

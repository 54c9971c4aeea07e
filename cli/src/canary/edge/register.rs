//! The canary's tenant, devices and API key.

use crate::canary::core::known::{CHANNEL, GATEWAY, UNIT};
use crate::fleet_file::{ChannelLine, DeviceLine};
use crate::metadata::Metadata;
use anyhow::Context;
use meterway_proto::metadata::v1::api_key_service_client::ApiKeyServiceClient;
use meterway_proto::metadata::v1::{ApiKeyScope, CreateApiKeyRequest};
use uuid::Uuid;

/// Life of a key that the canary makes for itself; it makes another when the door refuses this one.
const KEY_LIFETIME_S: i64 = 86_400;

/// Registers the devices that are missing, with tenant and site. They have no customer, so no figure of one holds them.
/// Whether anything was changed.
///
/// # Errors
/// When the register does not answer or refuses.
pub(crate) async fn ensure(metadata: Metadata, tenant: &str, devices: &[String]) -> anyhow::Result<bool> {
    let line = |device: &String| DeviceLine {
        tenant_id: tenant.to_owned(),
        tenant_name: Some("Meterway canary".to_owned()),
        customer_id: None,
        customer_name: None,
        site_id: "canary".to_owned(),
        zone: "UTC".to_owned(),
        address: None,
        device_id: device.clone(),
        gateway_id: Some(GATEWAY.to_owned()),
        status: "ACTIVE".to_owned(),
        commodity: "SENSOR".to_owned(),
        customer_class: "RESIDENTIAL".to_owned(),
        channels: vec![ChannelLine {
            channel: CHANNEL.to_owned(),
            kind: "GAUGE".to_owned(),
            unit: UNIT.to_owned(),
            interval_s: None,
            multiplier: None,
            register_digits: None,
            capacity_per_hour: None,
            allow_negative: false,
        }],
        exchanges: Vec::new(),
    };
    crate::onboard::ensure(metadata, devices.iter().map(line).collect()).await.context("register the canary's devices")
}

/// Has the register make a key that may deliver the tenant's readings.
///
/// # Errors
/// When the register does not answer or refuses.
pub(crate) async fn api_key(metadata: Metadata, tenant: &str) -> anyhow::Result<String> {
    let mut client = ApiKeyServiceClient::with_interceptor(metadata.channel, metadata.token);
    let request = CreateApiKeyRequest {
        tenant_id: tenant.to_owned(),
        name: format!("canary {}", Uuid::now_v7()),
        scopes: vec![ApiKeyScope::WriteReadings.into()],
        lifetime: Some(prost_types::Duration { seconds: KEY_LIFETIME_S, nanos: 0 }),
    };
    let answer = client.create_api_key(request).await.with_context(|| format!("create an API key for {tenant}"))?;
    Ok(answer.into_inner().secret)
}

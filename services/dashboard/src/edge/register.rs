//! The register of devices, over gRPC.

use anyhow::Context;
use meterway_proto::metadata::v1 as proto;
use proto::{
    alert_settings_service_client::AlertSettingsServiceClient, device_service_client::DeviceServiceClient,
    tenant_service_client::TenantServiceClient,
};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::problem::Problem;
use crate::config::MetadataConfig;

/// Asks `metadata`.
#[derive(Debug, Clone)]
pub struct Register {
    channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

impl Register {
    /// Prepares the connection.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn new(config: &MetadataConfig) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(config.url.clone()).context("parse metadata.url")?;
        let channel = endpoint.timeout(config.timeout).connect_timeout(config.timeout).connect_lazy();
        let token = Some(config.token.expose()).filter(|token| !token.is_empty());
        let token = token.map(|token| format!("Bearer {token}").parse()).transpose().context("parse metadata.token")?;
        Ok(Self { channel, token })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        request
    }

    /// A page of tenants.
    ///
    /// # Errors
    /// When the register gives no answer, as with the others.
    pub async fn tenants(&self, limit: usize, token: &str) -> Result<proto::ListTenantsResponse, Problem> {
        let page_size = u32::try_from(limit).unwrap_or(u32::MAX);
        let request = self.request(proto::ListTenantsRequest { page_size, page_token: token.to_owned() });
        let answer = TenantServiceClient::new(self.channel.clone()).list_tenants(request).await;
        Ok(answer.map_err(|status| problem(&status))?.into_inner())
    }

    /// Registers or updates devices; one answer per line, in order.
    ///
    /// # Errors
    /// When the register gives no answer; lines of chunks that were answered before are stored then.
    pub async fn onboard(&self, tenant: &str, lines: Vec<proto::BulkLine>) -> Result<Vec<proto::LineReport>, Problem> {
        let chunks: Vec<_> = lines
            .chunks(1_000)
            .map(|lines| proto::BulkRegisterDevicesRequest {
                tenant_id: tenant.to_owned(),
                lines: lines.to_vec(),
                dry_run: false,
            })
            .collect();
        let request = self.request(futures::stream::iter(chunks));
        let answer = DeviceServiceClient::new(self.channel.clone()).bulk_register_devices(request).await;
        let mut answers = answer.map_err(|status| problem(&status))?.into_inner();
        let mut results = Vec::new();
        while let Some(chunk) = answers.message().await.map_err(|status| problem(&status))? {
            results.extend(chunk.reports);
        }
        Ok(results)
    }

    /// Declares alerts of a kind to be normal for a device.
    ///
    /// # Errors
    /// When the register gives no answer.
    pub async fn call_normal(&self, tenant: &str, device: &str, kind: &str, note: &str) -> Result<(), Problem> {
        let kind = proto::AlertKind::from_str_name(&format!("ALERT_KIND_{kind}")).unwrap_or_default();
        let exception = proto::AlertException {
            device_id: device.to_owned(),
            kind: kind.into(),
            note: note.chars().take(500).collect(),
            ..proto::AlertException::default()
        };
        let request = proto::PutAlertExceptionRequest { tenant_id: tenant.to_owned(), exception: Some(exception) };
        let mut client = AlertSettingsServiceClient::new(self.channel.clone());
        client.put_alert_exception(self.request(request)).await.map_err(|status| problem(&status))?;
        Ok(())
    }

    /// A device as the register has it now.
    ///
    /// # Errors
    /// 404 when the tenant has none of that name.
    pub async fn device(&self, tenant: &str, device: &str) -> Result<proto::Device, Problem> {
        let request =
            self.request(proto::GetDeviceRequest { tenant_id: tenant.to_owned(), device_id: device.to_owned() });
        let answer = DeviceServiceClient::new(self.channel.clone()).get_device(request).await;
        Ok(answer.map_err(|status| problem(&status))?.into_inner())
    }
}

fn problem(status: &Status) -> Problem {
    match status.code() {
        Code::NotFound => Problem::not_found(),
        Code::InvalidArgument => Problem::bad(status.message()),
        Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => Problem::conflict(status.message()),
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled => {
            tracing::warn!(error = %status, "metadata gives no answer");
            Problem::unavailable("The register of devices")
        }
        _ => Problem::defect(status),
    }
}

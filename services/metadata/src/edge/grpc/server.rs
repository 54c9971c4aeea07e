//! The listener with all services, health and reflection.

use std::net::SocketAddr;

use anyhow::Context;
use meterway_proto::FILE_DESCRIPTOR_SET;
use meterway_proto::metadata::v1::alert_settings_service_server::AlertSettingsServiceServer;
use meterway_proto::metadata::v1::api_key_service_server::ApiKeyServiceServer;
use meterway_proto::metadata::v1::customer_service_server::CustomerServiceServer;
use meterway_proto::metadata::v1::device_service_server::DeviceServiceServer;
use meterway_proto::metadata::v1::site_service_server::SiteServiceServer;
use meterway_proto::metadata::v1::tenant_service_server::TenantServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::Register;
use super::auth::TokenCheck;
use crate::config::GrpcConfig;

/// The bound gRPC endpoint.
#[derive(Debug)]
pub struct GrpcServer {
    listener: TcpListener,
    address: SocketAddr,
    config: GrpcConfig,
    register: Register,
    health: HealthReporter,
}

impl GrpcServer {
    /// Binds the address.
    ///
    /// # Errors
    /// When it can't be bound.
    pub async fn bind(config: GrpcConfig, register: Register) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("bind the gRPC endpoint to {} (grpc.listen)", config.listen))?;
        let address = listener.local_addr().context("read the gRPC endpoint's address")?;
        Ok(Self { listener, address, config, register, health: HealthReporter::new() })
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the state of health is reported to.
    pub fn health(&self) -> HealthReporter {
        self.health.clone()
    }

    /// Serves until the shutdown; calls that are under way are finished.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let (limit, check) = (self.config.max_message_bytes, TokenCheck::new(self.config.token.expose()));
        // One type per service, one limit and one check for all of them.
        macro_rules! guarded {
            ($server:ident) => {
                InterceptedService::new(
                    $server::new(self.register.clone()).max_decoding_message_size(limit),
                    check.clone(),
                )
            };
        }
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .context("prepare gRPC reflection")?;
        let health = tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(self.health),
        );
        Server::builder()
            .timeout(self.config.timeout)
            .concurrency_limit_per_connection(self.config.calls_per_connection)
            .http2_keepalive_interval(Some(self.config.keepalive))
            .add_service(health)
            .add_service(reflection)
            .add_service(guarded!(TenantServiceServer))
            .add_service(guarded!(CustomerServiceServer))
            .add_service(guarded!(SiteServiceServer))
            .add_service(guarded!(DeviceServiceServer))
            .add_service(guarded!(ApiKeyServiceServer))
            .add_service(guarded!(AlertSettingsServiceServer))
            .serve_with_incoming_shutdown(
                TcpIncoming::from(self.listener).with_nodelay(Some(true)),
                shutdown.cancelled_owned(),
            )
            .await
            .context("serve gRPC")
    }
}

/// Reports health of the whole server (the empty name), which is what probes ask for.
pub async fn set_serving(health: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    health.set_service_status("", status).await;
}

//! The admin endpoint, apart from any public port: `/live`, `/ready`, `/metrics`, `/version`.

use std::net::SocketAddr;

use anyhow::Context;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Liveness, MetricsHandle, Readiness, ServiceInfo};

/// `[admin]` of every service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Address to listen on; port 0 takes a free one, which is logged.
    pub listen: SocketAddr,
}

#[derive(Clone)]
struct AdminState {
    info: ServiceInfo,
    readiness: Readiness,
    liveness: Liveness,
    metrics: MetricsHandle,
}

/// The bound admin endpoint.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl AdminServer {
    /// Binds the address; connections are accepted from here on and answered once [`Self::serve`] runs.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub async fn bind(
        config: &AdminConfig,
        info: ServiceInfo,
        readiness: Readiness,
        liveness: Liveness,
        metrics: MetricsHandle,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("bind the admin endpoint to {} (admin.listen)", config.listen))?;
        let address = listener.local_addr().context("read the admin endpoint's address")?;
        let state = AdminState { info, readiness, liveness, metrics };
        let router = Router::new()
            .route("/live", get(live))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics_text))
            .route("/version", get(version))
            .with_state(state);
        Ok(Self { listener, address, router })
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the token is cancelled.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, stop: CancellationToken) -> anyhow::Result<()> {
        axum::serve(self.listener, self.router)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
            .context("serve the admin endpoint")
    }
}

async fn live(State(state): State<AdminState>) -> Response {
    let silent = state.liveness.silent();
    if silent.is_empty() {
        return (StatusCode::OK, Json(json!({ "live": true }))).into_response();
    }
    let silent: Vec<_> = silent
        .into_iter()
        .map(|(name, silence)| json!({ "loop": name, "silent_ms": silence.as_millis() as u64 }))
        .collect();
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "live": false, "silent": silent }))).into_response()
}

async fn ready(State(state): State<AdminState>) -> Response {
    match state.readiness.unready_reason() {
        None => (StatusCode::OK, Json(json!({ "ready": true }))).into_response(),
        Some(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "reason": reason }))).into_response()
        }
    }
}

async fn metrics_text(State(state): State<AdminState>) -> Response {
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, state.metrics.render()).into_response()
}

async fn version(State(state): State<AdminState>) -> Response {
    Json(json!({ "name": state.info.name, "version": state.info.version })).into_response()
}

//! Composition root.

use crate::{
    config::Config,
    edge::{http::Door, keys::Keys, publish::Publisher},
    metrics,
};
use anyhow::Context;
use service_runtime::{Readiness, Runtime};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The service, ready to run.
#[derive(Debug)]
pub struct App {
    listener: TcpListener,
    door: Arc<Door>,
    publisher: Arc<Publisher>,
    readiness: Readiness,
    drain: Duration,
}

impl App {
    /// Connects, looks up the schemas and binds the public address; nothing is served yet.
    ///
    /// # Errors
    /// When the address is taken, a schema is not registered, or a setting is wrong.
    pub async fn build(config: Config, runtime: &Runtime) -> anyhow::Result<Self> {
        metrics::describe();
        let publisher = Arc::new(Publisher::connect(&config).await?);
        let keys = Keys::new(&config.metadata)?;
        let door = Door::new(&config, keys, Arc::clone(&publisher));
        let listener =
            TcpListener::bind(config.http.listen).await.with_context(|| format!("listen on {}", config.http.listen))?;
        let drain = config.shutdown_grace / 2;
        Ok(Self { listener, door, publisher, readiness: runtime.readiness.clone(), drain })
    }

    /// Address of the public endpoint.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop; requests in work are answered first.
    ///
    /// # Errors
    /// When the producer lost a record, or the listener fails.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        tracing::info!(address = %self.address()?, "public endpoint listens");
        self.readiness.set_ready();
        let stop = shutdown.clone();
        let serve = axum::serve(self.listener, self.door.router()).with_graceful_shutdown(stop.cancelled_owned());
        tokio::select! {
            served = async { serve.await } => served.context("serve http")?,
            error = self.publisher.failed() => return Err(error),
        }
        self.readiness.set_unready("shutting down");
        self.publisher.flush(self.drain).await
    }
}

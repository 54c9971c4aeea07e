//! Composition root.

use crate::{
    config::Config,
    edge::{http::Door, keys::Keys, once::Once, publish::Publisher},
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
    once: Option<Arc<Once>>,
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
        let once = match config.idempotency.enabled {
            false => None,
            true => {
                let once = Once::open(&config.idempotency, &config.kafka, Arc::clone(&publisher)).await;
                Some(Arc::new(once.context("open the table of keyed requests")?))
            }
        };
        let door = Door::new(&config, keys, Arc::clone(&publisher), once.clone());
        let listener =
            TcpListener::bind(config.http.listen).await.with_context(|| format!("listen on {}", config.http.listen))?;
        let drain = config.shutdown_grace / 2;
        Ok(Self { listener, door, publisher, once, readiness: runtime.readiness.clone(), drain })
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
        let (stop, done) = (shutdown.clone(), CancellationToken::new());
        let lease = self.once.clone().map(|once| {
            let done = done.clone();
            tokio::spawn(async move { once.keep_lease(&done).await })
        });
        let router = Arc::clone(&self.door).router();
        let serve = axum::serve(self.listener, router).with_graceful_shutdown(stop.cancelled_owned());
        tokio::select! {
            served = async { serve.await } => served.context("serve http")?,
            error = self.publisher.failed() => return Err(error),
        }
        self.readiness.set_unready("shutting down");
        let flushed = self.publisher.flush(self.drain).await;
        self.door.idle(self.drain / 2).await;
        done.cancel();
        if let Some((once, lease)) = self.once.zip(lease) {
            lease.await.context("end the lease")?;
            once.end_lease().await;
        }
        flushed
    }
}

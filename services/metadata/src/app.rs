//! Wiring: migrate, verify, bind, then serve and relay until the shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use service_runtime::{Readiness, Runtime, SystemClock, sleep_or_shutdown};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

use crate::config::Config;
use crate::edge::database::Database;
use crate::edge::grpc::{GrpcServer, Register, set_serving};
use crate::edge::migrations;
use crate::edge::relay::Relay;
use crate::metrics;

/// Time between two looks at the database for `/ready` and the health service.
const PROBE_INTERVAL: Duration = Duration::from_secs(3);

/// The service, ready to run.
#[derive(Debug)]
pub struct App {
    server: GrpcServer,
    relay: Relay,
    database: Database,
    readiness: Readiness,
}

impl App {
    /// Migrates if it may, checks schema and isolation, and binds the endpoint.
    ///
    /// # Errors
    /// When the database can't be reached, doesn't fit this program, or would not keep tenants apart; when the address
    /// can't be bound.
    pub async fn build(config: Config, runtime: &Runtime) -> anyhow::Result<Self> {
        metrics::describe();
        if !config.postgres.owner_url.is_empty() {
            migrations::run(&config.postgres).await.context("migrate")?;
        }
        let database = Database::new(&config.postgres)?;
        migrations::verify(&database).await.context("verify the schema")?;
        database.verify_isolation().await.context("verify the isolation of tenants")?;
        if config.grpc.token.is_empty() && !config.grpc.listen.ip().is_loopback() {
            tracing::warn!(listen = %config.grpc.listen, "calls need no token: only the network keeps strangers out");
        }

        let changes = Arc::new(Notify::new());
        let register = Register {
            database: database.clone(),
            clock: Arc::new(SystemClock),
            changes: Arc::clone(&changes),
            key_ttl: config.api_keys.cache_ttl,
            bad_key_ttl: config.api_keys.refused_cache_ttl,
        };
        let server = GrpcServer::bind(config.grpc, register).await?;
        // The slowest healthy turn of the relay waits for one batch of deliveries.
        let max_silence = config.outbox.delivery_timeout * 3 + config.postgres.statement_timeout;
        let relay = Relay {
            database: database.clone(),
            kafka: config.kafka,
            registry: config.registry,
            config: config.outbox,
            changes,
            clock: Arc::new(SystemClock),
            beat: runtime.liveness.beat_handle("outbox relay", max_silence),
            unconfirmed: Vec::new(),
            refused: Vec::new(),
        };
        Ok(Self { server, relay, database, readiness: runtime.readiness.clone() })
    }

    /// Where gRPC is served.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Runs until the shutdown.
    ///
    /// # Errors
    /// When a part ends before that.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        tracing::info!(address = %self.address(), "gRPC listens");
        let health = self.server.health();
        let mut parts = JoinSet::new();
        parts.spawn(self.server.serve(shutdown.clone()));
        parts.spawn(Box::pin(infallible(self.relay.run(shutdown.clone()))));
        parts.spawn(infallible(probe(self.database.clone(), self.readiness, health, shutdown.clone())));
        let mut result = Ok(());
        while let Some(ended) = parts.join_next().await {
            let ended = ended.context("join a part").and_then(|part| part);
            if result.is_ok() {
                result = match ended {
                    Ok(()) if shutdown.is_cancelled() => Ok(()),
                    Ok(()) => Err(anyhow::anyhow!("a part ended early")),
                    Err(error) => Err(error),
                };
            }
            // One part without the others is of no use.
            shutdown.cancel();
        }
        self.database.close();
        result
    }
}

async fn infallible(part: impl Future<Output = ()>) -> anyhow::Result<()> {
    part.await;
    Ok(())
}

/// Keeps `/ready` and the health service in step with the database.
async fn probe(database: Database, readiness: Readiness, health: HealthReporter, shutdown: CancellationToken) {
    let mut was_reachable = None;
    loop {
        let reachable = reach(&database).await;
        if was_reachable != Some(reachable.is_ok()) {
            set_serving(&health, reachable.is_ok()).await;
            match &reachable {
                Ok(()) => readiness.set_ready(),
                Err(error) => {
                    tracing::warn!(error = %format!("{error:#}"), "register is not ready");
                    readiness.set_unready("the database does not answer");
                }
            }
        }
        was_reachable = Some(reachable.is_ok());
        if !sleep_or_shutdown(PROBE_INTERVAL, &shutdown).await {
            set_serving(&health, false).await;
            return;
        }
    }
}

async fn reach(database: &Database) -> anyhow::Result<()> {
    let probe = tokio::time::timeout(PROBE_INTERVAL, async { database.connection().await?.ping().await });
    match probe.await {
        Ok(answer) => Ok(answer?),
        Err(_) => bail!("no answer within {PROBE_INTERVAL:?}"),
    }
}

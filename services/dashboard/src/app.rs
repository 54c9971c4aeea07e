//! Composition root.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;
use service_runtime::{Readiness, Runtime};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::edge::api::Api;
use crate::edge::audit::audit;
use crate::edge::auth::Auth;
use crate::edge::http::router;
use crate::edge::live::Live;
use crate::edge::register::Register;
use crate::edge::store::Store;
use crate::edge::stream::Hub;
use crate::edge::warehouse::Warehouse;
use crate::edge::watch::Watch;
use crate::edge::web::Assets;
use crate::metrics;

/// The service, ready to run.
#[derive(Debug)]
pub struct App {
    listener: TcpListener,
    api: Arc<Api>,
    auditing: JoinHandle<()>,
    /// Ends what must be written before the process does.
    end: CancellationToken,
    readiness: Readiness,
}

impl App {
    /// Connects, brings the own tables up to date, and binds the public address; nothing is served yet.
    ///
    /// # Errors
    /// When the address is taken, a setting is wrong, something behind is away, or tenants would not be kept apart.
    pub async fn build(config: Config, runtime: &Runtime) -> anyhow::Result<Self> {
        metrics::describe();
        let warehouse = Warehouse::new(&config.warehouse)?;
        warehouse.verify_isolation().await.context("check the isolation of tenants in the warehouse")?;
        let store = Store::open(&config.store).await.context("open the dashboard's own database")?;
        let live = Live::connect(&config.dynamodb).await;
        live.check().await.context("look at the tables of the live store")?;
        let watch = Watch::connect(&config).await.context("connect to Kafka")?;
        let end = CancellationToken::new();
        let (audit, writer) = audit(&config.audit, store.clone());
        let auditing = tokio::spawn(writer.run(end.clone()));
        let listener =
            TcpListener::bind(config.http.listen).await.with_context(|| format!("listen on {}", config.http.listen))?;
        let api = Api {
            demo_users: demo_users(&config.web.demo_users)?,
            auth: Auth::new(&config.oidc)?,
            warehouse,
            store,
            live,
            register: Register::new(&config.metadata)?,
            audit,
            hub: Hub::new(&config)?,
            watch,
            assets: Assets::read(&config.web.assets, &config.oidc.issuer)?,
            slots: Semaphore::new(config.http.max_concurrent),
            shutdown: runtime.shutdown.clone(),
            config,
        };
        Ok(Self { listener, api: Arc::new(api), auditing, end, readiness: runtime.readiness.clone() })
    }

    /// Address of the public endpoint.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop; requests in work are answered, streams are closed, and the audit log is written.
    ///
    /// # Errors
    /// When live events cannot be read any more, or the listener fails.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        tracing::info!(address = %self.address()?, "public endpoint listens");
        let watch = Arc::clone(&self.api.watch);
        let watching = tokio::spawn(Arc::clone(&watch).run(shutdown.clone()));
        let hub = Arc::clone(&self.api.hub).run(watch, shutdown.clone());
        let grace = self.api.config.shutdown_grace / 2;
        let server = axum::serve(self.listener, router(Arc::clone(&self.api)))
            .with_graceful_shutdown(shutdown.clone().cancelled_owned());
        self.readiness.set_ready();
        let result = {
            let mut hub = std::pin::pin!(hub);
            tokio::select! {
                served = async { server.await } => served.context("serve http"),
                ended = &mut hub => match ended {
                    Ok(()) => Ok(()),
                    Err(error) => Err(error.context("follow live events")),
                },
            }
        };
        self.readiness.set_unready("shutting down");
        watching.abort();
        // The queue of the audit log ends when the last request has let go of it.
        drop(self.api);
        let end = self.end;
        if tokio::time::timeout(grace, self.auditing).await.is_err() {
            tracing::error!("the audit log could not be written to its end");
            end.cancel();
        }
        result
    }
}

fn demo_users(path: &Path) -> anyhow::Result<Value> {
    if path.as_os_str().is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let text = std::fs::read(path).with_context(|| format!("read web.demo_users {}", path.display()))?;
    let users: Value = serde_json::from_slice(&text).context("parse web.demo_users")?;
    anyhow::ensure!(users.is_array(), "web.demo_users must hold a list");
    Ok(users)
}

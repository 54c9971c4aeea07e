//! Listening, and what all sessions share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use super::connection;
use super::control;
use super::session::Heard;
use super::store::{S3Settings, Store};
use super::upstream::Isolation;
use crate::core::faults::{Fault, Faults};

/// Statements that a held COMMIT may miss before it hears one.
const HEARD: usize = 256;

/// How to run a double.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address for clients; loopback, port 0 for any.
    pub listen: SocketAddr,
    /// Address of the endpoint for faults; loopback.
    pub control: SocketAddr,
    /// Host and port of the PostgreSQL behind. User, password and database are the client's.
    pub upstream: (String, u16),
    /// Store of the manifests and files.
    pub s3: S3Settings,
    /// How transactions see each other.
    pub isolation: Isolation,
}

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) upstream: (String, u16),
    pub(crate) isolation: Isolation,
    pub(crate) store: Store,
    faults: Mutex<Faults>,
    sessions: AtomicU64,
    heard: broadcast::Sender<Heard>,
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn plan(&self, fault: Fault, count: usize) {
        tracing::info!(?fault, count, "redshift-double will fail");
        self.faults().plan(fault, count);
    }

    pub(crate) fn clear(&self) {
        self.faults().clear();
    }

    pub(crate) fn pending(&self) -> usize {
        self.faults().pending()
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.faults().counts().clone()
    }

    pub(crate) fn count(&self, what: &'static str, by: u64) {
        self.faults().count(what, by);
    }

    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        self.faults().strikes(fault)
    }

    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells sessions that wait for it what is about to be run.
    pub(crate) fn say(&self, heard: Heard) {
        // Mostly nobody listens.
        let _nobody = self.heard.send(heard);
    }

    pub(crate) fn hear(&self) -> broadcast::Receiver<Heard> {
        self.heard.subscribe()
    }
}

/// A running double. Dropping it ends every connection.
#[derive(Debug)]
pub struct Double {
    listen: SocketAddr,
    control: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl Double {
    /// Begins to listen.
    ///
    /// # Errors
    /// When an address is not of the loopback interface or is taken.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        service_runtime::install_crypto_provider();
        for address in [settings.listen, settings.control] {
            ensure!(address.ip().is_loopback(), "{address} is not on the loopback interface; a double is for tests");
        }
        let clients =
            TcpListener::bind(settings.listen).await.with_context(|| format!("listen on {}", settings.listen))?;
        let faults =
            TcpListener::bind(settings.control).await.with_context(|| format!("listen on {}", settings.control))?;
        let (listen, control) = (clients.local_addr()?, faults.local_addr()?);
        let shared = Arc::new(Shared {
            upstream: settings.upstream,
            isolation: settings.isolation,
            store: Store::new(settings.s3),
            faults: Mutex::default(),
            sessions: AtomicU64::new(1),
            heard: broadcast::channel(HEARD).0,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(clients, Arc::clone(&shared)));
        let router = control::router(Arc::clone(&shared));
        tasks.spawn(async move {
            if let Err(error) = axum::serve(faults, router).await {
                tracing::error!(%error, "the endpoint for faults ended");
            }
        });
        Ok(Self { listen, control, shared, _tasks: tasks })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Where faults are asked for.
    pub fn control(&self) -> SocketAddr {
        self.control
    }

    /// Asks for a fault, so often.
    pub fn plan(&self, fault: Fault, count: usize) {
        self.shared.plan(fault, count);
    }

    /// Faults that have not struck.
    pub fn pending(&self) -> usize {
        self.shared.pending()
    }

    /// How often something happened; names as at `GET /status`.
    pub fn count(&self, what: &str) -> u64 {
        self.shared.counts().get(what).copied().unwrap_or_default()
    }
}

async fn accept(clients: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = clients.accept() => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(connection::serve(socket, Arc::clone(&shared)));
                }
                Err(error) => tracing::warn!(%error, "a client could not be accepted"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

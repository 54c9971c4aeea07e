//! Connections: with deadlines on everything, so that neither a dead server nor a frozen loader holds a lock for ever.

use std::path::Path;
use std::time::Duration;

use service_runtime::{Secret, tls_client};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::warehouse::WarehouseError;
use super::error::classify;

/// Makes encrypted connections, with certificates and host names verified. Whether one is made says `sslmode` in the URL:
/// `disable`, `prefer` or `require`.
#[derive(Clone)]
pub struct Tls(MakeRustlsConnect);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Trusts the certificates of a PEM file, or the machine's when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn new(ca_file: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self(MakeRustlsConnect::new(tls_client(ca_file)?)))
    }
}

/// How to reach the warehouse.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// `postgresql://user:password@host:port/database`.
    pub url: Secret,
    /// How connections are encrypted when `sslmode` asks for it.
    pub tls: Tls,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest time one statement may take; a COPY counts as one per file.
    pub statement_timeout: Duration,
    /// Longest wait for another loader of the same table.
    pub lock_timeout: Duration,
}

/// Opens a connection and prepares its session.
pub(super) async fn connect(settings: &PostgresSettings) -> Result<Client, WarehouseError> {
    open(settings, &session(settings)).await
}

/// Opens a connection and runs the statements that prepare its session. Its driver task ends when the client is dropped.
pub(in crate::edge) async fn open(settings: &PostgresSettings, session: &str) -> Result<Client, WarehouseError> {
    let config = parse(settings)?;
    let opening = tokio::time::timeout(settings.connect_timeout, config.connect(settings.tls.0.clone()));
    let (client, connection) = match opening.await {
        Ok(opened) => opened.map_err(classify("connect to the warehouse"))?,
        Err(elapsed) => {
            return Err(WarehouseError::Failed { action: "connect to the warehouse", source: Box::new(elapsed) });
        }
    };
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // Whoever uses the client gets the error too and handles it.
            tracing::debug!(error = %error, "warehouse connection ended");
        }
    });
    client.batch_execute(session).await.map_err(classify("prepare a session"))?;
    Ok(client)
}

fn parse(settings: &PostgresSettings) -> Result<Config, WarehouseError> {
    let mut config: Config = settings.url.expose().parse().map_err(classify("read warehouse.url"))?;
    config
        .application_name("redshift-loader")
        .connect_timeout(settings.connect_timeout)
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(30));
    Ok(config)
}

/// A frozen loader must lose its lock: inside a COPY by the statement's deadline, between statements by the session's.
fn session(settings: &PostgresSettings) -> String {
    let statement_ms = settings.statement_timeout.as_millis();
    let lock_ms = settings.lock_timeout.as_millis();
    format!(
        "SET statement_timeout = {statement_ms}; SET lock_timeout = {lock_ms}; \
         SET idle_in_transaction_session_timeout = {statement_ms}; SET TimeZone = 'UTC'"
    )
}

//! The schema: its migrations are part of the program, so program and schema can't drift apart unnoticed.

use anyhow::{Context, bail};
use service_runtime::tls_client;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::PostgresConfig;
use crate::edge::database::{Database, client_config};

refinery::embed_migrations!("migrations");

/// Held while migrating, so that instances that start together don't migrate together. The number is arbitrary.
const MIGRATION_LOCK: i64 = 0x6d65_7465_7277_6179;

/// Brings the schema up to date, as the owner of the tables.
///
/// # Errors
/// When the database can't be reached or a migration fails; it has then changed nothing.
pub async fn run(config: &PostgresConfig) -> anyhow::Result<()> {
    let mut postgres = client_config(config, config.owner_url.expose(), "metadata-migrations")?;
    // A migration may take longer than a request ever should.
    postgres.options("");
    let (mut client, connection) = open(config, &postgres).await.context("connect as the owner")?;
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await.context("wait for other migrations")?;
    let report = migrations::runner().run_async(&mut client).await.context("apply the migrations")?;
    for migration in report.applied_migrations() {
        tracing::info!(version = migration.version(), name = migration.name(), "migration applied");
    }
    drop(client);
    connection.await.context("join the connection")?.context("close the connection")
}

type Running = JoinHandle<Result<(), tokio_postgres::Error>>;

async fn open(config: &PostgresConfig, postgres: &tokio_postgres::Config) -> anyhow::Result<(Client, Running)> {
    Ok(match &config.ca_file {
        None => {
            let (client, connection) = postgres.connect(NoTls).await?;
            (client, tokio::spawn(connection))
        }
        Some(file) => {
            let (client, connection) = postgres
                .connect(MakeRustlsConnect::new(tls_client(Some(file)).context("read postgres.ca_file")?))
                .await?;
            (client, tokio::spawn(connection))
        }
    })
}

/// Checks that the schema is the one this program was built for.
///
/// # Errors
/// When it isn't, or can't be read.
pub async fn verify(database: &Database) -> anyhow::Result<()> {
    let expected = migrations::runner().get_migrations().iter().map(refinery::Migration::version).max();
    let mut connection = database.connection().await.context("connect as the service's role")?;
    let tx = connection.scope(crate::edge::database::Scope::Operator).await?;
    let row = tx
        .row("SELECT max(version)::bigint FROM refinery_schema_history", &[])
        .await
        .context("read the schema's version; has the owner applied the migrations?")?;
    let found: Option<i64> = row.get(0);
    if found != expected.map(i64::from) {
        bail!("the schema has version {found:?}, this program needs {expected:?}: set postgres.owner_url to migrate");
    }
    Ok(())
}

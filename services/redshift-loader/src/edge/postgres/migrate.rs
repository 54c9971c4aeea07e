//! Tables of schema `raw`, and who may read them.

use anyhow::{Context, bail};
use tokio_postgres::Client;

use super::connect::{PostgresSettings, connect};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Key of the lock that lets one loader at a time change the schema.
const LOCK: i64 = 0x6d65_7465_7277_6179;

/// Brings schema `raw` up to date and lets the roles read it. Several loaders may start at once.
///
/// # Errors
/// When the warehouse is away, a migration fails, or a role does not exist.
pub async fn migrate(settings: &PostgresSettings, readers: &[String]) -> anyhow::Result<()> {
    let mut client = connect(settings).await?;
    // Held by the session: a loader that dies here releases it.
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.context("wait for other loaders' migrations")?;
    client.batch_execute("CREATE SCHEMA IF NOT EXISTS raw").await.context("create schema raw")?;
    let mut runner = embedded::migrations::runner();
    runner.set_migration_table_name("raw.schema_history");
    let report = runner.run_async(&mut client).await.context("migrate schema raw")?;
    for migration in report.applied_migrations() {
        tracing::info!(version = migration.version(), migration = migration.name(), "warehouse migrated");
    }
    for role in readers {
        grant(&client, role).await.with_context(|| format!("let {role} read schema raw"))?;
    }
    Ok(())
}

async fn grant(client: &Client, role: &str) -> anyhow::Result<()> {
    if client.query_opt("SELECT FROM pg_roles WHERE rolname = $1", &[&role]).await?.is_none() {
        bail!("there is no such role; warehouse.readers names it");
    }
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    let statements = format!(
        "GRANT USAGE ON SCHEMA raw TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA raw TO {role}; \
         ALTER DEFAULT PRIVILEGES IN SCHEMA raw GRANT SELECT ON TABLES TO {role}"
    );
    Ok(client.batch_execute(&statements).await?)
}

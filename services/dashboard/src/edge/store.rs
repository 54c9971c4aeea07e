//! The dashboard's own database: acknowledgements, settings, the audit log.

use std::collections::HashMap;

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::database::{Bound, Database, DbError};
use super::problem::Problem;
use super::warehouse::{instant, object};
use crate::config::PostgresConfig;
use crate::core::access::{Caller, Scope};

refinery::embed_migrations!("migrations");

/// Held while migrating, so that replicas that start together do not migrate together. The number is arbitrary.
const MIGRATION_LOCK: i64 = 0x6d65_7465_7264_6173;

/// Reads and writes what is the dashboard's own.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
}

/// An entry of the audit log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When the request came.
    pub at: DateTime<Utc>,
    /// Whose data.
    pub tenant: String,
    /// Who.
    pub subject: String,
    /// Name of who.
    pub name: String,
    /// In which role.
    pub role: &'static str,
    /// Method and route.
    pub action: String,
    /// Path with its parameters.
    pub target: String,
    /// Status of the answer.
    pub status: i32,
}

impl Store {
    /// Prepares the pool and brings the tables up to date.
    ///
    /// # Errors
    /// When the database cannot be reached or changed.
    pub async fn open(config: &PostgresConfig) -> anyhow::Result<Self> {
        let database = Database::new(config, "store")?;
        let mut connection = database.connection().await.context("connect to the dashboard's database")?;
        let client = connection.client();
        client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await.context("wait for other migrations")?;
        let report = migrations::runner().run_async(client).await.context("apply the migrations")?;
        client.execute("SELECT pg_advisory_unlock($1)", &[&MIGRATION_LOCK]).await.context("let others migrate")?;
        for migration in report.applied_migrations() {
            tracing::info!(version = migration.version(), name = migration.name(), "migration applied");
        }
        drop(connection);
        Ok(Self { database })
    }

    /// A person's settings, if they ever made any.
    ///
    /// # Errors
    /// When the database gives no answer, as with the others.
    pub async fn settings(&self, subject: &str) -> Result<Option<Value>, Problem> {
        let mut connection = self.database.connection().await?;
        let tx = connection.begin(Bound::Person(subject)).await?;
        let rows = tx.rows("SELECT value FROM settings WHERE subject = $1", &[&subject]).await?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    /// Replaces a person's settings.
    ///
    /// # Errors
    /// When the database gives no answer.
    pub async fn put_settings(&self, subject: &str, value: &Value) -> Result<(), Problem> {
        let mut connection = self.database.connection().await?;
        let tx = connection.begin(Bound::Person(subject)).await?;
        let sql = "INSERT INTO settings VALUES ($1, $2, now()) \
                   ON CONFLICT (subject) DO UPDATE SET value = excluded.value, updated_at = now()";
        tx.execute(sql, &[&subject, value]).await?;
        Ok(tx.commit().await?)
    }

    /// The acknowledgements of a tenant's alerts, by alert.
    ///
    /// # Errors
    /// When the database gives no answer.
    pub async fn acknowledgements(&self, scope: &Scope, alerts: &[&str]) -> Result<HashMap<String, Value>, Problem> {
        let mut connection = self.database.connection().await?;
        let tx = connection.begin(Bound::To(scope)).await?;
        let sql = "SELECT alert_id, by_name, at, note, normal FROM acknowledgements WHERE tenant_id = $1 AND alert_id = ANY($2)";
        let rows = tx.rows(sql, &[&scope.tenant, &alerts]).await?;
        let of = |row: &tokio_postgres::Row| {
            let (at, by, note, normal): (DateTime<Utc>, String, String, bool) =
                (row.get("at"), row.get("by_name"), row.get("note"), row.get("normal"));
            (row.get("alert_id"), json!({"by": by, "at": instant(at), "note": note, "normal": normal}))
        };
        Ok(rows.iter().map(of).collect())
    }

    /// Which alerts of a tenant are acknowledged.
    ///
    /// # Errors
    /// When the database gives no answer.
    pub async fn acknowledge(
        &self,
        scope: &Scope,
        caller: &Caller,
        alert: &str,
        note: &str,
        normal: bool,
    ) -> Result<(), Problem> {
        let mut connection = self.database.connection().await?;
        let tx = connection.begin(Bound::To(scope)).await?;
        // The first acknowledgement stays; calling it normal is more than having seen it.
        let sql = "INSERT INTO acknowledgements (tenant_id, alert_id, by_name, by_subject, at, note, normal) \
                   VALUES ($1, $2, $3, $4, now(), $5, $6) \
                   ON CONFLICT (tenant_id, alert_id) DO UPDATE SET by_name = excluded.by_name, \
                     by_subject = excluded.by_subject, at = excluded.at, note = excluded.note, normal = excluded.normal \
                   WHERE excluded.normal AND NOT acknowledgements.normal";
        tx.execute(sql, &[&scope.tenant, &alert, &caller.name, &caller.subject, &note, &normal]).await?;
        Ok(tx.commit().await?)
    }

    /// Entries of a tenant's audit log, newest first, older than the given one.
    ///
    /// # Errors
    /// When the database gives no answer.
    pub async fn audit_page(&self, scope: &Scope, before: i64, limit: i64) -> Result<Vec<(i64, Value)>, Problem> {
        let mut connection = self.database.connection().await?;
        let tx = connection.begin(Bound::To(scope)).await?;
        let sql = "SELECT id, at, subject, name, role, action, target, status FROM audit_log \
                   WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let rows = tx.rows(sql, &[&scope.tenant, &before, &limit]).await?;
        let of = |row: &tokio_postgres::Row| {
            let mut entry = object(row);
            entry.remove("id");
            (row.get("id"), Value::Object(entry))
        };
        Ok(rows.iter().map(of).collect())
    }

    /// Writes entries of the audit log.
    ///
    /// # Errors
    /// When the database gives no answer; none is written then.
    pub async fn write_audit(&self, entries: &[Entry]) -> Result<(), DbError> {
        let mut connection = self.database.connection().await?;
        let tx = connection.begin(Bound::Nobody).await?;
        let sql = "INSERT INTO audit_log (at, tenant_id, subject, name, role, action, target, status) \
                   SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], \
                     $7::text[], $8::int[])";
        fn column<T>(entries: &[Entry], of: impl Fn(&Entry) -> T) -> Vec<T> {
            entries.iter().map(of).collect()
        }
        let at = column(entries, |entry| entry.at);
        let tenants = column(entries, |entry| entry.tenant.clone());
        let subjects = column(entries, |entry| entry.subject.clone());
        let names = column(entries, |entry| entry.name.clone());
        let roles = column(entries, |entry| entry.role);
        let actions = column(entries, |entry| entry.action.clone());
        let targets = column(entries, |entry| entry.target.clone());
        let statuses = column(entries, |entry| entry.status);
        tx.execute(sql, &[&at, &tenants, &subjects, &names, &roles, &actions, &targets, &statuses]).await?;
        tx.commit().await
    }

    /// Deletes entries older than the retention; how many.
    ///
    /// # Errors
    /// When the database gives no answer.
    pub async fn age_audit(&self, older_than: DateTime<Utc>) -> Result<u64, DbError> {
        let mut connection = self.database.connection().await?;
        let tx = connection.begin(Bound::Retention).await?;
        let deleted = tx.execute("DELETE FROM audit_log WHERE at < $1", &[&older_than]).await?;
        tx.commit().await?;
        Ok(deleted)
    }
}

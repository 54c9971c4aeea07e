//! Loaded rows and facts, read in transactions that row-level security binds.

use anyhow::{Context, ensure};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Map, Value};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::database::{Bound, Connection, Database, Params};
use super::problem::Problem;
use crate::config::PostgresConfig;
use crate::core::access::Scope;

/// The role that the policies are about.
pub const ROLE: &str = "meterway_dashboard";

/// Reads the warehouse.
#[derive(Debug, Clone)]
pub struct Warehouse {
    database: Database,
}

const ROLE_IS_BOUND: &str =
    "SELECT current_user::text, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";

/// Tables that hold rows of tenants, may be read, and have no row-level security. Views pass on the policies of what they read.
const UNPROTECTED: &str = "
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('raw', 'staging', 'marts') AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ('tenant_id', 'device_id') AND NOT a.attisdropped)
    ORDER BY 1";

impl Warehouse {
    /// Prepares the pool.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn new(config: &PostgresConfig) -> anyhow::Result<Self> {
        Ok(Self { database: Database::new(config, "warehouse")? })
    }

    /// Refuses a role that the policies do not bind, and tables that have none.
    ///
    /// # Errors
    /// When isolation between tenants is not certain.
    pub async fn verify_isolation(&self) -> anyhow::Result<()> {
        let mut connection = self.database.connection().await.context("connect to the warehouse")?;
        let tx = connection.begin(Bound::Nobody).await?;
        let rows = tx.rows(ROLE_IS_BOUND, &[]).await.context("read the role of warehouse.url")?;
        let row = rows.first().context("read the role of warehouse.url")?;
        let (role, unbound): (String, bool) = (row.get(0), row.get(1));
        ensure!(role == ROLE, "warehouse.url has the role {role}: the policies are about {ROLE}, use that one");
        ensure!(!unbound, "role {role} is a superuser or bypasses row-level security: take that from it");
        let tables = tx.rows(UNPROTECTED, &[]).await.context("read the tables' protection")?;
        if let Some(table) = tables.first() {
            let table: String = table.get(0);
            anyhow::bail!(
                "table {table} has no row-level security: run the loader's migrations and dbt of this version"
            );
        }
        Ok(())
    }

    /// Rows within a scope, as objects with a member per column.
    ///
    /// # Errors
    /// When the warehouse gives no answer.
    pub async fn rows(&self, scope: &Scope, sql: &str, params: Params<'_>) -> Result<Vec<Map<String, Value>>, Problem> {
        let rows = self.raw(Bound::To(scope), sql, params).await?;
        Ok(rows.iter().map(object).collect())
    }

    /// Rows of tables that belong to nobody, such as the ledger.
    ///
    /// # Errors
    /// When the warehouse gives no answer.
    pub async fn rows_of_nobody(&self, sql: &str, params: Params<'_>) -> Result<Vec<Map<String, Value>>, Problem> {
        let rows = self.raw(Bound::Nobody, sql, params).await?;
        Ok(rows.iter().map(object).collect())
    }

    /// Rows as they are.
    ///
    /// # Errors
    /// When the warehouse gives no answer.
    pub async fn raw(&self, bound: Bound<'_>, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Problem> {
        let mut connection = self.database.connection().await?;
        let tx = connection.begin(bound).await?;
        Ok(tx.rows(sql, params).await?)
    }

    /// A connection for a longer read.
    ///
    /// # Errors
    /// When none is to be had.
    pub async fn connection(&self) -> Result<Connection, Problem> {
        Ok(self.database.connection().await?)
    }
}

/// A row as an object. Numbers with decimals must come as text, so that none is ever a float by accident; whatever else
/// has no form here is null.
pub fn object(row: &Row) -> Map<String, Value> {
    row.columns()
        .iter()
        .enumerate()
        .map(|(at, column)| (column.name().to_owned(), value(row, at, column.type_())))
        .collect()
}

fn value(row: &Row, at: usize, of: &Type) -> Value {
    fn get<'a, T: tokio_postgres::types::FromSql<'a> + Into<Value>>(row: &'a Row, at: usize) -> Value {
        row.try_get::<_, Option<T>>(at).ok().flatten().map_or(Value::Null, Into::into)
    }
    match *of {
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => get::<String>(row, at),
        Type::INT2 => get::<i16>(row, at),
        Type::INT4 => get::<i32>(row, at),
        Type::INT8 => get::<i64>(row, at),
        Type::FLOAT8 => get::<f64>(row, at),
        Type::BOOL => get::<bool>(row, at),
        Type::JSONB | Type::JSON => get::<Value>(row, at),
        Type::TEXT_ARRAY => row.try_get::<_, Option<Vec<String>>>(at).ok().flatten().into(),
        Type::DATE => row.try_get::<_, Option<NaiveDate>>(at).ok().flatten().map(|day| day.to_string()).into(),
        Type::TIMESTAMPTZ => row.try_get::<_, Option<DateTime<Utc>>>(at).ok().flatten().map(instant).into(),
        _ => Value::Null,
    }
}

/// An instant as the API writes it.
pub fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

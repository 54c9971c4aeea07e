//! Connections to PostgreSQL, and transactions that say for whom they work.
//!
//! The settings end with the transaction, so a pooled connection carries nothing from one caller to the next.

use std::time::Duration;

use anyhow::Context;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Transaction};
use service_runtime::tls_client;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::problem::Problem;
use crate::config::PostgresConfig;
use crate::core::access::Scope;

/// Parameters of a statement.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A pool of connections.
#[derive(Debug, Clone)]
pub struct Database {
    pool: Pool,
    name: &'static str,
}

/// Why the database gave no answer.
#[derive(Debug)]
pub enum DbError {
    /// No connection in time, or it broke.
    Unavailable(String),
    /// The statement failed.
    Failed(tokio_postgres::Error),
}

impl std::fmt::Display for DbError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unavailable(reason) => write!(f, "no connection: {reason}"),
            Self::Failed(error) => match error.as_db_error() {
                Some(database) => write!(f, "{database}"),
                None => write!(f, "{error}"),
            },
        }
    }
}

impl std::error::Error for DbError {}

impl From<PoolError> for DbError {
    fn from(error: PoolError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        let gone = error.is_closed() || error.as_db_error().is_none();
        if gone { Self::Unavailable(error.to_string()) } else { Self::Failed(error) }
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        use tokio_postgres::error::SqlState;
        match &error {
            // Before the first load and the first run of dbt, what is asked for is not there yet.
            DbError::Failed(cause)
                if [&SqlState::UNDEFINED_TABLE, &SqlState::INVALID_SCHEMA_NAME]
                    .into_iter()
                    .any(|state| cause.code() == Some(state)) =>
            {
                tracing::warn!(error = %error, "a table is not there yet");
                Self::unavailable("The warehouse")
            }
            DbError::Failed(cause) if cause.code() != Some(&SqlState::QUERY_CANCELED) => Self::defect(error),
            _ => {
                tracing::warn!(error = %error, "database gave no answer");
                Self::unavailable("The database")
            }
        }
    }
}

impl Database {
    /// Prepares the pool; connects when first used.
    ///
    /// # Errors
    /// When the URL or the authorities cannot be read.
    pub fn new(config: &PostgresConfig, name: &'static str) -> anyhow::Result<Self> {
        // The error of a URL may quote it, password and all.
        let parsed = config.url.expose().parse::<tokio_postgres::Config>().ok();
        let mut postgres = parsed.with_context(|| format!("{name}.url cannot be read"))?;
        let timeout = config.statement_timeout.as_millis();
        postgres
            .application_name("dashboard")
            .connect_timeout(config.connect_timeout)
            .keepalives_idle(Duration::from_secs(30))
            .options(format!(
                "-c statement_timeout={timeout} -c idle_in_transaction_session_timeout={timeout} -c timezone=UTC"
            ));
        let ca_file = Some(config.ca_file.as_path()).filter(|path| !path.as_os_str().is_empty());
        let tls = MakeRustlsConnect::new(tls_client(ca_file).with_context(|| format!("read {name}.ca_file"))?);
        let manager = Manager::from_config(postgres, tls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(config.pool_size)
            .wait_timeout(Some(config.pool_wait))
            .create_timeout(Some(config.connect_timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .context("build the connection pool")?;
        Ok(Self { pool, name })
    }

    /// Its section of the configuration.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Takes a connection.
    ///
    /// # Errors
    /// [`DbError::Unavailable`].
    pub async fn connection(&self) -> Result<Connection, DbError> {
        Ok(Connection(self.pool.get().await?))
    }
}

/// A connection from the pool.
#[derive(Debug)]
pub struct Connection(Object);

/// For whom a transaction works.
#[derive(Debug, Clone, Copy)]
pub enum Bound<'a> {
    /// Rows of a tenant, or of one of its customers.
    To(&'a Scope),
    /// Rows of a person.
    Person(&'a str),
    /// What is older than the retention.
    Retention,
    /// No rows of anybody; only tables that belong to nobody.
    Nobody,
}

const BIND: &str = "SELECT set_config('meterway.tenant_id', $1, true), set_config('meterway.customer_id', $2, true), \
                    set_config('meterway.subject', $3, true), set_config('meterway.scope', $4, true)";

impl Connection {
    /// Begins a transaction that is bound to somebody.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn begin(&mut self, bound: Bound<'_>) -> Result<Tx<'_>, DbError> {
        let tx = Tx(self.0.transaction().await?);
        let (tenant, customer, subject, scope) = match bound {
            Bound::To(scope) => (scope.tenant.as_str(), scope.customer.as_deref().unwrap_or(""), "", ""),
            Bound::Person(subject) => ("", "", subject, ""),
            Bound::Retention => ("", "", "", "retention"),
            Bound::Nobody => ("", "", "", ""),
        };
        tx.rows(BIND, &[&tenant, &customer, &subject, &scope]).await?;
        Ok(tx)
    }

    /// The client itself, for migrations.
    pub fn client(&mut self) -> &mut tokio_postgres::Client {
        &mut self.0
    }
}

/// A transaction; rolled back unless committed. Statements are prepared once per connection.
pub struct Tx<'a>(Transaction<'a>);

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx")
    }
}

impl Tx<'_> {
    /// All rows.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, DbError> {
        let statement = self.0.prepare_cached(sql).await?;
        Ok(self.0.query(&statement, params).await?)
    }

    /// Rows as they come, for what does not fit into memory.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn stream(&self, sql: &str, params: Params<'_>) -> Result<RowStream, DbError> {
        let statement = self.0.prepare_cached(sql).await?;
        Ok(self.0.query_raw(&statement, params.iter().copied()).await?)
    }

    /// Runs a statement; the number of rows it touched.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, DbError> {
        let statement = self.0.prepare_cached(sql).await?;
        Ok(self.0.execute(&statement, params).await?)
    }

    /// Makes the changes last.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn commit(self) -> Result<(), DbError> {
        Ok(self.0.commit().await?)
    }
}

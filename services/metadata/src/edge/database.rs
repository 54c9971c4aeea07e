//! Connections, and transactions that say on whose behalf they run.
//!
//! Every statement on a table of the register runs in one of these transactions. The setting ends with the transaction,
//! so a pooled connection carries nothing from one tenant to the next, not even when a task is dropped midway.

use std::time::Duration;

use anyhow::{Context, bail};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Transaction};
use meter_model::TenantId;
use service_runtime::tls_client;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::PostgresConfig;
use crate::edge::StoreError;

/// Work that crosses tenants. The policies of the schema say what each may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Create, change and list tenants.
    Operator,
    /// Find a key by its id.
    KeyCheck,
    /// Read all alert settings.
    Settings,
    /// Publish changes.
    Relay,
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::KeyCheck => "key_check",
            Self::Settings => "settings",
            Self::Relay => "relay",
        }
    }
}

/// The register's database, as the role that row-level security binds.
#[derive(Debug, Clone)]
pub struct Database {
    pool: Pool,
}

/// A connection from the pool.
#[derive(Debug)]
pub struct Connection(Object);

impl Database {
    /// Prepares the pool; connects when first used.
    ///
    /// # Errors
    /// When the URL or the authorities can't be read.
    pub fn new(config: &PostgresConfig) -> anyhow::Result<Self> {
        let postgres = client_config(config, config.url.expose(), "metadata")?;
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match &config.ca_file {
            None => Manager::from_config(postgres, NoTls, manager_config),
            Some(file) => Manager::from_config(
                postgres,
                MakeRustlsConnect::new(tls_client(Some(file)).context("read postgres.ca_file")?),
                manager_config,
            ),
        };
        let pool = Pool::builder(manager)
            .max_size(config.pool_size)
            .wait_timeout(Some(config.pool_wait))
            .create_timeout(Some(config.connect_timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .context("build the connection pool")?;
        Ok(Self { pool })
    }

    /// Takes a connection.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when none is free or to be had in time.
    pub async fn connection(&self) -> Result<Connection, StoreError> {
        Ok(Connection(self.pool.get().await?))
    }

    /// Refuses a role that row-level security doesn't bind, and tables that have none.
    ///
    /// # Errors
    /// When isolation between tenants isn't certain.
    pub async fn verify_isolation(&self) -> anyhow::Result<()> {
        let connection = self.connection().await.context("connect as the service's role")?;
        let row = connection.0.query_one(ROLE_IS_BOUND, &[]).await.context("read the service's role")?;
        let (role, unbound): (String, bool) = (row.get(0), row.get(1));
        if unbound {
            bail!("role {role} is a superuser, bypasses row-level security or owns tables: use a role that does none");
        }
        let tables = connection.0.query(UNPROTECTED_TABLES, &[]).await.context("read the tables' protection")?;
        if let Some(table) = tables.first() {
            bail!("table {} lacks forced row-level security or a policy", table.get::<_, String>(0));
        }
        Ok(())
    }

    /// Closes all connections; later calls fail.
    pub fn close(&self) {
        self.pool.close();
    }
}

const ROLE_IS_BOUND: &str = "
    SELECT current_user::text,
           rolsuper OR rolbypassrls OR EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user)
    FROM pg_roles WHERE rolname = current_user";

/// Tables of the register that row-level security doesn't bind; the migration history holds nothing of a tenant.
const UNPROTECTED_TABLES: &str = "
    SELECT c.relname::text FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'refinery_schema_history'
      AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
    ORDER BY 1";

/// Settings of a client for the URL, with limits on what a statement may take.
///
/// # Errors
/// When the URL can't be read.
pub fn client_config(config: &PostgresConfig, url: &str, name: &str) -> anyhow::Result<tokio_postgres::Config> {
    // The error of a URL may quote it, password and all.
    let mut postgres = url.parse::<tokio_postgres::Config>().ok().context("the Postgres URL can't be read")?;
    let timeout = config.statement_timeout.as_millis();
    if config.ca_file.is_some() {
        // Who names an authority wants TLS, even if the URL forgot to say so.
        postgres.ssl_mode(SslMode::Require);
    }
    postgres
        .application_name(name)
        .connect_timeout(config.connect_timeout)
        .keepalives_idle(Duration::from_secs(30))
        .options(format!("-c statement_timeout={timeout} -c idle_in_transaction_session_timeout={timeout}"));
    Ok(postgres)
}

impl Connection {
    /// Begins a transaction that sees and writes the rows of one tenant.
    ///
    /// # Errors
    /// When the database doesn't answer.
    pub async fn tenant(&mut self, tenant: &TenantId) -> Result<Tx<'_>, StoreError> {
        self.begin(tenant.as_str(), "").await
    }

    /// Begins a transaction that crosses tenants.
    ///
    /// # Errors
    /// When the database doesn't answer.
    pub async fn scope(&mut self, scope: Scope) -> Result<Tx<'_>, StoreError> {
        self.begin("", scope.name()).await
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.0.batch_execute("SELECT 1").await?)
    }

    /// Takes a lock that lasts as long as the session; `false` when another session has it.
    ///
    /// # Errors
    /// When the database doesn't answer.
    pub async fn try_session_lock(&mut self, key: i64) -> Result<bool, StoreError> {
        Ok(self.0.query_one("SELECT pg_try_advisory_lock($1)", &[&key]).await?.get(0))
    }

    /// Closes the session instead of returning it to the pool, so that its locks end with it.
    pub fn discard(self) {
        drop(Object::take(self.0));
    }

    async fn begin(&mut self, tenant: &str, scope: &str) -> Result<Tx<'_>, StoreError> {
        let tx = Tx(self.0.transaction().await?);
        tx.row(BIND, &[&tenant, &scope]).await?;
        Ok(tx)
    }
}

const BIND: &str = "SELECT set_config('app.tenant', $1, true), set_config('app.scope', $2, true)";

/// A transaction; rolled back unless committed. Statements are prepared once per connection.
pub struct Tx<'a>(Transaction<'a>);

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx")
    }
}

/// Parameters of a statement.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Tx<'_> {
    /// All rows.
    ///
    /// # Errors
    /// As classified by [`StoreError`].
    pub async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let statement = self.0.prepare_cached(sql).await?;
        Ok(self.0.query(&statement, params).await?)
    }

    /// The only row.
    ///
    /// # Errors
    /// As classified by [`StoreError`]; no row is a defect.
    pub async fn row(&self, sql: &str, params: Params<'_>) -> Result<Row, StoreError> {
        let statement = self.0.prepare_cached(sql).await?;
        Ok(self.0.query_one(&statement, params).await?)
    }

    /// The row, if there is one.
    ///
    /// # Errors
    /// As classified by [`StoreError`].
    pub async fn row_if_any(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, StoreError> {
        let statement = self.0.prepare_cached(sql).await?;
        Ok(self.0.query_opt(&statement, params).await?)
    }

    /// Runs a statement; the number of rows it touched.
    ///
    /// # Errors
    /// As classified by [`StoreError`].
    pub async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
        let statement = self.0.prepare_cached(sql).await?;
        Ok(self.0.execute(&statement, params).await?)
    }

    /// Makes the changes last.
    ///
    /// # Errors
    /// As classified by [`StoreError`]. When the connection broke, the outcome is unknown.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}

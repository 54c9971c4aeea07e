//! The `redshift` dialect over the PostgreSQL wire: COPY of a manifest into a temporary table, one transaction per
//! snapshot. Its SQL and manifests are pinned by snapshot tests, and it is attacked over the Redshift double; it has not
//! been run against a real cluster.

mod load;
mod statements;

use async_trait::async_trait;
use lake::{LakeFile, LakeTable};
use meterway_schemas::WarehouseLoad;
use tokio_postgres::{Client, SimpleQueryRow};

use self::load::Loading;
use self::statements::{classify, commit, execute, number, rows, text};
use super::postgres::PostgresSettings;
use super::postgres::connect::open;
use super::warehouse::{Retried, RetryRequest, Warehouse, WarehouseError};
use crate::core::devices::DeviceRows;
use crate::core::job::{LoadJob, LoadOutcome};
use crate::core::redshift as sql;
use crate::core::redshift_devices::upsert_devices;
use crate::core::table::LoadTable;

/// A session with a Redshift cluster or workgroup.
#[derive(Debug)]
pub struct RedshiftWarehouse {
    settings: PostgresSettings,
    iam_role: String,
    client: Option<Client>,
}

/// Creates the tables of schema `raw` that do not exist, and lets roles read them.
///
/// # Errors
/// [`WarehouseError::Failed`] when the cluster is away or refuses.
pub async fn create_tables(settings: &PostgresSettings, readers: &[String]) -> Result<(), WarehouseError> {
    let client = open(settings, &session(settings)).await?;
    for statement in sql::create_tables() {
        client.batch_execute(&statement).await.map_err(classify("create a table"))?;
    }
    for statement in sql::grants(readers) {
        client.batch_execute(&statement).await.map_err(classify("let a role read schema raw"))?;
    }
    Ok(())
}

fn session(settings: &PostgresSettings) -> String {
    format!("SET statement_timeout TO {}; SET timezone TO 'UTC'", settings.statement_timeout.as_millis())
}

impl RedshiftWarehouse {
    /// A session that connects when it is first used.
    pub fn new(settings: PostgresSettings, iam_role: String) -> Self {
        Self { settings, iam_role, client: None }
    }

    /// As the `postgres` dialect: put back after success only.
    async fn take(&mut self) -> Result<Client, WarehouseError> {
        match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => Ok(client),
            None => open(&self.settings, &session(&self.settings)).await,
        }
    }

    async fn query(&mut self, action: &'static str, statement: &str) -> Result<Vec<SimpleQueryRow>, WarehouseError> {
        let client = self.take().await?;
        let rows = rows(&client, action, statement).await?;
        self.client = Some(client);
        Ok(rows)
    }
}

#[async_trait]
impl Warehouse for RedshiftWarehouse {
    async fn newest(&mut self, lake_table: &str) -> Result<Option<i64>, WarehouseError> {
        let rows = self.query("read the ledger", &sql::newest(lake_table)).await?;
        rows.first().map(|row| number(row, 0)).transpose()
    }

    async fn is_loaded(&mut self, lake_table: &str, snapshot_id: i64) -> Result<bool, WarehouseError> {
        let client = self.take().await?;
        execute(&client, "read the ledger", "BEGIN").await?;
        execute(&client, "wait for other loaders", sql::LOCK).await?;
        let loaded = rows(&client, "read the ledger", &sql::ledger_row(lake_table, snapshot_id)).await?;
        execute(&client, "read the ledger", "ROLLBACK").await?;
        self.client = Some(client);
        Ok(!loaded.is_empty())
    }

    async fn load(
        &mut self,
        table: &LoadTable,
        lake: &LakeTable,
        job: &LoadJob,
    ) -> Result<LoadOutcome, WarehouseError> {
        let client = self.take().await?;
        let loading = Loading { client: &client, table, lake, iam_role: &self.iam_role };
        let outcome = loading.load(job).await?;
        self.client = Some(client);
        Ok(outcome)
    }

    async fn retry_requests(&mut self, lake_table: &str) -> Result<Vec<RetryRequest>, WarehouseError> {
        let rows = self.query("read the quarantine", &sql::retry_requests(lake_table)).await?;
        let request = |row: &SimpleQueryRow| {
            let (rows, bytes) = (number(row, 2)?.unsigned_abs(), number(row, 3)?.unsigned_abs());
            let file = LakeFile { path: text(row, 1)?, rows, bytes };
            Ok(RetryRequest { lake_table: lake_table.to_owned(), snapshot_id: number(row, 0)?, file })
        };
        rows.iter().map(request).collect()
    }

    async fn retry(
        &mut self,
        table: &LoadTable,
        lake: &LakeTable,
        request: &RetryRequest,
    ) -> Result<Retried, WarehouseError> {
        let client = self.take().await?;
        let loading = Loading { client: &client, table, lake, iam_role: &self.iam_role };
        let retried = loading.retry(request).await?;
        self.client = Some(client);
        Ok(retried)
    }

    async fn quarantined(&mut self, lake_table: &str) -> Result<i64, WarehouseError> {
        let rows = self.query("count the quarantine", &sql::quarantined(lake_table)).await?;
        rows.first().map_or(Ok(0), |row| number(row, 0))
    }

    async fn unannounced(&mut self, limit: i64) -> Result<Vec<WarehouseLoad>, WarehouseError> {
        let rows = self.query("read the ledger", &sql::unannounced(limit)).await?;
        rows.iter().map(notice).collect()
    }

    /// Behind the ledger's lock, so that it never meets a load halfway: one of the two would get a conflict.
    async fn announced(&mut self, load: &WarehouseLoad) -> Result<(), WarehouseError> {
        let client = self.take().await?;
        execute(&client, "begin a note", "BEGIN").await?;
        execute(&client, "wait for other loaders", sql::LOCK).await?;
        execute(&client, "note an announcement", &sql::announced(&load.lake_table, load.snapshot_id)).await?;
        commit(&client, "note an announcement").await?;
        self.client = Some(client);
        Ok(())
    }

    async fn upsert_devices(&mut self, rows: &DeviceRows) -> Result<u64, WarehouseError> {
        let client = self.take().await?;
        execute(&client, "begin writing devices", "BEGIN").await?;
        let mut changed = 0;
        for statement in upsert_devices(rows) {
            let affected = execute(&client, "write devices", &statement.sql).await?;
            changed += if statement.counts { affected } else { 0 };
        }
        commit(&client, "write devices").await?;
        self.client = Some(client);
        Ok(changed)
    }
}

fn notice(row: &SimpleQueryRow) -> Result<WarehouseLoad, WarehouseError> {
    let lake_table = text(row, 0)?;
    Ok(WarehouseLoad {
        table: format!("raw.{}", lake_table.rsplit('.').next().unwrap_or_default()),
        snapshot_id: number(row, 1)?,
        rows: number(row, 2)?,
        files: i32::try_from(number(row, 3)?).unwrap_or(i32::MAX),
        quarantined_files: i32::try_from(number(row, 4)?).unwrap_or(i32::MAX),
        started_at: number(row, 5)?,
        finished_at: number(row, 6)?,
        lake_table,
    })
}

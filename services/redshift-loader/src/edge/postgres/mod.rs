//! The `postgres` dialect: binary COPY per file into a temporary table, one transaction per snapshot.
//!
//! Loads of one table are serialised by a transaction-level advisory lock, which the server releases only after the commit
//! is visible. So the ledger's newest row is stable while the lock is held, and `loaded_at` rises in the order of commits:
//! whoever reads "loaded after" never misses a row that was committed late.

pub(in crate::edge) mod connect;
mod device_rows;
pub(in crate::edge) mod error;
mod load;
mod migrate;

use async_trait::async_trait;
use lake::{LakeFile, LakeTable};
use meterway_schemas::WarehouseLoad;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

pub use self::connect::{PostgresSettings, Tls};
pub use self::migrate::migrate;

use self::error::classify;
use super::warehouse::{Retried, RetryRequest, Warehouse, WarehouseError};
use crate::core::devices::DeviceRows;
use crate::core::job::{LoadJob, LoadOutcome};
use crate::core::table::LoadTable;

/// A session with PostgreSQL.
#[derive(Debug)]
pub struct PostgresWarehouse {
    settings: PostgresSettings,
    client: Option<Client>,
}

impl PostgresWarehouse {
    /// A session that connects when it is first used.
    pub fn new(settings: PostgresSettings) -> Self {
        Self { settings, client: None }
    }

    /// Takes a live connection. Whoever takes it puts it back after success only: after an error it is dropped, and with it
    /// whatever was open on it, so that the next operation starts from a known state.
    async fn take(&mut self) -> Result<Client, WarehouseError> {
        match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => Ok(client),
            None => connect::connect(&self.settings).await,
        }
    }

    async fn query(
        &mut self,
        action: &'static str,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, WarehouseError> {
        let client = self.take().await?;
        let rows = client.query(statement, parameters).await.map_err(classify(action))?;
        self.client = Some(client);
        Ok(rows)
    }
}

const NEWEST: &str = "SELECT snapshot_id FROM raw.load_ledger WHERE lake_table = $1 ORDER BY load_number DESC LIMIT 1";
const RETRY_REQUESTS: &str = "SELECT snapshot_id, path, rows, bytes FROM raw.load_quarantine \
    WHERE lake_table = $1 AND resolved_at IS NULL AND retry_requested_at IS NOT NULL ORDER BY snapshot_id, path";
const QUARANTINED: &str = "SELECT count(*) FROM raw.load_quarantine WHERE lake_table = $1 AND resolved_at IS NULL";
const UNANNOUNCED: &str = "SELECT lake_table, snapshot_id, rows, files, quarantined_files, \
    (extract(epoch FROM started_at) * 1000000)::bigint, (extract(epoch FROM loaded_at) * 1000000)::bigint \
    FROM raw.load_ledger WHERE announced_at IS NULL ORDER BY lake_table, load_number LIMIT $1";
const ANNOUNCED: &str = "UPDATE raw.load_ledger SET announced_at = now() WHERE lake_table = $1 AND snapshot_id = $2";

#[async_trait]
impl Warehouse for PostgresWarehouse {
    async fn newest(&mut self, lake_table: &str) -> Result<Option<i64>, WarehouseError> {
        let rows = self.query("read the ledger", NEWEST, &[&lake_table]).await?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    async fn is_loaded(&mut self, lake_table: &str, snapshot_id: i64) -> Result<bool, WarehouseError> {
        let mut client = self.take().await?;
        let loaded = load::is_loaded(&mut client, lake_table, snapshot_id).await?;
        self.client = Some(client);
        Ok(loaded)
    }

    async fn load(
        &mut self,
        table: &LoadTable,
        lake: &LakeTable,
        job: &LoadJob,
    ) -> Result<LoadOutcome, WarehouseError> {
        let mut client = self.take().await?;
        let outcome = load::load(&mut client, table, lake, job).await?;
        self.client = Some(client);
        Ok(outcome)
    }

    async fn retry_requests(&mut self, lake_table: &str) -> Result<Vec<RetryRequest>, WarehouseError> {
        let rows = self.query("read the quarantine", RETRY_REQUESTS, &[&lake_table]).await?;
        let request = |row: &Row| RetryRequest {
            lake_table: lake_table.to_owned(),
            snapshot_id: row.get(0),
            file: LakeFile { path: row.get(1), rows: row.get::<_, i64>(2) as u64, bytes: row.get::<_, i64>(3) as u64 },
        };
        Ok(rows.iter().map(request).collect())
    }

    async fn retry(
        &mut self,
        table: &LoadTable,
        lake: &LakeTable,
        request: &RetryRequest,
    ) -> Result<Retried, WarehouseError> {
        let mut client = self.take().await?;
        let retried = load::retry(&mut client, table, lake, request).await?;
        self.client = Some(client);
        Ok(retried)
    }

    async fn quarantined(&mut self, lake_table: &str) -> Result<i64, WarehouseError> {
        let rows = self.query("count the quarantine", QUARANTINED, &[&lake_table]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    async fn unannounced(&mut self, limit: i64) -> Result<Vec<WarehouseLoad>, WarehouseError> {
        let rows = self.query("read the ledger", UNANNOUNCED, &[&limit]).await?;
        Ok(rows.iter().map(load_notice).collect())
    }

    async fn announced(&mut self, load: &WarehouseLoad) -> Result<(), WarehouseError> {
        self.query("note an announcement", ANNOUNCED, &[&load.lake_table, &load.snapshot_id]).await.map(drop)
    }

    async fn upsert_devices(&mut self, rows: &DeviceRows) -> Result<u64, WarehouseError> {
        let mut client = self.take().await?;
        let changed = device_rows::upsert(&mut client, rows).await?;
        self.client = Some(client);
        Ok(changed)
    }
}

fn load_notice(row: &Row) -> WarehouseLoad {
    let lake_table: String = row.get(0);
    let name = lake_table.rsplit('.').next().unwrap_or_default();
    WarehouseLoad {
        table: format!("raw.{name}"),
        snapshot_id: row.get(1),
        rows: row.get(2),
        files: row.get(3),
        quarantined_files: row.get(4),
        started_at: row.get(5),
        finished_at: row.get(6),
        lake_table,
    }
}

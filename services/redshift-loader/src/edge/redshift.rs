//! The `redshift` dialect over the PostgreSQL wire: COPY of a manifest into a temporary table, one transaction per
//! snapshot. Its SQL and manifests are pinned by snapshot tests; it has not been run against a real cluster.

use async_trait::async_trait;
use lake::{LakeFile, LakeTable};
use meterway_schemas::WarehouseLoad;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::postgres::PostgresSettings;
use super::postgres::connect::open;
use super::postgres::error::classify;
use super::warehouse::{RetryRequest, Warehouse, WarehouseError};
use crate::core::bisect::Bisection;
use crate::core::devices::DeviceRows;
use crate::core::job::{LedgerVerdict, LoadJob, LoadOutcome, RefusedFile};
use crate::core::redshift as sql;
use crate::core::table::LoadTable;

/// A session with a Redshift cluster or workgroup.
#[derive(Debug)]
pub struct RedshiftWarehouse {
    settings: PostgresSettings,
    iam_role: String,
    client: Option<Client>,
}

/// Creates the tables of schema `raw` that do not exist.
///
/// # Errors
/// [`WarehouseError::Failed`] when the cluster is away or refuses.
pub async fn create_tables(settings: &PostgresSettings) -> Result<(), WarehouseError> {
    let client = open(settings, &session(settings)).await?;
    for statement in sql::create_tables() {
        client.batch_execute(&statement).await.map_err(classify("create a table"))?;
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

    async fn load_files(
        &self,
        client: &Client,
        table: &LoadTable,
        lake: &LakeTable,
        job: &LoadJob,
        refused: &[RefusedFile],
    ) -> Result<Attempt, WarehouseError> {
        let manifest = upload_manifest(lake, &format!("{}", job.snapshot_id), &job.files).await?;
        let script = sql::load_script(table, job, &manifest, &self.iam_role, refused.len());
        execute(client, "begin a load", "BEGIN").await?;
        execute(client, "lock the ledger", script.lock).await?;
        let newest = first_number(client, "read the ledger", &sql::newest(&job.lake_table)).await?;
        let present =
            first_number(client, "read the ledger", &sql::ledger_row(&job.lake_table, job.snapshot_id)).await?;
        match LedgerVerdict::of(job, present.is_some(), newest) {
            LedgerVerdict::Present => return Ok(Attempt::AlreadyLoaded),
            LedgerVerdict::Next => {}
            LedgerVerdict::OutOfOrder => {
                let (lake_table, snapshot_id, parent) = (job.lake_table.clone(), job.snapshot_id, job.parent);
                return Err(WarehouseError::OutOfOrder { lake_table, snapshot_id, parent, newest });
            }
        }
        if execute(client, "write the ledger", &script.claim).await? == 0 {
            return Ok(Attempt::AlreadyLoaded);
        }
        if !job.files.is_empty()
            && let Some(reason) = stage(client, &script, job.rows()).await?
        {
            return Ok(Attempt::Refused(reason));
        }
        if !job.files.is_empty() {
            execute(client, "insert the staged rows", &script.insert).await?;
        }
        for RefusedFile { file, reason } in refused {
            execute(client, "quarantine a file", &sql::quarantine(job, file, reason)).await?;
        }
        commit(client).await?;
        Ok(Attempt::Loaded)
    }

    /// Finds the files that the cluster refuses, with COPYs that are rolled back.
    async fn isolate(
        &self,
        client: &Client,
        table: &LoadTable,
        lake: &LakeTable,
        job: &LoadJob,
        reason: &str,
    ) -> Result<(Vec<LakeFile>, Vec<RefusedFile>), WarehouseError> {
        let mut search = Bisection::of_refused(job.files.clone(), reason);
        let mut attempt = 0;
        while let Some(files) = search.next_set() {
            attempt += 1;
            let part = LoadJob { files: files.to_vec(), ..job.clone() };
            let manifest = upload_manifest(lake, &format!("{}-{attempt}", job.snapshot_id), &part.files).await?;
            let script = sql::load_script(table, &part, &manifest, &self.iam_role, 0);
            execute(client, "begin a trial", "BEGIN").await?;
            let refusal = stage(client, &script, part.rows()).await?;
            execute(client, "end a trial", "ROLLBACK").await?;
            match refusal {
                Some(reason) => search.refuse(&reason),
                None => search.accept(),
            }
        }
        let (good, bad) = search.finish();
        Ok((good, bad.into_iter().map(|(file, reason)| RefusedFile { file, reason }).collect()))
    }
}

enum Attempt {
    Loaded,
    AlreadyLoaded,
    Refused(String),
}

async fn upload_manifest(lake: &LakeTable, name: &str, files: &[LakeFile]) -> Result<String, WarehouseError> {
    let name = format!("load-{name}.manifest");
    let written = lake.write_companion(&name, sql::manifest(files)).await;
    written.map_err(|source| WarehouseError::Lake { path: name, source })
}

/// Copies the manifest's files into the staging table; the reason when the cluster refuses them.
async fn stage(client: &Client, script: &sql::LoadScript, expected: u64) -> Result<Option<String>, WarehouseError> {
    for statement in &script.stage {
        execute(client, "prepare the staging table", statement).await?;
    }
    if let Err(error) = client.simple_query(&script.copy).await {
        // A load error (class XX, 22 or 0A) is the data's; a lost connection or a conflict is not.
        return match error.as_db_error() {
            Some(database) if !is_in_the_way(database.message()) => Ok(Some(database.message().to_owned())),
            _ => Err(classify("copy the manifest")(error)),
        };
    }
    let staged = first_number(client, "count the staged rows", &script.count).await?.unwrap_or_default();
    let complete = u64::try_from(staged) == Ok(expected);
    Ok((!complete).then(|| format!("the files hold {staged} rows, the lake's manifest says {expected}")))
}

/// Redshift reports conflicts as error 1023 and reading rights as S3 errors; neither is a file's fault.
fn is_in_the_way(message: &str) -> bool {
    ["1023", "Serializable isolation violation", "S3ServiceException", "AccessDenied", "canceled"]
        .iter()
        .any(|sign| message.contains(sign))
}

async fn execute(client: &Client, action: &'static str, statement: &str) -> Result<u64, WarehouseError> {
    let messages = client.simple_query(statement).await.map_err(classify(action))?;
    let affected = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
        _ => None,
    });
    Ok(affected.unwrap_or(0))
}

async fn rows(client: &Client, action: &'static str, statement: &str) -> Result<Vec<SimpleQueryRow>, WarehouseError> {
    let messages = client.simple_query(statement).await.map_err(classify(action))?;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

async fn first_number(client: &Client, action: &'static str, statement: &str) -> Result<Option<i64>, WarehouseError> {
    Ok(rows(client, action, statement).await?.first().map(|row| number(row, 0)))
}

/// COMMIT; whatever goes wrong here, only the ledger knows the outcome.
async fn commit(client: &Client) -> Result<(), WarehouseError> {
    let committed = client.batch_execute("COMMIT").await;
    committed.map_err(|error| WarehouseError::OutcomeUnknown(Box::new(error)))
}

/// A column as a number; the columns asked are numbers.
fn number(row: &SimpleQueryRow, column: usize) -> i64 {
    row.get(column).and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[async_trait]
impl Warehouse for RedshiftWarehouse {
    async fn newest(&mut self, lake_table: &str) -> Result<Option<i64>, WarehouseError> {
        let rows = self.query("read the ledger", &sql::newest(lake_table)).await?;
        Ok(rows.first().map(|row| number(row, 0)))
    }

    async fn is_loaded(&mut self, lake_table: &str, snapshot_id: i64) -> Result<bool, WarehouseError> {
        Ok(!self.query("read the ledger", &sql::ledger_row(lake_table, snapshot_id)).await?.is_empty())
    }

    async fn load(
        &mut self,
        table: &LoadTable,
        lake: &LakeTable,
        job: &LoadJob,
    ) -> Result<LoadOutcome, WarehouseError> {
        let client = self.take().await?;
        let (mut job, mut refused) = (job.clone(), Vec::new());
        let mut attempt = self.load_files(&client, table, lake, &job, &refused).await?;
        if let Attempt::Refused(reason) = &attempt {
            execute(&client, "roll back", "ROLLBACK").await?;
            let (good, bad) = self.isolate(&client, table, lake, &job, reason).await?;
            (job.files, refused) = (good, bad);
            attempt = self.load_files(&client, table, lake, &job, &refused).await?;
        }
        match attempt {
            Attempt::Loaded => {
                self.client = Some(client);
                Ok(LoadOutcome::Loaded { rows: job.rows(), files: job.files.len(), refused })
            }
            Attempt::AlreadyLoaded => {
                execute(&client, "roll back", "ROLLBACK").await?;
                self.client = Some(client);
                Ok(LoadOutcome::AlreadyLoaded)
            }
            Attempt::Refused(reason) => {
                let source = format!("files that were accepted one by one are refused together: {reason}").into();
                Err(WarehouseError::Failed { action: "load the accepted files", source })
            }
        }
    }

    async fn retry_requests(&mut self, lake_table: &str) -> Result<Vec<RetryRequest>, WarehouseError> {
        let rows = self.query("read the quarantine", &sql::retry_requests(lake_table)).await?;
        let request = |row: &SimpleQueryRow| RetryRequest {
            lake_table: lake_table.to_owned(),
            snapshot_id: number(row, 0),
            file: LakeFile {
                path: row.get(1).unwrap_or_default().to_owned(),
                rows: number(row, 2).unsigned_abs(),
                bytes: number(row, 3).unsigned_abs(),
            },
        };
        Ok(rows.iter().map(request).collect())
    }

    async fn retry(
        &mut self,
        table: &LoadTable,
        lake: &LakeTable,
        request: &RetryRequest,
    ) -> Result<bool, WarehouseError> {
        let RetryRequest { lake_table, snapshot_id, file } = request;
        let client = self.take().await?;
        let job = LoadJob {
            lake_table: lake_table.clone(),
            snapshot_id: *snapshot_id,
            parent: None,
            committed_at_micros: 0,
            files: vec![file.clone()],
            foreign_operation: None,
        };
        let manifest = upload_manifest(lake, &format!("{snapshot_id}-retry"), &job.files).await?;
        let script = sql::load_script(table, &job, &manifest, &self.iam_role, 0);
        let [resolve, ledger] = sql::resolve(lake_table, *snapshot_id, file);
        execute(&client, "begin a retry", "BEGIN").await?;
        execute(&client, "lock the ledger", script.lock).await?;
        let open = execute(&client, "take up a retry", &resolve).await? > 0;
        let refusal = if open { stage(&client, &script, file.rows).await? } else { None };
        if let Some(reason) = &refusal {
            execute(&client, "roll back", "ROLLBACK").await?;
            let again = sql::refused_again(lake_table, *snapshot_id, &file.path, reason);
            execute(&client, "note a refusal", &again).await?;
        } else {
            if open {
                execute(&client, "insert the staged rows", &script.insert).await?;
                execute(&client, "write the ledger", &ledger).await?;
            }
            commit(&client).await?;
        }
        self.client = Some(client);
        Ok(refusal.is_none())
    }

    async fn quarantined(&mut self, lake_table: &str) -> Result<i64, WarehouseError> {
        let rows = self.query("count the quarantine", &sql::quarantined(lake_table)).await?;
        Ok(rows.first().map_or(0, |row| number(row, 0)))
    }

    async fn unannounced(&mut self, limit: i64) -> Result<Vec<WarehouseLoad>, WarehouseError> {
        let rows = self.query("read the ledger", &sql::unannounced(limit)).await?;
        let load = |row: &SimpleQueryRow| {
            let lake_table = row.get(0).unwrap_or_default().to_owned();
            WarehouseLoad {
                table: format!("raw.{}", lake_table.rsplit('.').next().unwrap_or_default()),
                snapshot_id: number(row, 1),
                rows: number(row, 2),
                files: i32::try_from(number(row, 3)).unwrap_or(i32::MAX),
                quarantined_files: i32::try_from(number(row, 4)).unwrap_or(i32::MAX),
                started_at: number(row, 5),
                finished_at: number(row, 6),
                lake_table,
            }
        };
        Ok(rows.iter().map(load).collect())
    }

    async fn announced(&mut self, load: &WarehouseLoad) -> Result<(), WarehouseError> {
        self.query("note an announcement", &sql::announced(&load.lake_table, load.snapshot_id)).await.map(drop)
    }

    async fn upsert_devices(&mut self, rows: &DeviceRows) -> Result<u64, WarehouseError> {
        let client = self.take().await?;
        execute(&client, "begin writing devices", "BEGIN").await?;
        let mut changed = 0;
        for statement in sql::upsert_devices(rows) {
            let affected = execute(&client, "write devices", &statement.sql).await?;
            changed += if statement.counts { affected } else { 0 };
        }
        commit(&client).await?;
        self.client = Some(client);
        Ok(changed)
    }
}

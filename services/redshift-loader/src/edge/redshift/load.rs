//! One snapshot, one transaction: LOCK, ledger row, COPY of a manifest into a temporary table, row count, INSERT, COMMIT.

use lake::{LakeFile, LakeTable};
use tokio_postgres::Client;

use super::statements::{classify, commit, execute, execute_exactly, first_number, judge, rows, text, unexpected};
use crate::core::bisect::Bisection;
use crate::core::job::{LedgerVerdict, LoadJob, LoadOutcome, RefusedFile};
use crate::core::redshift as sql;
use crate::core::redshift_blame::Blame;
use crate::core::table::LoadTable;
use crate::edge::warehouse::{Retried, RetryRequest, WarehouseError};

/// A table being loaded over a connection.
pub(super) struct Loading<'a> {
    pub(super) client: &'a Client,
    pub(super) table: &'a LoadTable,
    pub(super) lake: &'a LakeTable,
    pub(super) iam_role: &'a str,
}

enum Attempt {
    Loaded,
    AlreadyLoaded,
    /// Some file is at fault; the transaction is open and of no use.
    Refused(String),
}

impl Loading<'_> {
    /// Loads a snapshot; files that the cluster refuses are found with trials and set aside.
    pub(super) async fn load(&self, job: &LoadJob) -> Result<LoadOutcome, WarehouseError> {
        let (mut job, mut refused) = (job.clone(), Vec::new());
        let mut attempt = self.attempt(&job, &refused).await?;
        if let Attempt::Refused(reason) = &attempt {
            execute(self.client, "roll back", "ROLLBACK").await?;
            (job.files, refused) = self.isolate(&job, reason).await?;
            attempt = self.attempt(&job, &refused).await?;
        }
        match attempt {
            Attempt::Loaded => Ok(LoadOutcome::Loaded { rows: job.rows(), files: job.files.len(), refused }),
            Attempt::AlreadyLoaded => {
                execute(self.client, "roll back", "ROLLBACK").await?;
                Ok(LoadOutcome::AlreadyLoaded)
            }
            Attempt::Refused(reason) => {
                let problem = format!("files that were accepted in trials are refused together: {reason}");
                Err(unexpected("load the accepted files", problem))
            }
        }
    }

    async fn attempt(&self, job: &LoadJob, refused: &[RefusedFile]) -> Result<Attempt, WarehouseError> {
        let client = self.client;
        let manifest = self.upload_manifest(job.snapshot_id, &job.files).await?;
        self.begin().await?;
        let newest = first_number(client, "read the ledger", &sql::newest(&job.lake_table)).await?;
        let present = sql::ledger_row(&job.lake_table, job.snapshot_id);
        let present = first_number(client, "read the ledger", &present).await?.is_some();
        match LedgerVerdict::of(job, present, newest) {
            LedgerVerdict::Present => return Ok(Attempt::AlreadyLoaded),
            LedgerVerdict::Next => {}
            LedgerVerdict::OutOfOrder => {
                let (lake_table, snapshot_id, parent) = (job.lake_table.clone(), job.snapshot_id, job.parent);
                return Err(WarehouseError::OutOfOrder { lake_table, snapshot_id, parent, newest });
            }
        }
        let loaded_at = self.next_time(&job.lake_table).await?;
        if execute(client, "write the ledger", &sql::claim(job, refused.len(), &loaded_at)).await? == 0 {
            return Ok(Attempt::AlreadyLoaded);
        }
        if let Some(manifest) = manifest {
            if let Some(reason) = self.stage(&manifest, job.rows()).await? {
                return Ok(Attempt::Refused(reason));
            }
            self.insert(job.snapshot_id, &loaded_at, job.rows()).await?;
        }
        for RefusedFile { file, reason } in refused {
            execute_exactly(client, "quarantine a file", &sql::quarantine(job, file, reason), 1).await?;
        }
        commit(client, "commit a load").await?;
        Ok(Attempt::Loaded)
    }

    /// Finds the files that the cluster refuses, with COPYs that are rolled back.
    async fn isolate(&self, job: &LoadJob, reason: &str) -> Result<(Vec<LakeFile>, Vec<RefusedFile>), WarehouseError> {
        let mut search = Bisection::of_refused(job.files.clone(), reason);
        while let Some(files) = search.next_set() {
            let rows = files.iter().map(|file| file.rows).sum();
            let manifest = self.upload_manifest(job.snapshot_id, files).await?;
            execute(self.client, "begin a trial", "BEGIN").await?;
            let refusal = match manifest {
                Some(manifest) => self.stage(&manifest, rows).await?,
                None => None,
            };
            execute(self.client, "end a trial", "ROLLBACK").await?;
            match refusal {
                Some(reason) => search.refuse(&reason),
                None => search.accept(),
            }
        }
        let (good, bad) = search.finish();
        Ok((good, bad.into_iter().map(|(file, reason)| RefusedFile { file, reason }).collect()))
    }

    /// Loads a quarantined file, unless another loader was faster.
    pub(super) async fn retry(&self, request: &RetryRequest) -> Result<Retried, WarehouseError> {
        let (client, RetryRequest { lake_table, snapshot_id, file }) = (self.client, request);
        let manifest = self.upload_manifest(*snapshot_id, std::slice::from_ref(file)).await?;
        self.begin().await?;
        let loaded_at = self.next_time(lake_table).await?;
        let [resolve, ledger] = sql::resolve(lake_table, *snapshot_id, file, &loaded_at);
        if execute(client, "take up a retry", &resolve).await? == 0 {
            execute(client, "roll back", "ROLLBACK").await?;
            return Ok(Retried::Gone);
        }
        let refusal = match manifest {
            Some(manifest) => self.stage(&manifest, file.rows).await?,
            None => None,
        };
        if let Some(reason) = refusal {
            execute(client, "roll back", "ROLLBACK").await?;
            let again = sql::refused_again(lake_table, *snapshot_id, &file.path, &reason);
            execute(client, "note a refusal", &again).await?;
            return Ok(Retried::Refused);
        }
        // The time of now, not of the snapshot: whoever reads what was loaded after X must see these rows.
        self.insert(*snapshot_id, &loaded_at, file.rows).await?;
        execute_exactly(client, "write the ledger", &ledger, 1).await?;
        commit(client, "commit a retry").await?;
        Ok(Retried::Loaded)
    }

    /// Begins a transaction and takes the ledger for it.
    async fn begin(&self) -> Result<(), WarehouseError> {
        execute(self.client, "begin a load", "BEGIN").await?;
        execute(self.client, "wait for other loaders", sql::LOCK).await.map(drop)
    }

    async fn next_time(&self, lake_table: &str) -> Result<String, WarehouseError> {
        let rows = rows(self.client, "read the ledger", &sql::next_time(lake_table)).await?;
        let row = rows.first().ok_or_else(|| unexpected("read the ledger", "no time came".to_owned()))?;
        text(row, 0)
    }

    /// The manifest's URL; `None` when there is no file.
    async fn upload_manifest(&self, snapshot_id: i64, files: &[LakeFile]) -> Result<Option<String>, WarehouseError> {
        if files.is_empty() {
            return Ok(None);
        }
        let manifest = sql::manifest(files);
        let name = sql::manifest_name(snapshot_id, &manifest);
        let written = self.lake.write_companion(&name, manifest).await;
        written.map(Some).map_err(|source| WarehouseError::Lake { path: name, source })
    }

    /// Copies the manifest's files into the staging table; the reason when some file is at fault.
    async fn stage(&self, manifest: &str, expected: u64) -> Result<Option<String>, WarehouseError> {
        for statement in sql::stage(self.table) {
            execute(self.client, "prepare the staging table", &statement).await?;
        }
        if let Err(error) = self.client.simple_query(&sql::copy(self.table, manifest, self.iam_role)).await {
            return match judge(&error) {
                Blame::Data(reason) => Ok(Some(reason)),
                Blame::Conflict | Blame::Other => Err(classify("copy the manifest")(error)),
            };
        }
        let staged = first_number(self.client, "count the staged rows", &sql::count(self.table)).await?;
        let complete = staged.and_then(|staged| u64::try_from(staged).ok()) == Some(expected);
        let problem = || format!("the files hold {} rows, the lake's manifest says {expected}", staged.unwrap_or(0));
        Ok((!complete).then(problem))
    }

    async fn insert(&self, snapshot_id: i64, loaded_at: &str, rows: u64) -> Result<(), WarehouseError> {
        let statement = sql::insert(self.table, snapshot_id, loaded_at);
        execute_exactly(self.client, "insert the staged rows", &statement, rows).await
    }
}

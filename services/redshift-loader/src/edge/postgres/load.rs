//! One snapshot, one transaction.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::{SinkExt, StreamExt};
use lake::{LakeError, LakeFile, LakeTable};
use tokio_postgres::{Client, CopyInSink, Transaction};

use super::error::{classify, classify_commit, refusal};
use crate::core::binary_copy::{CopyRows, HEADER, TRAILER};
use crate::core::job::{LedgerVerdict, LoadJob, LoadOutcome, RefusedFile};
use crate::core::table::{LOAD_COLUMNS, LoadTable};
use crate::edge::warehouse::{Retried, RetryRequest, WarehouseError};

/// Bytes sent to the server at once. Larger: more memory and no faster; much smaller: a message per few rows.
const CHUNK_BYTES: usize = 256 * 1024;
/// Rows encoded between two looks at the size of the chunk.
const ROWS_PER_LOOK: usize = 256;

/// What the ledger holds of a table, read under the table's lock.
struct Ledger {
    newest: Option<i64>,
    present: bool,
    load_number: i64,
    /// When a load that is made now was loaded: later than every other of the table, even if the clock went back.
    loaded_at: DateTime<Utc>,
}

/// Loads a snapshot, unless the ledger has it.
pub(super) async fn load(
    client: &mut Client,
    table: &LoadTable,
    lake: &LakeTable,
    job: &LoadJob,
) -> Result<LoadOutcome, WarehouseError> {
    let mut transaction = client.transaction().await.map_err(classify("begin a load"))?;
    let ledger = lock(&transaction, &job.lake_table, job.snapshot_id).await?;
    match LedgerVerdict::of(job, ledger.present, ledger.newest) {
        LedgerVerdict::Next => {}
        LedgerVerdict::Present => return Ok(LoadOutcome::AlreadyLoaded),
        LedgerVerdict::OutOfOrder => return Err(out_of_order(job, ledger.newest)),
    }
    if !claim(&transaction, job, &ledger).await? {
        return Ok(LoadOutcome::AlreadyLoaded);
    }
    let refused = stage(&mut transaction, table, lake, &job.files).await?;
    let rows = job.rows() - refused.iter().map(|refused| refused.file.rows).sum::<u64>();
    insert(&transaction, table, job.snapshot_id, ledger.loaded_at, rows).await?;
    if !refused.is_empty() {
        quarantine(&transaction, job, &refused, rows).await?;
    }
    transaction.commit().await.map_err(classify_commit)?;
    Ok(LoadOutcome::Loaded { rows, files: job.files.len() - refused.len(), refused })
}

/// Whether the ledger has a snapshot, behind the lock of its table.
pub(super) async fn is_loaded(client: &mut Client, lake_table: &str, snapshot_id: i64) -> Result<bool, WarehouseError> {
    let transaction = client.transaction().await.map_err(classify("read the ledger"))?;
    let present = lock(&transaction, lake_table, snapshot_id).await?.present;
    transaction.rollback().await.map_err(classify("read the ledger"))?;
    Ok(present)
}

/// Loads a quarantined file, unless another loader was faster.
pub(super) async fn retry(
    client: &mut Client,
    table: &LoadTable,
    lake: &LakeTable,
    request: &RetryRequest,
) -> Result<Retried, WarehouseError> {
    let RetryRequest { lake_table, snapshot_id, file } = request;
    let mut transaction = client.transaction().await.map_err(classify("begin a retry"))?;
    let ledger = lock(&transaction, lake_table, *snapshot_id).await?;
    // Under the lock: another loader may have brought the file in since the request was read.
    let open = "UPDATE raw.load_quarantine SET retry_requested_at = NULL \
        WHERE lake_table = $1 AND snapshot_id = $2 AND path = $3 AND resolved_at IS NULL";
    let open = transaction.execute(open, &[lake_table, snapshot_id, &file.path]).await;
    if open.map_err(classify("take up a retry"))? == 0 {
        return Ok(Retried::Gone);
    }
    let refused = stage(&mut transaction, table, lake, std::slice::from_ref(file)).await?;
    if let Some(RefusedFile { reason, .. }) = refused.first() {
        let again =
            "UPDATE raw.load_quarantine SET reason = $4 WHERE lake_table = $1 AND snapshot_id = $2 AND path = $3";
        let noted = transaction.execute(again, &[lake_table, snapshot_id, &file.path, reason]).await;
        noted.map_err(classify("note a refusal"))?;
    } else {
        insert(&transaction, table, *snapshot_id, ledger.loaded_at, file.rows).await?;
        resolve(&transaction, request, ledger.loaded_at).await?;
    }
    transaction.commit().await.map_err(classify_commit)?;
    Ok(if refused.is_empty() { Retried::Loaded } else { Retried::Refused })
}

/// Waits for other loaders of the table, then reads what the ledger holds.
async fn lock(transaction: &Transaction<'_>, lake_table: &str, snapshot_id: i64) -> Result<Ledger, WarehouseError> {
    // Two statements: the second must see what was committed while the first one waited.
    let key = format!("meterway load {lake_table}");
    let lock = transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", &[&key]).await;
    lock.map_err(classify("wait for other loaders of the table"))?;
    let statement = "SELECT \
        (SELECT snapshot_id FROM raw.load_ledger WHERE lake_table = $1 ORDER BY load_number DESC LIMIT 1), \
        EXISTS (SELECT FROM raw.load_ledger WHERE lake_table = $1 AND snapshot_id = $2), \
        coalesce(max(load_number), 0) + 1, \
        greatest(clock_timestamp(), max(loaded_at) + interval '1 microsecond', (SELECT max(resolved_at) + interval '1 microsecond' \
            FROM raw.load_quarantine WHERE lake_table = $1)) \
        FROM raw.load_ledger WHERE lake_table = $1";
    let row =
        transaction.query_one(statement, &[&lake_table, &snapshot_id]).await.map_err(classify("read the ledger"))?;
    Ok(Ledger { newest: row.get(0), present: row.get(1), load_number: row.get(2), loaded_at: row.get(3) })
}

fn out_of_order(job: &LoadJob, newest: Option<i64>) -> WarehouseError {
    WarehouseError::OutOfOrder {
        lake_table: job.lake_table.clone(),
        snapshot_id: job.snapshot_id,
        parent: job.parent,
        newest,
    }
}

/// Writes the ledger row; `false` when it is there.
async fn claim(transaction: &Transaction<'_>, job: &LoadJob, ledger: &Ledger) -> Result<bool, WarehouseError> {
    let statement = "INSERT INTO raw.load_ledger \
        (lake_table, snapshot_id, parent_snapshot_id, load_number, rows, files, committed_at, started_at, loaded_at) \
        SELECT $1, $2, $3, $4, $5, $6, $7, now(), $8 \
        WHERE NOT EXISTS (SELECT FROM raw.load_ledger WHERE lake_table = $1 AND snapshot_id = $2)";
    let committed_at = DateTime::from_timestamp_micros(job.committed_at_micros).unwrap_or_default();
    let (rows, files) = (job.rows() as i64, job.files.len() as i32);
    let claimed = transaction
        .execute(
            statement,
            &[
                &job.lake_table,
                &job.snapshot_id,
                &job.parent,
                &ledger.load_number,
                &rows,
                &files,
                &committed_at,
                &ledger.loaded_at,
            ],
        )
        .await;
    Ok(claimed.map_err(classify("write the ledger"))? == 1)
}

/// Copies the files into a temporary table, each behind a savepoint, and returns those that were refused.
async fn stage(
    transaction: &mut Transaction<'_>,
    table: &LoadTable,
    lake: &LakeTable,
    files: &[LakeFile],
) -> Result<Vec<RefusedFile>, WarehouseError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let [snapshot_column, time_column] = LOAD_COLUMNS;
    // The target's constraints, so that a row which it would refuse is refused with its file and not with the snapshot.
    let create = format!(
        "CREATE TEMP TABLE {staging} (LIKE {target} INCLUDING CONSTRAINTS) ON COMMIT DROP; \
         ALTER TABLE {staging} DROP COLUMN {snapshot_column}, DROP COLUMN {time_column}",
        staging = table.staging(),
        target = table.target()
    );
    transaction.batch_execute(&create).await.map_err(classify("create a staging table"))?;
    let mut refused = Vec::new();
    for file in files {
        let savepoint = transaction.savepoint("file").await.map_err(classify("set a savepoint"))?;
        match copy_file(&savepoint, table, lake, file).await {
            Ok(()) => savepoint.commit().await.map_err(classify("keep a file"))?,
            Err(FileError::Failed(error)) => return Err(error),
            Err(FileError::Refused(reason)) => {
                savepoint.rollback().await.map_err(classify("take a file back"))?;
                refused.push(RefusedFile { file: file.clone(), reason });
            }
        }
    }
    Ok(refused)
}

/// Why a file is not staged.
enum FileError {
    /// The file is at fault.
    Refused(String),
    /// Something else is.
    Failed(WarehouseError),
}

async fn copy_file(
    savepoint: &Transaction<'_>,
    table: &LoadTable,
    lake: &LakeTable,
    file: &LakeFile,
) -> Result<(), FileError> {
    let statement = format!("COPY {} FROM STDIN (FORMAT binary)", table.staging());
    let mut batches = lake.read_file(&file.path).await.map_err(|error| from_lake(file, error))?;
    let sink =
        savepoint.copy_in(&statement).await.map_err(|error| FileError::Failed(classify("begin a copy")(error)))?;
    let mut sink = pin!(sink);
    let mut chunk = BytesMut::from(HEADER);
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| from_lake(file, error))?;
        let rows = CopyRows::new(table.columns(), &batch).map_err(|error| FileError::Refused(error.to_string()))?;
        for start in (0..rows.len()).step_by(ROWS_PER_LOOK) {
            let end = rows.len().min(start + ROWS_PER_LOOK);
            rows.encode(start..end, &mut chunk).map_err(|error| FileError::Refused(error.to_string()))?;
            if chunk.len() >= CHUNK_BYTES {
                send(&mut sink, chunk.split().freeze()).await?;
            }
        }
    }
    chunk.extend_from_slice(TRAILER);
    send(&mut sink, chunk.freeze()).await?;
    let copied = sink.finish().await.map_err(from_copy)?;
    if copied == file.rows {
        Ok(())
    } else {
        Err(FileError::Refused(format!("the file holds {copied} rows, the lake's manifest says {}", file.rows)))
    }
}

async fn send(sink: &mut std::pin::Pin<&mut CopyInSink<Bytes>>, chunk: Bytes) -> Result<(), FileError> {
    sink.send(chunk).await.map_err(from_copy)
}

fn from_copy(error: tokio_postgres::Error) -> FileError {
    match refusal(&error) {
        Some(reason) => FileError::Refused(reason),
        None => FileError::Failed(classify("copy a file")(error)),
    }
}

/// A file that can be fetched but not read is at fault; a store that does not answer is not the file's fault, and neither
/// is an object that is missing: it may be brought back, so the load waits, loudly.
fn from_lake(file: &LakeFile, error: LakeError) -> FileError {
    match error {
        LakeError::Parquet { source, .. } if !matches!(source, parquet::errors::ParquetError::External(_)) => {
            FileError::Refused(source.to_string())
        }
        source => FileError::Failed(WarehouseError::Lake { path: file.path.clone(), source }),
    }
}

/// Moves the staged rows into the table and checks their number.
async fn insert(
    transaction: &Transaction<'_>,
    table: &LoadTable,
    snapshot_id: i64,
    loaded_at: DateTime<Utc>,
    rows: u64,
) -> Result<(), WarehouseError> {
    if rows == 0 {
        return Ok(());
    }
    let columns = table.column_list();
    let statement = format!(
        "INSERT INTO {} ({columns}, {}) SELECT {columns}, $1, $2 FROM {}",
        table.target(),
        LOAD_COLUMNS.join(", "),
        table.staging()
    );
    let inserted = transaction.execute(&statement, &[&snapshot_id, &loaded_at]).await;
    let inserted = inserted.map_err(classify("insert the staged rows"))?;
    if inserted != rows {
        let source = format!("{inserted} rows were staged, {rows} were expected").into();
        return Err(WarehouseError::Failed { action: "insert the staged rows", source });
    }
    Ok(())
}

async fn quarantine(
    transaction: &Transaction<'_>,
    job: &LoadJob,
    refused: &[RefusedFile],
    rows: u64,
) -> Result<(), WarehouseError> {
    let statement = "INSERT INTO raw.load_quarantine (lake_table, snapshot_id, path, rows, bytes, reason, quarantined_at) \
        VALUES ($1, $2, $3, $4, $5, $6, now())";
    for RefusedFile { file, reason } in refused {
        let (file_rows, bytes) = (file.rows as i64, file.bytes as i64);
        // The server refuses text with a NUL, and the reason may quote the data.
        let reason = reason.replace('\0', "\\0");
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&job.lake_table, &job.snapshot_id, &file.path, &file_rows, &bytes, &reason];
        transaction.execute(statement, &values).await.map_err(classify("quarantine a file"))?;
    }
    let correction = "UPDATE raw.load_ledger SET rows = $3, files = $4, quarantined_files = $5 \
        WHERE lake_table = $1 AND snapshot_id = $2";
    let (rows, set_aside) = (rows as i64, refused.len() as i32);
    let files = job.files.len() as i32 - set_aside;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&job.lake_table, &job.snapshot_id, &rows, &files, &set_aside];
    transaction.execute(correction, &values).await.map_err(classify("write the ledger")).map(drop)
}

async fn resolve(
    transaction: &Transaction<'_>,
    request: &RetryRequest,
    loaded_at: DateTime<Utc>,
) -> Result<(), WarehouseError> {
    let RetryRequest { lake_table, snapshot_id, file } = request;
    let resolved =
        "UPDATE raw.load_quarantine SET resolved_at = $4 WHERE lake_table = $1 AND snapshot_id = $2 AND path = $3";
    let resolved = transaction.execute(resolved, &[lake_table, snapshot_id, &file.path, &loaded_at]).await;
    resolved.map_err(classify("resolve a quarantined file"))?;
    let ledger = "UPDATE raw.load_ledger SET rows = rows + $3, files = files + 1, quarantined_files = quarantined_files - 1 \
        WHERE lake_table = $1 AND snapshot_id = $2";
    let rows = file.rows as i64;
    let updated = transaction.execute(ledger, &[lake_table, snapshot_id, &rows]).await;
    updated.map_err(classify("write the ledger")).map(drop)
}

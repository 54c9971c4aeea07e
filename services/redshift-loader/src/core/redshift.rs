//! What the `redshift` dialect says to the cluster: the manifest of a COPY and the SQL around it.
//!
//! Redshift does not enforce keys, has no binary COPY and takes Parquet by position. So the ledger's uniqueness rests on
//! `LOCK`, files are named in a manifest (exactly these, each mandatory), and the tables' column order is a contract.

use lake::{ColumnType, LakeFile};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::core::devices::rfc3339;
use crate::core::job::LoadJob;
use crate::core::table::{LoadTable, redshift_type};

/// The manifest of a COPY: exactly these files. `content_length` is required for columnar formats.
///
/// # Panics
/// Never: the structure always has a JSON form.
pub fn manifest(files: &[LakeFile]) -> String {
    #[derive(Serialize)]
    struct Manifest<'a> {
        entries: Vec<Entry<'a>>,
    }
    #[derive(Serialize)]
    struct Entry<'a> {
        url: &'a str,
        mandatory: bool,
        meta: Meta,
    }
    #[derive(Serialize)]
    struct Meta {
        content_length: u64,
    }
    let entries = files.iter().map(|file| {
        let meta = Meta { content_length: file.bytes };
        Entry { url: &file.path, mandatory: true, meta }
    });
    let manifest = Manifest { entries: entries.collect() };
    serde_json::to_string_pretty(&manifest).expect("strings, numbers and booleans have a JSON form")
}

/// Name of a manifest's object: made of its content, so that loaders which judge files at the same time never replace each
/// other's manifest by another.
pub fn manifest_name(snapshot_id: i64, manifest: &str) -> String {
    format!("load-{snapshot_id}-{}.manifest", hex::encode(&Sha256::digest(manifest)[..8]))
}

/// The table that receives the rows. Quoted: `raw` is a reserved word of Redshift.
fn target(table: &LoadTable) -> String {
    format!("\"raw\".{}", table.name())
}

/// A text as an SQL literal.
pub(super) fn literal(text: &str) -> String {
    // Redshift reads a backslash in a plain literal as an escape. A NUL would end the whole query.
    format!("'{}'", text.replace('\0', "\\0").replace('\\', "\\\\").replace('\'', "''"))
}

pub(super) fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), literal)
}

pub(super) fn number<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())
}

fn instant(micros: i64) -> String {
    format!("{}::timestamptz", literal(&rfc3339(micros)))
}

/// Tables of schema `raw`, for a cluster that has none yet.
pub fn create_tables() -> Vec<String> {
    let mut statements = vec!["CREATE SCHEMA IF NOT EXISTS \"raw\"".to_owned()];
    statements.extend(LoadTable::all().iter().map(create_table));
    statements.extend(SERVICE_TABLES.iter().map(|statement| (*statement).to_owned()));
    statements
}

fn create_table(table: &LoadTable) -> String {
    let lines = table.columns().iter().map(|column| {
        let required = if column.required { " NOT NULL" } else { "" };
        format!("    \"{}\" {}{required},\n", column.name, redshift_type(column.column_type))
    });
    let time = if table.name() == "readings" { "start" } else { "loaded_at" };
    format!(
        "CREATE TABLE IF NOT EXISTS {} (\n{}    lake_snapshot_id bigint NOT NULL,\n    loaded_at timestamptz NOT NULL\n)\n\
         DISTKEY (device_id) COMPOUND SORTKEY (tenant_id, \"{time}\")",
        target(table),
        lines.collect::<String>()
    )
}

const SERVICE_TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS \"raw\".load_ledger (\n    lake_table varchar(256) NOT NULL,\n    snapshot_id bigint NOT NULL,\n    \
     parent_snapshot_id bigint,\n    load_number bigint NOT NULL,\n    rows bigint NOT NULL,\n    files integer NOT NULL,\n    \
     quarantined_files integer NOT NULL,\n    committed_at timestamptz NOT NULL,\n    started_at timestamptz NOT NULL,\n    \
     loaded_at timestamptz NOT NULL,\n    announced_at timestamptz\n)",
    "CREATE TABLE IF NOT EXISTS \"raw\".load_quarantine (\n    lake_table varchar(256) NOT NULL,\n    snapshot_id bigint NOT NULL,\n    \
     path varchar(4096) NOT NULL,\n    rows bigint NOT NULL,\n    bytes bigint NOT NULL,\n    reason varchar(65535) NOT NULL,\n    \
     quarantined_at timestamptz NOT NULL,\n    retry_requested_at timestamptz,\n    resolved_at timestamptz\n)",
    "CREATE TABLE IF NOT EXISTS \"raw\".devices (\n    device_id varchar(256) NOT NULL,\n    tenant_id varchar(256) NOT NULL,\n    \
     customer_id varchar(256),\n    site_id varchar(256) NOT NULL,\n    gateway_id varchar(256),\n    status varchar(32) NOT NULL,\n    \
     commodity varchar(32) NOT NULL,\n    customer_class varchar(32) NOT NULL,\n    zone varchar(64) NOT NULL,\n    \
     version bigint NOT NULL,\n    updated_at timestamptz NOT NULL,\n    loaded_at timestamptz NOT NULL\n) DISTSTYLE ALL",
    "CREATE TABLE IF NOT EXISTS \"raw\".device_channels (\n    device_id varchar(256) NOT NULL,\n    channel varchar(256) NOT NULL,\n    \
     kind varchar(32) NOT NULL,\n    unit varchar(32) NOT NULL,\n    interval_s integer,\n    multiplier numeric(18, 6) NOT NULL,\n    \
     register_digits integer,\n    capacity_per_hour numeric(18, 6),\n    allow_negative boolean NOT NULL\n) DISTSTYLE ALL",
];

/// Serialises loaders: Redshift does not keep the ledger's key unique. The first statement of a transaction, so that its
/// snapshot is taken behind the lock and not before.
pub const LOCK: &str = "LOCK \"raw\".load_ledger";

/// When a load that is made now was loaded: later than every other of the table, even if the clock went back. To be asked
/// under the lock; `sysdate` is when the transaction began.
pub fn next_time(lake_table: &str) -> String {
    let table = literal(lake_table);
    format!(
        "SELECT greatest(sysdate::timestamptz, dateadd(microsecond, 1, max(latest)))::varchar(64) FROM (\n    \
         SELECT max(loaded_at) AS latest FROM \"raw\".load_ledger WHERE lake_table = {table}\n    UNION ALL\n    \
         SELECT max(resolved_at) AS latest FROM \"raw\".load_quarantine WHERE lake_table = {table}\n) AS times"
    )
}

/// An empty staging table of the lake's columns. DELETE, because TRUNCATE would commit.
pub fn stage(table: &LoadTable) -> [String; 2] {
    [create_staging(table), format!("DELETE FROM {}", table.staging())]
}

/// Rows that the COPY brought; must be what the manifest promises.
pub fn count(table: &LoadTable) -> String {
    format!("SELECT count(*) FROM {}", table.staging())
}

/// Moves the staged rows into the table; must report as many rows. `loaded_at` is what [`next_time`] answered.
pub fn insert(table: &LoadTable, snapshot_id: i64, loaded_at: &str) -> String {
    format!(
        "INSERT INTO {} ({}, lake_snapshot_id, loaded_at)\nSELECT {}, {snapshot_id}, {}::timestamptz\nFROM {} AS staged",
        target(table),
        table.column_list(),
        staged_columns(table),
        literal(loaded_at),
        table.staging()
    )
}

/// A columnar COPY knows no `timestamptz`: it takes the lake's UTC times as `timestamp`, and the insert gives the zone back.
fn create_staging(table: &LoadTable) -> String {
    let columns = table.columns().iter().map(|column| {
        let column_type = match column.column_type {
            ColumnType::Timestamp => "timestamp",
            other => redshift_type(other),
        };
        // What the target would refuse is refused with its file and not with the snapshot.
        let required = if column.required { " NOT NULL" } else { "" };
        format!("\"{}\" {column_type}{required}", column.name)
    });
    let columns: Vec<_> = columns.collect();
    format!("CREATE TEMP TABLE IF NOT EXISTS {} (\n    {}\n)", table.staging(), columns.join(",\n    "))
}

fn staged_columns(table: &LoadTable) -> String {
    let columns = table.columns().iter().map(|column| match column.column_type {
        ColumnType::Timestamp => format!("staged.\"{}\" AT TIME ZONE 'UTC'", column.name),
        _ => format!("staged.\"{}\"", column.name),
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// Reads exactly the manifest's files into the staging table. `role` is what the cluster reads S3 as.
pub fn copy(table: &LoadTable, manifest_url: &str, role: &str) -> String {
    let staging = table.staging();
    format!("COPY {staging} FROM {} IAM_ROLE {} FORMAT AS PARQUET MANIFEST", literal(manifest_url), literal(role))
}

/// Adds the ledger row, numbered behind the newest of the table, unless it is there; 0 rows mean that the snapshot is loaded.
pub fn claim(job: &LoadJob, refused: usize, loaded_at: &str) -> String {
    let table = literal(&job.lake_table);
    format!(
        "INSERT INTO \"raw\".load_ledger (lake_table, snapshot_id, parent_snapshot_id, load_number, rows, files,\n\
         \x20   quarantined_files, committed_at, started_at, loaded_at)\n\
         SELECT {table}, {snapshot}, {parent}, coalesce(max(load_number), 0) + 1, {rows}, {files}, {refused},\n\
         \x20   {committed}, sysdate, {loaded_at}::timestamptz\n\
         FROM \"raw\".load_ledger\nWHERE lake_table = {table}\n\
         HAVING count(CASE WHEN snapshot_id = {snapshot} THEN 1 END) = 0",
        snapshot = job.snapshot_id,
        parent = number(job.parent),
        rows = job.rows(),
        files = job.files.len(),
        committed = instant(job.committed_at_micros),
        loaded_at = literal(loaded_at),
    )
}

/// The row of a file that was set aside.
pub fn quarantine(job: &LoadJob, file: &LakeFile, reason: &str) -> String {
    format!(
        "INSERT INTO \"raw\".load_quarantine (lake_table, snapshot_id, path, rows, bytes, reason, quarantined_at)\n\
         VALUES ({}, {}, {}, {}, {}, {}, sysdate)",
        literal(&job.lake_table),
        job.snapshot_id,
        literal(&file.path),
        file.rows,
        file.bytes,
        literal(reason)
    )
}

/// Files in quarantine that somebody asked to try again.
pub fn retry_requests(lake_table: &str) -> String {
    format!(
        "SELECT snapshot_id, path, rows, bytes FROM \"raw\".load_quarantine\nWHERE lake_table = {} AND resolved_at IS NULL AND \
         retry_requested_at IS NOT NULL ORDER BY snapshot_id, path",
        literal(lake_table)
    )
}

/// The condition that picks a file's row in the quarantine.
fn quarantined_file(lake_table: &str, snapshot_id: i64, path: &str) -> String {
    format!("lake_table = {} AND snapshot_id = {snapshot_id} AND path = {}", literal(lake_table), literal(path))
}

/// The statements that resolve a quarantined file. The first must report one row, otherwise another loader was faster.
pub fn resolve(lake_table: &str, snapshot_id: i64, file: &LakeFile, loaded_at: &str) -> [String; 2] {
    let row = quarantined_file(lake_table, snapshot_id, &file.path);
    [
        format!(
            "UPDATE \"raw\".load_quarantine SET retry_requested_at = NULL, resolved_at = {}::timestamptz WHERE {row} AND \
             resolved_at IS NULL",
            literal(loaded_at)
        ),
        format!(
            "UPDATE \"raw\".load_ledger SET rows = rows + {}, files = files + 1, quarantined_files = quarantined_files - 1\n\
             WHERE lake_table = {} AND snapshot_id = {snapshot_id}",
            file.rows,
            literal(lake_table)
        ),
    ]
}

/// Notes that a file was refused again.
pub fn refused_again(lake_table: &str, snapshot_id: i64, path: &str, reason: &str) -> String {
    format!(
        "UPDATE \"raw\".load_quarantine SET retry_requested_at = NULL, reason = {} WHERE {} AND resolved_at IS NULL",
        literal(reason),
        quarantined_file(lake_table, snapshot_id, path)
    )
}

/// Lets roles read schema `raw`, with tables that are made later.
pub fn grants(readers: &[String]) -> Vec<String> {
    let grant = |role: &String| {
        let role = format!("\"{}\"", role.replace('"', "\"\""));
        [
            format!("GRANT USAGE ON SCHEMA \"raw\" TO {role}"),
            format!("GRANT SELECT ON ALL TABLES IN SCHEMA \"raw\" TO {role}"),
            format!("ALTER DEFAULT PRIVILEGES IN SCHEMA \"raw\" GRANT SELECT ON TABLES TO {role}"),
        ]
    };
    readers.iter().flat_map(grant).collect()
}

/// Newest loaded snapshot of a table.
pub fn newest(lake_table: &str) -> String {
    format!(
        "SELECT snapshot_id FROM \"raw\".load_ledger WHERE lake_table = {} ORDER BY load_number DESC LIMIT 1",
        literal(lake_table)
    )
}

/// The ledger's row of a snapshot.
pub fn ledger_row(lake_table: &str, snapshot_id: i64) -> String {
    format!(
        "SELECT 1 FROM \"raw\".load_ledger WHERE lake_table = {} AND snapshot_id = {snapshot_id}",
        literal(lake_table)
    )
}

/// Number of files of a table in quarantine.
pub fn quarantined(lake_table: &str) -> String {
    format!(
        "SELECT count(*) FROM \"raw\".load_quarantine WHERE lake_table = {} AND resolved_at IS NULL",
        literal(lake_table)
    )
}

/// Loads that were not announced; times in microseconds since 1970.
pub fn unannounced(limit: i64) -> String {
    let micros = |column: &str| format!("datediff(microsecond, TIMESTAMPTZ 'epoch', {column})");
    format!(
        "SELECT lake_table, snapshot_id, rows, files, quarantined_files, {}, {}\nFROM \"raw\".load_ledger\n\
         WHERE announced_at IS NULL ORDER BY lake_table, load_number LIMIT {limit}",
        micros("started_at"),
        micros("loaded_at")
    )
}

/// Notes an announcement.
pub fn announced(lake_table: &str, snapshot_id: i64) -> String {
    format!(
        "UPDATE \"raw\".load_ledger SET announced_at = sysdate WHERE lake_table = {} AND snapshot_id = {snapshot_id}",
        literal(lake_table)
    )
}

#[cfg(test)]
#[path = "redshift_tests.rs"]
mod tests;

//! What the `redshift` dialect says to the cluster: the manifest of a COPY and the SQL around it.
//!
//! Redshift does not enforce keys, has no binary COPY and takes Parquet by position. So the ledger's uniqueness rests on
//! `LOCK`, files are named in a manifest (exactly these, each mandatory), and the tables' column order is a contract.

use lake::{ColumnType, LakeFile};
use serde::Serialize;

use crate::core::devices::{ChannelRow, DeviceRow, DeviceRows, rfc3339};
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

/// The table that receives the rows. Quoted: `raw` is a reserved word of Redshift.
fn target(table: &LoadTable) -> String {
    format!("\"raw\".{}", table.name())
}

/// A text as an SQL literal.
fn literal(text: &str) -> String {
    // Redshift reads a backslash in a plain literal as an escape.
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), literal)
}

fn number<T: ToString>(value: Option<T>) -> String {
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

/// The statements of one load, in order; the numbers of rows that some of them must report are the caller's to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadScript {
    /// Serialises loaders: Redshift does not keep the ledger's key unique.
    pub lock: &'static str,
    /// Adds the ledger row unless it is there; 0 rows mean that the snapshot is loaded.
    pub claim: String,
    /// An empty staging table of the lake's columns. DELETE, because TRUNCATE would commit.
    pub stage: [String; 2],
    /// Reads exactly the manifest's files.
    pub copy: String,
    /// Rows that the COPY brought; must be what the manifest promises.
    pub count: String,
    /// Moves them into the table.
    pub insert: String,
}

/// The statements that load a job's files from a manifest. `role` is what the cluster reads S3 as.
pub fn load_script(table: &LoadTable, job: &LoadJob, manifest_url: &str, role: &str, refused: usize) -> LoadScript {
    let (staging, columns) = (table.staging(), table.column_list());
    LoadScript {
        lock: "LOCK \"raw\".load_ledger",
        claim: claim(job, refused),
        stage: [create_staging(table), format!("DELETE FROM {staging}")],
        copy: copy(&staging, manifest_url, role),
        count: format!("SELECT count(*) FROM {staging}"),
        insert: format!(
            "INSERT INTO {} ({columns}, lake_snapshot_id, loaded_at)\nSELECT {}, {}, ledger.loaded_at\n\
             FROM {staging} AS staged\nCROSS JOIN \"raw\".load_ledger AS ledger\n\
             WHERE ledger.lake_table = {} AND ledger.snapshot_id = {}",
            target(table),
            staged_columns(table),
            job.snapshot_id,
            literal(&job.lake_table),
            job.snapshot_id
        ),
    }
}

/// A columnar COPY knows no `timestamptz`: it takes the lake's UTC times as `timestamp`, and the insert gives the zone back.
fn create_staging(table: &LoadTable) -> String {
    let columns = table.columns().iter().map(|column| {
        let column_type = match column.column_type {
            ColumnType::Timestamp => "timestamp",
            other => redshift_type(other),
        };
        format!("\"{}\" {column_type}", column.name)
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

/// `COPY` of the manifest's files into the staging table.
pub fn copy(staging: &str, manifest_url: &str, role: &str) -> String {
    format!("COPY {staging} FROM {} IAM_ROLE {} FORMAT AS PARQUET MANIFEST", literal(manifest_url), literal(role))
}

/// The ledger row, numbered and dated behind the newest of the table; nothing when the snapshot is there.
fn claim(job: &LoadJob, refused: usize) -> String {
    let table = literal(&job.lake_table);
    format!(
        "INSERT INTO \"raw\".load_ledger (lake_table, snapshot_id, parent_snapshot_id, load_number, rows, files,\n\
         \x20   quarantined_files, committed_at, started_at, loaded_at)\n\
         SELECT {table}, {snapshot}, {parent}, coalesce(max(load_number), 0) + 1, {rows}, {files}, {refused},\n\
         \x20   {committed}, sysdate, greatest(sysdate, dateadd(microsecond, 1, max(loaded_at)))\n\
         FROM \"raw\".load_ledger\nWHERE lake_table = {table}\n\
         HAVING count(CASE WHEN snapshot_id = {snapshot} THEN 1 END) = 0",
        snapshot = job.snapshot_id,
        parent = number(job.parent),
        rows = job.rows(),
        files = job.files.len(),
        committed = instant(job.committed_at_micros),
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

/// The statements that bring a quarantined file in, between `LOCK` and `COMMIT`. The first must report one row, otherwise
/// another loader was faster; `insert` runs between the second and the third.
pub fn resolve(lake_table: &str, snapshot_id: i64, file: &LakeFile) -> [String; 2] {
    let row = quarantined_file(lake_table, snapshot_id, &file.path);
    [
        format!(
            "UPDATE \"raw\".load_quarantine SET retry_requested_at = NULL, resolved_at = sysdate WHERE {row} AND resolved_at IS NULL"
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
        "UPDATE \"raw\".load_quarantine SET retry_requested_at = NULL, reason = {} WHERE {}",
        literal(reason),
        quarantined_file(lake_table, snapshot_id, path)
    )
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

/// A statement of a write of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatement {
    /// The SQL.
    pub sql: String,
    /// Whether the rows it reports are devices that changed.
    pub counts: bool,
}

impl DeviceStatement {
    fn new(sql: String) -> Self {
        Self { sql, counts: false }
    }

    fn counted(sql: String) -> Self {
        Self { sql, counts: true }
    }
}

/// The statements that bring devices up to date, all in one transaction. Older versions than the warehouse has change
/// nothing.
pub fn upsert_devices(rows: &DeviceRows) -> Vec<DeviceStatement> {
    let mut statements = vec![DeviceStatement::new("LOCK \"raw\".devices".to_owned())];
    if !rows.erased.is_empty() {
        statements.extend(erase_devices(&rows.erased));
    }
    if !rows.devices.is_empty() {
        statements.extend(replace_devices(&rows.devices));
    }
    if !rows.channels.is_empty() {
        let staging = staged("staged_channels", "\"raw\".device_channels", rows.channels.iter().map(channel_values));
        statements.extend(staging.map(DeviceStatement::new));
        let insert = "INSERT INTO \"raw\".device_channels SELECT * FROM staged_channels WHERE device_id IN (SELECT device_id \
            FROM staged_devices)";
        statements.push(DeviceStatement::new(insert.to_owned()));
    }
    statements
}

fn erase_devices(ids: &[String]) -> [DeviceStatement; 2] {
    let ids: Vec<_> = ids.iter().map(|id| literal(id)).collect();
    let delete = |table: &str| format!("DELETE FROM \"raw\".{table} WHERE device_id IN ({})", ids.join(", "));
    [DeviceStatement::new(delete("device_channels")), DeviceStatement::counted(delete("devices"))]
}

/// Leaves the devices that changed in the staging table, and takes the channels of these away.
fn replace_devices(devices: &[DeviceRow]) -> Vec<DeviceStatement> {
    let staging = staged("staged_devices", "\"raw\".devices", devices.iter().map(device_values));
    let drop_older = "DELETE FROM staged_devices USING \"raw\".devices AS held WHERE held.device_id = \
        staged_devices.device_id AND held.version >= staged_devices.version";
    let drop_held = |table: &str| {
        format!(
            "DELETE FROM \"raw\".{table} USING staged_devices AS staged WHERE staged.device_id = \"raw\".{table}.device_id"
        )
    };
    let mut statements: Vec<_> = staging.map(DeviceStatement::new).into();
    statements.extend([
        DeviceStatement::new(drop_older.to_owned()),
        DeviceStatement::new(drop_held("device_channels")),
        DeviceStatement::new(drop_held("devices")),
        DeviceStatement::counted("INSERT INTO \"raw\".devices SELECT * FROM staged_devices".to_owned()),
    ]);
    statements
}

fn staged(staging: &str, target: &str, rows: impl Iterator<Item = String>) -> [String; 3] {
    let rows: Vec<_> = rows.collect();
    [
        format!("CREATE TEMP TABLE IF NOT EXISTS {staging} (LIKE {target})"),
        format!("DELETE FROM {staging}"),
        format!("INSERT INTO {staging} VALUES\n    {}", rows.join(",\n    ")),
    ]
}

fn device_values(row: &DeviceRow) -> String {
    let texts = [&row.device_id, &row.tenant_id].map(|text| literal(text)).join(", ");
    let named = [&row.status, &row.commodity, &row.customer_class, &row.zone].map(|text| literal(text)).join(", ");
    format!(
        "({texts}, {}, {}, {}, {named}, {}, {}, sysdate)",
        optional(row.customer_id.as_deref()),
        literal(&row.site_id),
        optional(row.gateway_id.as_deref()),
        row.version,
        literal(&row.updated_at)
    )
}

fn channel_values(row: &ChannelRow) -> String {
    let texts = [&row.device_id, &row.channel, &row.kind, &row.unit].map(|text| literal(text)).join(", ");
    format!(
        "({texts}, {}, {}, {}, {}, {})",
        number(row.interval_s),
        row.multiplier,
        number(row.register_digits),
        row.capacity_per_hour.as_deref().unwrap_or("NULL"),
        row.allow_negative
    )
}

#[cfg(test)]
#[path = "redshift_tests.rs"]
mod tests;

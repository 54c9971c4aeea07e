//! A warehouse and a lake of their own for each test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use lake::{
    CatalogConfig, CatalogKind, Column, ColumnType, CommitRequest, Lake, LakeConfig, LakeFile, LakeTable,
    PartitionValue, S3Config, WrittenFile,
};
use redshift_double::{Double, Isolation, S3Settings, Settings};
use redshift_loader::core::job::{LoadJob, LoadOutcome};
use redshift_loader::core::table::LoadTable;
use redshift_loader::edge::loader::{Listeners, Pace, TableLoader};
use redshift_loader::edge::postgres::{PostgresSettings, PostgresWarehouse, Tls, migrate};
use redshift_loader::edge::redshift::{RedshiftWarehouse, create_tables};
use redshift_loader::edge::warehouse::Warehouse;
use service_runtime::{Backoff, Liveness, Secret};
use test_support::{Stack, unique};
use tokio::sync::Notify;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// 2026-03-29T00:00:00Z.
pub(crate) const START_MICROS: i64 = 1_774_742_400_000_000;

/// What the double is told to read S3 as; it asks for one, as Redshift does, and does not use it.
pub(crate) const IAM_ROLE: &str = "arn:aws:iam::123456789012:role/loader";

/// Which warehouse a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The `postgres` dialect on PostgreSQL.
    Postgres,
    /// The `redshift` dialect on the Redshift double. Not Redshift.
    RedshiftDouble(Isolation),
}

/// The double as new clusters begin.
pub(crate) const REDSHIFT_DOUBLE: Target = Target::RedshiftDouble(Isolation::Snapshot);

/// A scratch database, dropped at the end of the test.
pub(crate) struct Warehouses {
    name: String,
    /// URL of PostgreSQL itself, whatever stands in front of it.
    pub(crate) url: String,
    double: Option<Double>,
}

impl Warehouses {
    pub(crate) async fn create(target: Target) -> Self {
        let stack = Stack::from_env();
        let name = unique("loader_it");
        let admin = connect(&stack.postgres_admin_url()).await;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        admin.batch_execute(&format!("GRANT ALL ON DATABASE {name} TO loader, dbt")).await.unwrap();
        let url = at_database(&stack.warehouse_loader_url(), &name);
        let double = match target {
            Target::Postgres => None,
            Target::RedshiftDouble(isolation) => Some(start_double(&url, isolation).await),
        };
        let this = Self { name, url, double };
        let readers = ["dbt".to_owned(), "reader".to_owned()];
        match &this.double {
            None => migrate(&this.settings(), &readers).await.unwrap(),
            Some(_) => create_tables(&this.settings(), &readers).await.unwrap(),
        }
        this
    }

    /// The double that stands in front.
    pub(crate) fn double(&self) -> &Double {
        self.double.as_ref().unwrap()
    }

    /// Where the loader connects.
    pub(crate) fn loader_url(&self) -> String {
        match &self.double {
            None => self.url.clone(),
            Some(double) => at_server(&self.url, &double.address().to_string()),
        }
    }

    pub(crate) fn settings(&self) -> PostgresSettings {
        settings(&self.loader_url())
    }

    pub(crate) fn session(&self) -> Box<dyn Warehouse> {
        match self.double {
            None => Box::new(PostgresWarehouse::new(self.settings())),
            Some(_) => Box::new(RedshiftWarehouse::new(self.settings(), IAM_ROLE.to_owned())),
        }
    }

    pub(crate) async fn client(&self) -> Client {
        connect(&self.url).await
    }

    /// The one value of a query.
    pub(crate) async fn value(&self, query: &str) -> i64 {
        self.client().await.query_one(query, &[]).await.unwrap().get(0)
    }

    /// The URL of the scratch database as another role of the stack.
    pub(crate) fn url_as(&self, url: &str) -> String {
        at_database(url, &self.name)
    }
}

impl Drop for Warehouses {
    fn drop(&mut self) {
        let (name, url) = (self.name.clone(), Stack::from_env().postgres_admin_url());
        // A thread of its own: this may run inside the test's runtime.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let admin = connect(&url).await;
                let _left_behind = admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
            });
        });
        let _panicked = dropping.join();
    }
}

pub(crate) fn settings(url: &str) -> PostgresSettings {
    PostgresSettings {
        url: Secret::new(url),
        tls: Tls::new(None).unwrap(),
        connect_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(60),
        lock_timeout: Duration::from_secs(60),
    }
}

/// `host:port` of a URL.
pub(crate) fn server_of(url: &str) -> String {
    url.rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned()
}

/// The URL with another `host:port`.
pub(crate) fn at_server(url: &str, server: &str) -> String {
    url.replace(&server_of(url), server)
}

async fn start_double(url: &str, isolation: Isolation) -> Double {
    let (stack, any) = (Stack::from_env(), "127.0.0.1:0".parse().unwrap());
    let (host, port) =
        server_of(url).rsplit_once(':').map(|(host, port)| (host.to_owned(), port.parse().unwrap())).unwrap();
    let s3 = S3Settings {
        endpoint: stack.s3_endpoint(),
        region: stack.s3_region(),
        access_key: stack.s3_reader_access_key(),
        secret_key: stack.s3_reader_secret_key(),
    };
    Double::start(Settings { listen: any, control: any, upstream: (host, port), s3, isolation }).await.unwrap()
}

/// The task of a table, which waits little between attempts. It looks at the lake again only after an error: what a test waits
/// for must not come by the next poll.
pub(crate) fn table_loader(source: &(LoadTable, LakeTable), warehouse: Box<dyn Warehouse>) -> TableLoader {
    let backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(200), 0.5).unwrap();
    let pace = Pace { poll_interval: Duration::from_secs(600), backoff };
    let beat = Liveness::default().beat_handle("test", Duration::from_secs(60));
    let wake = Arc::new(Notify::new());
    TableLoader::new(source.0, source.1.clone(), warehouse, wake, Listeners::default(), (pace, beat))
}

/// Runs loaders of a table, each with a session, until so many snapshots are in the ledger.
pub(crate) async fn run_until_loaded(
    warehouses: &Warehouses,
    source: &(LoadTable, LakeTable),
    sessions: Vec<Box<dyn Warehouse>>,
    snapshots: i64,
) {
    let shutdown = CancellationToken::new();
    let run = |session| tokio::spawn(table_loader(source, session).run(shutdown.clone()));
    let running: Vec<_> = sessions.into_iter().map(run).collect();
    let client = warehouses.client().await;
    let loaded = async {
        loop {
            let loaded: i64 = client.query_one("SELECT count(*) FROM raw.load_ledger", &[]).await.unwrap().get(0);
            if loaded == snapshots {
                return;
            }
            service_runtime::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), loaded).await.expect("the snapshots are loaded within a minute");
    shutdown.cancel();
    for loader in running {
        loader.await.unwrap().unwrap();
    }
}

/// A Parquet file of such rows.
pub(crate) fn parquet_file(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// Puts an object beside the table's files, or another in its place.
pub(crate) async fn put_file(lake: &LakeTable, name: &str, content: Vec<u8>, rows: u64) -> LakeFile {
    let bytes = content.len() as u64;
    LakeFile { path: lake.write_companion(name, content).await.unwrap(), rows, bytes }
}

fn at_database(url: &str, name: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn lake_config() -> LakeConfig {
    service_runtime::install_crypto_provider();
    let stack = Stack::from_env();
    LakeConfig {
        namespace: unique("loader_it"),
        catalog: CatalogConfig {
            kind: CatalogKind::Sql,
            name: "loader-it".into(),
            uri: stack.iceberg_catalog_url().as_str().into(),
            warehouse: format!("s3://{}/loader-it", stack.s3_bucket()),
            properties: BTreeMap::new(),
        },
        s3: S3Config {
            endpoint: stack.s3_endpoint(),
            region: stack.s3_region(),
            access_key: stack.s3_access_key().as_str().into(),
            secret_key: stack.s3_secret_key().as_str().into(),
            path_style: true,
        },
    }
}

pub(crate) async fn table(name: &str) -> (LoadTable, LakeTable) {
    let table = LoadTable::named(name).unwrap();
    let lake = Lake::connect(&lake_config()).await.unwrap();
    let opened = lake.open_or_create(table.spec()).await.unwrap();
    (table, opened)
}

/// Rows of a table; `key` makes their texts different from those of other batches.
pub(crate) fn rows(table: &LoadTable, key: &str, count: usize) -> RecordBatch {
    let columns = table.columns().iter().map(|column| values(column, key, count)).collect();
    RecordBatch::try_new(table.spec().arrow_schema(), columns).unwrap()
}

fn values(column: &Column, key: &str, count: usize) -> ArrayRef {
    let rows = 0..count as i64;
    let value = |row: i64| (column.required || row % 2 == 0).then_some(row);
    match column.column_type {
        ColumnType::String => {
            let text = |row: i64| value(row).map(|row| format!("{}-{key}-{row}", column.name));
            Arc::new(StringArray::from(rows.map(text).collect::<Vec<_>>()))
        }
        ColumnType::Int => Arc::new(Int32Array::from(rows.map(|row| row as i32).collect::<Vec<_>>())),
        ColumnType::Long => Arc::new(Int64Array::from(rows.map(|row| row << 33).collect::<Vec<_>>())),
        ColumnType::Date => Arc::new(Date32Array::from(rows.map(|_| 20_541).collect::<Vec<_>>())),
        ColumnType::Timestamp => {
            let instant = |row: i64| value(row).map(|row| START_MICROS + row);
            Arc::new(TimestampMicrosecondArray::from(rows.map(instant).collect::<Vec<_>>()).with_timezone("+00:00"))
        }
        ColumnType::Decimal => {
            let decimals: Vec<_> = rows.map(|row| i128::from(row) * 1_000_001 - 5_000_000).collect();
            Arc::new(Decimal128Array::from(decimals).with_precision_and_scale(18, 6).unwrap())
        }
        ColumnType::Binary => unreachable!("no loaded table has bytes"),
    }
}

fn partition(table: &LoadTable) -> PartitionValue {
    let day = lake::day_of_micros(START_MICROS);
    if table.name() == "readings" { PartitionValue::DayBucket { day, bucket: 0 } } else { PartitionValue::Day(day) }
}

/// Writes one file per batch and commits them as one snapshot; returns the snapshot.
pub(crate) async fn commit(table: &LoadTable, lake: &LakeTable, batches: &[RecordBatch]) -> i64 {
    let mut files: Vec<WrittenFile> = Vec::new();
    for batch in batches {
        let mut writer = lake.file_writer(partition(table)).await.unwrap();
        writer.write(batch).await.unwrap();
        files.extend(writer.close().await.unwrap());
    }
    let base = lake.heads().await.unwrap();
    let request = CommitRequest { base, commit_id: Uuid::new_v4(), advances: Vec::new(), files };
    lake.commit(&request).await.unwrap().snapshot_id
}

/// The jobs of a table, oldest first, as the loader makes them.
pub(crate) async fn jobs(lake: &LakeTable) -> Vec<LoadJob> {
    let snapshots = lake.snapshots_after(None).await.unwrap();
    snapshots.into_iter().map(|snapshot| LoadJob::new(lake.name(), snapshot)).collect()
}

/// Loads a job and expects it to be the one that brings the rows in.
pub(crate) async fn load(warehouse: &mut dyn Warehouse, table: &LoadTable, lake: &LakeTable, job: &LoadJob) -> u64 {
    match warehouse.load(table, lake, job).await.unwrap() {
        LoadOutcome::Loaded { rows, .. } => rows,
        LoadOutcome::AlreadyLoaded => panic!("snapshot {} was loaded before", job.snapshot_id),
    }
}

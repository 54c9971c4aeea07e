//! A reader of Iceberg tables of its own: metadata file → manifest list → manifests → data files, by the Iceberg
//! specification (v2). It deliberately shares nothing with the writer, so a writer's mistake cannot hide in its own reader.

use anyhow::{Context, anyhow, ensure};
use apache_avro::types::Value;
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, aws::AmazonS3Builder, path::Path};
use std::sync::Arc;

/// Where the lake is.
#[derive(Debug, Clone, clap::Args)]
pub struct LakeArgs {
    /// Endpoint of the object store; leave out for AWS
    #[arg(long, env = "S3_ENDPOINT")]
    pub s3_endpoint: Option<String>,
    /// Bucket of the lake
    #[arg(long, env = "S3_BUCKET", default_value = "lake")]
    pub s3_bucket: String,
    /// Region of the bucket
    #[arg(long, env = "S3_REGION", default_value = "us-east-1")]
    pub s3_region: String,
    /// Access key; leave out to use the environment's credentials
    #[arg(long, env = "S3_READER_ACCESS_KEY", hide_env_values = true)]
    pub s3_access_key: Option<String>,
    /// Secret key
    #[arg(long, env = "S3_READER_SECRET_KEY", hide_env_values = true)]
    pub s3_secret_key: Option<String>,
    /// Connection URL of the SQL catalog
    #[arg(long, env = "ICEBERG_CATALOG_URL", hide_env_values = true)]
    pub catalog_url: String,
    /// Name of the catalog
    #[arg(long, env = "ICEBERG_CATALOG_NAME", default_value = "meterway")]
    pub catalog_name: String,
    /// Namespace of the lake's tables
    #[arg(long, env = "ICEBERG_NAMESPACE", default_value = "meterway")]
    pub namespace: String,
}

/// The lake, opened for reading.
#[derive(Debug)]
pub struct LakeReader {
    store: Arc<dyn ObjectStore>,
    args: LakeArgs,
}

/// A data file of a table's current snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Object URL.
    pub path: String,
    /// Rows the manifest claims for it.
    pub rows: u64,
}

impl LakeReader {
    /// Prepares access to the bucket; nothing is contacted yet.
    ///
    /// # Errors
    /// When the settings make no store.
    pub fn new(args: &LakeArgs) -> anyhow::Result<Self> {
        let mut builder = AmazonS3Builder::new().with_bucket_name(&args.s3_bucket).with_region(&args.s3_region);
        if let Some(endpoint) = &args.s3_endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        if let (Some(key), Some(secret)) = (&args.s3_access_key, &args.s3_secret_key) {
            builder = builder.with_access_key_id(key).with_secret_access_key(secret);
        }
        Ok(Self { store: Arc::new(builder.build().context("open object store")?), args: args.clone() })
    }

    /// The live data files of the table's current snapshot; none when the table does not exist or is empty.
    ///
    /// # Errors
    /// When the catalog or the store cannot be reached, or the metadata is not Iceberg v2.
    pub async fn data_files(&self, table: &str) -> anyhow::Result<Vec<DataFile>> {
        let Some(location) = self.metadata_location(table).await? else { return Ok(Vec::new()) };
        let metadata: serde_json::Value =
            serde_json::from_slice(&self.get(&location).await?).context("parse metadata")?;
        let Some(current) = metadata["current-snapshot-id"].as_i64().filter(|id| *id != -1) else {
            return Ok(Vec::new());
        };
        let list = metadata["snapshots"]
            .as_array()
            .and_then(|all| all.iter().find(|snapshot| snapshot["snapshot-id"].as_i64() == Some(current)))
            .and_then(|snapshot| snapshot["manifest-list"].as_str())
            .with_context(|| format!("find manifest list of snapshot {current}"))?;
        let mut files = Vec::new();
        for manifest in records(&self.get(list).await?).context("read manifest list")? {
            ensure!(long(&manifest, "content")? == 0, "{table} has delete files, which Meterway never writes");
            let path = text(&manifest, "manifest_path")?;
            files.extend(live_files(&self.get(&path).await?).with_context(|| format!("read manifest {path}"))?);
        }
        Ok(files)
    }

    /// The bytes of an object, by its URL.
    ///
    /// # Errors
    /// When the object is not in the lake's bucket or cannot be read.
    pub async fn get(&self, url: &str) -> anyhow::Result<Bytes> {
        let key = url
            .split_once("://")
            .and_then(|(_, rest)| rest.strip_prefix(&self.args.s3_bucket))
            .and_then(|rest| rest.strip_prefix('/'))
            .with_context(|| format!("{url} is not in bucket {}", self.args.s3_bucket))?;
        let path = Path::parse(key).with_context(|| format!("parse {url}"))?;
        let object = self.store.get(&path).await.with_context(|| format!("get {url}"))?;
        object.bytes().await.with_context(|| format!("read {url}"))
    }

    async fn metadata_location(&self, table: &str) -> anyhow::Result<Option<String>> {
        let client = super::warehouse::connect(&self.args.catalog_url).await.context("open catalog")?;
        let exists: Option<String> = client
            .query_one("SELECT to_regclass('iceberg_tables')::text", &[])
            .await
            .context("look for catalog")?
            .get(0);
        if exists.is_none() {
            return Ok(None);
        }
        let row = client
            .query_opt(
                "SELECT metadata_location FROM iceberg_tables \
                 WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3",
                &[&self.args.catalog_name, &self.args.namespace, &table],
            )
            .await
            .context("look up table")?;
        Ok(row.map(|row| row.get(0)))
    }
}

/// Entries of a manifest that have not been deleted.
fn live_files(bytes: &[u8]) -> anyhow::Result<Vec<DataFile>> {
    const DELETED: i64 = 2;
    let mut files = Vec::new();
    for entry in records(bytes)? {
        if long(&entry, "status")? == DELETED {
            continue;
        }
        let file = field(&entry, "data_file")?;
        let Value::Record(file) = file else { return Err(anyhow!("data_file is no record")) };
        files.push(DataFile { path: text(file, "file_path")?, rows: long(file, "record_count")?.try_into()? });
    }
    Ok(files)
}

type Record = Vec<(String, Value)>;

fn records(bytes: &[u8]) -> anyhow::Result<Vec<Record>> {
    apache_avro::Reader::new(bytes)?
        .map(|value| match value? {
            Value::Record(fields) => Ok(fields),
            other => Err(anyhow!("expected a record, found {other:?}")),
        })
        .collect()
}

fn field<'a>(record: &'a Record, name: &str) -> anyhow::Result<&'a Value> {
    record.iter().find(|(key, _)| key == name).map(|(_, value)| value).with_context(|| format!("no field {name}"))
}

fn long(record: &Record, name: &str) -> anyhow::Result<i64> {
    match field(record, name)? {
        Value::Int(value) => Ok(i64::from(*value)),
        Value::Long(value) => Ok(*value),
        other => Err(anyhow!("{name} is {other:?}, not a number")),
    }
}

fn text(record: &Record, name: &str) -> anyhow::Result<String> {
    match field(record, name)? {
        Value::String(value) => Ok(value.clone()),
        other => Err(anyhow!("{name} is {other:?}, not a text")),
    }
}

//! A reader of Iceberg tables of its own: metadata file → manifest list → manifests → data files, by the Iceberg
//! specification (v2). It deliberately shares nothing with the writer, so a writer's mistake cannot hide in its own reader.

use crate::stores::{given, postgres};
use anyhow::{Context, anyhow, ensure};
use apache_avro::types::Value;
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, aws::AmazonS3Builder, path::Path};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the lake is.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Lake")]
pub(crate) struct LakeArgs {
    /// Endpoint of the object store; leave out for AWS
    #[arg(long, env = "S3_ENDPOINT")]
    pub(crate) s3_endpoint: Option<String>,
    /// Bucket of the lake
    #[arg(long, env = "S3_BUCKET", default_value = "lake")]
    pub(crate) s3_bucket: String,
    /// Region of the bucket
    #[arg(long, env = "S3_REGION", default_value = "us-east-1")]
    s3_region: String,
    /// Access key; leave out to use the environment's credentials
    #[arg(long, env = "S3_READER_ACCESS_KEY", hide_env_values = true)]
    pub(crate) s3_access_key: Option<String>,
    /// Secret key
    #[arg(long, env = "S3_READER_SECRET_KEY", hide_env_values = true)]
    pub(crate) s3_secret_key: Option<String>,
    /// Connection URL of the SQL catalog
    #[arg(long, env = "ICEBERG_CATALOG_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) catalog_url: Option<String>,
    /// PEM file with the certificates to trust when that URL asks for TLS (sslmode); the machine's when left out
    #[arg(long, env = "ICEBERG_CATALOG_CA_FILE", value_name = "FILE")]
    pub(crate) catalog_ca_file: Option<PathBuf>,
    /// Name of the catalog
    #[arg(long, env = "ICEBERG_CATALOG_NAME", default_value = "meterway")]
    catalog_name: String,
    /// Namespace of the lake's tables
    #[arg(long, env = "ICEBERG_NAMESPACE", default_value = "meterway")]
    namespace: String,
}

impl LakeArgs {
    /// The settings of the `lake` crate for the same lake.
    ///
    /// # Errors
    /// [`BadConfig`](crate::exit::BadConfig) when the catalog is not given.
    pub(crate) fn config(&self) -> Result<lake::LakeConfig, crate::exit::BadConfig> {
        let url = crate::required(self.catalog_url.as_ref(), "--catalog-url", "ICEBERG_CATALOG_URL")?;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Ok(lake::LakeConfig {
            namespace: self.namespace.clone(),
            catalog: lake::CatalogConfig {
                kind: lake::CatalogKind::Sql,
                name: self.catalog_name.clone(),
                uri: url.into(),
                warehouse: format!("s3://{}/warehouse", self.s3_bucket),
                properties: std::collections::BTreeMap::new(),
            },
            s3: lake::S3Config {
                endpoint: text(&self.s3_endpoint),
                region: self.s3_region.clone(),
                access_key: text(&self.s3_access_key).as_str().into(),
                secret_key: text(&self.s3_secret_key).as_str().into(),
                path_style: self.s3_endpoint.is_some(),
            },
        })
    }

    /// The bucket, with these keys, or with what the environment has (keys, or the role of a service account).
    pub(crate) fn store(&self, keys: Option<(&str, &str)>) -> AmazonS3Builder {
        let builder = match keys {
            Some((key, secret)) => AmazonS3Builder::new().with_access_key_id(key).with_secret_access_key(secret),
            None => AmazonS3Builder::from_env(),
        };
        let builder = builder.with_bucket_name(&self.s3_bucket).with_region(&self.s3_region);
        match &self.s3_endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://")),
            None => builder,
        }
    }
}

/// The lake, opened for reading.
#[derive(Debug)]
pub(crate) struct LakeReader {
    store: Arc<dyn ObjectStore>,
    args: LakeArgs,
}

/// What a table's metadata says of its newest snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TableSummary {
    /// Newest snapshot; `None` while nothing was committed.
    pub(crate) snapshot_id: Option<i64>,
    /// When it was committed, in milliseconds since 1970-01-01 UTC.
    pub(crate) committed_at_ms: Option<i64>,
    /// Rows of the table, as the summary adds them up.
    pub(crate) rows: Option<u64>,
    /// Data files of the table, as the summary adds them up.
    pub(crate) files: Option<u64>,
    /// The newest summary entry `meterway.heads`: how far the writer has read its topics.
    pub(crate) heads: Option<String>,
}

/// A data file of a table's current snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// Object URL.
    pub(crate) path: String,
    /// Rows the manifest claims for it.
    pub(crate) rows: u64,
}

impl LakeReader {
    /// Prepares access to the bucket; nothing is contacted yet.
    ///
    /// # Errors
    /// When the settings make no store.
    pub(crate) fn new(args: &LakeArgs) -> anyhow::Result<Self> {
        let builder = args.store(given(&args.s3_access_key).zip(given(&args.s3_secret_key)));
        Ok(Self { store: Arc::new(builder.build().context("open object store")?), args: args.clone() })
    }

    /// The live data files of the table's current snapshot; none when the table does not exist or is empty.
    ///
    /// # Errors
    /// When the catalog or the store cannot be reached, or the metadata is not Iceberg v2.
    pub(crate) async fn data_files(&self, table: &str) -> anyhow::Result<Vec<DataFile>> {
        let Some(metadata) = self.metadata(table).await? else { return Ok(Vec::new()) };
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

    /// What the table's metadata says of its newest snapshot; `None` when the catalog has no such table.
    ///
    /// # Errors
    /// When the catalog or the store cannot be reached, or the metadata is no JSON.
    pub(crate) async fn summary(&self, table: &str) -> anyhow::Result<Option<TableSummary>> {
        Ok(self.metadata(table).await?.as_ref().map(summarize))
    }

    async fn metadata(&self, table: &str) -> anyhow::Result<Option<serde_json::Value>> {
        let Some(location) = self.metadata_location(table).await? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&self.get(&location).await?).context("parse metadata")?))
    }

    /// The bytes of an object, by its URL.
    ///
    /// # Errors
    /// When the object is not in the lake's bucket or cannot be read.
    pub(crate) async fn get(&self, url: &str) -> anyhow::Result<Bytes> {
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
        let url = crate::required(self.args.catalog_url.as_ref(), "--catalog-url", "ICEBERG_CATALOG_URL")?;
        let ca_file = self.args.catalog_ca_file.as_deref();
        let client = postgres(url, "--catalog-url", ca_file).await.context("open catalog")?;
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

/// Walks back from the current snapshot for what only some snapshots carry: other engines add snapshots of their own.
fn summarize(metadata: &serde_json::Value) -> TableSummary {
    const HEADS: &str = "meterway.heads";
    let snapshots = metadata["snapshots"].as_array().map(Vec::as_slice).unwrap_or_default();
    let by_id = |id: i64| snapshots.iter().find(|snapshot| snapshot["snapshot-id"].as_i64() == Some(id));
    let Some(current) = metadata["current-snapshot-id"].as_i64().and_then(by_id) else {
        return TableSummary::default();
    };
    let total = |key: &str| current["summary"][key].as_str().and_then(|text| text.parse().ok());
    // Each step takes a snapshot away, so metadata that goes in a circle ends too.
    let history = std::iter::successors(Some(current), |snapshot| by_id(snapshot["parent-snapshot-id"].as_i64()?));
    let heads = history.take(snapshots.len()).find_map(|snapshot| snapshot["summary"][HEADS].as_str());
    TableSummary {
        snapshot_id: current["snapshot-id"].as_i64(),
        committed_at_ms: current["timestamp-ms"].as_i64(),
        rows: total("total-records"),
        files: total("total-data-files"),
        heads: heads.map(str::to_owned),
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn snapshot(id: i64, parent: Option<i64>, summary: serde_json::Value) -> serde_json::Value {
        json!({ "snapshot-id": id, "parent-snapshot-id": parent, "timestamp-ms": id * 1000, "summary": summary })
    }

    #[test]
    fn heads_are_looked_for_behind_snapshots_of_other_engines() {
        let written = json!({ "total-records": "7", "total-data-files": "2", "meterway.heads": "h" });
        let compacted = json!({ "total-records": "7", "total-data-files": "1" });
        let metadata = json!({
            "current-snapshot-id": 2,
            "snapshots": [snapshot(1, None, written), snapshot(2, Some(1), compacted)],
        });
        let expected = TableSummary {
            snapshot_id: Some(2),
            committed_at_ms: Some(2000),
            rows: Some(7),
            files: Some(1),
            heads: Some("h".to_owned()),
        };
        assert_eq!(summarize(&metadata), expected);
    }

    #[test]
    fn empty_tables_and_circles_have_an_end() {
        for current in [json!(-1), json!(null)] {
            assert_eq!(summarize(&json!({ "current-snapshot-id": current })), TableSummary::default());
        }
        let circle = json!({ "current-snapshot-id": 1, "snapshots": [snapshot(1, Some(1), json!({}))] });
        assert_eq!(summarize(&circle).heads, None);
    }
}

//! Connects to the catalog that the configuration names.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::io::{
    S3_ACCESS_KEY_ID, S3_DISABLE_EC2_METADATA, S3_ENDPOINT, S3_PATH_STYLE_ACCESS, S3_REGION, S3_SECRET_ACCESS_KEY,
};
use iceberg::{Catalog, CatalogBuilder};
use iceberg_catalog_rest::{REST_CATALOG_PROP_URI, REST_CATALOG_PROP_WAREHOUSE, RestCatalogBuilder};
use iceberg_catalog_sql::{SQL_CATALOG_PROP_URI, SQL_CATALOG_PROP_WAREHOUSE, SqlBindStyle, SqlCatalogBuilder};
use iceberg_storage_opendal::OpenDalStorageFactory;

use crate::config::{CatalogConfig, CatalogKind, LakeConfig, S3Config};
use crate::error::LakeError;

/// Connections to the SQL catalog per process. Commits of a few tables take turns easily; the library's default is 10.
const SQL_POOL_CONNECTIONS: &str = "4";

/// The library creates its tables with `CREATE TABLE IF NOT EXISTS`, which fails when two processes do so at once; the
/// loser succeeds when it tries again.
const SQL_CONNECT_ATTEMPTS: u32 = 3;

/// Opens the catalog.
///
/// # Errors
/// [`LakeError::Config`] when this build lacks the kind, [`LakeError::Iceberg`] when the catalog does not answer.
pub(crate) async fn connect(config: &LakeConfig) -> Result<Arc<dyn Catalog>, LakeError> {
    let properties = properties(&config.catalog, &config.s3);
    match config.catalog.kind {
        CatalogKind::Sql => sql(&config.catalog, properties).await,
        CatalogKind::Rest => rest(&config.catalog, properties).await,
        CatalogKind::Glue => glue(&config.catalog, properties).await,
    }
}

fn storage() -> Arc<OpenDalStorageFactory> {
    Arc::new(OpenDalStorageFactory::S3 { customized_credential_load: None })
}

fn properties(catalog: &CatalogConfig, s3: &S3Config) -> HashMap<String, String> {
    let mut properties = HashMap::from([
        (S3_REGION.to_owned(), s3.region.clone()),
        (S3_PATH_STYLE_ACCESS.to_owned(), s3.path_style.to_string()),
        ("pool.max-connections".to_owned(), SQL_POOL_CONNECTIONS.to_owned()),
    ]);
    if !s3.endpoint.is_empty() {
        properties.insert(S3_ENDPOINT.to_owned(), s3.endpoint.clone());
    }
    if !s3.access_key.expose().is_empty() {
        properties.insert(S3_ACCESS_KEY_ID.to_owned(), s3.access_key.expose().to_owned());
        properties.insert(S3_SECRET_ACCESS_KEY.to_owned(), s3.secret_key.expose().to_owned());
        // With keys given nobody should wait for an instance metadata service that does not exist.
        properties.insert(S3_DISABLE_EC2_METADATA.to_owned(), "true".to_owned());
    }
    properties.extend(catalog.properties.clone());
    properties
}

async fn sql(config: &CatalogConfig, mut properties: HashMap<String, String>) -> Result<Arc<dyn Catalog>, LakeError> {
    properties.insert(SQL_CATALOG_PROP_URI.to_owned(), config.uri.expose().to_owned());
    properties.insert(SQL_CATALOG_PROP_WAREHOUSE.to_owned(), config.warehouse.trim_end_matches('/').to_owned());
    let mut attempt = 1;
    loop {
        let connected = SqlCatalogBuilder::default()
            .sql_bind_style(SqlBindStyle::DollarNumeric)
            .with_storage_factory(storage())
            .load(config.name.clone(), properties.clone())
            .await;
        match connected {
            Ok(catalog) => return Ok(Arc::new(catalog)),
            Err(_) if attempt < SQL_CONNECT_ATTEMPTS => attempt += 1,
            Err(error) => return Err(LakeError::iceberg("connect to the SQL catalog")(error)),
        }
    }
}

async fn rest(config: &CatalogConfig, mut properties: HashMap<String, String>) -> Result<Arc<dyn Catalog>, LakeError> {
    properties.insert(REST_CATALOG_PROP_URI.to_owned(), config.uri.expose().to_owned());
    properties.insert(REST_CATALOG_PROP_WAREHOUSE.to_owned(), config.warehouse.clone());
    let catalog = RestCatalogBuilder::default()
        .with_storage_factory(storage())
        .load(config.name.clone(), properties)
        .await
        .map_err(LakeError::iceberg("connect to the REST catalog"))?;
    Ok(Arc::new(catalog))
}

#[cfg(feature = "glue")]
async fn glue(config: &CatalogConfig, mut properties: HashMap<String, String>) -> Result<Arc<dyn Catalog>, LakeError> {
    use iceberg_catalog_glue::{
        AWS_REGION_NAME, GLUE_CATALOG_PROP_URI, GLUE_CATALOG_PROP_WAREHOUSE, GlueCatalogBuilder,
    };
    if let Some(region) = properties.get(S3_REGION).cloned() {
        properties.insert(AWS_REGION_NAME.to_owned(), region);
    }
    if !config.uri.expose().is_empty() {
        properties.insert(GLUE_CATALOG_PROP_URI.to_owned(), config.uri.expose().to_owned());
    }
    properties.insert(GLUE_CATALOG_PROP_WAREHOUSE.to_owned(), config.warehouse.clone());
    let catalog = GlueCatalogBuilder::default()
        .with_storage_factory(storage())
        .load(config.name.clone(), properties)
        .await
        .map_err(LakeError::iceberg("connect to the Glue catalog"))?;
    Ok(Arc::new(catalog))
}

#[cfg(not(feature = "glue"))]
async fn glue(_config: &CatalogConfig, _properties: HashMap<String, String>) -> Result<Arc<dyn Catalog>, LakeError> {
    Err(LakeError::Config("this build has no Glue catalog (cargo feature glue)".to_owned()))
}

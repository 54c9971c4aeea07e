//! The lake as its writers see it.

use crate::exit::BadConfig;
use crate::required;
use crate::stores::WriterKeyArgs;
use crate::verify::iceberg::LakeArgs;
use anyhow::Context;
use lake::{CatalogConfig, CatalogKind, Lake, LakeConfig, S3Config, Secret};
use std::collections::BTreeMap;

/// Connects with the writers' keys.
///
/// # Errors
/// [`BadConfig`] when a setting is missing or wrong; otherwise when the catalog does not answer.
pub(super) async fn connect(lake: &LakeArgs, keys: &WriterKeyArgs) -> anyhow::Result<Lake> {
    let config = config(lake, keys)?;
    if let Some((key, problem)) = config.problems().into_iter().next() {
        return Err(BadConfig(format!("lake {key}: {problem}")).into());
    }
    Lake::connect(&config).await.context("connect to the lake")
}

fn config(lake: &LakeArgs, keys: &WriterKeyArgs) -> Result<LakeConfig, BadConfig> {
    let url = required(lake.catalog_url.as_ref(), "--catalog-url", "ICEBERG_CATALOG_URL")?;
    let (access_key, secret_key) = keys.pair().unwrap_or_default();
    Ok(LakeConfig {
        namespace: lake.namespace.clone(),
        catalog: CatalogConfig {
            kind: CatalogKind::Sql,
            name: lake.catalog_name.clone(),
            uri: url.into(),
            // Tables that exist know their place; no command here makes one.
            warehouse: format!("s3://{}/warehouse", lake.s3_bucket),
            properties: BTreeMap::new(),
        },
        s3: S3Config {
            endpoint: lake.s3_endpoint.clone().unwrap_or_default(),
            region: lake.s3_region.clone(),
            access_key: Secret::from(access_key),
            secret_key: Secret::from(secret_key),
            path_style: lake.s3_endpoint.is_some(),
        },
    })
}

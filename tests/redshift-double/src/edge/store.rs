//! Objects of the S3 store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt, RetryConfig};
use tokio::sync::Mutex;

use crate::core::error::RedshiftError;
use crate::core::manifest::split_url;

/// Where the objects are, and who may read them.
#[derive(Clone)]
pub struct S3Settings {
    /// Base URL of the store.
    pub endpoint: String,
    /// Region to sign for.
    pub region: String,
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

impl std::fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Settings").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// The store; clients are kept by bucket.
#[derive(Debug)]
pub(crate) struct Store {
    settings: S3Settings,
    buckets: Mutex<HashMap<String, Arc<AmazonS3>>>,
}

impl Store {
    pub(crate) fn new(settings: S3Settings) -> Self {
        Self { settings, buckets: Mutex::default() }
    }

    /// The object's bytes; `None` when there is none.
    pub(crate) async fn get(&self, url: &str) -> Result<Option<Bytes>, RedshiftError> {
        let (bucket, key) = split_url(url)?;
        let path = Path::parse(key).map_err(|error| RedshiftError::s3(&error.to_string(), 400, "InvalidURI"))?;
        let store = self.bucket(bucket).await?;
        let read = async { store.get(&path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }) => {
                Err(RedshiftError::s3("Access Denied", 403, "AccessDenied"))
            }
            Err(error) => Err(RedshiftError::s3(&error.to_string(), 503, "ServiceUnavailable")),
        }
    }

    async fn bucket(&self, bucket: &str) -> Result<Arc<AmazonS3>, RedshiftError> {
        let mut buckets = self.buckets.lock().await;
        if let Some(store) = buckets.get(bucket) {
            return Ok(Arc::clone(store));
        }
        let S3Settings { endpoint, region, access_key, secret_key } = &self.settings;
        let retry = RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(10), ..RetryConfig::default() };
        let built = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_endpoint(endpoint)
            .with_region(region)
            .with_access_key_id(access_key)
            .with_secret_access_key(secret_key)
            .with_allow_http(endpoint.starts_with("http://"))
            .with_virtual_hosted_style_request(false)
            .with_retry(retry)
            .build();
        let store = Arc::new(built.map_err(|error| RedshiftError::s3(&error.to_string(), 400, "InvalidRequest"))?);
        buckets.insert(bucket.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

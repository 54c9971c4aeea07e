//! The store itself, for what the library has no words for: races, listings, removals.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use uuid::Uuid;

use crate::config::{LakeConfig, S3Config};
use crate::core::orphans::Listed;
use crate::error::LakeError;

/// Objects per removal, the most that S3 takes.
pub(crate) const DELETE_BATCH: usize = 1000;

/// A bucket of the store.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    client: Client,
    pub(crate) name: String,
}

impl Bucket {
    /// The bucket of the warehouse.
    pub(crate) async fn of(config: &LakeConfig) -> Result<Self, LakeError> {
        let name = config.bucket().ok_or_else(|| LakeError::Config("the warehouse names no bucket".to_owned()))?;
        Ok(Self { client: client(&config.s3).await, name: name.to_owned() })
    }

    /// What time it is for the store, milliseconds since 1970-01-01: the clock by which its objects are dated. A scratch
    /// object is written below `prefix` and removed again.
    pub(crate) async fn now_ms(&self, prefix: &str) -> Result<i64, LakeError> {
        let key = format!("{prefix}/.probe/{}", Uuid::now_v7());
        let key = key.trim_start_matches('/');
        let put = self.client.put_object().bucket(&self.name).key(key).body(ByteStream::from_static(b"now"));
        put.send().await.map_err(store("write a scratch object"))?;
        let head = self.client.head_object().bucket(&self.name).key(key).send().await;
        // A scratch object that stays behind is harmless; an error of the removal says nothing.
        let _ = self.client.delete_object().bucket(&self.name).key(key).send().await;
        let modified = head.map_err(store("look at a scratch object"))?.last_modified;
        let undated = || store("look at a scratch object")("the store gives no time");
        modified.and_then(|at| at.to_millis().ok()).ok_or_else(undated)
    }

    /// Hands every object below a prefix to `each`, in the store's order.
    pub(crate) async fn list(&self, prefix: &str, mut each: impl FnMut(Listed)) -> Result<(), LakeError> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            for object in page.map_err(store("list objects"))?.contents.unwrap_or_default() {
                let Some(key) = object.key else { continue };
                // Without a time it counts as written just now, and stays.
                let modified_ms = object.last_modified.and_then(|at| at.to_millis().ok()).unwrap_or(i64::MAX);
                each(Listed { key, bytes: object.size.unwrap_or(0).unsigned_abs(), modified_ms });
            }
        }
        Ok(())
    }

    /// Removes objects, at most [`DELETE_BATCH`]; returns the keys of those that the store did not remove, with its reason.
    pub(crate) async fn delete(&self, objects: &[Listed]) -> Result<Vec<(String, String)>, LakeError> {
        let built = |error: aws_sdk_s3::error::BuildError| store("remove objects")(error);
        let ids = objects.iter().map(|object| ObjectIdentifier::builder().key(&object.key).build().map_err(built));
        let ids: Vec<_> = ids.collect::<Result<_, _>>()?;
        let delete = Delete::builder().set_objects(Some(ids)).quiet(true).build().map_err(built)?;
        let answer = self.client.delete_objects().bucket(&self.name).delete(delete).send().await;
        let errors = answer.map_err(store("remove objects"))?.errors.unwrap_or_default();
        Ok(errors
            .into_iter()
            .map(|error| (error.key.unwrap_or_default(), error.message.or(error.code).unwrap_or_default()))
            .collect())
    }
}

/// Puts an error of the client, whose own words are few, into one line with its causes.
fn store<E>(action: &'static str) -> impl FnOnce(E) -> LakeError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |error| {
        let error: Box<dyn std::error::Error + Send + Sync> = error.into();
        let first: &(dyn std::error::Error + 'static) = error.as_ref();
        let causes = std::iter::successors(Some(first), |cause| cause.source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        LakeError::Store { action, reason: causes.join(": ") }
    }
}

/// A client for the store of the configuration.
pub(crate) async fn client(config: &S3Config) -> Client {
    let mut builder = if config.access_key.expose().is_empty() {
        let shared = aws_config::defaults(BehaviorVersion::latest()).load().await;
        aws_sdk_s3::config::Builder::from(&shared)
    } else {
        let credentials =
            Credentials::new(config.access_key.expose(), config.secret_key.expose(), None, None, "configuration");
        aws_sdk_s3::Config::builder().behavior_version(BehaviorVersion::latest()).credentials_provider(credentials)
    };
    builder = builder.region(Region::new(config.region.clone())).force_path_style(config.path_style);
    if !config.endpoint.is_empty() {
        builder = builder.endpoint_url(config.endpoint.clone());
    }
    Client::from_conf(builder.build())
}

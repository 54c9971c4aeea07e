//! The schema registry, over its Confluent-compatible REST API.
//!
//! Guarantees: every request has a timeout and a bounded number of retries with jitter; a schema that was read once is
//! never asked for again; and [`RegistryError::NotFound`] is said only when the registry itself said 404. A registry that
//! is away is [`RegistryError::Unavailable`]: wait and ask again, never call a message bad because of it.

mod error;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::Rng;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::error::{Compatibility, RegistryError};
use crate::config::{RegistryConfig, without_credentials};
use crate::metrics;

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Tries per call. More would hide an outage from the caller, who pauses and tries again for ever.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long an id that the registry does not know is not asked for again. Longer: less load from garbage messages;
/// shorter: an id that is registered late is seen sooner.
const UNKNOWN_ID_TIME: Duration = Duration::from_secs(30);
/// Unknown ids remembered at most; beyond, all are forgotten, which only costs requests.
const UNKNOWN_IDS: usize = 4096;

#[derive(Debug, Default)]
struct Cache {
    schemas: HashMap<u32, Arc<str>>,
    unknown: HashMap<u32, Instant>,
    ids: HashMap<(String, String), u32>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    base: Url,
    cache: Mutex<Cache>,
}

/// A client of the schema registry; clones share its cache.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Deserialize)]
struct IdAnswer {
    id: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaAnswer {
    schema: String,
    schema_type: Option<String>,
}

#[derive(Deserialize)]
struct CompatibilityAnswer {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

#[derive(Deserialize)]
struct ConfigAnswer {
    #[serde(alias = "compatibilityLevel")]
    compatibility: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorAnswer {
    message: String,
}

impl Registry {
    /// A client; connects when first asked.
    ///
    /// # Errors
    /// [`RegistryError::Config`] when the URL cannot be used.
    pub fn new(config: &RegistryConfig) -> Result<Self, RegistryError> {
        metrics::describe();
        let refuse = |reason: String| RegistryError::Config { url: without_credentials(&config.url), reason };
        let mut base = Url::parse(&config.url).map_err(|error| refuse(error.to_string()))?;
        if base.cannot_be_a_base() || !matches!(base.scheme(), "http" | "https") {
            return Err(refuse("needs the form http://host:port/path".to_owned()));
        }
        base.set_path(&format!("{}/", base.path().trim_end_matches('/')));
        let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build();
        let http = http.map_err(|error| refuse(error.to_string()))?;
        Ok(Self { inner: Arc::new(Inner { http, base, cache: Mutex::default() }) })
    }

    /// Registers a schema under a subject; returns its id, also when it was registered before.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] when it is invalid or incompatible, [`RegistryError::Unavailable`].
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let key = (subject.to_owned(), schema.to_owned());
        if let Some(id) = self.cache().ids.get(&key) {
            return Ok(*id);
        }
        let answer: IdAnswer = self.ask(Method::POST, &["subjects", subject, "versions"], Some(avro(schema))).await?;
        let mut cache = self.cache();
        cache.ids.insert(key, answer.id);
        cache.unknown.remove(&answer.id);
        Ok(answer.id)
    }

    /// The id that exactly this schema has under a subject; `None` when it is not registered there.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] or [`RegistryError::Unavailable`].
    pub async fn lookup(&self, subject: &str, schema: &str) -> Result<Option<u32>, RegistryError> {
        let answer = self.ask::<IdAnswer>(Method::POST, &["subjects", subject], Some(avro(schema))).await;
        found(answer.map(|answer| answer.id))
    }

    /// The schema of an id, as JSON text.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when the registry does not know the id (remembered for 30 s),
    /// [`RegistryError::Refused`] when it is not an Avro schema, [`RegistryError::Unavailable`].
    pub async fn schema_by_id(&self, id: u32) -> Result<Arc<str>, RegistryError> {
        if let Some(answer) = self.cached_schema(id) {
            return answer;
        }
        let request = id.to_string();
        match self.ask::<SchemaAnswer>(Method::GET, &["schemas", "ids", &request], None).await {
            Ok(SchemaAnswer { schema_type: Some(other), .. }) if other != "AVRO" => Err(RegistryError::Refused {
                request: format!("schema {id} as Avro"),
                status: 200,
                reason: format!("it is {other}"),
            }),
            Ok(answer) => {
                let schema: Arc<str> = answer.schema.into();
                self.cache().schemas.insert(id, Arc::clone(&schema));
                Ok(schema)
            }
            Err(error) => {
                if matches!(error, RegistryError::NotFound(_)) {
                    self.remember_unknown(id);
                }
                Err(error)
            }
        }
    }

    fn cached_schema(&self, id: u32) -> Option<Result<Arc<str>, RegistryError>> {
        let cache = self.cache();
        if let Some(schema) = cache.schemas.get(&id) {
            return Some(Ok(Arc::clone(schema)));
        }
        let asked = cache.unknown.get(&id)?;
        (asked.elapsed() < UNKNOWN_ID_TIME).then(|| Err(RegistryError::NotFound(format!("schema id {id}"))))
    }

    fn remember_unknown(&self, id: u32) {
        let unknown = &mut self.cache().unknown;
        if unknown.len() >= UNKNOWN_IDS {
            unknown.clear();
        }
        unknown.insert(id, Instant::now());
    }

    /// The versions of a subject, rising; empty when the subject does not exist.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] or [`RegistryError::Unavailable`].
    pub async fn versions(&self, subject: &str) -> Result<Vec<u32>, RegistryError> {
        let answer = self.ask::<Vec<u32>>(Method::GET, &["subjects", subject, "versions"], None).await;
        let mut versions = found(answer)?.unwrap_or_default();
        versions.sort_unstable();
        Ok(versions)
    }

    /// The schema of a version of a subject, as JSON text.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn schema_by_version(&self, subject: &str, version: u32) -> Result<String, RegistryError> {
        let version = version.to_string();
        let path = ["subjects", subject, "versions", &version];
        self.ask::<SchemaAnswer>(Method::GET, &path, None).await.map(|answer| answer.schema)
    }

    /// Whether a schema may become the next version of a subject, under the subject's level; otherwise what is wrong.
    /// A subject without versions admits everything.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] when the schema itself is invalid, [`RegistryError::Unavailable`].
    pub async fn compatible(&self, subject: &str, schema: &str) -> Result<Result<(), Vec<String>>, RegistryError> {
        // Without "verbose" a registry says yes or no but not why; Confluent's checks against all versions by itself
        // when the subject's level is transitive.
        let path = ["compatibility", "subjects", subject, "versions"];
        let answer = self.ask_with::<CompatibilityAnswer>(Method::POST, &path, Some(avro(schema)), true).await;
        match found(answer)? {
            Some(CompatibilityAnswer { is_compatible: false, messages }) => Ok(Err(messages)),
            Some(_) | None => Ok(Ok(())),
        }
    }

    /// Sets the compatibility that new versions of a subject must keep.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] or [`RegistryError::Unavailable`].
    pub async fn set_compatibility(&self, subject: &str, level: Compatibility) -> Result<(), RegistryError> {
        let body = json!({ "compatibility": level.as_str() });
        self.ask::<ConfigAnswer>(Method::PUT, &["config", subject], Some(body)).await.map(drop)
    }

    /// The level that a subject has of its own, in the registry's word; `None` when the global one applies.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] or [`RegistryError::Unavailable`].
    pub async fn compatibility(&self, subject: &str) -> Result<Option<String>, RegistryError> {
        let answer = self.ask::<ConfigAnswer>(Method::GET, &["config", subject], None).await;
        found(answer.map(|answer| answer.compatibility))
    }

    /// All subjects.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] or [`RegistryError::Unavailable`].
    pub async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        self.ask(Method::GET, &["subjects"], None).await
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.inner.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<T, RegistryError> {
        self.ask_with(method, path, body, false).await
    }

    /// Asks, and asks again after a pause while that may help.
    async fn ask_with<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
        verbose: bool,
    ) -> Result<T, RegistryError> {
        let mut url = self.inner.base.clone();
        url.path_segments_mut().expect("checked when the client was made").pop_if_empty().extend(path);
        if verbose {
            url.query_pairs_mut().append_pair("verbose", "true");
        }
        let request = format!("{method} /{}", path.join("/"));
        let mut attempt = 1;
        loop {
            let answer = self.ask_once(&method, &url, body.as_ref(), &request).await;
            metrics::registry_request(match &answer {
                Ok(_) => "ok",
                Err(error) if error.is_transient() => "unavailable",
                Err(_) => "refused",
            });
            match answer {
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tracing::debug!(request, attempt, error = %error, "schema registry is asked again");
                    tokio::time::sleep(pause_before(attempt)).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    async fn ask_once<T: for<'de> Deserialize<'de>>(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&Value>,
        request: &str,
    ) -> Result<T, RegistryError> {
        let unavailable = |reason: String| RegistryError::Unavailable { request: request.to_owned(), reason };
        let mut call = self.inner.http.request(method.clone(), url.clone()).header("Accept", CONTENT_TYPE);
        if let Some(body) = body {
            call = call.header("Content-Type", CONTENT_TYPE).body(body.to_string());
        }
        let answer = call.send().await.map_err(|error| unavailable(chain(&error.without_url())))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| unavailable(chain(&error.without_url())))?;
        if status.is_success() {
            // A proxy's page instead of JSON is an outage, not an answer.
            return serde_json::from_slice(&bytes).map_err(|error| unavailable(format!("answer is no JSON: {error}")));
        }
        let reason = serde_json::from_slice::<ErrorAnswer>(&bytes).map(|answer| answer.message);
        match status {
            // Without the registry's own error body, 404 comes from a wrong path or a proxy.
            StatusCode::NOT_FOUND if reason.is_ok() => Err(RegistryError::NotFound(request.to_owned())),
            StatusCode::NOT_FOUND | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Err(unavailable(format!("status {status}")))
            }
            _ if status.is_server_error() => {
                Err(unavailable(format!("status {status}: {}", reason.unwrap_or_default())))
            }
            _ => Err(RegistryError::Refused {
                request: request.to_owned(),
                status: status.as_u16(),
                reason: reason.unwrap_or_default(),
            }),
        }
    }
}

fn avro(schema: &str) -> Value {
    json!({ "schema": schema, "schemaType": "AVRO" })
}

fn found<T>(answer: Result<T, RegistryError>) -> Result<Option<T>, RegistryError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(RegistryError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Between half of and the whole of a span that doubles with each attempt.
fn pause_before(attempt: u32) -> Duration {
    (FIRST_PAUSE * 2_u32.pow(attempt - 1)).mul_f64(rand::rng().random_range(0.5..=1.0))
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;

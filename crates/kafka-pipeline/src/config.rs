//! Connection settings, and their translation into librdkafka's properties.
//!
//! Secrets may stand in the pass-through map or in a URL's user part; both are blanked in `Debug` and `Serialize`,
//! because services print their effective configuration.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// Why a client could not be made. Not about the cluster, which is reached in the background.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CreateError {
    /// The settings contradict themselves, or librdkafka refuses one of them.
    #[error("kafka settings: {0}")]
    Config(String),
    /// librdkafka could not create the client.
    #[error("create kafka client")]
    Client(#[source] KafkaError),
}

impl From<KafkaError> for CreateError {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::ClientConfig(_, problem, key, value) => {
                Self::Config(format!("{key} = {:?}: {problem}", visible(&key, &value)))
            }
            other => Self::Client(other),
        }
    }
}

/// How to reach the cluster.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// `host:port`, comma separated.
    pub bootstrap_servers: String,
    /// Name that brokers see in quotas and logs; usually the service's name.
    #[serde(default = "default_client_id")]
    pub client_id: String,
    /// Further librdkafka properties, such as `security.protocol` or `sasl.password`. What this crate sets for its
    /// guarantees (acknowledgements, idempotence, assignment strategy, auto-commit …) wins over an entry here.
    #[serde(default, serialize_with = "serialize_properties")]
    pub properties: BTreeMap<String, String>,
}

fn default_client_id() -> String {
    "meterway".to_owned()
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let properties: BTreeMap<_, _> =
            self.properties.iter().map(|(key, value)| (key, visible(key, value))).collect();
        f.debug_struct("KafkaConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("client_id", &self.client_id)
            .field("properties", &properties)
            .finish()
    }
}

impl KafkaConfig {
    /// Settings for a plain-text cluster.
    pub fn new(bootstrap_servers: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self { bootstrap_servers: bootstrap_servers.into(), client_id: client_id.into(), properties: BTreeMap::new() }
    }

    /// The librdkafka configuration: pass-through first, so that typed keys set later win.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", &self.client_id)
            .set_log_level(RDKafkaLogLevel::Warning);
        config
    }
}

/// How to reach the schema registry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// Base URL of the Confluent-compatible API. A user part (`https://key:secret@host`) is sent as basic authentication.
    #[serde(serialize_with = "serialize_url")]
    pub url: String,
}

impl fmt::Debug for RegistryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryConfig").field("url", &without_credentials(&self.url)).finish()
    }
}

const BLANK: &str = "***";

fn visible<'a>(key: &str, value: &'a str) -> &'a str {
    const SECRET: [&str; 5] = ["password", "secret", "key.pem", "sasl.oauthbearer.config", "private.key"];
    if SECRET.iter().any(|part| key.contains(part)) { BLANK } else { value }
}

fn serialize_properties<S: Serializer>(properties: &BTreeMap<String, String>, out: S) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(Some(properties.len()))?;
    for (key, value) in properties {
        map.serialize_entry(key, visible(key, value))?;
    }
    map.end()
}

fn serialize_url<S: Serializer>(url: &str, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&without_credentials(url))
}

/// The URL with its user part blanked.
pub(crate) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{BLANK}@{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secured() -> KafkaConfig {
        let mut config = KafkaConfig::new("b:9092", "validate");
        config.properties.insert("sasl.password".into(), "hush".into());
        config.properties.insert("ssl.key.pem".into(), "hush".into());
        config.properties.insert("security.protocol".into(), "SASL_SSL".into());
        config
    }

    #[test]
    fn secrets_are_blanked_where_they_are_printed() {
        let printed = format!("{:?} {}", secured(), serde_json::to_string(&secured()).unwrap());
        assert!(!printed.contains("hush") && printed.contains("SASL_SSL"), "{printed}");
        let registry = RegistryConfig { url: "https://key:hush@registry:8081/api@v1".into() };
        let printed = format!("{registry:?} {}", serde_json::to_string(&registry).unwrap());
        assert!(!printed.contains("hush") && printed.contains("https://***@registry:8081/api@v1"), "{printed}");
    }

    #[test]
    fn url_without_credentials_stays_as_it_is() {
        assert_eq!(without_credentials("http://r:1/path@x"), "http://r:1/path@x");
        assert_eq!(without_credentials("r:1"), "r:1");
    }

    #[test]
    fn typed_keys_win_over_the_pass_through_map() {
        let mut config = secured();
        config.properties.insert("bootstrap.servers".into(), "other:1".into());
        assert_eq!(config.client().get("bootstrap.servers"), Some("b:9092"));
        assert_eq!(config.client().get("sasl.password"), Some("hush"));
    }

    #[test]
    fn unknown_field_is_refused() {
        assert!(serde_json::from_str::<KafkaConfig>(r#"{"bootstrap_servers":"b","client":"c"}"#).is_err());
    }
}

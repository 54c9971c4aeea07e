//! Typed configuration; every key is explained in `config.default.toml`.

use kafka_pipeline::{KafkaConfig, RegistryConfig};
use serde::{Deserialize, Serialize};
use service_runtime::{AdminConfig, LogConfig, Problems, Secret, ServiceConfig};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Configuration of the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Time to finish what was begun after SIGTERM.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
    /// Admin endpoint.
    pub admin: AdminConfig,
    /// Logs.
    pub log: LogConfig,
    /// Brokers.
    pub kafka: KafkaConfig,
    /// Schema registry.
    pub registry: RegistryConfig,
    /// The public endpoint.
    pub http: HttpConfig,
    /// The web page.
    pub web: WebConfig,
    /// Who vouches for callers.
    pub oidc: OidcConfig,
    /// Loaded rows and facts.
    pub warehouse: PostgresConfig,
    /// The dashboard's own database.
    pub store: PostgresConfig,
    /// The audit log.
    pub audit: AuditConfig,
    /// Live status and alerts.
    pub dynamodb: DynamoConfig,
    /// The register of devices.
    pub metadata: MetadataConfig,
    /// Topics.
    pub topics: Topics,
    /// Consumer groups of the others.
    pub groups: Groups,
    /// The live stream.
    pub stream: StreamConfig,
    /// The pipeline's picture.
    pub pipeline: PipelineConfig,
}

/// `[http]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Longest time of a request.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// Largest body.
    pub max_body: bytesize::ByteSize,
    /// Requests worked on at the same time.
    pub max_concurrent: usize,
}

/// `[web]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebConfig {
    /// Folder of the built front end; empty for none.
    pub assets: PathBuf,
    /// JSON file with the users of a demonstration; empty for none.
    pub demo_users: PathBuf,
}

/// `[oidc]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// Issuer, exactly as in tokens.
    pub issuer: String,
    /// Address of its public keys.
    pub jwks_url: String,
    /// What tokens must be meant for.
    pub audience: String,
    /// Client of the web page.
    pub client_id: String,
    /// What the web page asks for.
    pub scope: String,
    /// Age at which keys are fetched again.
    #[serde(with = "humantime_serde")]
    pub keys_max_age: Duration,
    /// Shortest time between two fetches.
    #[serde(with = "humantime_serde")]
    pub refetch_wait: Duration,
    /// Difference of clocks that is let pass.
    #[serde(with = "humantime_serde")]
    pub leeway: Duration,
}

/// `[warehouse]` and `[store]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// URL with user and password.
    pub url: Secret,
    /// CA file; empty for the system's.
    pub ca_file: PathBuf,
    /// Connections at most.
    pub pool_size: usize,
    /// Longest wait for a free one.
    #[serde(with = "humantime_serde")]
    pub pool_wait: Duration,
    /// Longest wait for a new one.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest time of a statement.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
}

/// `[audit]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// Entries that may wait.
    pub queue: usize,
    /// How long entries are kept.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
}

/// `[dynamodb]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamoConfig {
    /// AWS region.
    pub region: String,
    /// Address of the API; empty for the region's own.
    pub endpoint: String,
    /// Access key; empty for the default chain.
    pub access_key: Secret,
    /// Secret key that belongs to the access key.
    pub secret_key: Secret,
    /// Table of live status.
    pub status_table: String,
    /// Table of alerts.
    pub alerts_table: String,
    /// Longest time of one request.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// `[metadata]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataConfig {
    /// gRPC address.
    pub url: String,
    /// Token for it; empty for none.
    pub token: Secret,
    /// Longest time of one call.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// `[topics]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topics {
    /// Raw readings.
    pub raw: String,
    /// Decisions.
    pub validated: String,
    /// Alerts.
    pub alerts: String,
}

/// `[groups]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Of `validate` in the raw topic.
    pub validate: String,
    /// Of `parquet-sink`'s readings in the validated topic.
    pub parquet_sink: String,
}

/// `[stream]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Events that may wait for one client.
    pub queue: usize,
    /// Open streams at most.
    pub max_clients: usize,
    /// Shortest time between two readings of a device for one client.
    #[serde(with = "humantime_serde")]
    pub sample_interval: Duration,
    /// Alerts given at most to a client that comes back.
    pub max_replay: usize,
}

/// `[pipeline]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineConfig {
    /// How often topics and groups are looked at.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Age at which a stage is late.
    #[serde(with = "humantime_serde")]
    pub late_after: Duration,
}

impl ServiceConfig for Config {
    fn validate(&self, problems: &mut Problems) {
        for (key, postgres) in [("warehouse", &self.warehouse), ("store", &self.store)] {
            problems.require(!postgres.url.is_empty(), format!("{key}.url"), "must be given");
            problems.require(postgres.pool_size > 0, format!("{key}.pool_size"), "must be at least 1");
        }
        problems.require(!self.oidc.issuer.is_empty(), "oidc.issuer", "must be given");
        problems.require(
            !self.oidc.audience.is_empty(),
            "oidc.audience",
            "must be given: a token for anybody is for nobody",
        );
        problems.require(
            self.oidc.leeway <= Duration::from_secs(120),
            "oidc.leeway",
            "must be at most 2min: for so long an expired token is still good",
        );
        problems.require(
            self.http.request_timeout < self.shutdown_grace + Duration::from_secs(1),
            "http.request_timeout",
            "must not be longer than shutdown_grace, or requests are cut off at shutdown",
        );
        for (key, number) in [
            ("http.max_concurrent", self.http.max_concurrent),
            ("audit.queue", self.audit.queue),
            ("stream.queue", self.stream.queue),
            ("stream.max_clients", self.stream.max_clients),
        ] {
            problems.require(number > 0, key, "must be at least 1");
        }
        problems.require(
            tonic::transport::Endpoint::from_shared(self.metadata.url.clone()).is_ok(),
            "metadata.url",
            "must be an http or https address",
        );
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn grace(&self) -> Duration {
        self.shutdown_grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_runtime::{ServiceInfo, load};

    fn load_with(variables: &[(&str, &str)]) -> Result<Config, String> {
        let info = ServiceInfo { name: "dashboard", version: "0", defaults: include_str!("../config.default.toml") };
        let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        load::<Config>(info, None, variables).map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    #[test]
    fn two_databases_are_all_that_must_be_named() {
        let urls = [
            ("METER_DASHBOARD__WAREHOUSE__URL", "postgresql://a@b/c"),
            ("METER_DASHBOARD__STORE__URL", "postgresql://a@b/d"),
        ];
        assert!(load_with(&urls).is_ok());
        let error = load_with(&[]).unwrap_err();
        assert!(error.contains("warehouse.url") && error.contains("store.url"), "{error}");
    }

    #[test]
    fn a_leeway_that_keeps_tokens_alive_is_refused() {
        let error =
            load_with(&[("METER_DASHBOARD__OIDC__LEEWAY", "1h"), ("METER_DASHBOARD__OIDC__AUDIENCE", "")]).unwrap_err();
        assert!(error.contains("oidc.leeway") && error.contains("oidc.audience"), "{error}");
    }
}

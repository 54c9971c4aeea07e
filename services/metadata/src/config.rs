//! The service's configuration; `config.default.toml` says what each key means.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kafka_pipeline::{KafkaConfig, RegistryConfig};
use serde::{Deserialize, Serialize};
use service_runtime::{AdminConfig, Backoff, LogConfig, Problems, Secret, ServiceConfig};

/// Everything.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Time to drain.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
    /// Admin endpoint.
    pub admin: AdminConfig,
    /// Logs.
    pub log: LogConfig,
    /// The service's own endpoint.
    pub grpc: GrpcConfig,
    /// The register's database.
    pub postgres: PostgresConfig,
    /// API keys.
    pub api_keys: ApiKeysConfig,
    /// Publication of changes.
    pub outbox: OutboxConfig,
    /// Brokers.
    pub kafka: KafkaConfig,
    /// Schema registry.
    pub registry: RegistryConfig,
}

/// `[grpc]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcConfig {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Longest call.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Largest message accepted.
    pub max_message_bytes: usize,
    /// Calls of one connection that run at the same time.
    pub calls_per_connection: usize,
    /// Time between pings on an idle connection.
    #[serde(with = "humantime_serde")]
    pub keepalive: Duration,
    /// Token that callers must send.
    pub token: Secret,
}

/// `[postgres]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// As the role that row-level security binds.
    pub url: Secret,
    /// As the owner of the tables, to migrate.
    pub owner_url: Secret,
    /// Migrate as the owner and end, instead of serving.
    pub migrate_only: bool,
    /// Authorities that may vouch for the server; TLS is demanded when it is set.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Connections.
    pub pool_size: usize,
    /// Longest wait for a free connection.
    #[serde(with = "humantime_serde")]
    pub pool_wait: Duration,
    /// Longest wait for a new connection.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest statement.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
}

/// `[api_keys]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeysConfig {
    /// How long callers may cache that a key is good.
    #[serde(with = "humantime_serde")]
    pub cache_ttl: Duration,
    /// How long callers may cache that a key is not good.
    #[serde(with = "humantime_serde")]
    pub refused_cache_ttl: Duration,
}

/// `[outbox]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxConfig {
    /// Topic of devices.
    pub topic: String,
    /// Devices per batch.
    pub batch: i64,
    /// Time between two looks at the outbox.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// Time a new relay waits before its first message.
    #[serde(with = "humantime_serde")]
    pub takeover_delay: Duration,
    /// Longest wait for a delivery report.
    #[serde(with = "humantime_serde")]
    pub delivery_timeout: Duration,
    /// Waits after failures.
    pub retry: Backoff,
}

impl ServiceConfig for Config {
    fn validate(&self, problems: &mut Problems) {
        let serves = !self.postgres.migrate_only;
        problems.require(!serves || !self.postgres.url.is_empty(), "postgres.url", "must be set");
        let can_migrate = serves || !self.postgres.owner_url.is_empty();
        problems.require(can_migrate, "postgres.owner_url", "must be set when postgres.migrate_only is");
        problems.require(self.postgres.pool_size >= 2, "postgres.pool_size", "must be 2 or more: the relay keeps one");
        let fits = self.postgres.statement_timeout < self.grpc.timeout;
        problems.require(fits, "postgres.statement_timeout", "must be shorter than grpc.timeout");
        let fits = self.grpc.timeout < self.shutdown_grace;
        problems.require(fits, "grpc.timeout", "must be shorter than shutdown_grace, or calls are cut off");
        problems.require((1..=10_000).contains(&self.outbox.batch), "outbox.batch", "must be between 1 and 10000");
        problems.require(!self.outbox.topic.is_empty(), "outbox.topic", "must be set");
        let positive = !self.outbox.poll_interval.is_zero();
        problems.require(positive, "outbox.poll_interval", "must be longer than zero");
        let fits = self.grpc.max_message_bytes >= 1 << 16;
        problems.require(fits, "grpc.max_message_bytes", "must be 65536 or more, or chunks of a bulk don't fit");
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
    use service_runtime::load;

    use super::*;

    fn environment(extra: &[(&str, &str)]) -> Vec<(String, String)> {
        let url = ("METER_METADATA__POSTGRES__URL", "postgres://metadata_app:hunter2@127.0.0.1/metadata");
        extra.iter().chain([&url]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_defaults_need_only_a_database() {
        let loaded = load::<Config>(crate::INFO, None, environment(&[])).unwrap();
        assert!(!loaded.effective.contains("hunter2"), "{}", loaded.effective);
        let error = load::<Config>(crate::INFO, None, []).unwrap_err();
        assert_eq!(error.problems.iter().map(|p| p.key.as_str()).collect::<Vec<_>>(), ["postgres.url"]);
    }

    #[test]
    fn every_key_stands_in_the_readme() {
        let loaded = load::<Config>(crate::INFO, None, environment(&[])).unwrap();
        let readme = include_str!("../README.md");
        let keys = loaded.effective.lines().skip(1).filter_map(|line| line.trim_start_matches("# ").split(' ').next());
        for key in keys.map(|key| if key.starts_with("outbox.retry") { "outbox.retry" } else { key }) {
            assert!(readme.contains(&format!("`{key}`")), "{key} is not in the README");
        }
    }

    #[test]
    fn a_run_that_only_migrates_needs_the_owner_and_not_the_service_role() {
        let variable = |name: &str, value: &str| (format!("METER_METADATA__POSTGRES__{name}"), value.to_owned());
        let error = load::<Config>(crate::INFO, None, [variable("MIGRATE_ONLY", "true")]).unwrap_err();
        assert_eq!(error.problems.iter().map(|p| p.key.as_str()).collect::<Vec<_>>(), ["postgres.owner_url"]);
        let variables =
            [variable("MIGRATE_ONLY", "true"), variable("OWNER_URL", "postgres://owner@127.0.0.1/metadata")];
        assert!(load::<Config>(crate::INFO, None, variables).unwrap().config.postgres.migrate_only);
    }

    #[test]
    fn broken_relations_are_all_reported() {
        let extra = [
            ("METER_METADATA__POSTGRES__STATEMENT_TIMEOUT", "1h"),
            ("METER_METADATA__POSTGRES__POOL_SIZE", "1"),
            ("METER_METADATA__OUTBOX__BATCH", "0"),
            ("METER_METADATA__OUTBOX__POLL_INTERVAL", "0s"),
            ("METER_METADATA__GRPC__MAX_MESSAGE_BYTES", "10"),
        ];
        let error = load::<Config>(crate::INFO, None, environment(&extra)).unwrap_err();
        assert_eq!(error.problems.iter().count(), 5, "{error}");
    }
}

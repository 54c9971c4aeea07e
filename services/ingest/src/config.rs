//! Typed configuration; every key is explained in `config.default.toml`.

use bytesize::ByteSize;
use kafka_pipeline::{KafkaConfig, RegistryConfig};
use serde::{Deserialize, Serialize};
use service_runtime::{AdminConfig, LogConfig, Problems, Secret, ServiceConfig};
use std::{net::SocketAddr, time::Duration};

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
    /// Topics.
    pub topics: Topics,
    /// Where API keys are checked.
    pub metadata: MetadataConfig,
    /// Limits of a tenant that has none of its own.
    pub limits: Limits,
    /// Requests that carry an `Idempotency-Key`.
    pub idempotency: RequestsConfig,
}

/// The public endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Largest body as sent.
    pub max_encoded: ByteSize,
    /// Largest body after decompression.
    pub max_decoded: ByteSize,
    /// Requests worked on at the same time; further ones are answered 503.
    pub max_concurrent: usize,
    /// Time for a request, body included; afterwards it is answered 503 and its outcome is open.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
}

/// Topics.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topics {
    /// Raw readings.
    pub readings: String,
    /// Device events.
    pub events: String,
}

/// Where API keys are checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataConfig {
    /// gRPC address of the metadata service.
    pub url: String,
    /// Token that the metadata service asks of its callers; empty for none.
    pub token: Secret,
    /// Time for one check.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Answers kept.
    pub cache_entries: u64,
}

/// Requests that carry an `Idempotency-Key`, and the DynamoDB table that remembers them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestsConfig {
    /// Whether keys are taken; a request with one is refused when not.
    pub enabled: bool,
    /// How long a retry is answered from memory, counted from the answer.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// After how long of silence a replica counts as dead and its requests may be taken over.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// AWS region.
    pub region: String,
    /// Address of the API; empty for the region's own.
    pub endpoint: String,
    /// Access key; empty for the default chain (role, environment, profile).
    pub access_key: Secret,
    /// Secret key that belongs to the access key.
    pub secret_key: Secret,
    /// The table.
    pub table: String,
    /// Create the table at the start when it is missing.
    pub create_table: bool,
    /// Longest time of one request to it, attempts included.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// Limits of a tenant.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests per second.
    pub requests_per_second: u32,
    /// Readings per second; bursts of ten seconds' worth are let through.
    pub readings_per_second: u32,
}

impl ServiceConfig for Config {
    fn validate(&self, problems: &mut Problems) {
        problems.require(
            self.http.max_decoded >= self.http.max_encoded,
            "http.max_decoded",
            "must not be below http.max_encoded",
        );
        problems.require(self.http.max_concurrent > 0, "http.max_concurrent", "must be at least 1");
        problems.require(
            self.http.request_timeout < self.shutdown_grace,
            "http.request_timeout",
            "must be shorter than shutdown_grace, or requests are cut off at shutdown",
        );
        problems.require(
            tonic::transport::Endpoint::from_shared(self.metadata.url.clone()).is_ok(),
            "metadata.url",
            "must be an http or https address",
        );
        let keys = &self.idempotency;
        problems.require(
            (Duration::from_millis(100)..=Duration::from_secs(10)).contains(&keys.timeout),
            "idempotency.timeout",
            "must be 100ms to 10s",
        );
        problems.require(
            keys.lease >= keys.timeout * 2 && keys.lease <= Duration::from_secs(600),
            "idempotency.lease",
            "must be at least twice idempotency.timeout, or a slow answer looks like a death, and at most 10min",
        );
        problems.require(
            keys.window >= Duration::from_secs(60) && keys.window <= Duration::from_secs(30 * 86_400),
            "idempotency.window",
            "must be 1min to 30days",
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

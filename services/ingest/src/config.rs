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

//! The configuration of the sink. `config.default.toml` says what every key means.

use std::time::Duration;

use bytesize::ByteSize;
use kafka_pipeline::{KafkaConfig, RegistryConfig};
use lake::LakeConfig;
use serde::{Deserialize, Serialize};
use service_runtime::{AdminConfig, Backoff, LogConfig, Problems, ServiceConfig};

use crate::core::file_policy::CommitTriggers;

/// Largest memory budget. Columns of texts count their bytes in 32 bits, so a single file must stay below 2 GiB.
const MAX_MEMORY: ByteSize = ByteSize::gib(1);
/// Smallest one: below, files become tiny.
const MIN_MEMORY: ByteSize = ByteSize::mib(16);

/// Everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long the process may take to end.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
    /// Admin endpoint.
    pub admin: AdminConfig,
    /// Log.
    pub log: LogConfig,
    /// Cluster.
    pub kafka: KafkaConfig,
    /// Schema registry.
    pub registry: RegistryConfig,
    /// Catalog and store.
    pub lake: LakeConfig,
    /// What the routes have in common.
    pub sink: SinkConfig,
    /// The routes.
    pub routes: Routes,
}

/// What the routes have in common.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkConfig {
    /// Memory that rows may take before they are written, over all routes.
    pub memory_budget: ByteSize,
    /// Age of the oldest row at which a commit is made.
    #[serde(with = "humantime_serde")]
    pub commit_age: Duration,
    /// Bytes of files at which a commit is made.
    pub commit_bytes: ByteSize,
    /// Rows at which a commit is made.
    pub commit_rows: u64,
    /// Files at which a commit is made.
    pub commit_files: usize,
    /// Age of the oldest row at which a commit is made while rows are scattered over many days.
    #[serde(with = "humantime_serde")]
    pub scattered_commit_age: Duration,
    /// Age at which the heads are committed although there was no row.
    #[serde(with = "humantime_serde")]
    pub idle_commit_age: Duration,
    /// How long a rebalance may wait for a last commit.
    #[serde(with = "humantime_serde")]
    pub revoke_grace: Duration,
    /// How often the identity of topics and refused partitions are looked at again.
    #[serde(with = "humantime_serde")]
    pub recheck_interval: Duration,
    /// Waits between attempts while a component is down.
    pub backoff: Backoff,
    /// Whether the store's conditional writes are tried at start.
    pub probe_store: bool,
    /// Raw topic that the decisions are about.
    pub source_topic: String,
    /// Topic that commits are announced in.
    pub commits_topic: String,
    /// Topic for records that cannot be decoded.
    pub dead_letter_topic: String,
}

/// Longest [`SinkConfig::commit_age`] and [`SinkConfig::scattered_commit_age`]: files must be committed well before a clean-up may take them for orphans.
const MAX_COMMIT_AGE: Duration = Duration::from_secs(lake::core::orphans::MAX_UNCOMMITTED_AGE.as_secs() / 2);

/// The routes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routes {
    /// Decisions → `readings`.
    pub readings: RouteConfig,
    /// Decisions → `rejected`.
    pub rejected: RouteConfig,
    /// Raw topic → `landing`.
    pub landing: RouteConfig,
    /// Dead letters and the marks beside them → `dead_letters`.
    pub dead_letters: RouteConfig,
    /// Alerts → `alerts`.
    pub alerts: RouteConfig,
}

/// A route.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Whether this process runs it.
    pub enabled: bool,
    /// Topic it consumes.
    pub topic: String,
    /// Consumer group; only divides the partitions, positions come from the table.
    pub group: String,
}

impl SinkConfig {
    /// When commits are made.
    pub(crate) fn triggers(&self) -> CommitTriggers {
        CommitTriggers {
            rows: self.commit_rows,
            bytes: self.commit_bytes.as_u64(),
            files: self.commit_files,
            scattered_age: self.scattered_commit_age,
            age: self.commit_age,
            idle_age: self.idle_commit_age,
        }
    }
}

impl Routes {
    pub(crate) fn all(&self) -> [(&'static str, &RouteConfig); 5] {
        [
            ("readings", &self.readings),
            ("rejected", &self.rejected),
            ("landing", &self.landing),
            ("dead_letters", &self.dead_letters),
            ("alerts", &self.alerts),
        ]
    }
}

impl ServiceConfig for Config {
    fn validate(&self, problems: &mut Problems) {
        for (key, problem) in self.lake.problems() {
            problems.add(format!("lake.{key}"), problem);
        }
        let sink = &self.sink;
        problems.require(
            (MIN_MEMORY..=MAX_MEMORY).contains(&sink.memory_budget),
            "sink.memory_budget",
            format!("must be between {MIN_MEMORY} and {MAX_MEMORY}"),
        );
        problems.require(
            !sink.commit_age.is_zero() && sink.commit_age <= MAX_COMMIT_AGE,
            "sink.commit_age",
            format!("must be above 0 and at most {} min", MAX_COMMIT_AGE.as_secs() / 60),
        );
        problems.require(
            sink.scattered_commit_age <= MAX_COMMIT_AGE,
            "sink.scattered_commit_age",
            format!("must be at most {} min", MAX_COMMIT_AGE.as_secs() / 60),
        );
        problems.require(!sink.recheck_interval.is_zero(), "sink.recheck_interval", "must be above 0");
        problems.require(sink.commit_rows > 0, "sink.commit_rows", "must be above 0");
        problems.require(sink.commit_files > 0, "sink.commit_files", "must be above 0");
        problems.require(sink.commit_bytes.as_u64() > 0, "sink.commit_bytes", "must be above 0");
        problems.require(
            sink.idle_commit_age >= sink.commit_age,
            "sink.idle_commit_age",
            "must not be below sink.commit_age",
        );
        problems.require(
            sink.revoke_grace < self.shutdown_grace,
            "sink.revoke_grace",
            "must be below shutdown_grace, which also covers leaving the group",
        );
        problems.require(
            self.routes.all().iter().any(|(_, route)| route.enabled),
            "routes",
            "at least one route must be enabled",
        );
        for (name, route) in self.routes.all() {
            problems.require(!route.topic.is_empty(), format!("routes.{name}.topic"), "must not be empty");
            problems.require(!route.group.is_empty(), format!("routes.{name}.group"), "must not be empty");
        }
        // Two routes in one group would share partitions of a topic that both of them need whole.
        let (readings, rejected) = (&self.routes.readings, &self.routes.rejected);
        problems.require(
            readings.group != rejected.group,
            "routes.rejected.group",
            "must differ from routes.readings.group: each route needs every partition",
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

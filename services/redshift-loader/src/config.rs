//! The loader's configuration. `config.default.toml` says what every key means.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kafka_pipeline::{KafkaConfig, RegistryConfig};
use lake::LakeConfig;
use serde::{Deserialize, Serialize};
use service_runtime::{AdminConfig, Backoff, LogConfig, Problems, Secret, ServiceConfig};

use crate::core::table::LoadTable;
use crate::edge::postgres::{PostgresSettings, Tls};

/// Everything that can be set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long the process may take to end.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
    /// The admin endpoint.
    pub admin: AdminConfig,
    /// Logging.
    pub log: LogConfig,
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The schema registry.
    pub registry: RegistryConfig,
    /// The lake.
    pub lake: LakeConfig,
    /// The warehouse.
    pub warehouse: WarehouseConfig,
    /// What is loaded and when.
    pub loads: LoadsConfig,
    /// The devices topic.
    pub devices: DevicesConfig,
    /// The build of the facts.
    pub dbt: DbtConfig,
}

/// Which SQL the warehouse speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// PostgreSQL and what is compatible with it.
    Postgres,
    /// Amazon Redshift.
    Redshift,
}

/// `[warehouse]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarehouseConfig {
    /// Dialect.
    pub dialect: Dialect,
    /// `postgresql://user:password@host:port/database`.
    pub url: Secret,
    /// PEM file with the certificates to trust; the machine's when empty.
    pub tls_ca_file: PathBuf,
    /// Longest wait for a connection.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest time a statement may take.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    /// Longest wait for another loader.
    #[serde(with = "humantime_serde")]
    pub lock_timeout: Duration,
    /// Whether the loader creates and changes schema `raw`.
    pub migrate: bool,
    /// Roles that may read schema `raw`.
    pub readers: Vec<String>,
    /// Role that a Redshift cluster reads S3 as.
    pub redshift_iam_role: String,
}

/// `[loads]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadsConfig {
    /// Lake tables to load.
    pub tables: Vec<String>,
    /// Longest time between two looks at the lake.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// Waits after an error.
    pub backoff: Backoff,
    /// Topic whose messages make the loader look sooner; empty for none.
    pub hints_topic: String,
    /// Consumer group on it.
    pub hints_group: String,
    /// Topic on which loads are announced; empty for none.
    pub announce_topic: String,
}

/// `[devices]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DevicesConfig {
    /// Topic to load devices from; empty for none.
    pub topic: String,
    /// Consumer group on it.
    pub group: String,
}

/// `[dbt]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DbtConfig {
    /// Program and arguments; empty for none.
    pub command: Vec<String>,
    /// Shortest time between the starts of two builds.
    #[serde(with = "humantime_serde")]
    pub min_interval: Duration,
    /// Longest time a build may take.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl WarehouseConfig {
    /// The settings of a session.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn settings(&self) -> anyhow::Result<PostgresSettings> {
        let ca_file = Some(self.tls_ca_file.as_path()).filter(|path| *path != Path::new(""));
        Ok(PostgresSettings {
            url: self.url.clone(),
            tls: Tls::new(ca_file)?,
            connect_timeout: self.connect_timeout,
            statement_timeout: self.statement_timeout,
            lock_timeout: self.lock_timeout,
        })
    }

    fn validate(&self, problems: &mut Problems) {
        let url = self.url.expose();
        problems.require(
            url.starts_with("postgres"),
            "warehouse.url",
            "must be a URL postgresql://user:password@host/database",
        );
        let timeouts = [
            ("warehouse.connect_timeout", self.connect_timeout),
            ("warehouse.statement_timeout", self.statement_timeout),
            ("warehouse.lock_timeout", self.lock_timeout),
        ];
        for (key, timeout) in timeouts {
            problems.require(timeout >= Duration::from_millis(1), key, "must not be zero");
        }
        let role_needed = self.dialect == Dialect::Redshift && self.redshift_iam_role.is_empty();
        problems.require(
            !role_needed,
            "warehouse.redshift_iam_role",
            "must be given, since warehouse.dialect is redshift",
        );
    }
}

impl LoadsConfig {
    /// The tables, those that exist.
    pub fn load_tables(&self) -> Vec<LoadTable> {
        self.tables.iter().filter_map(|name| LoadTable::named(name)).collect()
    }

    fn validate(&self, problems: &mut Problems) {
        for name in &self.tables {
            let known = || LoadTable::all().map(|table| table.name()).join(", ");
            problems.require(
                LoadTable::named(name).is_some(),
                "loads.tables",
                format!("names {name:?}, which is not loaded; there are {}", known()),
            );
        }
        let mut unique = self.tables.clone();
        unique.sort();
        unique.dedup();
        problems.require(unique.len() == self.tables.len(), "loads.tables", "names a table twice");
        problems.require(!self.tables.is_empty(), "loads.tables", "must not be empty");
        problems.require(!self.poll_interval.is_zero(), "loads.poll_interval", "must not be zero");
    }
}

impl ServiceConfig for Config {
    fn validate(&self, problems: &mut Problems) {
        for (key, problem) in self.lake.problems() {
            problems.add(format!("lake.{key}"), problem);
        }
        self.warehouse.validate(problems);
        self.loads.validate(problems);
        if !self.dbt.command.is_empty() {
            problems.require(!self.dbt.timeout.is_zero(), "dbt.timeout", "must not be zero");
        }
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

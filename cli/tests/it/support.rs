//! Runs the program, and makes topics, tables and databases that nobody else uses.

use kafka_pipeline::{Admin, KafkaConfig, Registry, RegistryConfig, TopicSpec};
use lake::LakeConfig;
use std::collections::BTreeMap;
use std::process::Stdio;
use test_support::{Stack, unique};
use tokio::process::Command;
use tokio_postgres::{Client, NoTls};

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The JSON document on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Settings of the program, as an environment.
pub(crate) type Settings = BTreeMap<&'static str, String>;

/// The settings of the stack; what the environment of the test holds besides is not seen by the program.
pub(crate) fn settings() -> Settings {
    let stack = Stack::from_env();
    BTreeMap::from([
        ("KAFKA_BOOTSTRAP", stack.kafka_bootstrap()),
        ("SCHEMA_REGISTRY_URL", stack.schema_registry_url()),
        ("S3_ENDPOINT", stack.s3_endpoint()),
        ("S3_BUCKET", stack.s3_bucket()),
        ("S3_REGION", stack.s3_region()),
        ("S3_ACCESS_KEY", stack.s3_access_key()),
        ("S3_SECRET_KEY", stack.s3_secret_key()),
        ("S3_READER_ACCESS_KEY", stack.s3_reader_access_key()),
        ("S3_READER_SECRET_KEY", stack.s3_reader_secret_key()),
        ("ICEBERG_CATALOG_URL", stack.iceberg_catalog_url()),
        ("WAREHOUSE_READER_URL", stack.warehouse_reader_url()),
        ("DYNAMODB_ENDPOINT", stack.dynamodb_endpoint()),
        ("AWS_REGION", stack.aws_region()),
        ("AWS_ACCESS_KEY_ID", stack.aws_access_key_id()),
        ("AWS_SECRET_ACCESS_KEY", stack.aws_secret_access_key()),
    ])
}

/// Runs the program with these settings and no others.
pub(crate) async fn meterway(settings: &Settings, arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_meterway"))
        .args(arguments)
        .env_clear()
        .envs(settings)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(crate) fn kafka() -> KafkaConfig {
    KafkaConfig::new(Stack::from_env().kafka_bootstrap(), "meterway-cli-test")
}

/// The lake of the stack, as its writers see it.
pub(crate) fn lake_config(name: &str) -> LakeConfig {
    service_runtime::install_crypto_provider();
    serde_json::from_value(Stack::from_env().lake(name)).unwrap()
}

pub(crate) fn registry() -> Registry {
    service_runtime::install_crypto_provider();
    Registry::new(&RegistryConfig { url: Stack::from_env().schema_registry_url() }).unwrap()
}

/// Makes a topic of its own; its name.
pub(crate) async fn topic(prefix: &str, partitions: i32) -> String {
    let spec = TopicSpec { name: unique(prefix), partitions, replication: 1, configs: BTreeMap::new() };
    Admin::connect(&kafka()).await.unwrap().create_topic(&spec).await.unwrap();
    spec.name
}

pub(crate) async fn remove_topics(topics: &[&str]) {
    let admin = Admin::connect(&kafka()).await.unwrap();
    for topic in topics {
        admin.delete_topic(topic).await.unwrap();
    }
}

/// A client of the stack's DynamoDB.
pub(crate) fn dynamodb() -> aws_sdk_dynamodb::Client {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
    service_runtime::install_crypto_provider();
    let stack = Stack::from_env();
    let (key, secret) = (stack.aws_access_key_id(), stack.aws_secret_access_key());
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(stack.dynamodb_endpoint())
        .region(Region::new(stack.aws_region()))
        .credentials_provider(Credentials::new(key, secret, None, None, "local stack"))
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// A warehouse of its own with schema `raw`, as redshift-loader makes it.
pub(crate) struct Warehouse {
    name: String,
    /// URL for the role that reads.
    pub(crate) reader_url: String,
}

impl Warehouse {
    pub(crate) async fn create() -> Self {
        let stack = Stack::from_env();
        let name = unique("cli_it");
        let admin = connect(&stack.postgres_admin_url()).await;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let warehouse = Self { reader_url: at_database(&stack.warehouse_reader_url(), &name), name };
        warehouse.execute("CREATE SCHEMA raw").await;
        warehouse.execute(include_str!("../../../services/redshift-loader/migrations/V1__raw_tables.sql")).await;
        warehouse.execute(include_str!("../../../services/redshift-loader/migrations/V2__readings_revision.sql")).await;
        warehouse
            .execute("GRANT USAGE ON SCHEMA raw TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA raw TO reader")
            .await;
        warehouse
    }

    /// Runs statements as the owner.
    pub(crate) async fn execute(&self, statements: &str) {
        let client = connect(&at_database(&Stack::from_env().postgres_admin_url(), &self.name)).await;
        client.batch_execute(statements).await.unwrap();
    }

    pub(crate) async fn remove(self) {
        let admin = connect(&Stack::from_env().postgres_admin_url()).await;
        admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn at_database(url: &str, name: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

//! `meterway doctor`: tries everything that Meterway stands on, and says what to do about what it finds.
//!
//! It changes nothing but a scratch object that it removes again, and it never prints a secret: settings are named by
//! their option or variable, servers by host and port.

mod finding;
mod kafka;
mod lake;
mod live;
mod metadata;
mod race;
mod registry;
mod store;
mod topics;
mod warehouse;

use crate::connection::{KafkaArgs, RegistryArgs};
use crate::exit::{BadConfig, Exit};
use crate::metadata::MetadataArgs;
use crate::out::Out;
use crate::stores::{DynamoArgs, WarehouseArgs};
use crate::topics::{Declared, Overrides, read};
use crate::verify::iceberg::LakeArgs;
use anyhow::anyhow;
use finding::{Finding, Report};
use futures::future::{BoxFuture, join_all};
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
A part whose settings are not given is a warning, and a failure when --only names it.
The object store is tried with a scratch object below .meterway-doctor/, which is removed again.

Examples:
  meterway --env-file .local/demo.env doctor
  meterway doctor --only kafka,registry --partitions 48
  meterway doctor --json | jq '.findings[] | select(.verdict != \"ok\")'

Exit codes: 0 nothing failed; 1 something did, or with --strict is to be looked at; 64 a setting is wrong.";

/// Options of `doctor`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct DoctorArgs {
    /// Only these parts
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
    /// All but these parts
    #[arg(long, value_enum, value_name = "PART", value_delimiter = ',', conflicts_with = "only")]
    skip: Vec<Part>,
    /// Also fail for what is only to be looked at
    #[arg(long)]
    strict: bool,
    /// Declarative file of topics; the one that comes with the program when not given
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Partitions that this installation has chosen instead of the file's default
    #[arg(long, value_name = "N")]
    partitions: Option<i32>,
    /// Seconds that a part may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    lake: LakeArgs,
    #[command(flatten)]
    store: store::StoreArgs,
    #[command(flatten)]
    warehouse: WarehouseArgs,
    #[command(flatten)]
    roles: warehouse::RoleArgs,
    #[command(flatten)]
    dynamo: DynamoArgs,
    #[command(flatten)]
    metadata: MetadataArgs,
}

/// A part of the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Brokers and topics
    Kafka,
    /// Schema registry
    Registry,
    /// S3: writing, reading, conditional writes
    Store,
    /// Iceberg catalog and tables
    Lake,
    /// Warehouse and its roles
    Warehouse,
    /// DynamoDB
    Dynamodb,
    /// Register of devices, by gRPC
    Metadata,
}

impl Part {
    const ALL: [Self; 7] =
        [Self::Kafka, Self::Registry, Self::Store, Self::Lake, Self::Warehouse, Self::Dynamodb, Self::Metadata];

    fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Registry => "registry",
            Self::Store => store::STORE,
            Self::Lake => "lake catalog",
            Self::Warehouse => "warehouse",
            Self::Dynamodb => "dynamodb",
            Self::Metadata => "metadata",
        }
    }

    /// What stands still without it.
    fn matters_because(self) -> &'static str {
        match self {
            Self::Kafka => "nothing moves: ingest answers 503, no service starts",
            Self::Registry => "services do not start; running ones stop at the first schema they have not seen",
            Self::Store => "parquet-sink can't write; queries of the lake fail",
            Self::Lake => "parquet-sink can't commit; nobody finds the lake's tables",
            Self::Warehouse => "nothing is loaded; facts and dashboards grow old",
            Self::Dynamodb => "alert stops after its retries; the dashboard has no live state",
            Self::Metadata => "ingest can't check keys it has not seen; devices can't be registered",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Kafka => "check KAFKA_BOOTSTRAP, the network, and security.protocol and sasl.* in KAFKA_PROPERTIES",
            Self::Registry => "check SCHEMA_REGISTRY_URL, with its path, and the network",
            Self::Store => "check S3_ENDPOINT, S3_BUCKET, S3_REGION and the keys",
            Self::Lake => "check ICEBERG_CATALOG_URL, the network, and that the role may log in",
            Self::Warehouse => "check WAREHOUSE_READER_URL, the network, and that the role may log in",
            Self::Dynamodb => "check DYNAMODB_ENDPOINT, AWS_REGION, and that the role may DescribeTable",
            Self::Metadata => "check METADATA_GRPC_URL and the network; look at the service's log",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// [`BadConfig`] when the file of topics is wrong; parts that fail are no error but findings.
pub(crate) async fn run(args: DoctorArgs, out: &Out) -> anyhow::Result<Exit> {
    let overrides = Overrides { partitions: args.partitions, ..Overrides::default() };
    let declared = read(args.file.as_deref(), overrides)?;
    let chosen = Part::ALL.into_iter().filter(|part| args.only.is_empty() || args.only.contains(part));
    let chosen = chosen.filter(|part| !args.skip.contains(part));
    let findings = join_all(chosen.map(|part| examine(part, &args, &declared))).await;
    let report = Report::new(findings.into_iter().flatten().collect());
    out.report(&report, &["verdict", "part", "check", "found"], |report, rows| {
        for finding in &report.findings {
            rows.push(finding.verdict.mood(), finding.cells());
        }
    })?;
    if out.is_table() {
        let advice = report.advice();
        if !advice.is_empty() {
            out.text(&advice)?;
        }
        out.note(&report.conclusion());
    }
    Ok(Exit::ok_if(report.fail == 0 && (report.warn == 0 || !args.strict)))
}

/// Examines a part; that it does not answer, or is not configured, is a finding too.
async fn examine(part: Part, args: &DoctorArgs, declared: &Declared) -> Vec<Finding> {
    let limit = Duration::from_secs(args.timeout);
    let late = |_| anyhow!("no answer within {} s", limit.as_secs());
    match tokio::time::timeout(limit, probe(part, args, declared)).await.map_err(late).flatten() {
        Ok(findings) => findings,
        Err(error) if error.chain().any(|cause| cause.is::<BadConfig>()) => {
            vec![unchecked(part, &error, args.only.contains(&part))]
        }
        Err(error) => vec![
            Finding::fail(part.name(), "reachable", format!("{error:#}")).advise(part.matters_because(), part.remedy()),
        ],
    }
}

fn probe<'a>(part: Part, args: &'a DoctorArgs, declared: &'a Declared) -> BoxFuture<'a, anyhow::Result<Vec<Finding>>> {
    Box::pin(async move {
        match part {
            Part::Kafka => kafka::probe(&args.kafka.config()?, declared, args.partitions.is_some()).await,
            Part::Registry => registry::probe(&args.registry.config()?, declared).await,
            Part::Store => store::probe(&args.store, &args.lake).await,
            Part::Lake => lake::probe(&args.lake).await,
            Part::Warehouse => warehouse::probe(&args.warehouse, &args.roles).await,
            Part::Dynamodb => live::probe(&args.dynamo).await,
            Part::Metadata => metadata::probe(&args.metadata).await,
        }
    })
}

fn unchecked(part: Part, error: &anyhow::Error, wanted: bool) -> Finding {
    let finding = if wanted { Finding::fail } else { Finding::warn };
    finding(part.name(), "settings", format!("not checked: {error:#}"))
        .advise("nothing is known about this part", "give the setting, or leave the part out with --skip")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use finding::Verdict;

    #[test]
    fn every_part_is_examined() {
        assert_eq!(Part::ALL.as_slice(), Part::value_variants());
    }

    #[test]
    fn a_part_without_settings_fails_only_when_it_was_asked_for() {
        let error = anyhow::Error::from(BadConfig::new("--x is not set"));
        assert_eq!(unchecked(Part::Kafka, &error, false).verdict, Verdict::Warn);
        assert_eq!(unchecked(Part::Kafka, &error, true).verdict, Verdict::Fail);
    }
}

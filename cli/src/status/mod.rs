//! `meterway status`: the pipeline at a glance, stage by stage, in the direction of flow.
//!
//! Reads only: watermarks and committed positions, the tables' metadata, row counts, the live state, `/ready` of the
//! services. Every part is asked at the same time and by itself: what does not answer is shown as such beside what does.

mod kafka;
mod lake;
mod live;
mod report;
mod services;
mod warehouse;

use crate::connection::KafkaArgs;
use crate::exit::{BadConfig, Exit};
use crate::out::Out;
use crate::stores::{DynamoArgs, WarehouseArgs};
use crate::verify::iceberg::LakeArgs;
use anyhow::anyhow;
use chrono::Utc;
use report::{Line, Report};
use std::collections::BTreeMap;
use std::time::Duration;

const HELP: &str = "\
States: ok; notice (worth knowing, no failure); missing (a topic or table that is not there); not ready (a service
that runs but does not work); unreachable (no answer).
Lag: of a group, messages behind the end of its topic; of a lake table, messages that are not in it yet, by the
positions in its own snapshot; of a warehouse table, rows that the lake has and it has not.

Examples:
  meterway --env-file .local/demo.env status
  meterway status --admin validate=http://validate:9102 --admin ingest=http://ingest:9101 --json

Exit codes: 0 every part answers; 1 one is unreachable, missing or not ready; 64 a setting is missing.";

/// Options of `status`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct StatusArgs {
    /// Admin endpoint of a service; may be repeated, or separated by ',' in the variable
    #[arg(
        long = "admin",
        env = "METERWAY_ADMIN_URLS",
        value_name = "NAME=URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    admin: Vec<services::Endpoint>,
    /// Topic to show; may be repeated
    #[arg(long = "topic", value_name = "TOPIC", default_values = [
        "meter.readings.raw.v1", "meter.readings.validated.v1", "meter.readings.rejected.v1", "meter.events.raw.v1",
        "meter.alerts.v1",
    ])]
    topics: Vec<String>,
    /// Consumer group to show, with the topic that it reads; may be repeated
    #[arg(long = "group", value_name = "GROUP=TOPIC", default_values = [
        "validate=meter.readings.raw.v1",
        "alert=meter.readings.validated.v1",
        "parquet-sink-landing=meter.readings.raw.v1",
        "parquet-sink-readings=meter.readings.validated.v1",
        "parquet-sink-rejected=meter.readings.validated.v1",
        "parquet-sink-dead-letters=meter.readings.rejected.v1",
        "parquet-sink-alerts=meter.alerts.v1",
    ])]
    groups: Vec<kafka::Reader>,
    /// Seconds that a part may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    lake: LakeArgs,
    #[command(flatten)]
    warehouse: WarehouseArgs,
    #[command(flatten)]
    dynamo: DynamoArgs,
}

/// Runs the command.
///
/// # Errors
/// [`BadConfig`] when a setting is missing or wrong; parts that do not answer are no error but part of the report.
pub(crate) async fn run(args: StatusArgs, out: &Out) -> anyhow::Result<Exit> {
    let report = Box::pin(look(&args)).await?;
    out.report(&report, &["stage", "part", "state", "count", "lag", "age", "detail"], |report, rows| {
        for part in &report.parts {
            rows.push(part.state.mood(), part.cells(report.taken_at));
        }
    })?;
    if out.is_table() {
        out.note(&report.conclusion());
    }
    Ok(Exit::ok_if(report.healthy))
}

async fn look(args: &StatusArgs) -> anyhow::Result<Report> {
    let now = Utc::now();
    let kafka = args.kafka.config()?;
    let limit = Duration::from_secs(args.timeout);
    let (kafka, lake, warehouse, live, services) = futures::join!(
        within(limit, kafka::look(&kafka, &args.topics, &args.groups)),
        within(limit, lake::look(&args.lake)),
        within(limit, warehouse::look(&args.warehouse)),
        within(limit, live::look(&args.dynamo, now)),
        within(limit, services::look(&args.admin)),
    );
    let mut parts = Vec::new();
    let topics = match answered(kafka)? {
        Ok((lines, marks)) => {
            parts.extend(lines);
            marks
        }
        Err(error) => {
            parts.push(Line::unreachable("topics", "kafka", &error));
            BTreeMap::new()
        }
    };
    let lake = answered(lake)?;
    match &lake {
        Ok(summaries) => parts.extend(lake::lines(summaries, &topics)),
        Err(error) => parts.push(Line::unreachable("lake", "catalog and store", error)),
    }
    let warehouse = warehouse.map(|tables| warehouse::lines(&tables, lake.as_ref().ok()));
    for (stage, lines) in [("warehouse", warehouse), ("live", live), ("services", services)] {
        parts.extend(answered(lines)?.unwrap_or_else(|error| vec![Line::unreachable(stage, stage, &error)]));
    }
    Ok(Report::new(now, parts))
}

/// An answer that may take so long and no longer.
async fn within<T>(limit: Duration, answer: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let late = |_| anyhow!("no answer within {} s", limit.as_secs());
    tokio::time::timeout(limit, answer).await.map_err(late)?
}

/// Tells what does not answer, which is a finding, from what cannot be asked, which is a mistake of the caller.
fn answered<T>(answer: anyhow::Result<T>) -> anyhow::Result<anyhow::Result<T>> {
    match answer {
        Err(error) if error.chain().any(|cause| cause.is::<BadConfig>()) => Err(error),
        other => Ok(other),
    }
}

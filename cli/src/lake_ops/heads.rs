//! `meterway lake heads`: only reads.

use super::standing::{Standing, Topic, standings};
use super::table;
use crate::connection::KafkaArgs;
use crate::exit::Exit;
use crate::out::Out;
use crate::verify::iceberg::{LakeArgs, LakeReader};
use anyhow::{Context, anyhow};
use kafka_pipeline::{Admin, AdminError, KafkaConfig, topic_id};
use lake::{HeadSet, TableSpec, tables};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const HELP: &str = "\
States: ok; replaced: the topic was created again; expired: retention removed records that the table lacks; truncated:
the topic ends before the head; missing: the topic or partition does not exist. What to do about each stands in
docs/runbooks (topic-replaced, retention-overrun, topic-truncated).

Examples:
  meterway --env-file stack.env lake heads
  meterway lake heads --table readings --json | jq '.heads[] | select(.state != \"ok\")'

Exit codes: 0 every table can go on; 1 one cannot.";

/// Options of `lake heads`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct HeadsArgs {
    /// Only this table; may be repeated
    #[arg(long, value_name = "TABLE", value_parser = table)]
    table: Vec<TableSpec>,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    lake: LakeArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    /// Tables that are not there, or have no heads yet.
    without_heads: Vec<String>,
    heads: Vec<Standing>,
}

pub(super) async fn run(args: HeadsArgs, out: &Out) -> anyhow::Result<Exit> {
    let kafka = args.kafka.config()?;
    let (tables, without_heads) = heads(&args).await?;
    let names: BTreeSet<&str> = tables.iter().flat_map(|(_, heads)| heads.iter().map(|(key, _)| &*key.topic)).collect();
    let topics = topics(&kafka, names).await?;
    let heads: Vec<_> = tables.iter().flat_map(|(table, heads)| standings(table, heads, &topics)).collect();
    let report = Report { ok: heads.iter().all(Standing::is_ok), without_heads, heads };
    let headers = ["state", "table", "partition", "head", "watermark", "low", "high", "lag", "topic id"];
    out.report(&report, &headers, |report, rows| {
        for standing in &report.heads {
            rows.push(standing.mood(), standing.cells());
        }
    })?;
    if out.is_table() {
        let details: BTreeSet<_> = report.heads.iter().map(|standing| &standing.detail).collect();
        details.into_iter().filter(|detail| !detail.is_empty()).for_each(|detail| out.note(detail));
        for table in &report.without_heads {
            out.note(&format!("table {table} has taken in nothing yet"));
        }
    }
    Ok(Exit::ok_if(report.ok))
}

/// The heads of the tables, and the tables that have none.
async fn heads(args: &HeadsArgs) -> anyhow::Result<(Vec<(&'static str, HeadSet)>, Vec<String>)> {
    let reader = LakeReader::new(&args.lake)?;
    let (mut found, mut without) = (Vec::new(), Vec::new());
    let all = tables::all();
    for spec in if args.table.is_empty() { &all[..] } else { &args.table[..] } {
        let summary = reader.summary(spec.name).await.with_context(|| format!("read table {}", spec.name))?;
        match summary.and_then(|summary| summary.heads) {
            None => without.push(spec.name.to_owned()),
            Some(text) => {
                let heads =
                    HeadSet::from_summary(&text).map_err(|problem| anyhow!("table {}: {problem}", spec.name))?;
                found.push((spec.name, heads));
            }
        }
    }
    Ok((found, without))
}

/// The topics of these names that exist.
pub(super) async fn topics<'a>(
    kafka: &KafkaConfig,
    names: impl IntoIterator<Item = &'a str>,
) -> anyhow::Result<BTreeMap<String, Topic>> {
    let admin = Admin::connect(kafka).await.context("connect to kafka")?;
    let mut topics = BTreeMap::new();
    for name in names {
        let id = match topic_id(kafka, name).await {
            Ok(id) => id.0,
            Err(AdminError::UnknownTopic(_)) => continue,
            Err(error) => return Err(error).with_context(|| format!("look up topic {name}")),
        };
        let marks = admin.watermarks(name).await.with_context(|| format!("look at topic {name}"))?;
        let bounds = marks.into_iter().map(|(partition, low, high)| (partition, (low, high))).collect();
        topics.insert(name.to_owned(), Topic { id, bounds });
    }
    Ok(topics)
}

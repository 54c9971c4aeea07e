//! `meterway lake clean`: removes what no snapshot leads to.

use super::connect::connect;
use super::table;
use crate::exit::{BadConfig, Exit};
use crate::out::{Mood, Out};
use crate::stores::WriterKeyArgs;
use crate::verify::iceberg::LakeArgs;
use anyhow::Context;
use chrono::{DateTime, SecondsFormat};
use lake::core::orphans::cutoff_ms;
use lake::{CleanReport, TableSpec, tables};
use serde::Serialize;
use std::time::Duration;

pub(super) const HELP: &str = "\
Lists the objects below each table's data and metadata, and removes those that no snapshot in the table's metadata leads
to and that are older than the grace, by the store's clock: files of writers that died before their commit, metadata of
commits that were refused, and metadata files that have left the table's log. Files of snapshots that can still be read
stay, also those that a compaction replaced; so do gap reports, and manifests of loads whose snapshot is still known.
Writers never commit a file that is older than an hour, so a grace of three hours, the shortest that is taken, is safe.
Let no other catalog have tables at the same place.

Examples:
  meterway lake clean --dry-run
  meterway lake clean --older-than 7d --table readings --json

Exit codes: 0 nothing is left to remove; 1 --dry-run found something, or the store did not remove it; 64 the grace is
too short.";

/// Options of `lake clean`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CleanArgs {
    /// Age from which objects may go, such as 24h or 7d; three hours at least
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = humantime_serde::re::humantime::parse_duration)]
    older_than: Duration,
    /// Only this table; may be repeated
    #[arg(long, value_name = "TABLE", value_parser = table)]
    table: Vec<TableSpec>,
    /// Only show what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    lake: LakeArgs,
    #[command(flatten)]
    keys: WriterKeyArgs,
}

/// Keys of a table that are shown; the counts are of all.
const SHOWN: usize = 20;

#[derive(Debug, Serialize)]
struct Cleaned {
    table: &'static str,
    /// Objects of the table.
    listed: u64,
    /// Objects that are too young to be looked at.
    young: u64,
    /// Objects that nobody needs.
    orphans: u64,
    /// Their size.
    orphan_bytes: u64,
    /// When the oldest of them was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
    /// Objects removed.
    removed: u64,
    /// Objects that the store did not remove, with its reason; the first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<(String, String)>,
    /// Keys of the oldest orphans, the first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
}

impl Cleaned {
    fn new(table: &'static str, report: CleanReport) -> Self {
        let oldest = report.orphans.first().and_then(|object| DateTime::from_timestamp_millis(object.modified_ms));
        Self {
            table,
            listed: report.listed,
            young: report.young,
            orphans: report.orphans.len() as u64,
            orphan_bytes: report.orphans.iter().map(|object| object.bytes).sum(),
            oldest: oldest.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            removed: report.removed,
            failed: report.failed.into_iter().take(SHOWN).collect(),
            keys: report.orphans.into_iter().take(SHOWN).map(|object| object.key).collect(),
        }
    }

    fn is_clean(&self) -> bool {
        self.removed == self.orphans
    }

    fn cells(&self) -> [String; 7] {
        [
            self.table.to_owned(),
            self.listed.to_string(),
            self.young.to_string(),
            self.orphans.to_string(),
            bytesize::ByteSize::b(self.orphan_bytes).to_string(),
            self.oldest.clone().unwrap_or_else(|| "-".to_owned()),
            self.removed.to_string(),
        ]
    }
}

pub(super) async fn run(args: CleanArgs, out: &Out) -> anyhow::Result<Exit> {
    cutoff_ms(0, args.older_than).map_err(BadConfig::new)?;
    let lake = connect(&args.lake, &args.keys).await?;
    let now = lake.store_now_ms().await.context("ask the store for its time")?;
    let cutoff = cutoff_ms(now, args.older_than).map_err(BadConfig::new)?;
    let all = tables::all();
    let mut cleaned = Vec::new();
    for spec in if args.table.is_empty() { &all[..] } else { &args.table[..] } {
        if !lake.has(spec).await.with_context(|| format!("look up table {}", spec.name))? {
            continue;
        }
        let report = lake.clean(spec, cutoff, args.dry_run).await;
        cleaned.push(Cleaned::new(spec.name, report.with_context(|| format!("clean table {}", spec.name))?));
    }
    let headers = ["table", "objects", "young", "orphans", "size", "oldest", "removed"];
    out.report(&cleaned, &headers, |cleaned, rows| {
        for table in cleaned {
            rows.push(if table.is_clean() { Mood::Good } else { Mood::Notice }, table.cells());
        }
    })?;
    if out.is_table() {
        for (key, reason) in cleaned.iter().flat_map(|table| &table.failed) {
            out.note(&format!("not removed: {key}: {reason}"));
        }
    }
    Ok(Exit::ok_if(cleaned.iter().all(Cleaned::is_clean)))
}

//! `meterway lake reset-head`: moves heads, when that is safe, and says what it costs.

use super::connect::connect;
use super::heads::topics;
use super::table;
use crate::connection::KafkaArgs;
use crate::exit::{BadConfig, Exit};
use crate::out::{Mood, Out};
use crate::stores::WriterKeyArgs;
use crate::verify::iceberg::LakeArgs;
use anyhow::{Context, bail};
use chrono::Utc;
use lake::core::reset::{Feed, Log, ResetPlan, Target, plan};
use lake::{CommitError, GAP_VERSION, Gap, GapReport, HeadKey, LakeTable, Offsets, TableHeads, TableSpec};
use serde::Serialize;
use uuid::Uuid;

pub(super) const HELP: &str = "\
The heads are moved by a commit that is refused when the table changes meanwhile, so the sink may run; a route that
refuses the topic goes on by itself within seconds. What is lost or read again is written to a report below the table,
which `meterway verify` reads, and printed.

What is safe:
  forward          always; the records in between are lost to this table, and reported
  backwards        readings and rejected: yes, decisions up to the watermark are dropped when they come again;
                   landing and alerts: refused, rows would double, except behind the place where a log was truncated
                   (its end; when it has grown since, say where with --truncated-at)
  a new topic id   yes; the heads of the old id are retired, all partitions at once. The watermark stays, because the
                   decisions are still about the same raw messages. Only when the raw topic was created again as well,
                   give --source-replaced, which forgets it: otherwise every new decision would be taken for an old one

Without --partition only heads that cannot go on are moved (`meterway lake heads`); to move a sound one, name it.

Examples:
  meterway lake reset-head --table landing --topic meter.readings.raw.v1 --to earliest \\
      --reason 'sink was down for 9 days' --dry-run
  meterway lake reset-head --table readings --topic meter.readings.validated.v1 --to earliest \\
      --reason 'topic was deleted by mistake, INC-1234' --yes

Exit codes: 0 the heads stand there (now); 1 they would be moved, and --yes was not given; 64 not allowed, nothing was
done; 70 somebody else moved them at the same time, or a server does not answer.";

/// Options of `lake reset-head`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ResetArgs {
    /// Table whose heads are moved
    #[arg(long, value_name = "TABLE", value_parser = table)]
    table: TableSpec,
    /// Topic that feeds it
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    /// Only this partition; when left out, all whose head cannot go on from where it stands
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// Where the heads are to stand: earliest, latest or an offset
    #[arg(long, value_name = "WHERE")]
    to: Target,
    /// Why; stands in the report
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    /// The topic that the decisions are about was created again too: forget the watermark
    #[arg(long)]
    source_replaced: bool,
    /// The log lost its end at this offset and has grown since: records from there on are new ones
    #[arg(long, value_name = "OFFSET", requires = "partition", value_parser = clap::value_parser!(i64).range(0..))]
    truncated_at: Option<i64>,
    /// Only show what would be done
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    lake: LakeArgs,
    #[command(flatten)]
    keys: WriterKeyArgs,
}

#[derive(Debug, Serialize)]
struct Outcome {
    /// Whether the heads were moved.
    done: bool,
    /// URL of the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_as: Option<String>,
    #[serde(flatten)]
    report: GapReport,
}

/// How often a commit is tried while others commit to the table.
const ATTEMPTS: usize = 10;

pub(super) async fn run(args: ResetArgs, out: &Out) -> anyhow::Result<Exit> {
    let feed = feed(&args)?;
    let logs = logs(&args).await?;
    let lake = connect(&args.lake, &args.keys).await?;
    let table = lake.open(&args.table).await.with_context(|| format!("open table {}", args.table.name))?;
    let base = table.heads().await.context("read the heads")?;
    let planned = replan(&args, &base, &logs, feed)?;
    let report = GapReport {
        v: GAP_VERSION,
        id: Uuid::now_v7(),
        table: table.name().to_owned(),
        at_micros: Utc::now().timestamp_micros(),
        reason: args.reason.clone(),
        gaps: planned.gaps.clone(),
    };
    let mut outcome = Outcome { done: false, stored_as: None, report };
    if args.yes && !planned.gaps.is_empty() {
        lake.probe_store().await.context("probe the object store")?;
        outcome.stored_as = Some(move_heads(&args, &table, base, (&logs, feed), &outcome.report).await?);
        outcome.done = true;
    }
    show(&outcome, out)?;
    Ok(Exit::ok_if(outcome.done || planned.gaps.is_empty()))
}

fn feed(args: &ResetArgs) -> Result<Feed, BadConfig> {
    match args.table.name {
        "readings" | "rejected" => Ok(Feed::Decisions { renewed: args.source_replaced }),
        name if args.source_replaced => {
            Err(BadConfig(format!("--source-replaced: table {name} is not fed with decisions and has no watermark")))
        }
        _ => Ok(Feed::Records),
    }
}

/// The partitions as they are now.
async fn logs(args: &ResetArgs) -> anyhow::Result<Vec<Log>> {
    let found = topics(&args.kafka.config()?, [args.topic.as_str()]).await?;
    let Some(topic) = found.get(&args.topic) else {
        return Err(BadConfig(format!("topic {} does not exist", args.topic)).into());
    };
    let wanted = |partition: i32| args.partition.is_none_or(|only| only == partition);
    let bounds = topic.bounds.iter().filter(|(partition, _)| wanted(**partition));
    let log = |(partition, (low, high)): (&i32, &(i64, i64))| {
        let key = HeadKey::new(&args.topic, &topic.id, *partition);
        Log { key, low: *low, high: *high, cut: args.truncated_at }
    };
    let logs: Vec<_> = bounds.map(log).collect();
    if logs.is_empty() {
        return Err(BadConfig(format!("topic {} has no such partition", args.topic)).into());
    }
    Ok(logs)
}

/// Plans on the heads as they are.
fn replan(args: &ResetArgs, base: &TableHeads, logs: &[Log], feed: Feed) -> anyhow::Result<ResetPlan> {
    if !base.heads.is_empty() && !base.heads.iter().any(|(key, _)| *key.topic == *args.topic) {
        return Err(BadConfig(format!("table {} was never fed from topic {}", args.table.name, args.topic)).into());
    }
    Ok(plan(&base.heads, (logs, args.partition.is_none()), args.to, feed).map_err(BadConfig::new)?)
}

/// Commits; when others commit meanwhile without touching these heads, on top of them.
async fn move_heads(
    args: &ResetArgs,
    table: &LakeTable,
    mut base: TableHeads,
    (logs, feed): (&[Log], Feed),
    report: &GapReport,
) -> anyhow::Result<String> {
    for _ in 0..ATTEMPTS {
        let planned = replan(args, &base, logs, feed)?;
        if planned.gaps != report.gaps {
            bail!("the heads moved while they were looked at; stop the route or run the command again");
        }
        match table.move_heads(&base, planned.heads, report).await {
            Ok((_, url)) => return Ok(url),
            Err(CommitError::Stale { .. }) => base = table.heads().await.context("read the heads again")?,
            Err(CommitError::Unknown(error) | CommitError::NotSent(error)) if error.is_transient() => {
                tracing::warn!(error = %error, "commit was not answered, trying again");
            }
            Err(error) => return Err(error).context("move the heads"),
        }
    }
    bail!("others commit to the table without a pause; run the command again")
}

fn show(outcome: &Outcome, out: &Out) -> anyhow::Result<()> {
    out.report(outcome, &["partition", "was", "now", "means"], |outcome, rows| {
        for gap in &outcome.report.gaps {
            let lossless = gap.lost.is_none() && gap.lost_behind.is_none();
            rows.push(if lossless { Mood::Good } else { Mood::Notice }, cells(gap));
        }
    })?;
    if out.is_table() {
        out.note(&match (&outcome.stored_as, outcome.report.gaps.is_empty()) {
            (_, true) => "no head has to be moved".to_owned(),
            (Some(url), _) => format!("heads moved; the report is {url}"),
            (None, _) => "nothing was changed; add --yes to do it".to_owned(),
        });
    }
    Ok(())
}

fn cells(gap: &Gap) -> [String; 4] {
    let was = gap.was.as_ref().map_or_else(|| "-".to_owned(), |was| was.next.to_string());
    [format!("{}[{}]", gap.topic, gap.partition), was, gap.now.next.to_string(), meaning(gap)]
}

/// What a move means, in words.
pub(crate) fn meaning(gap: &Gap) -> String {
    let range = |range: Offsets| format!("{} to {}", range.from, range.to);
    let mut parts = Vec::new();
    if let Some(offset) = gap.lost_behind {
        parts.push(format!("topic was created again: whatever the former one held from {offset} on is lost"));
    }
    if let Some(lost) = gap.lost {
        parts.push(format!("{} offsets ({}) are lost to the table", lost.count(), range(lost)));
    }
    if let Some(removed) = gap.removed {
        parts.push(format!("{} ({}) were removed from the log's end", removed.count(), range(removed)));
    }
    if let Some(again) = gap.again {
        parts.push(format!("{} ({}) are read again and dropped by the watermark", again.count(), range(again)));
    }
    if parts.is_empty() { "nothing is lost".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake::{Head, HeadSet};

    #[test]
    fn a_move_is_put_into_words() {
        let heads = HeadSet::from_iter([(HeadKey::new("t", "a", 0), Head { next: 10, watermark: 7 })]);
        let log = |id: &str, low, high| Log { key: HeadKey::new("t", id, 0), low, high, cut: None };
        let told = |log, to| {
            let planned = plan(&heads, (&[log], true), to, Feed::Decisions { renewed: false }).unwrap();
            meaning(&planned.gaps[0])
        };
        assert_eq!(told(log("a", 25, 40), Target::Earliest), "15 offsets (10 to 25) are lost to the table");
        assert_eq!(told(log("a", 4, 40), Target::Earliest), "6 (4 to 10) are read again and dropped by the watermark");
        assert_eq!(told(log("a", 0, 6), Target::Latest), "4 (6 to 10) were removed from the log's end");
        let replaced = told(log("b", 0, 6), Target::Earliest);
        assert_eq!(replaced, "topic was created again: whatever the former one held from 10 on is lost");
    }
}

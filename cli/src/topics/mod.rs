//! `meterway topics`: brings a cluster and a registry into the declared state, and shows the difference first.

mod diff;
mod file;

use crate::connection::{KafkaArgs, RegistryArgs};
use crate::exit::{BadConfig, Exit};
use crate::out::{Mood, Out};
use crate::schemas::{State, state_of};
use anyhow::Context;
use clap::{Args, Subcommand};
use diff::{Change, Refusal, Step, refused, topic_changes};
pub(crate) use file::{BUILT_IN, Declared, Overrides, Topic, parse};
use kafka_pipeline::{Admin, Compatibility, Registry};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Commands about topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Bring topics and schemas into the declared state
    #[command(after_help = APPLY_HELP)]
    Apply(ApplyArgs),
}

const APPLY_HELP: &str = "\
Prints the difference, then removes it. Running it again changes nothing.
What could lose data (shorter retention, another cleanup policy, fewer in-sync copies, more partitions) is refused
without --force, and then nothing else is done either. Fewer partitions are never possible.

Examples:
  meterway topics apply --dry-run
  meterway topics apply --partitions 48 --replication-factor 3 --min-insync-replicas 2

Exit codes: 0 as declared (now); 1 changes were refused, or --dry-run found some.";

/// Options of `topics apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// Declarative file; the one that comes with the program when not given
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only show the difference
    #[arg(long)]
    dry_run: bool,
    /// Also make changes that could lose data
    #[arg(long)]
    force: bool,
    /// Partitions instead of the file's default
    #[arg(long, value_name = "N")]
    partitions: Option<i32>,
    /// Copies of each partition instead of the file's default
    #[arg(long, value_name = "N")]
    replication_factor: Option<i32>,
    /// Copies needed for an acknowledgement instead of the file's default
    #[arg(long, value_name = "N")]
    min_insync_replicas: Option<i32>,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Runs a command about topics.
pub(crate) async fn run(command: TopicsCommand, out: &Out) -> anyhow::Result<Exit> {
    match command {
        TopicsCommand::Apply(args) => apply(args, out).await,
    }
}

#[derive(Debug, Serialize)]
struct Report {
    changes: Vec<Change>,
    refused: usize,
    applied: bool,
}

async fn apply(args: ApplyArgs, out: &Out) -> anyhow::Result<Exit> {
    let overrides = Overrides {
        partitions: args.partitions,
        replication_factor: args.replication_factor,
        min_insync_replicas: args.min_insync_replicas,
    };
    let declared = read(args.file.as_deref(), overrides)?;
    let (kafka, registry) = (args.kafka.config()?, args.registry.config()?);
    let admin =
        Admin::connect(&kafka).await.with_context(|| format!("connect to kafka at {}", kafka.bootstrap_servers))?;
    let registry = Registry::new(&registry).map_err(BadConfig::new)?;
    let changes = changes(&declared, &admin, &registry).await?;
    let refused = refused(&changes, args.force);
    let apply = !args.dry_run && refused == 0;
    let report = Report { changes, refused, applied: apply };
    if out.is_table() {
        show(&report, args.force, out)?;
    }
    if apply {
        for change in &report.changes {
            make(change, &admin, &registry)
                .await
                .with_context(|| format!("change {} {}", change.object, change.what))?;
        }
    }
    if !out.is_table() {
        out.json(&report)?;
    }
    conclude(&report, args.dry_run, out);
    Ok(Exit::ok_if(apply || report.changes.is_empty()))
}

/// Reads the file, or the one that comes with the program.
pub(crate) fn read(path: Option<&Path>, overrides: Overrides) -> anyhow::Result<Declared> {
    let Some(path) = path else { return Ok(parse(BUILT_IN, overrides).map_err(BadConfig::new)?) };
    let named = || format!("read {}", path.display());
    let text = std::fs::read_to_string(path).map_err(BadConfig::new).with_context(named)?;
    parse(&text, overrides).map_err(BadConfig::new).with_context(named)
}

async fn changes(declared: &Declared, admin: &Admin, registry: &Registry) -> anyhow::Result<Vec<Change>> {
    let actual = admin.topics().await.context("list topics")?;
    let mut changes = Vec::new();
    for topic in &declared.topics {
        changes.extend(topic_changes(topic, actual.get(&topic.name)));
    }
    for topic in &declared.topics {
        changes.extend(schema_changes(topic, declared.compatibility, registry).await?);
    }
    Ok(changes)
}

async fn schema_changes(topic: &Topic, level: Compatibility, registry: &Registry) -> anyhow::Result<Vec<Change>> {
    let Some(contract) = topic.contract else { return Ok(Vec::new()) };
    let subject = topic.subject();
    let state = state_of(registry, &subject, &contract).await?;
    let mut changes = Vec::new();
    if state.state != State::Unchanged {
        let refusal = (state.state == State::Incompatible).then(|| Refusal::Always(state.messages.join("; ")));
        changes.push(Change {
            object: subject.clone(),
            what: "schema".into(),
            from: state.version.map(|version| format!("version {version}")),
            to: contract.name.into(),
            refusal,
            step: Step::Register(subject.clone(), contract.avsc),
        });
    }
    if state.level.as_deref() != Some(level.as_str()) {
        changes.push(Change {
            object: subject.clone(),
            what: "compatibility".into(),
            from: state.level,
            to: level.as_str().to_owned(),
            refusal: None,
            step: Step::SetCompatibility(subject, level),
        });
    }
    Ok(changes)
}

async fn make(change: &Change, admin: &Admin, registry: &Registry) -> anyhow::Result<()> {
    match &change.step {
        Step::Create(spec) => admin.create_topic(spec).await?,
        Step::AddPartitions(topic, total) => admin.add_partitions(topic, *total).await?,
        Step::SetConfigs(topic, configs) => admin.set_configs(topic, configs).await?,
        Step::Register(subject, avsc) => drop(registry.register(subject, avsc).await?),
        Step::SetCompatibility(subject, level) => registry.set_compatibility(subject, *level).await?,
        Step::Impossible => {}
    }
    Ok(())
}

fn show(report: &Report, force: bool, out: &Out) -> anyhow::Result<()> {
    out.report(report, &["object", "what", "is", "shall be", "note"], |report, rows| {
        for change in &report.changes {
            let (mood, note) = match &change.refusal {
                None => (Mood::Notice, String::new()),
                Some(Refusal::WithoutForce(why)) if force => (Mood::Notice, format!("forced: {why}")),
                Some(Refusal::WithoutForce(why)) => (Mood::Bad, format!("needs --force: {why}")),
                Some(Refusal::Always(why)) => (Mood::Bad, format!("refused: {why}")),
            };
            let from = change.from.clone().unwrap_or_else(|| "-".into());
            rows.push(mood, [change.object.clone(), change.what.clone(), from, change.to.clone(), note]);
        }
    })?;
    Ok(())
}

fn conclude(report: &Report, dry_run: bool, out: &Out) {
    let count = report.changes.len();
    let text = match (count, report.refused, dry_run) {
        (0, _, _) => "everything is as declared".to_owned(),
        (_, 0, true) => format!("{count} changes would be made"),
        (_, 0, false) => format!("{count} changes made"),
        (_, refused, true) => format!("{refused} of {count} changes would be refused"),
        (_, refused, false) => format!("{refused} of {count} changes refused; nothing was done"),
    };
    out.note(&text);
}

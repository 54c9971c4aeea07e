//! `meterway simulate`: a fleet of meters made from measured series, delivering through gateways, with faults and a file
//! that says what must be found of them.

mod args;
mod core;
mod edge;
mod fleet_lines;
mod summary;

use crate::exit::{BadConfig, Exit};
use crate::out::{Mood, Out};
use crate::required;
use anyhow::Context;
pub(crate) use args::SimulateCommand;
use args::{FleetArgs, RunArgs};
use core::calendar::date_of;
use core::scenario::Scenario;
use core::truth::TruthEntry;
use edge::http::HttpWay;
use edge::journal::{Journal, RunLine};
use edge::kafka::{KafkaWay, Topics};
pub(crate) use edge::pace::Pace;
use edge::runner::{Manner, Runner};
use edge::ways::{Via, Ways};
use edge::{keys, trickle::trickle};
use indicatif::{ProgressBar, ProgressStyle};
use kafka_pipeline::Registry;
use serde::Serialize;
use service_runtime::{Clock, SystemClock};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;
use summary::{ExpectedCounts, Summary};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// From this many readings on, a message is a local day, whatever its length.
const WHOLE_DAY: u32 = 48;

/// Default of `rules.max_age` in validate.
const OLDEST_DAYS: usize = 400;

/// Runs a simulation command.
pub(crate) async fn run(command: SimulateCommand, out: &Out) -> anyhow::Result<Exit> {
    match command {
        SimulateCommand::Fleet(args) => fleet(&args, out),
        SimulateCommand::Run(args) => Box::pin(simulate(*args, out)).await,
    }
}

fn fleet(args: &FleetArgs, out: &Out) -> anyhow::Result<Exit> {
    let scenario = args.scenario.scenario(SystemClock.now_micros(), None)?;
    let lines = fleet_lines::fleet_lines(&scenario);
    match &args.out {
        Some(path) => {
            write_lines(path, &lines)?;
            out.note(&format!("{} devices written to {}", lines.len(), path.display()));
        }
        None => {
            for line in &lines {
                out.text(&serde_json::to_string(line)?)?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// Writes one JSON document per line.
fn write_lines<T: Serialize>(path: &Path, lines: &[T]) -> anyhow::Result<()> {
    let write = || -> anyhow::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for line in lines {
            serde_json::to_writer(&mut file, line)?;
            file.write_all(b"\n")?;
        }
        Ok(file.flush()?)
    };
    write().with_context(|| format!("write {}", path.display()))
}

async fn simulate(args: RunArgs, out: &Out) -> anyhow::Result<Exit> {
    let now = SystemClock.now_micros();
    let scenario = args.scenario.scenario(now, args.delivery.readings)?;
    if scenario.settings.days > OLDEST_DAYS {
        let days = scenario.settings.days;
        out.note(&format!("{days} days of history: validate rejects what is older than {OLDEST_DAYS} days by default"));
    }
    let ways = open(&args, &scenario).await?;
    let most = args.delivery.readings_per_message;
    let per_message = if most >= WHOLE_DAY { usize::MAX } else { most as usize };
    let manner = Manner { per_message, now };
    let pace = Pace::new(args.delivery.rate);
    let mut runner = Runner::new(&scenario, manner, ways, pace, progress(&scenario, args.live.skip_history));
    stop_on_signal(runner.stop.clone());
    let began = Instant::now();
    if args.live.skip_history {
        runner.skip_history();
    } else {
        runner.history().await.context("deliver the history")?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let interrupted = runner.stop.is_cancelled();
    let of_history = runner.totals.readings;
    // What the history promises is complete now; whoever waits for the file need not wait for the trickle.
    let truth: Vec<TruthEntry> = runner.truth().into_iter().cloned().collect();
    if let Some(path) = &args.delivery.truth {
        write_lines(path, &truth)?;
    }
    if args.live.trickle && !interrupted {
        out.note("the history is complete; live until Ctrl-C");
        trickle(&mut runner, args.live.trickle_rate).await.context("deliver live readings")?;
    }
    runner.ways.journal.end()?;
    let summary = summarize(&runner, &truth, interrupted, seconds, of_history);
    out.report(&summary, &["run", ""], |summary, rows| {
        summary.rows().into_iter().for_each(|(name, value)| rows.push(Mood::Plain, [name, value]));
    })?;
    Ok(Exit::Ok)
}

async fn open(args: &RunArgs, scenario: &Scenario) -> anyhow::Result<Ways> {
    let via = args.delivery.via;
    let journal = Journal::open(args.delivery.journal.as_deref(), &run_line(scenario))?;
    let kafka = if via == Via::Http { None } else { Some(open_kafka(args).await?) };
    let http = if via == Via::Kafka { None } else { Some(open_http(args).await?) };
    Ok(Ways::new(via, kafka, http, journal))
}

fn run_line(scenario: &Scenario) -> RunLine {
    let settings = &scenario.settings;
    RunLine {
        version: 1,
        run: Uuid::now_v7(),
        seed: settings.seed,
        devices: settings.devices,
        days: settings.days,
        until: date_of(settings.until_ordinal).map(|date| date.to_string()).unwrap_or_default(),
    }
}

fn topics(args: &RunArgs) -> Topics {
    Topics { readings: args.delivery.readings_topic.clone(), events: args.delivery.events_topic.clone() }
}

async fn open_kafka(args: &RunArgs) -> anyhow::Result<KafkaWay> {
    let registry = Registry::new(&args.registry.config()?).map_err(BadConfig::new)?;
    KafkaWay::connect(&args.kafka.config()?, &registry, topics(args), args.delivery.patience).await
}

async fn open_http(args: &RunArgs) -> anyhow::Result<HttpWay> {
    let url = required(args.http.ingest_url.as_ref(), "--ingest-url", "INGEST_URL")?;
    let keys = if args.http.api_keys.is_empty() {
        keys::create(args.metadata.connect().await?).await?
    } else {
        keys::given(&args.http.api_keys)?
    };
    HttpWay::new(url, keys, topics(args), args.delivery.patience)
}

fn progress(scenario: &Scenario, skip_history: bool) -> ProgressBar {
    if skip_history {
        return ProgressBar::hidden();
    }
    let per_day: u64 = scenario.fleet.iter().filter(|d| !d.inactive).map(|d| 86_400 / d.meter.interval_s as u64).sum();
    let template = "{elapsed_precise} {wide_bar} {human_pos} of about {human_len} readings, {per_sec}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    // Draws on stderr, and only if that is a terminal.
    ProgressBar::new(per_day * scenario.settings.days as u64).with_style(style)
}

fn stop_on_signal(stop: CancellationToken) {
    tokio::spawn(async move {
        let mut terminate = signal(SignalKind::terminate()).ok();
        let terminated = async {
            match &mut terminate {
                Some(signal) => signal.recv().await.is_some(),
                None => std::future::pending().await,
            }
        };
        let asked = tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.is_ok(),
            terminated = terminated => terminated,
        };
        if asked {
            stop.cancel();
        }
    });
}

fn summarize(runner: &Runner<'_>, truth: &[TruthEntry], interrupted: bool, seconds: f64, of_history: u64) -> Summary {
    let settings = &runner.scenario.settings;
    let (http_requests, http_retries, http_bytes) = runner.ways.http.as_ref().map_or((0, 0, 0), HttpWay::counts);
    let kafka = runner.ways.kafka.as_ref();
    Summary {
        seed: settings.seed,
        devices: settings.devices,
        days: settings.days,
        until: date_of(settings.until_ordinal).map(|date| date.to_string()).unwrap_or_default(),
        interrupted,
        totals: runner.totals,
        bytes: kafka.map_or(0, KafkaWay::bytes) + http_bytes,
        http_requests,
        http_retries,
        seconds,
        readings_per_second: of_history as f64 / seconds.max(1e-9),
        acknowledged: runner.ways.journal.partitions(),
        expected: ExpectedCounts::of(&truth.iter().collect::<Vec<_>>()),
        not_injected: runner.skipped.clone(),
    }
}

//! A run from its first process to its report.

use super::args::Args;
use super::board::Board;
use super::component_lane::ComponentLane;
use super::door::Door;
use super::install::{self, Place};
use super::load::{Load, scenario};
use super::outage::{Outage, Stage};
use super::record::Record;
use super::replica_lane::ReplicaLane;
use super::report::Findings;
use super::stack::StackCommands;
use super::verdict::verify;
use super::ways::Ways;
use crate::core::fault::Lane;
use crate::core::plan::{Step, plan};
use anyhow::{Context, ensure};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Longest wait for the first decision, and for the load to end after the attack.
const LOAD_LIMIT: Duration = Duration::from_secs(600);
/// Longest wait of the verification for the stores.
const CATCH_UP_S: u64 = 420;
/// From SIGTERM to the end of a process.
const EXIT_LIMIT: Duration = Duration::from_secs(30);

/// Runs the attack; whether the promises held.
///
/// # Errors
/// When the attack itself cannot be carried out.
pub async fn run(args: Args) -> anyhow::Result<bool> {
    let steps = plan(&args.wish())?;
    print_plan(&args, &steps);
    if args.plan_only {
        return Ok(true);
    }
    install::clear(&args.state)?;
    let attack = Attack::prepare(args, steps).await?;
    attack.carry_out().await
}

fn print_plan(args: &Args, steps: &[Step]) {
    let (seed, round) = (args.seed, args.round);
    eprintln!(
        "plan of seed {seed}, round {round}: {} faults, {:.0} readings/s; the same again with --seed {seed} --round {round}",
        steps.len(),
        args.rate()
    );
    for step in steps {
        eprintln!("  {:>7.1}s  {:<18} {}", step.at_ms as f64 / 1000.0, step.lane.to_string(), step.fault.name());
    }
}

struct Attack {
    args: Args,
    steps: Vec<Step>,
    place: Place,
    stack: StackCommands,
    ways: Arc<Ways>,
    board: Arc<Board>,
    replicas: Vec<ReplicaLane>,
    load: Load,
    door: Arc<Door>,
    record: Arc<Record>,
}

impl Attack {
    /// Everything runs and the first readings are decided about.
    async fn prepare(args: Args, steps: Vec<Step>) -> anyhow::Result<Self> {
        let place = Place::new(&args)?;
        let name = place.stack.get("METERWAY_STACK")?.to_owned();
        let stack = StackCommands { root: place.root.clone(), name };
        place.run(&["topics", "apply", "--replication-factor", "3", "--min-insync-replicas", "2"]).await?;
        let (ways, through) = Ways::open(&place.stack, args.wish().seed).await?;
        let record = Arc::new(Record::create(&place.file("events.ndjson"))?);
        let board = Board::new(Arc::clone(&record));
        let by_lane = by_lane(&steps);
        let mut replicas = install::lanes(&place, &through, &by_lane, &board, &record)?;
        install::start(&mut replicas).await?;
        install::onboard(&place, &scenario(&args)).await?;
        let doors = (1..=2).map(|number| format!("http://{}", place.ports.ingest_of(number))).collect();
        let metadata = format!("http://{}", place.ports.metadata());
        let door = Door::new(metadata, doors, &place.file("door.ndjson"), Arc::clone(&record)).await?;
        let load = Load::start(&place, &args)?;
        Ok(Self { args, steps, place, stack, ways: Arc::new(ways), board, replicas, load, door, record })
    }

    async fn carry_out(mut self) -> anyhow::Result<bool> {
        let began = Instant::now();
        let (stop, attack_over) = (CancellationToken::new(), CancellationToken::new());
        let watch = tokio::spawn(Arc::clone(&self.board).watch(stop.clone()));
        let knocking = tokio::spawn(Arc::clone(&self.door).run(stop.clone()));
        let first = self.board.beyond("validate", 0.0, Instant::now(), LOAD_LIMIT).await;
        ensure!(first.is_some(), "nothing was decided: see the logs in {}", self.place.state.display());
        let guarded = self.release(&attack_over);
        let mut objections = Vec::new();
        let outages = self.under_attack(&mut objections).await?;
        let load = self.load.finish(LOAD_LIMIT).await;
        stop.cancel();
        knocking.await.context("join the door")??;
        watch.await.context("join the watch")??;
        // Replicas are guarded until the stores have caught up: one that ends by itself is started again.
        let verdicts = verify(&self.place, CATCH_UP_S).await?;
        attack_over.cancel();
        let exits = stop_all(guarded).await?;
        let load = load.unwrap_or_else(|error| {
            objections.push(format!("load: {error:#}"));
            serde_json::Value::Null
        });
        let findings = Findings {
            args: &self.args,
            plan: &self.steps,
            happened: &self.record.all(),
            board: &self.board,
            outages: &outages,
            load: &load,
            verdicts: &verdicts,
            exits: &exits,
            seconds: began.elapsed().as_secs_f64(),
            objections,
        };
        conclude(&self.args, &findings)
    }

    /// The plan, then the outages; `attack_over` is still ahead.
    async fn under_attack(&mut self, objections: &mut Vec<String>) -> anyhow::Result<Vec<Outage>> {
        let mut components = self.components();
        tokio::time::sleep_until((self.record.began() + Duration::from_millis(self.args.wish().window_ms)).into())
            .await;
        while let Some(ended) = components.join_next().await {
            ended.context("join a component's lane")??;
        }
        let (ways, board, record) = (Arc::clone(&self.ways), Arc::clone(&self.board), Arc::clone(&self.record));
        let stage = Stage { ways, board, record, door: Arc::clone(&self.door), stack: self.stack.clone() };
        let mut outages = Vec::new();
        if self.args.outage > 0 {
            outages.push(stage.stores_away(Duration::from_secs(self.args.outage)).await?);
            // Else it was no outage at full load.
            if !self.load.is_on()? {
                objections.push("the load had ended before the outage was over".to_owned());
            }
        }
        if self.args.door_outage > 0 {
            outages.push(stage.brokers_away(Duration::from_secs(self.args.door_outage)).await?);
        }
        Ok(outages)
    }

    fn components(&self) -> JoinSet<anyhow::Result<()>> {
        let mut running = JoinSet::new();
        for (lane, steps) in by_lane(&self.steps).into_iter().filter(|(lane, _)| !matches!(lane, Lane::Replica { .. }))
        {
            let (stack, ways) = (self.stack.clone(), Arc::clone(&self.ways));
            let (board, record) = (Arc::clone(&self.board), Arc::clone(&self.record));
            running.spawn(ComponentLane { lane, steps, stack, ways, board, record }.run(CancellationToken::new()));
        }
        running
    }

    /// Lets the plan loose on the replicas.
    fn release(&mut self, stop: &CancellationToken) -> Vec<JoinHandle<anyhow::Result<ReplicaLane>>> {
        self.record.restart_clock();
        self.board.attack_begins();
        std::mem::take(&mut self.replicas).into_iter().map(|lane| tokio::spawn(lane.run(stop.clone()))).collect()
    }
}

fn by_lane(steps: &[Step]) -> BTreeMap<Lane, Vec<Step>> {
    let mut lanes: BTreeMap<Lane, Vec<Step>> = BTreeMap::new();
    steps.iter().for_each(|step| lanes.entry(step.lane).or_default().push(step.clone()));
    lanes
}

/// Asks every process to end, all at once; how long each took, and whether it said success.
async fn stop_all(guarded: Vec<JoinHandle<anyhow::Result<ReplicaLane>>>) -> anyhow::Result<Vec<(String, f64, bool)>> {
    let mut stopping = JoinSet::new();
    for lane in guarded {
        let mut lane = lane.await.context("join a replica's lane")??;
        stopping.spawn(async move {
            if lane.replica.pid().is_none() {
                return anyhow::Ok((lane.replica.id().to_owned(), 0.0, false));
            }
            let (status, took) = lane.replica.terminate(EXIT_LIMIT).await?;
            let success = status.is_some_and(|status| status.success());
            Ok((lane.replica.id().to_owned(), took.as_secs_f64(), success))
        });
    }
    let mut exits = Vec::new();
    while let Some(ended) = stopping.join_next().await {
        exits.push(ended.context("join a stop")??);
    }
    Ok(exits)
}

fn conclude(args: &Args, findings: &Findings<'_>) -> anyhow::Result<bool> {
    let objections = findings.objections();
    let versions = serde_json::json!({ "meterway": env!("CARGO_PKG_VERSION"), "commit": commit() });
    let report = findings.render(versions, &date());
    if let Some(folder) = args.report.parent() {
        std::fs::create_dir_all(folder).context("create the folder of the report")?;
    }
    let text = serde_json::to_string_pretty(&report).context("write the report")?;
    std::fs::write(&args.report, text + "\n").with_context(|| format!("write {}", args.report.display()))?;
    eprintln!("\n{}", serde_json::to_string_pretty(&report["totals"]).unwrap_or_default());
    eprintln!("report: {}", args.report.display());
    objections.iter().for_each(|objection| eprintln!("OBJECTION: {objection}"));
    eprintln!("{}", if objections.is_empty() { "the promises held" } else { "THE PROMISES DID NOT HOLD" });
    Ok(objections.is_empty())
}

/// What was attacked.
fn commit() -> String {
    let asked = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    asked.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default()
}

/// Today, UTC.
fn date() -> String {
    use service_runtime::{Clock, SystemClock};
    chrono::DateTime::from_timestamp_micros(SystemClock.now_micros())
        .unwrap_or_default()
        .format("%F %T UTC")
        .to_string()
}

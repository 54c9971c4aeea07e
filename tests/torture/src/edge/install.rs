//! The installation under attack: every service in its replicas, over proxies, on the stack of three brokers.

use super::args::{Args, SESSION_MS};
use super::board::Board;
use super::record::Record;
use super::replica_lane::ReplicaLane;
use crate::core::fault::{Lane, REPLICAS};
use crate::core::plan::Step;
use anyhow::{Context, ensure};
use meterway_cli::local::{Ports, Replica, StackEnv, replica, write_settings};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::process::Command;

/// Where everything of the run is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) bin: PathBuf,
    pub(crate) state: PathBuf,
    /// The stack's own settings, which lead past the proxies: for the load, the verifier and the commands.
    pub(crate) stack: StackEnv,
    pub(crate) ports: Ports,
}

/// Longest wait until every process is ready at the beginning.
const READY_LIMIT: Duration = Duration::from_secs(120);

impl Place {
    /// Finds the stack and makes the folder of the run.
    pub(crate) fn new(args: &Args) -> anyhow::Result<Self> {
        let root = std::env::current_dir().context("find the checkout")?;
        let stack = StackEnv::read(&args.stack_env)?;
        let brokers = stack.get("METERWAY_KAFKA_BROKERS").unwrap_or("1");
        ensure!(brokers == "3", "the attack needs a stack of three brokers, this one has {brokers}");
        let ports = Ports(stack.get("METERWAY_PORT_BASE")?.parse().context("parse METERWAY_PORT_BASE")?);
        std::fs::create_dir_all(&args.state).with_context(|| format!("create {}", args.state.display()))?;
        let place = Self { root, bin: args.bin.clone(), state: args.state.clone(), stack, ports };
        write_settings(&place.settings(), &place.stack, ports).context("write settings")?;
        Ok(place)
    }

    /// The settings file for commands and scripts.
    pub(crate) fn settings(&self) -> PathBuf {
        self.file("settings.env")
    }

    /// A file of this run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// A command of `meterway` that was not started yet.
    pub(crate) fn meterway(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.bin.join("meterway"));
        command.current_dir(&self.root).arg("--env-file").arg(self.settings()).args(arguments);
        // The environment wins over the file, and the caller's may be that of another stack.
        command.envs(self.stack.iter());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command of `meterway` to its end.
    ///
    /// # Errors
    /// When it fails; with what it says.
    pub(crate) async fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self.meterway(arguments).output().await.context("start meterway")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "meterway {} ended with {}: {said}", arguments.join(" "), output.status);
        Ok(output)
    }
}

/// Settings under which faults show soon and often.
fn settings(service: &str) -> Vec<(String, String)> {
    let own = |key: &str, value: &str| {
        (format!("METER_{}__{key}", service.replace('-', "_").to_uppercase()), value.to_owned())
    };
    let mut settings =
        vec![("METER__KAFKA__PROPERTIES".to_owned(), format!(r#"{{ "session.timeout.ms" = "{SESSION_MS}" }}"#))];
    match service {
        "parquet-sink" => {
            settings.push(own("SINK__COMMIT_AGE", "2s"));
            settings.push(own("SINK__IDLE_COMMIT_AGE", "10s"));
            settings.push(own("SINK__REVOKE_GRACE", "4s"));
            settings.push(own("SINK__BACKOFF", r#"{ min = "100ms", max = "3s", jitter = 0.3 }"#));
        }
        "redshift-loader" => {
            // dbt is another matter, and would take the cores.
            settings.push(own("DBT__COMMAND", "[]"));
            settings.push(own("LOADS__POLL_INTERVAL", "2s"));
            settings.push(own("LOADS__BACKOFF", r#"{ min = "100ms", max = "3s", jitter = 0.5 }"#));
            settings.push(own("WAREHOUSE__LOCK_TIMEOUT", "30s"));
            // A frozen loader holds its lock for so long.
            settings.push(own("WAREHOUSE__STATEMENT_TIMEOUT", "15s"));
        }
        "ingest" => {
            settings.push(own("HTTP__REQUEST_TIMEOUT", "5s"));
            settings.push(own("LIMITS__READINGS_PER_SECOND", "1000000"));
        }
        "validate" => settings.push(own("BACKOFF", r#"{ min = "100ms", max = "2s", jitter = 0.3 }"#)),
        _ => {}
    }
    settings
}

/// The replicas with their parts of the plan; none is started yet.
pub(crate) fn lanes(
    place: &Place,
    through: &StackEnv,
    steps: &BTreeMap<Lane, Vec<Step>>,
    board: &Arc<Board>,
    record: &Arc<Record>,
) -> anyhow::Result<Vec<ReplicaLane>> {
    let mut lanes = Vec::new();
    for &(service, replicas) in REPLICAS {
        for number in 1..=replicas {
            let lane = Lane::Replica { service, number };
            let mut process = replica(service, number, through, place.ports, &place.root)?;
            process.environment.extend(settings(service));
            let admin = format!("http://{}", process.admin);
            let replica = Replica::new(lane.to_string(), process, &place.bin, place.file("logs"))?;
            let steps = steps.get(&lane).cloned().unwrap_or_default().into();
            let (board, record) = (Arc::clone(board), Arc::clone(record));
            lanes.push(ReplicaLane { lane, replica, admin, steps, board, record });
        }
    }
    Ok(lanes)
}

/// Starts every process and waits until each says that it is ready.
pub(crate) async fn start(lanes: &mut [ReplicaLane]) -> anyhow::Result<()> {
    lanes.iter_mut().try_for_each(|lane| lane.start(&[]))?;
    let began = Instant::now();
    for lane in lanes {
        while lane.replica.page("/ready").await.is_none() {
            let id = lane.replica.id().to_owned();
            ensure!(began.elapsed() < READY_LIMIT, "{id} is not ready: {}", lane.replica.last_error());
            tokio::select! {
                ended = lane.replica.ended() => anyhow::bail!("{id} ended ({}): {}", ended?, lane.replica.last_error()),
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }
    Ok(())
}

/// Makes up the fleet and registers it.
pub(crate) async fn onboard(place: &Place, scenario: &[String]) -> anyhow::Result<()> {
    let fleet = place.file("devices.ndjson").display().to_string();
    let scenario: Vec<&str> = scenario.iter().map(String::as_str).collect();
    place.run(&[&["simulate", "fleet"], &scenario[..], &["--out", &fleet]].concat()).await?;
    place.run(&["onboard", &fleet]).await.map(drop)
}

/// Removes what an earlier run left, so that its journals are not taken for ours.
pub(crate) fn clear(state: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("clear {}", state.display()))
        }
        _ => Ok(()),
    }
}

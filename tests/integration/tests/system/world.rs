//! The installation under test.

use anyhow::{Context, bail, ensure};
use meterway_cli::local::{NAMES, Ports, StackEnv, Supervisor, services, write_settings};
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};
use tokio::process::{Child, Command};
use tokio_postgres::{Client, NoTls};

/// Devices, days and seed of the fleet. Small enough for every change, large enough for every fault.
const FLEET: &[&str] = &["--seed", "7", "--devices", "260", "--days", "24"];

/// Every service over the test stack.
pub(crate) struct World {
    pub(crate) root: PathBuf,
    pub(crate) supervisor: Supervisor,
    stack: StackEnv,
    ports: Ports,
    state: PathBuf,
    program: PathBuf,
}

/// Counts of `meterway verify --json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Verified {
    pub(crate) clean: bool,
    pub(crate) totals: Totals,
    pub(crate) differences: Vec<serde_json::Value>,
    pub(crate) findings: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Totals {
    pub(crate) raw_messages: u64,
    pub(crate) raw_readings: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) rejected_messages: u64,
    pub(crate) re_emissions: u64,
    pub(crate) lake: u64,
    pub(crate) lake_outside: u64,
    pub(crate) warehouse: u64,
}

impl World {
    /// Topics, services, fleet.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().context("find the checkout")?;
        let folder = root.join(".local/stacks/test");
        let stack = StackEnv::read(&folder.join("stack.env")).context("run `make test`, which starts the stack")?;
        let ports = Ports(stack.get("METERWAY_PORT_BASE")?.parse().context("parse METERWAY_PORT_BASE")?);
        let state = folder.join("system");
        std::fs::create_dir_all(&state).context("create folder of the run")?;
        let binaries = binaries(&root)?;
        let supervisor = Supervisor::new(&binaries, &state.join("logs"))?;
        let program = binaries.join("meterway");
        let mut world = Self { root, supervisor, stack, ports, state, program };
        write_settings(&world.settings(), &world.stack, ports).context("write settings")?;
        world.meterway(&["topics", "apply"]).await?;
        for service in services(&world.stack, ports, &world.root)? {
            world.supervisor.start(service)?;
        }
        for name in NAMES {
            world.supervisor.wait_ready(name).await?;
        }
        let fleet = world.file("devices.ndjson");
        let scenario = [FLEET, &world.series()[..], &["--faults", "all"]].concat();
        world.meterway(&[&["simulate", "fleet"], &scenario[..], &["--out", &fleet]].concat()).await?;
        world.meterway(&["onboard", &fleet]).await?;
        Ok(world)
    }

    /// Starts the delivery of the whole fleet's history with every fault, at a rate at which kills come in the middle.
    pub(crate) fn deliver(&self, readings_per_second: &str) -> anyhow::Result<Child> {
        let truth = self.file("truth.ndjson");
        let options = ["--faults", "all", "--via", "mixed", "--truth", &truth, "--rate", readings_per_second];
        let arguments = [&["simulate", "run"], FLEET, &self.series()[..], &options].concat();
        self.command(&arguments).stdout(Stdio::null()).spawn().context("start the simulator")
    }

    /// Runs a command of `meterway`, which must succeed; gives its stdout.
    pub(crate) async fn meterway(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.output(arguments).await?;
        ensure!(output.status.success(), "meterway {} ended with {}", arguments.join(" "), output.status);
        String::from_utf8(output.stdout).context("read output")
    }

    /// Verifies, waiting until the stores have caught up.
    pub(crate) async fn verify(&self) -> anyhow::Result<Verified> {
        let output = self.output(&["verify", "--json", "--wait", "240"]).await?;
        if !matches!(output.status.code(), Some(0 | 1)) {
            bail!("verify ended with {}", output.status);
        }
        serde_json::from_slice(&output.stdout).context("parse the report of verify")
    }

    /// A connection to the warehouse.
    pub(crate) async fn warehouse(&self) -> anyhow::Result<Client> {
        let url = self.stack.get("WAREHOUSE_READER_URL")?;
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("open warehouse")?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A setting of the stack.
    pub(crate) fn setting(&self, key: &str) -> anyhow::Result<&str> {
        Ok(self.stack.get(key)?)
    }

    /// URL of the HTTP door.
    pub(crate) fn ingest_url(&self) -> String {
        format!("http://{}", self.ports.ingest())
    }

    /// URL of metadata's gRPC.
    pub(crate) fn metadata_url(&self) -> String {
        format!("http://{}", self.ports.metadata())
    }

    /// A file of this run.
    pub(crate) fn file(&self, name: &str) -> String {
        self.state.join(name).display().to_string()
    }

    /// The settings file for commands and scripts.
    pub(crate) fn settings(&self) -> PathBuf {
        self.state.join("settings.env")
    }

    /// Every service still runs.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.supervisor.check()
    }

    /// Ends every service.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        self.supervisor.stop().await
    }

    fn series(&self) -> [&'static str; 2] {
        ["--series", ".local/data/eemeter"]
    }

    /// Runs a command of `meterway` to its end, whatever that is.
    pub(crate) async fn output(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).output().await.with_context(|| format!("start {}", self.program.display()))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.root).arg("--env-file").arg(self.settings()).args(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// The binaries lie beside the test, or where METERWAY_BIN says.
fn binaries(root: &Path) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find this test")?;
    let beside = own.parent().and_then(Path::parent).map(Path::to_owned);
    let folder =
        std::env::var_os("METERWAY_BIN").map(PathBuf::from).or(beside).unwrap_or_else(|| root.join("target/debug"));
    ensure!(folder.join("meterway").exists(), "{} has no meterway: run `make build`", folder.display());
    Ok(folder)
}

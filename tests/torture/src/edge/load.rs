//! The load: the simulator, with a journal of what was acknowledged to it.

use super::args::Args;
use super::install::Place;
use anyhow::{Context, ensure};
use std::{fs::File, time::Duration};
use tokio::process::Child;

/// What makes the fleet and its readings.
pub(crate) fn scenario(args: &Args) -> Vec<String> {
    let days = days(args);
    let seed = args.wish().seed % 1_000_000;
    let text = format!("--seed {seed} --devices {} --days {days} --faults all --fault-share 1", args.devices);
    text.split(' ').map(str::to_owned).collect()
}

/// Days of history that give at least the wished number of readings: half-hourly and hourly meters deliver 42 a day on
/// average; a tenth is left out by faults that silence meters.
fn days(args: &Args) -> u64 {
    const READINGS_A_DAY: u64 = 36;
    args.readings.div_ceil(u64::from(args.devices) * READINGS_A_DAY).max(12)
}

/// The simulator under way.
pub(crate) struct Load {
    child: Child,
    summary: std::path::PathBuf,
}

impl Load {
    /// Starts it at a rate at which it lasts as long as the attack.
    pub(crate) fn start(place: &Place, args: &Args) -> anyhow::Result<Self> {
        let scenario = scenario(args);
        let scenario: Vec<&str> = scenario.iter().map(String::as_str).collect();
        let (journal, rate) = (place.file("journal.ndjson").display().to_string(), args.rate().to_string());
        let doors = format!("http://{}", place.ports.ingest_of(1));
        let delivery =
            ["--via", "mixed", "--journal", &journal, "--rate", &rate, "--ingest-url", &doors, "--patience", "5m"];
        let arguments = [&["--json", "simulate", "run"], &scenario[..], &delivery].concat();
        let summary = place.file("load.json");
        let out = File::create(&summary).context("create the load's summary")?;
        let log = File::create(place.file("logs/simulator.log")).context("create the load's log")?;
        let child = place.meterway(&arguments).stdout(out).stderr(log).spawn().context("start the simulator")?;
        Ok(Self { child, summary })
    }

    /// Whether it still delivers.
    pub(crate) fn is_on(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait().context("look at the simulator")?.is_none())
    }

    /// Waits for its end; returns what it says of itself.
    ///
    /// # Errors
    /// When it fails or takes too long.
    pub(crate) async fn finish(mut self, limit: Duration) -> anyhow::Result<serde_json::Value> {
        let status = tokio::time::timeout(limit, self.child.wait()).await.context("the load does not end")?;
        let status = status.context("wait for the simulator")?;
        ensure!(status.success(), "the simulator ended with {status}; see logs/simulator.log");
        let text = std::fs::read_to_string(&self.summary).context("read the load's summary")?;
        serde_json::from_str(&text).context("parse the load's summary")
    }
}

//! The canary sees its readings arrive everywhere, and says so when they do not.

use crate::world::World;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::process::Command;

const PARTITIONS: u64 = 4;

pub(crate) async fn run(world: &mut World) -> anyhow::Result<()> {
    everything_arrives(world).await?;
    a_sink_that_stands_is_a_miss(world).await?;
    // Nothing of this disturbs anybody: the readings that were late are there now, and everything adds up.
    let verified = world.verify().await?;
    ensure!(verified.clean, "differences {:?}, findings {:?}", verified.differences, verified.findings);
    let facts = world.warehouse().await?;
    const CANARYS: &str = "SELECT count(*) FROM marts.fct_consumption_hourly WHERE tenant_id = 'meterway-canary'";
    let canarys: i64 = facts.query_one(CANARYS, &[]).await.context("count facts")?.get(0);
    ensure!(canarys == 0, "{canarys} facts of consumption are the canary's");
    Ok(())
}

async fn everything_arrives(world: &World) -> anyhow::Result<()> {
    let options = ["--count", "2", "--interval", "1s", "--via", "both", "--patience", "3m", "--look", "1s"];
    let (code, report) = canary(world, &options).await?;
    ensure!(code == 0 && report["good"] == true, "exit code {code}, {report}");
    ensure!(report["stages"].as_array().map(Vec::len) == Some(4), "{report}");
    for stage in report["stages"].as_array().into_iter().flatten() {
        ensure!(stage["seen"] == 2 * PARTITIONS, "{stage}");
        eprintln!("{}: slowest {:.1} s", stage["stage"], stage["slowest"].as_f64().unwrap_or_default() / 1e6);
    }
    Ok(())
}

async fn a_sink_that_stands_is_a_miss(world: &World) -> anyhow::Result<()> {
    let pid = *world.supervisor.pids().get("parquet-sink").context("parquet-sink is not running")?;
    let stopped = Stopped::stop(pid)?;
    let options = ["--once", "--stages", "topic,lake", "--patience", "8s", "--look", "1s"];
    let (code, report) = canary(world, &options).await?;
    drop(stopped);
    ensure!(code == 1 && report["good"] == false, "exit code {code}, {report}");
    let (topic, lake) = (&report["stages"][0], &report["stages"][1]);
    ensure!(topic["seen"] == PARTITIONS && topic["missing"] == 0, "{topic}");
    ensure!(lake["seen"] == 0 && lake["missing"] == PARTITIONS && lake["away"].is_null(), "{lake}");
    Ok(())
}

async fn canary(world: &World, options: &[&str]) -> anyhow::Result<(i32, Value)> {
    let output = world.output(&[&["canary", "--json"], options].concat()).await?;
    let code = output.status.code().context("the canary was killed")?;
    let report = serde_json::from_slice(&output.stdout).with_context(|| format!("the canary ended with {code}"))?;
    Ok((code, report))
}

/// Lets the process run again, whatever happens.
struct Stopped(u32);

impl Stopped {
    fn stop(pid: u32) -> anyhow::Result<Self> {
        ensure!(Command::new("kill").args(["-STOP", &pid.to_string()]).status()?.success(), "{pid} cannot be stopped");
        Ok(Self(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // A process that has ended meanwhile is reported by the supervisor.
        let _status = Command::new("kill").args(["-CONT", &self.0.to_string()]).status();
    }
}

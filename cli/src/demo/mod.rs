//! `meterway demo`: the whole way of a reading on real components, for someone who sees it for the first time.
//!
//! Expects the components to be up (`deploy/local/stack.sh`) and its settings in a file; starts every service, creates
//! topics, onboards a fleet, delivers real meter series with injected faults, waits until lake, warehouse and facts have
//! them, proves it with `verify`, prints one table, and goes on with a trickle until Ctrl-C. With `--check` it ends after
//! the table, 0 when everything adds up.

mod facts;
mod steps;
mod summary;

use crate::{
    exit::Exit,
    local::{NAMES, Ports, StackEnv, Supervisor, names, replica, write_settings},
    out::Out,
};
use anyhow::{Context, ensure};
use std::{path::PathBuf, time::Duration};
use steps::Steps;
use summary::Summary;

/// What to show.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Started by `make demo` and `make demo-check`, which bring the components up and down around it.\n\n\
Exit codes: 0 everything adds up, 1 it does not, 64 wrong settings, 70 something did not start or ended."
)]
pub(crate) struct DemoArgs {
    /// Settings that the local stack wrote
    #[arg(long, value_name = "FILE", default_value = ".local/stacks/demo/stack.env")]
    stack_env: PathBuf,
    /// Folder of the services' binaries
    #[arg(long, value_name = "DIR", default_value = "target/debug")]
    bin: PathBuf,
    /// Folder for logs and files of this run
    #[arg(long, value_name = "DIR", default_value = ".local/demo")]
    state: PathBuf,
    /// Settings file to write, for own tools
    #[arg(long, value_name = "FILE", default_value = ".local/demo.env")]
    demo_env: PathBuf,
    /// Folder of the real meter series
    #[arg(long, value_name = "DIR", default_value = ".local/data/eemeter")]
    series: PathBuf,
    /// End after the table, with exit code 0 only when everything adds up
    #[arg(long)]
    check: bool,
    /// Run a program when the table is there, beside the trickle, and end with it: 0 when both add up
    #[arg(long, value_name = "PROGRAM")]
    then: Option<PathBuf>,
    /// Devices of the fleet
    #[arg(long, default_value_t = 930)]
    devices: u32,
    /// Local days of history
    #[arg(long, default_value_t = 28)]
    days: u32,
    /// Seed of the fleet and its faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Longest wait for lake and warehouse after the last delivery.
const CATCH_UP: Duration = Duration::from_secs(300);

/// Runs the demo.
///
/// # Errors
/// When a setting is missing, a service does not start or ends by itself, or a step fails.
pub(crate) async fn run(args: DemoArgs, out: &Out) -> anyhow::Result<Exit> {
    let stack = StackEnv::read(&args.stack_env)?;
    let ports = Ports(stack.get("METERWAY_PORT_BASE")?.parse().context("parse METERWAY_PORT_BASE")?);
    std::fs::create_dir_all(&args.state).with_context(|| format!("create {}", args.state.display()))?;
    write_settings(&args.demo_env, &stack, ports).with_context(|| format!("write {}", args.demo_env.display()))?;
    let mut supervisor = Supervisor::new(&args.bin, &args.state.join("logs"))?;
    let steps = Steps::new(&args.demo_env, *out)?;
    let shown = tokio::select! {
        shown = show(&args, &stack, ports, &mut supervisor, &steps) => shown,
        _ = tokio::signal::ctrl_c() => Ok(None),
    };
    let result = match shown {
        Ok(Some(clean)) => match &args.then {
            Some(program) => {
                let ended = run_beside(&args, program, &mut supervisor, &steps).await;
                ended.map(|succeeded| clean && succeeded)
            }
            None if args.check => Ok(clean),
            None => trickle(&args, &mut supervisor, &steps).await.map(|()| clean),
        },
        Ok(None) => Ok(false),
        Err(error) => Err(error),
    };
    out.note("stopping the services");
    supervisor.stop().await?;
    result.map(Exit::ok_if)
}

/// Everything up to the table; whether it adds up.
async fn show(
    args: &DemoArgs,
    stack: &StackEnv,
    ports: Ports,
    supervisor: &mut Supervisor,
    steps: &Steps,
) -> anyhow::Result<Option<bool>> {
    steps.run("create topics, register schemas", &["topics", "apply"]).await?;
    let root = std::env::current_dir().context("find the checkout")?;
    let ready = async |supervisor: &mut Supervisor, name: &'static str| {
        supervisor.wait_ready(name).await?;
        steps.say(&format!("{name} is ready (pid {})", supervisor.pids().get(name).copied().unwrap_or_default()));
        anyhow::Ok(())
    };
    for name in NAMES {
        supervisor.start(replica(name, 1, stack, ports, &root)?)?;
    }
    for name in NAMES {
        ready(supervisor, name).await?;
    }
    // It looks at what the others have made: tables of the warehouse and of the live store.
    for name in names(stack).into_iter().filter(|name| !NAMES.contains(name)) {
        supervisor.start(replica(name, 1, stack, ports, &root)?)?;
        ready(supervisor, name).await?;
    }
    let fleet = args.state.join("devices.ndjson").display().to_string();
    let (seed, devices, days) = (args.seed.to_string(), args.devices.to_string(), args.days.to_string());
    let truth = args.state.join("truth.ndjson").display().to_string();
    let series = args.series.display().to_string();
    let same_fleet = ["--seed", &seed, "--devices", &devices, "--days", &days, "--series", &series, "--faults", "all"];
    let fleet_step = [&["simulate", "fleet"], &same_fleet[..], &["--out", &fleet]].concat();
    steps.run("make up a fleet of two tenants", &fleet_step).await?;
    steps.run("register it", &["onboard", &fleet]).await?;
    let run_step = [&["simulate", "run"], &same_fleet[..], &["--via", "mixed", "--truth", &truth]].concat();
    steps.run("deliver real meter series, with faults", &run_step).await?;
    supervisor.check()?;
    let report = steps.verify(CATCH_UP).await?;
    supervisor.check()?;
    let facts = facts::wait(stack.get("WAREHOUSE_READER_URL")?, CATCH_UP).await?;
    let live = facts::live(stack).await?;
    supervisor.check()?;
    let summary = Summary::new(&report, &facts, &live, steps.elapsed());
    steps.text(&summary.render(args, stack, ports, supervisor))?;
    Ok(Some(summary.adds_up()))
}

/// Runs a program while the trickle goes on; whether it succeeded.
async fn run_beside(
    args: &DemoArgs,
    program: &std::path::Path,
    supervisor: &mut Supervisor,
    steps: &Steps,
) -> anyhow::Result<bool> {
    steps.say(&format!("run {}", program.display()));
    let settings = StackEnv::read(&args.demo_env)?;
    let mut command = tokio::process::Command::new(program);
    command.envs(settings.iter()).kill_on_drop(true).stdin(std::process::Stdio::null());
    let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
    tokio::select! {
        ended = child.wait() => Ok(ended.context("wait for the program")?.success()),
        trickled = trickle(args, supervisor, steps) => trickled.map(|()| false),
    }
}

/// Goes on delivering at a walking pace, until Ctrl-C or the end of a service.
async fn trickle(args: &DemoArgs, supervisor: &mut Supervisor, steps: &Steps) -> anyhow::Result<()> {
    let (seed, devices, days) = (args.seed.to_string(), args.devices.to_string(), args.days.to_string());
    let series = args.series.display().to_string();
    let mut child = steps.spawn(&[
        "simulate",
        "run",
        "--seed",
        &seed,
        "--devices",
        &devices,
        "--days",
        &days,
        "--series",
        &series,
        "--trickle",
        "--skip-history",
    ])?;
    steps.say("a trickle of current readings goes on; Ctrl-C ends everything");
    let watch = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            supervisor.check()?;
        }
        #[expect(unreachable_code, reason = "gives the endless loop its error type")]
        anyhow::Ok(())
    };
    let result = tokio::select! {
        ended = child.wait() => {
            let status = ended.context("wait for the trickle")?;
            ensure!(status.success(), "the trickle ended by itself ({status})");
            Ok(())
        }
        watched = watch => watched,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    steps.end(&mut child).await?;
    result
}

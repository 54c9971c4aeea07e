//! From `main` to the exit code: load, log, serve the admin endpoint, run, drain, end.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{self, ServiceConfig};
use crate::{AdminServer, EXIT_CONFIG, EXIT_FAILURE, EXIT_FORCED, Liveness, MetricsHandle, Readiness};
use crate::{Clock, SystemClock, install_crypto_provider, log};

/// What a service says of itself.
#[derive(Debug, Clone, Copy)]
pub struct ServiceInfo {
    /// Name of the service, such as `parquet-sink`; decides the prefix of its environment variables.
    pub name: &'static str,
    /// Version, shown by `/version` and `--version`.
    pub version: &'static str,
    /// The text of `config.default.toml`.
    pub defaults: &'static str,
}

/// What the runtime hands to the service.
#[derive(Debug)]
pub struct Runtime {
    /// Cancelled when the process is asked to end. Cancelling it from within starts the same shutdown.
    pub shutdown: CancellationToken,
    /// What `/ready` says; starts unready.
    pub readiness: Readiness,
    /// What `/live` says.
    pub liveness: Liveness,
    /// The process's metrics.
    pub metrics: MetricsHandle,
    /// Where the admin endpoint listens.
    pub admin_address: SocketAddr,
}

#[derive(Debug, Parser)]
struct Arguments {
    /// TOML file with settings that differ from the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the effective configuration with secrets hidden and end: 0 when valid, 64 when not
    #[arg(long)]
    check_config: bool,
}

/// The `main` of a service: reads flags and environment, and runs the service until it ends or is told to.
pub fn main<C, F>(info: ServiceInfo, run: F) -> ExitCode
where
    C: ServiceConfig,
    F: AsyncFnOnce(C, Runtime) -> anyhow::Result<()>,
{
    main_from(info, std::env::args_os(), std::env::vars_os(), run)
}

/// As [`main`], with arguments (the first is the program's name) and environment handed in.
pub fn main_from<C, F>(
    info: ServiceInfo,
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    run: F,
) -> ExitCode
where
    C: ServiceConfig,
    F: AsyncFnOnce(C, Runtime) -> anyhow::Result<()>,
{
    let arguments = match parse_arguments(info, arguments) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    // A variable that is not UTF-8 can't be one of ours: their names and values are text.
    let environment: Vec<(String, String)> = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let loaded = match config::load::<C>(info, arguments.config.as_deref(), environment.iter().cloned()) {
        Ok(loaded) => loaded,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if arguments.check_config {
        use std::io::Write;
        let written = std::io::stdout().write_all(loaded.effective.as_bytes());
        return if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILURE) };
    }
    log::install(loaded.config.log());
    #[cfg(debug_assertions)]
    if let Err(mistake) = arm_faults(&environment) {
        say(&format!("{mistake:#}"));
        return ExitCode::from(EXIT_CONFIG);
    }
    tracing::info!(service = info.name, version = info.version, config = %loaded.effective_json, "start");
    match start(info, loaded.config, run) {
        Ok(()) => {
            tracing::info!(service = info.name, "end");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(service = info.name, error = %format!("{error:#}"), "end with an error");
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

/// Prepares the faults that a test wants of this process.
#[cfg(debug_assertions)]
fn arm_faults(environment: &[(String, String)]) -> anyhow::Result<()> {
    use crate::{fail_point, skew};
    for (name, value) in environment {
        match name.as_str() {
            fail_point::VARIABLE => fail_point::arm(value)?,
            skew::VARIABLE => skew::arm(value)?,
            _ => {}
        }
    }
    Ok(())
}

fn parse_arguments(info: ServiceInfo, arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, ExitCode> {
    use clap::{CommandFactory, FromArgMatches};
    let command = Arguments::command().name(info.name).version(info.version);
    let parsed = command.try_get_matches_from(arguments).and_then(|matches| Arguments::from_arg_matches(&matches));
    parsed.map_err(|error| {
        // Help and version are "errors" of clap that go to standard output and mean success.
        let _unprintable = error.print();
        if error.use_stderr() { ExitCode::from(EXIT_CONFIG) } else { ExitCode::SUCCESS }
    })
}

fn start<C, F>(info: ServiceInfo, config: C, run: F) -> anyhow::Result<()>
where
    C: ServiceConfig,
    F: AsyncFnOnce(C, Runtime) -> anyhow::Result<()>,
{
    install_crypto_provider();
    let metrics = MetricsHandle::install()?;
    describe_process(info);
    let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start tokio")?;
    let result = executor.block_on(supervise(info, config, metrics, run));
    // Blocking threads that are still busy must not hold the process: what mattered was awaited above.
    executor.shutdown_background();
    result
}

async fn supervise<C, F>(info: ServiceInfo, config: C, metrics: MetricsHandle, run: F) -> anyhow::Result<()>
where
    C: ServiceConfig,
    F: AsyncFnOnce(C, Runtime) -> anyhow::Result<()>,
{
    let (shutdown, ended) = (CancellationToken::new(), CancellationToken::new());
    let signals = Signals::listen().context("listen to signals")?;
    let _deadline = tokio::spawn(enforce_shutdown(signals, shutdown.clone(), config.grace()));

    let (readiness, liveness) = (Readiness::default(), Liveness::default());
    let admin = AdminServer::bind(config.admin(), info, readiness.clone(), liveness.clone(), metrics.clone()).await?;
    let admin_address = admin.address();
    tracing::info!(address = %admin_address, "admin endpoint listens");
    let admin = tokio::spawn(admin.serve(ended.clone()));

    let runtime = Runtime { shutdown, readiness: readiness.clone(), liveness, metrics, admin_address };
    // Boxed: a service's whole wiring is one large future, and this frame lives as long as the process.
    let result = Box::pin(run(config, runtime)).await;
    readiness.set_unready("ended");
    ended.cancel();
    // A scraper that keeps its connection open must not delay the end.
    let _stopped = tokio::time::timeout(Duration::from_millis(200), admin).await;
    result
}

/// Turns the first signal into a cancelled token and makes sure that the process ends soon after.
async fn enforce_shutdown(mut signals: Signals, shutdown: CancellationToken, grace: Duration) {
    tokio::select! {
        name = signals.next() => {
            tracing::info!(signal = name, grace_ms = grace.as_millis() as u64, "shut down");
            shutdown.cancel();
        }
        () = shutdown.cancelled() => {}
    }
    tokio::select! {
        name = signals.next() => tracing::error!(signal = name, "end at once after a second signal"),
        () = tokio::time::sleep(grace) => {
            tracing::error!(grace_ms = grace.as_millis() as u64, "end by force after the grace period");
        }
    }
    std::process::exit(i32::from(EXIT_FORCED));
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn describe_process(info: ServiceInfo) {
    metrics::describe_gauge!("meterway_build_info", "Constant 1, labelled with the service and its version");
    metrics::gauge!("meterway_build_info", "service" => info.name, "version" => info.version).set(1.0);
    metrics::describe_gauge!("process_start_time_seconds", "Start of the process, in seconds since 1970");
    metrics::gauge!("process_start_time_seconds").set(SystemClock.now_micros() as f64 / 1e6);
}

/// Writes to standard error; when that is closed there is nobody left to tell.
fn say(text: &str) {
    use std::io::Write;
    let _closed = writeln!(std::io::stderr(), "{text}");
}

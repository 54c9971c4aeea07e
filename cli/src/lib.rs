//! The `meterway` command: everything an operator does with Meterway from a terminal.
//!
//! Guarantees: data goes to stdout and nothing else does; every command ends with one of the documented [exit
//! codes](exit); what would lose data asks for `--force` and says so first. One module per command; each has a pure
//! `core` where there is something to decide, and a thin edge that connects.

mod canary;
mod cli;
mod connection;
mod demo;
mod dlq;
mod doctor;
mod env_file;
pub mod exit;
mod fleet_file;
mod lake_ops;
pub mod local;
mod metadata;
mod onboard;
mod out;
mod replay;
mod schemas;
mod simulate;
mod status;
mod stores;
mod topics;
mod verify;

use clap::FromArgMatches;
use cli::Cli;
use exit::{BadConfig, Exit};
use out::Out;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Runs the command line of the process.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let command = match env_file::apply(cli::command(), &arguments) {
        Ok(command) => command,
        Err(error) => return exit::failure(&error),
    };
    let parsed = command.try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        // clap prints help to stdout (0) and mistakes to stderr (2).
        Err(usage) => usage.exit(),
    };
    start_logging(cli.global.verbose, cli.global.no_color);
    service_runtime::install_crypto_provider();
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => exit::failure(&error),
    }
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    let out = Out::new(cli.global.format(), cli.global.no_color);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(cli::dispatch(cli, &out));
    // A blocking call that still waits for a dead server must not keep the terminal.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match result {
        Err(error) if out::is_broken_pipe(&error) => Ok(Exit::Ok),
        other => other,
    }
}

fn start_logging(verbose: u8, no_color: bool) {
    // The Kafka client warns of everything that it will try again; what fails for good comes back as an error.
    let filter = match verbose {
        0 => "warn,kafka_pipeline=error",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let ansi = !no_color && std::io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_ansi(ansi);
    logs.with_writer(std::io::stderr).with_target(false).init();
}

/// A setting that a command cannot do without.
fn required<'a>(value: Option<&'a String>, option: &str, variable: &str) -> Result<&'a str, BadConfig> {
    let missing = || BadConfig(format!("{option} is not set; give the option, {variable}, or --env-file"));
    value.map(String::as_str).filter(|value| !value.is_empty()).ok_or_else(missing)
}

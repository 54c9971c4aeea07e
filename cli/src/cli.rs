//! The command line as a whole: global options and the list of commands.

use crate::exit::Exit;
use crate::out::{Format, Out};
use crate::{canary, demo, dlq, doctor, lake_ops, onboard, replay, schemas, simulate, status, topics, verify};
use clap::{Args, Command, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  meterway topics apply --dry-run                       what would change on the cluster
  meterway --env-file stack.env topics apply            create topics, register schemas
  meterway simulate fleet --devices 200 --out devices.ndjson
  meterway onboard devices.ndjson                       register the fleet
  meterway simulate run --devices 200 --days 21 --faults all --truth truth.ndjson
  meterway --env-file stack.env doctor                  try everything, and say what to do
  meterway status                                       the pipeline at a glance
  meterway canary --once                                known readings on their whole way
  meterway dlq list --summary                           what was set aside, by reason
  meterway lake heads                                   how far each table has taken in its topic
  meterway completions bash > /etc/bash_completion.d/meterway

Exit codes:
  0   done, nothing to object to
  1   done, and it found differences, failed lines or a failed check
  2   the command line is wrong
  64  a setting or an input file is wrong; nothing was done
  70  a server cannot be reached or refuses, or a defect

Settings come from options, then the environment, then --env-file.";

/// Operates Meterway: topics, schemas, fleets, simulation and proofs
#[derive(Debug, Parser)]
#[command(name = "meterway", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Commands,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Form of the data on stdout
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Format,
    /// Same as --output json
    #[arg(long, global = true)]
    json: bool,
    /// File of KEY=value lines with settings, below the environment
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// No colours
    #[arg(long, global = true, env = "NO_COLOR", value_parser = clap::builder::FalseyValueParser::new(), hide_env = true)]
    pub(crate) no_color: bool,
    /// More log lines on stderr; twice and three times for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Global {
    /// The form of the data.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Topics and their schemas, from one declarative file
    #[command(subcommand)]
    Topics(topics::TopicsCommand),
    /// The contracts against the schema registry
    #[command(subcommand)]
    Schemas(schemas::SchemasCommand),
    /// A fleet of meters that delivers, with faults if wanted
    #[command(subcommand)]
    Simulate(Box<simulate::SimulateCommand>),
    /// Register tenants, customers, sites and devices from a file
    Onboard(onboard::OnboardArgs),
    /// Prove that nothing was lost and nothing came twice, or show where
    Verify(Box<verify::VerifyArgs>),
    /// The pipeline at a glance: counts, lags, what does not answer
    Status(Box<status::StatusArgs>),
    /// Try everything that Meterway stands on, and say what to do
    Doctor(Box<doctor::DoctorArgs>),
    /// Messages that were set aside, with the reason
    #[command(subcommand)]
    Dlq(dlq::DlqCommand),
    /// Known readings on their whole way, for ever or for a few rounds: what is missing, double or changed
    Canary(Box<canary::CanaryArgs>),
    /// Judge landed messages again, by today's rules and devices
    Replay(Box<replay::ReplayArgs>),
    /// The lake's tables: how far they are, heads moved by hand, orphan files
    #[command(subcommand)]
    Lake(lake_ops::LakeCommand),
    /// The whole way of a reading on the local stack, for someone who sees it for the first time
    Demo(Box<demo::DemoArgs>),
    /// Shell completions on stdout
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The command line's grammar.
pub(crate) fn command() -> Command {
    Cli::command()
}

/// Runs the chosen command.
pub(crate) async fn dispatch(cli: Cli, out: &Out) -> anyhow::Result<Exit> {
    match cli.command {
        Commands::Topics(command) => topics::run(command, out).await,
        Commands::Schemas(command) => schemas::run(command, out).await,
        Commands::Simulate(command) => Box::pin(simulate::run(*command, out)).await,
        Commands::Onboard(args) => Box::pin(onboard::run(args, out)).await,
        Commands::Verify(args) => Box::pin(verify::run(*args, out)).await,
        Commands::Status(args) => Box::pin(status::run(*args, out)).await,
        Commands::Doctor(args) => Box::pin(doctor::run(*args, out)).await,
        Commands::Dlq(command) => Box::pin(dlq::run(command, out)).await,
        Commands::Canary(args) => Box::pin(canary::run(*args, out)).await,
        Commands::Replay(args) => Box::pin(replay::run(*args, out)).await,
        Commands::Lake(command) => Box::pin(lake_ops::run(command, out)).await,
        Commands::Demo(args) => Box::pin(demo::run(*args, out)).await,
        Commands::Completions { shell } => completions(shell, out),
    }
}

fn completions(shell: Shell, out: &Out) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "meterway", &mut script);
    out.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_is_sound_and_every_command_says_what_it_does() {
        command().debug_assert();
        for sub in command().get_subcommands() {
            assert!(sub.get_about().is_some(), "{} has no help", sub.get_name());
        }
    }

    #[test]
    fn json_is_short_for_output_json() {
        let format = |arguments: &[&str]| Cli::try_parse_from(arguments).unwrap().global.format();
        assert_eq!(format(&["meterway", "completions", "bash", "--json"]), Format::Json);
        assert_eq!(format(&["meterway", "--output", "json", "completions", "bash"]), Format::Json);
        assert_eq!(format(&["meterway", "completions", "bash"]), Format::Table);
    }

    #[test]
    fn wrong_command_line_ends_with_two() {
        let error = Cli::try_parse_from(["meterway", "topics", "aply"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}

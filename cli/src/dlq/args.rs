//! The command line of `meterway dlq`. The same filters on every command.

use super::content::Decoder;
use super::filter::Filter;
use super::ledger::Status;
use super::show::Coordinates;
use super::when::When;
use crate::connection::{KafkaArgs, RegistryArgs};
use crate::exit::BadConfig;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use kafka_pipeline::Registry;
use std::path::PathBuf;
use std::time::Duration;

/// Commands about dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// The letters and what became of them, or how many of each code
    #[command(after_help = LIST_HELP)]
    List(Box<ListArgs>),
    /// Letters in full: headers, bytes, and what they say
    #[command(after_help = SHOW_HELP)]
    Show(Box<ShowArgs>),
    /// Send letters back to the topic they came from, unchanged
    #[command(after_help = REPLAY_HELP)]
    Replay(Box<ReplayArgs>),
    /// Note that letters need no replay; nothing is deleted
    #[command(after_help = DROP_HELP)]
    Drop(Box<DropArgs>),
}

const LIST_HELP: &str = "\
The newest letters that fit all filters, oldest first. --tenant and --device look into the bytes: a letter that cannot
be decoded belongs to no tenant, and to the device of its key.
A raw message may have several letters (validate may repeat them); they share their status.

Status:
  open       nobody has done anything
  replaying  a run has claimed it and not finished
  replayed   sent back; not decided yet, or set aside again (then it names the new letter)
  resolved   what it holds is stored: its replay left nothing, or its code is DUPLICATE
  dropped    somebody decided that it needs no replay

Examples:
  meterway dlq list --summary
  meterway dlq list --reason UNKNOWN_DEVICE --from 2h --status open --limit 20
  meterway dlq list --tenant north --from 2026-01-31 --to 2026-02-01 --json

Exit codes: 0 also when there are none; 70 broker or registry cannot be reached.";

const SHOW_HELP: &str = "\
Example:
  meterway dlq show 1:42
  meterway dlq show 1:42 --save message.bin      the bytes, unchanged
  meterway dlq show --reason TRUNCATED --limit 3 the newest three

Exit codes: 0 shown; 1 there is no such letter; 70 broker or registry cannot be reached.";

const REPLAY_HELP: &str = "\
Sends bytes, key and original headers back to the partition they came from, with two headers more: x-replay-count and
x-replay-of. What was accepted before comes back as DUPLICATE; what is repaired now is accepted once. Letters that were
replayed, dropped or resolved are left alone, also after a crash in the middle: who has done what stands in marks beside
the letters. Left alone are also DUPLICATE (unless --reason names it), decisions that parquet-sink set aside (replay
their raw message from the landing table), and messages that went round --max-replays times.

Examples:
  meterway dlq replay --reason UNKNOWN_DEVICE --tenant north --dry-run
  meterway dlq replay --reason UNKNOWN_DEVICE --tenant north --rate 200
  meterway dlq replay 1:42

Exit codes: 0 done; 1 done, and some letters cannot be replayed, with the reason; 70 a server cannot be reached.";

const DROP_HELP: &str = "\
Writes a mark beside each letter that says who dropped it, when and why. The letter stays as it is until retention, and
in the table dead_letters of the lake for ever. replay --again takes it nevertheless.

Example:
  meterway dlq drop --reason TRUNCATED --device gw-17 --because 'firmware 3.1 sent half messages, meters re-read'

Exit codes: 0 done; 70 a server cannot be reached.";

/// Which letters.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Selection {
    /// Only these letters, as `dlq list` prints them
    #[arg(value_name = "PARTITION:OFFSET")]
    pub(crate) letters: Vec<Coordinates>,
    /// Only this code, such as TRUNCATED; may be repeated
    #[arg(long = "reason", value_name = "CODE", value_parser = upper_case)]
    pub(crate) reasons: Vec<String>,
    /// Only of this tenant
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// Only of this device
    #[arg(long, value_name = "ID")]
    pub(crate) device: Option<String>,
    /// Only set aside by this stage, such as validate
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
    /// Only set aside at this time or later: a time, a day, or a span such as 2h
    #[arg(long, visible_alias = "since", value_name = "WHEN")]
    pub(crate) from: Option<When>,
    /// Only set aside before this time
    #[arg(long, visible_alias = "until", value_name = "WHEN")]
    pub(crate) to: Option<When>,
    /// Only with this status; may be repeated
    #[arg(long, value_name = "STATUS", value_enum)]
    pub(crate) status: Vec<Status>,
}

impl Selection {
    /// The filter, when it is now.
    pub(crate) fn filter(&self, now: DateTime<Utc>) -> Filter {
        Filter {
            reasons: self.reasons.clone(),
            device: self.device.clone(),
            tenant: self.tenant.clone(),
            stage: self.stage.clone(),
            letters: self.letters.clone(),
            since: self.from.map(|from| from.at(now)),
            until: self.to.map(|to| to.at(now)),
        }
    }

    /// Whether a status is asked for.
    pub(crate) fn admits(&self, status: Status) -> bool {
        self.status.is_empty() || self.status.contains(&status)
    }
}

/// Options of `dlq list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Letters to show at most, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// Count by code instead
    #[arg(long)]
    pub(crate) summary: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Options of `dlq show`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Letters to show at most, the newest
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) limit: u32,
    /// Bytes to dump at most
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub(crate) bytes: usize,
    /// File to write the bytes of a single letter to, unchanged; must not exist yet
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// What `replay` and `drop` have in common.
#[derive(Debug, Clone, Args)]
pub(crate) struct ActionArgs {
    /// All letters, when no filter is given
    #[arg(long)]
    pub(crate) all: bool,
    /// Letters at most, partition by partition, the oldest first
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Letters per second at most; 0 is as fast as possible
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = rate)]
    pub(crate) rate: f64,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also letters that were replayed or dropped before
    #[arg(long)]
    pub(crate) again: bool,
    /// Who does it; stands in the marks
    #[arg(long, env = "USER", value_name = "NAME", default_value = "unknown", hide_env_values = true)]
    pub(crate) by: String,
    /// For how long a run that stopped in the middle is taken to be still at work
    #[arg(long, value_name = "SPAN", default_value = "5m", value_parser = span)]
    pub(crate) claim_timeout: Duration,
}

/// Options of `dlq replay`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Why; stands in the marks
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) because: String,
    /// How often a message may be replayed at all
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) max_replays: u32,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Options of `dlq drop`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DropArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Why; stands in the marks
    #[arg(long, value_name = "TEXT")]
    pub(crate) because: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Where the letters are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// Topic of dead letters
    #[arg(long, value_name = "TOPIC", default_value = "meter.readings.rejected.v1")]
    pub(crate) topic: String,
    /// Topic that raw messages come from
    #[arg(long, value_name = "TOPIC", default_value = "meter.readings.raw.v1")]
    pub(crate) raw_topic: String,
    /// Topic of the decisions about them
    #[arg(long, value_name = "TOPIC", default_value = "meter.readings.validated.v1")]
    pub(crate) validated_topic: String,
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

impl Place {
    /// What reads the letters' content.
    ///
    /// # Errors
    /// [`BadConfig`] without a registry.
    pub(crate) fn decoder(&self) -> Result<Decoder, BadConfig> {
        Ok(Decoder::new(Registry::new(&self.registry.config()?).map_err(BadConfig::new)?))
    }
}

fn upper_case(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(text.to_ascii_uppercase())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().map_err(|error: std::num::ParseFloatError| error.to_string())?;
    if (0.0..=1e9).contains(&rate) { Ok(rate) } else { Err("must be 0 or more".to_owned()) }
}

fn span(text: &str) -> Result<Duration, String> {
    match text.parse()? {
        When::Ago(span) => span.to_std().map_err(|error| error.to_string()),
        When::At(_) => Err("needs a span such as 30s or 5m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: DlqCommand,
    }

    fn parsed(arguments: &[&str]) -> Option<DlqCommand> {
        Cli::try_parse_from([&["dlq"], arguments].concat()).ok().map(|cli| cli.command)
    }

    #[test]
    fn codes_may_be_written_small_and_mistakes_are_refused() {
        let Some(DlqCommand::List(args)) = parsed(&["list", "--reason", "truncated"]) else { panic!("a list") };
        assert_eq!(args.selection.reasons, ["TRUNCATED"]);
        for wrong in [["--limit", "0"], ["--from", "yesterday"], ["--until", "5"], ["--status", "lost"]] {
            assert!(parsed(&[&["list"], &wrong[..]].concat()).is_none(), "{wrong:?}");
        }
        for wrong in [["--rate", "-1"], ["--rate", "nan"], ["--claim-timeout", "2026-01-01"], ["--max-replays", "x"]] {
            assert!(parsed(&[&["replay"], &wrong[..]].concat()).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn every_command_takes_the_same_filters() {
        let filters = "1:42 --reason a --tenant t --device d --stage s --from 1h --to 1m --status open".split(' ');
        let filters: Vec<&str> = filters.collect();
        for command in ["list", "show", "replay", "drop"] {
            let because: &[&str] = if command == "drop" { &["--because", "why"] } else { &[] };
            assert!(parsed(&[&[command], &filters[..], because].concat()).is_some(), "{command}");
        }
        assert!(parsed(&["drop", "--all"]).is_none(), "without a reason nobody knows later");
    }
}

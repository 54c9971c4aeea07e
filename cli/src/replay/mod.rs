//! `meterway replay`: judges landed messages again, on a lane of their own.
//!
//! The raw messages of the landing table go into the replay topic, bytes unchanged, each with a note of where it stood and
//! what the lake holds of it. A second `validate` judges them by today's rules and devices, and a second `parquet-sink`
//! adds what is new as revisions. The command keeps nothing: where it was stands in the replay topic itself. See
//! `docs/adr/0012-replay-lane.md`.

mod course;
mod known;
mod landing;
mod lane;
mod lookup;
mod order;
mod plan;
mod progress;
mod report;
mod run;

use crate::connection::{KafkaArgs, RegistryArgs};
use crate::dlq::when::When;
use crate::verify::iceberg::LakeArgs;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use run::run;

const HELP: &str = "\
Judges what has landed again, by today's rules and devices, and adds new revisions of the rows whose outcome has changed,
and rows for readings that are accepted now. Nothing is taken away: a reading that has a row and is refused now is
reported (exit code 1). No alert is raised. Running it twice adds nothing; killed, it goes on where it was when it is
started with the same options. Needs the lane: a validate with lane = \"replay\" and a parquet-sink on
meter.readings.replay.validated.v1 (docs/runbooks/replay.md).

Examples:
  meterway replay --from 2026-03-01 --dry-run                 how much it would be
  meterway replay --from 2026-03-01 --to 2026-04-01 --tenant northgrid
  meterway replay --from 90d --device northgrid-e-00001 --refused refused.ndjson

Exit codes: 0 done; 1 done, and readings that have rows are refused now; 64 another replay is unfinished; 70 something
could not be reached, or the lane does not decide.";

/// What to judge again.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ReplayArgs {
    /// Messages that arrived at this time or later: a time, a day, or a span such as 90d
    #[arg(long, value_name = "WHEN")]
    from: When,
    /// Messages that arrived before this time; everything that has landed when not given
    #[arg(long, value_name = "WHEN")]
    to: Option<When>,
    /// Only of this tenant
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// Only of this device
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Only say how much it would be
    #[arg(long)]
    dry_run: bool,
    /// Messages per second at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// How far before --from messages are judged without making rows, so that rules which look back know the past
    #[arg(long, value_name = "SPAN", default_value = "14d", value_parser = span)]
    lead: Duration,
    /// Seconds to wait for the lane without seeing it move
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    wait: u64,
    /// Leave an unfinished replay of other options as it is, and begin this one
    #[arg(long)]
    abandon: bool,
    /// File for the readings that have rows and are refused now, one JSON object a line
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Raw topic whose messages have landed
    #[arg(long, value_name = "TOPIC", default_value = "meter.readings.raw.v1")]
    raw_topic: String,
    /// Topic of the live lane's decisions
    #[arg(long, value_name = "TOPIC", default_value = "meter.readings.validated.v1")]
    validated_topic: String,
    /// Topic of the lane
    #[arg(long, value_name = "TOPIC", default_value = "meter.readings.replay.v1")]
    replay_topic: String,
    /// Topic of the lane's decisions
    #[arg(long, value_name = "TOPIC", default_value = "meter.readings.replay.validated.v1")]
    replay_validated_topic: String,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    lake: LakeArgs,
}

impl ReplayArgs {
    /// What makes two calls the same request.
    fn asked(&self, given: (&str, Option<&str>)) -> String {
        let (from, to) = given;
        let option = |name: &str, value: Option<&str>| value.map_or(String::new(), |value| format!(" {name}={value}"));
        format!(
            "from={from}{}{}{} topic={}",
            option("to", to),
            option("tenant", self.tenant.as_deref()),
            option("device", self.device.as_deref()),
            self.raw_topic
        )
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let parsed: When = text.parse()?;
    match parsed {
        When::Ago(span) => span.to_std().map_err(|error| error.to_string()),
        When::At(_) => Err("needs a span such as 14d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ReplayArgs,
    }

    fn parse(options: &[&str]) -> ReplayArgs {
        Line::try_parse_from([&["replay"], options].concat()).unwrap().args
    }

    #[test]
    fn a_request_is_told_by_its_range_and_filters_and_not_by_its_pace() {
        let asked = |options: &[&str]| {
            let args = parse(options);
            args.asked((&args.from.to_string(), args.to.map(|to| to.to_string()).as_deref()))
        };
        let slow = asked(&["--from", "90d", "--tenant", "t", "--rate", "5", "--wait", "9"]);
        assert_eq!(slow, asked(&["--from", "90d", "--tenant", "t"]));
        assert_ne!(slow, asked(&["--from", "90d", "--device", "t"]));
        assert_ne!(slow, asked(&["--from", "91d", "--tenant", "t"]));
        assert_eq!(parse(&["--from", "90d"]).lead, Duration::from_secs(14 * 86_400));
        assert!(Line::try_parse_from(["replay", "--from", "1d", "--lead", "2026-01-01"]).is_err());
    }
}

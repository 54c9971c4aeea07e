//! Options of `meterway simulate`.

use super::core::calendar::ordinal_of;
use super::core::fault::FaultKind;
use super::core::fleet::TENANTS;
use super::core::scenario::{Scenario, Settings};
use super::edge::series;
use super::edge::ways::Via;
use crate::connection::{KafkaArgs, RegistryArgs};
use crate::exit::BadConfig;
use crate::metadata::MetadataArgs;
use chrono::NaiveDate;
use clap::{Args, Subcommand};
use humantime_serde::re::humantime;
use std::path::PathBuf;
use std::time::Duration;

/// Simulation commands.
#[derive(Debug, Subcommand)]
pub(crate) enum SimulateCommand {
    /// Write the fleet as a file for `meterway onboard`
    #[command(after_help = FLEET_HELP)]
    Fleet(FleetArgs),
    /// Deliver the fleet's readings, with faults if wanted, and say what must be found
    #[command(after_help = RUN_HELP)]
    Run(Box<RunArgs>),
}

const FLEET_HELP: &str = "\
The fleet follows from the scenario's options: give `simulate run` the same ones. Meter exchanges are part of the fleet,
so --faults, --fault-share, --days and --until matter here too.

Example:
  meterway simulate fleet --seed 7 --devices 200 --faults all --out devices.ndjson";

const RUN_HELP: &str = "\
Without --journal and --truth nothing is written but messages. The same options give the same readings on any machine.
The truth file has a line per fault with what must be found and what may be found; a field that an item lacks matches
anything. Ctrl-C ends the run in good order: what was sent is acknowledged and accounted for.

Examples:
  meterway simulate run --seed 7 --devices 200 --days 21 --faults all --truth truth.ndjson
  meterway simulate run --devices 1000 --readings 10000000 --rate 50000 --journal journal.ndjson
  meterway simulate run --devices 200 --days 21 --trickle           history, then live readings until Ctrl-C
  meterway simulate run --via http --ingest-url http://127.0.0.1:8080 --api-key northgrid=mw_… --api-key lakeside=mw_…";

/// What a run is made from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Scenario")]
pub(crate) struct ScenarioArgs {
    /// Source of all randomness
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Active devices; inactive ones come on top
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    devices: u32,
    /// Local days of history
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..=1500))]
    days: u32,
    /// First local day after the history; today in the zone that is furthest behind when not given
    #[arg(long, value_name = "DATE")]
    until: Option<NaiveDate>,
    /// Faults: all, none, or names separated by commas
    #[arg(long, default_value = "none", value_name = "LIST")]
    faults: String,
    /// Share of the devices that have a fault; each kind comes at least once if it can
    #[arg(long, default_value_t = 0.2, value_name = "0..1")]
    fault_share: f64,
    /// Folder of measured series
    #[arg(long, default_value = ".local/data/eemeter", value_name = "DIR", env = "METERWAY_SERIES")]
    series: PathBuf,
}

impl ScenarioArgs {
    /// Makes the scenario; with `readings`, of as many days as it takes to have at least so many. `now` in UTC
    /// microseconds.
    pub(crate) fn scenario(&self, now: i64, readings: Option<u64>) -> anyhow::Result<Scenario> {
        let faults = FaultKind::parse_list(&self.faults).map_err(BadConfig::new)?;
        if !(0.0..=1.0).contains(&self.fault_share) {
            return Err(BadConfig(format!("--fault-share {} is not between 0 and 1", self.fault_share)).into());
        }
        let devices = self.devices as usize;
        let days = readings.map_or(self.days as usize, |readings| days_for(self.seed, devices, readings));
        let until_ordinal = match self.until {
            Some(date) => ordinal_of(date),
            None => today(now).ok_or_else(|| BadConfig("the clock shows no usable time".into()))?,
        };
        let settings =
            Settings { seed: self.seed, devices, days, until_ordinal, faults, fault_share: self.fault_share };
        let shapes = series::load(&self.series)?;
        Ok(Scenario::new(settings, shapes).map_err(BadConfig::new)?)
    }
}

fn today(now: i64) -> Option<i32> {
    let local = TENANTS.iter().map(|tenant| super::core::calendar::local_ordinal(tenant.zone, now));
    local.collect::<Option<Vec<_>>>()?.into_iter().min()
}

fn days_for(seed: u64, devices: usize, readings: u64) -> usize {
    let fleet = super::core::fleet::generate(seed, devices);
    let active = fleet.iter().filter(|device| !device.inactive);
    let a_day: u64 = active.map(|d| 86_400 / d.meter.interval_s as u64 + u64::from(d.meter.daily.is_some())).sum();
    usize::try_from(readings.div_ceil(a_day.max(1))).unwrap_or(usize::MAX).max(1)
}

/// Options of `simulate fleet`.
#[derive(Debug, Args)]
pub(crate) struct FleetArgs {
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
    /// File to write; stdout when not given
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Options of `simulate run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
    #[command(flatten)]
    pub(crate) delivery: DeliveryArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) metadata: MetadataArgs,
}

/// How deliveries are sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Delivery")]
pub(crate) struct DeliveryArgs {
    /// At least so many readings, instead of --days
    #[arg(long, conflicts_with = "days", value_name = "N")]
    pub(crate) readings: Option<u64>,
    /// Readings per second; 0 is as fast as possible
    #[arg(long, default_value_t = 0.0, value_name = "N")]
    pub(crate) rate: f64,
    /// Readings per message at most; from 48 on, a message is a local day
    #[arg(long, default_value_t = 48, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) readings_per_message: u32,
    /// Way into the raw topics
    #[arg(long, value_enum, default_value_t = Via::Kafka)]
    pub(crate) via: Via,
    /// File for what must be found, one line per fault
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,
    /// File to append to what is sent and what was acknowledged
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// How long a message is tried while brokers or the HTTP door are away
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) patience: Duration,
    /// Topic of readings
    #[arg(long, default_value = "meter.readings.raw.v1", value_name = "TOPIC")]
    pub(crate) readings_topic: String,
    /// Topic of device events
    #[arg(long, default_value = "meter.events.raw.v1", value_name = "TOPIC")]
    pub(crate) events_topic: String,
}

/// What comes after the history.
#[derive(Debug, Args)]
#[command(next_help_heading = "Live mode")]
pub(crate) struct LiveArgs {
    /// After the history, deliver current readings until Ctrl-C
    #[arg(long)]
    pub(crate) trickle: bool,
    /// Messages per second at most while the trickle catches up with the clock
    #[arg(long, default_value_t = 5.0, value_name = "N", requires = "trickle")]
    pub(crate) trickle_rate: f64,
    /// Do not send the history (it was sent by an earlier run with the same options); only continue it
    #[arg(long, requires = "trickle")]
    pub(crate) skip_history: bool,
}

/// The HTTP door.
#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP door")]
pub(crate) struct HttpArgs {
    /// URL of the ingest service
    #[arg(long, env = "INGEST_URL", value_name = "URL")]
    pub(crate) ingest_url: Option<String>,
    /// API key of a simulated tenant, TENANT=KEY; without any, keys are made through metadata
    #[arg(
        long = "api-key",
        env = "INGEST_API_KEYS",
        value_name = "TENANT=KEY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) api_keys: Vec<String>,
}

//! Options of the attack.

use crate::core::plan::Wish;
use std::path::PathBuf;

/// Attacks a running installation by a seeded plan, and has its promises verified afterwards.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "torture", version)]
pub struct Args {
    /// Settings that the local stack of three brokers wrote
    #[arg(long, value_name = "FILE", default_value = ".local/stacks/torture/stack.env")]
    pub stack_env: PathBuf,
    /// Folder of the services' binaries
    #[arg(long, value_name = "DIR", default_value = "target/debug")]
    pub bin: PathBuf,
    /// Folder for logs, journals and files of this run
    #[arg(long, value_name = "DIR", default_value = ".local/torture")]
    pub state: PathBuf,
    /// Report to write
    #[arg(long, value_name = "FILE", default_value = ".local/torture/report.json")]
    pub report: PathBuf,
    /// Source of all randomness: the same seed and options give the same plan
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Which part of a long run this is; each has its own randomness from the same seed
    #[arg(long, default_value_t = 1)]
    pub round: u64,
    /// Readings to deliver, at least
    #[arg(long, default_value_t = 1_000_000)]
    pub readings: u64,
    /// Devices of the fleet
    #[arg(long, default_value_t = 500)]
    pub devices: u32,
    /// Minutes in which faults begin; the outage and the verification come after them
    #[arg(long, default_value_t = 2.5)]
    pub minutes: f64,
    /// Kills of services, half of them at fail points
    #[arg(long, default_value_t = 30)]
    pub kills: u32,
    /// Processes frozen for longer than the session timeout, then woken
    #[arg(long, default_value_t = 8)]
    pub zombies: u32,
    /// Replicas that leave and join again
    #[arg(long, default_value_t = 4)]
    pub rebalances: u32,
    /// Kills of brokers
    #[arg(long, default_value_t = 2)]
    pub broker_kills: u32,
    /// Rolling restarts of all brokers
    #[arg(long, default_value_t = 0)]
    pub broker_rolls: u32,
    /// Windows of each of the seven kinds of store fault
    #[arg(long, default_value_t = 1)]
    pub store_faults: u32,
    /// Restarts of PostgreSQL, and as many cuts of its connections
    #[arg(long, default_value_t = 1)]
    pub postgres_faults: u32,
    /// Times at which the registry, and as often DynamoDB, cannot be reached
    #[arg(long, default_value_t = 1)]
    pub unreachable: u32,
    /// Seconds for which S3 and the registry are away at full load, after the plan
    #[arg(long, default_value_t = 45)]
    pub outage: u64,
    /// Seconds for which two of three brokers are away at full load, after that
    #[arg(long, default_value_t = 15)]
    pub door_outage: u64,
    /// No service may take more memory than this
    #[arg(long, value_name = "MIB", default_value_t = 768.0)]
    pub rss_limit: f64,
    /// Print the plan and end
    #[arg(long)]
    pub plan_only: bool,
}

/// Session timeout of every consumer in the run, milliseconds.
pub const SESSION_MS: u64 = 6_000;

/// Fail points at which services are killed, by service. Those that ordinary load does not pass are not here.
pub const KILL_POINTS: &[(&str, &[&str])] = &[
    ("validate", &["validate.after_dead_letters", "validate.after_send", "validate.after_delivery"]),
    ("parquet-sink", &["sink.after_put", "lake.before_commit", "lake.after_commit", "sink.after_commit"]),
    (
        "redshift-loader",
        &[
            "loader.after_copy",
            "loader.before_commit",
            "loader.after_commit",
            "loader.after_ledger",
            "loader.before_announced",
        ],
    ),
    ("ingest", &["ingest.after_delivery"]),
    ("alert", &["alert.after_publish", "alert.after_store"]),
];

/// Fail points at which services are frozen: the most dangerous moments to come back in.
pub const FREEZE_POINTS: &[(&str, &[&str])] = &[
    ("parquet-sink", &["lake.before_commit", "sink.after_put"]),
    ("redshift-loader", &["loader.before_commit"]),
    ("validate", &["validate.after_dead_letters"]),
    ("alert", &["alert.after_publish"]),
];

impl Args {
    /// What the plan is made from.
    pub fn wish(&self) -> Wish {
        Wish {
            seed: self.seed.wrapping_mul(1_000_003).wrapping_add(self.round),
            window_ms: (self.minutes * 60_000.0) as u64,
            kills: self.kills,
            zombies: self.zombies,
            rebalances: self.rebalances,
            broker_kills: self.broker_kills,
            broker_rolls: self.broker_rolls,
            store_faults: self.store_faults,
            postgres_faults: self.postgres_faults,
            unreachable: self.unreachable,
            freeze_ms: SESSION_MS + 2_000,
            brokers: 3,
            kill_points: owned(KILL_POINTS),
            freeze_points: owned(FREEZE_POINTS),
        }
    }

    /// Readings per second with which the load lasts as long as the attack.
    pub fn rate(&self) -> f64 {
        self.readings as f64 / (self.minutes * 60.0 + self.outage as f64 + self.door_outage as f64 + 30.0)
    }
}

fn owned(points: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    points.iter().map(|(service, of)| ((*service).to_owned(), names(of))).collect()
}

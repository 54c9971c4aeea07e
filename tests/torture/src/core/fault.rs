//! What can be done to whom.

use serde::Serialize;
use std::fmt;

/// Services that are attacked, and how many replicas of each run. Metadata has one: it is asked, and carries nothing.
pub const REPLICAS: &[(&str, u16)] =
    &[("metadata", 1), ("validate", 2), ("ingest", 2), ("alert", 2), ("parquet-sink", 2), ("redshift-loader", 2)];

/// Services that hold something a frozen process could come back to: partitions or a lock.
pub const HOLDERS: &[&str] = &["validate", "parquet-sink", "redshift-loader", "alert"];

/// Services whose partitions move when a replica leaves.
pub const MEMBERS: &[&str] = &["validate", "parquet-sink", "alert"];

/// Who is attacked. Faults of one lane never overlap; those of different lanes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Lane {
    /// A process of a service.
    Replica {
        /// Service.
        service: &'static str,
        /// Which of its replicas, from 1.
        number: u16,
    },
    /// The Kafka brokers, one at a time: two of three must live for the topics to take anything.
    Brokers,
    /// The way to the object store.
    Store,
    /// PostgreSQL: lake catalogue, warehouse and register at once.
    Postgres,
    /// The way to the schema registry.
    Registry,
    /// The way to DynamoDB.
    Dynamo,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica { service, number } => write!(f, "{service}-{number}"),
            Self::Brokers => f.write_str("brokers"),
            Self::Store => f.write_str("store"),
            Self::Postgres => f.write_str("postgres"),
            Self::Registry => f.write_str("registry"),
            Self::Dynamo => f.write_str("dynamodb"),
        }
    }
}

/// How the object store misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreFault {
    /// 503 SlowDown.
    Unavailable,
    /// 409 on conditional writes.
    Conflict,
    /// Every answer comes seconds late.
    Slow,
    /// The connection ends in the middle of an answer.
    HalfAnswer,
    /// The connection ends in the middle of a request's body.
    HalfWritten,
    /// Connections are reset.
    Reset,
    /// The request is carried out and its answer lost.
    AnswerLost,
}

impl StoreFault {
    /// Every way.
    pub const ALL: [Self; 7] = [
        Self::Unavailable,
        Self::Conflict,
        Self::Slow,
        Self::HalfAnswer,
        Self::HalfWritten,
        Self::Reset,
        Self::AnswerLost,
    ];

    /// Name in plan and report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "s3-503",
            Self::Conflict => "s3-409",
            Self::Slow => "s3-slow",
            Self::HalfAnswer => "s3-half-answer",
            Self::HalfWritten => "s3-half-written",
            Self::Reset => "s3-reset",
            Self::AnswerLost => "s3-answer-lost",
        }
    }
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// SIGKILL, and a start right after.
    Kill,
    /// The process ends itself, without a word, where the code says so.
    KillAt {
        /// Name of the fail point.
        point: String,
    },
    /// SIGSTOP for longer than the group waits, then SIGCONT: the process comes back and believes to own what others have.
    Zombie {
        /// Time in milliseconds.
        hold_ms: u64,
    },
    /// As a zombie, but frozen exactly where the code says so.
    ZombieAt {
        /// Name of the fail point.
        point: String,
        /// Time in milliseconds.
        hold_ms: u64,
    },
    /// SIGTERM, a while without the replica, and a start: two rebalances.
    Leave {
        /// Time in milliseconds.
        away_ms: u64,
    },
    /// SIGKILL of a broker, and a start.
    BrokerKill {
        /// Which, from 1.
        broker: u16,
        /// Time in milliseconds.
        away_ms: u64,
    },
    /// Every broker is stopped in good order and started, one after the other.
    BrokerRoll,
    /// The store misbehaves.
    Store {
        /// How.
        how: StoreFault,
        /// Time in milliseconds.
        hold_ms: u64,
    },
    /// An immediate shutdown, which leaves the server to recover, and a start.
    PostgresRestart,
    /// Every connection of the services is cut.
    PostgresCut,
    /// The component cannot be reached.
    Unreachable {
        /// Time in milliseconds.
        hold_ms: u64,
    },
}

impl Fault {
    /// Name in plan and report.
    pub fn name(&self) -> String {
        match self {
            Self::Kill => "kill".to_owned(),
            Self::KillAt { point } => format!("kill-at {point}"),
            Self::Zombie { .. } => "zombie".to_owned(),
            Self::ZombieAt { point, .. } => format!("zombie-at {point}"),
            Self::Leave { .. } => "leave-and-join".to_owned(),
            Self::BrokerKill { .. } => "broker-kill".to_owned(),
            Self::BrokerRoll => "broker-rolling-restart".to_owned(),
            Self::Store { how, .. } => how.name().to_owned(),
            Self::PostgresRestart => "postgres-restart".to_owned(),
            Self::PostgresCut => "postgres-connections-cut".to_owned(),
            Self::Unreachable { .. } => "unreachable".to_owned(),
        }
    }

    /// For how long the lane is busy with it at most, its recovery included. A fault that takes longer delays those that
    /// follow it on its lane.
    pub fn budget_ms(&self) -> u64 {
        match self {
            Self::Kill => 15_000,
            Self::KillAt { .. } => 30_000,
            Self::Zombie { hold_ms } => hold_ms + 12_000,
            Self::ZombieAt { hold_ms, .. } => hold_ms + 30_000,
            Self::Leave { away_ms } => away_ms + 12_000,
            Self::BrokerKill { away_ms, .. } => away_ms + 16_000,
            Self::BrokerRoll => 60_000,
            Self::Store { hold_ms, .. } | Self::Unreachable { hold_ms } => hold_ms + 6_000,
            Self::PostgresRestart => 8_000,
            Self::PostgresCut => 4_000,
        }
    }
}

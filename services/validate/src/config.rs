//! The configuration of the service. `config.default.toml` says what every key means.

use std::time::Duration;

use bytesize::ByteSize;
use kafka_pipeline::{Compression, ConsumerConfig, KafkaConfig, OffsetReset, ProducerConfig, RegistryConfig};
use serde::{Deserialize, Serialize};
use service_runtime::{AdminConfig, Backoff, LogConfig, Problems, ServiceConfig};

use crate::core::decide::Settings;
use crate::core::history::Limits;
use crate::core::thresholds::Thresholds;

/// Room that key, headers and framing take beside a decision in its Kafka record.
const RECORD_OVERHEAD: u64 = 64 << 10;
/// What a message of the validated and rejected topics may have at most.
const MAX_RECORD: u64 = 8 << 20;
/// Longest drain. The revocation waits twice as long at most, which must stay below half of Kafka's poll interval.
const MAX_DRAIN: Duration = Duration::from_secs(60);
/// A history below this forgets a device between two of its deliveries.
const MIN_HISTORY: u64 = 16 << 20;

/// Everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long the process may take to end.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
    /// What the messages are.
    pub lane: Lane,
    /// Admin endpoint.
    pub admin: AdminConfig,
    /// Log.
    pub log: LogConfig,
    /// Cluster.
    pub kafka: KafkaConfig,
    /// Schema registry.
    pub registry: RegistryConfig,
    /// Names of the topics.
    pub topics: Topics,
    /// Reading the raw topic.
    pub consumer: Consuming,
    /// Writing decisions.
    pub producer: Producing,
    /// What is remembered.
    pub state: State,
    /// The device topic.
    pub devices: Devices,
    /// Limits of the rules.
    pub rules: Rules,
    /// Waits between attempts.
    pub backoff: Backoff,
}

/// What the messages of the raw topic are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Deliveries of devices.
    Live,
    /// Old messages that `meterway replay` sends again, with a note each.
    Replay,
}

/// Names of the topics.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topics {
    /// Where messages come from.
    pub raw: String,
    /// Where decisions go.
    pub validated: String,
    /// Where the bytes of what was rejected go.
    pub rejected: String,
    /// What devices there are.
    pub devices: String,
}

/// Reading the raw topic.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consuming {
    /// Consumer group.
    pub group: String,
    /// Size of a block.
    pub block_bytes: ByteSize,
    /// How long a block may wait to fill.
    #[serde(with = "humantime_serde")]
    pub block_wait: Duration,
    /// Blocks waiting per partition before fetching pauses.
    pub queued_blocks: usize,
    /// How long decisions under way are waited for when a partition leaves.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

/// Writing decisions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Producing {
    /// How long a decision may wait for others.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// Compression of requests.
    pub compression: Compression,
    /// When an unacknowledged decision has failed.
    #[serde(with = "humantime_serde")]
    pub delivery_timeout: Duration,
    /// Largest decision.
    pub max_decision_bytes: ByteSize,
}

/// What is remembered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Decisions read back on assignment.
    pub window_messages: u32,
    /// Readings per channel.
    pub readings_per_channel: usize,
    /// Memory of the histories of all partitions.
    pub memory_budget: ByteSize,
}

/// The device topic.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Devices {
    /// Shortest time between two refreshes.
    #[serde(with = "humantime_serde")]
    pub refresh_interval: Duration,
    /// Longest time of one refresh.
    #[serde(with = "humantime_serde")]
    pub refresh_timeout: Duration,
}

/// Limits of the rules.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// How far ahead of now a reading may start.
    #[serde(with = "humantime_serde")]
    pub future_tolerance: Duration,
    /// How long ago a reading may have started.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// How far an interval may start from its grid.
    #[serde(with = "humantime_serde")]
    pub clock_tolerance: Duration,
    /// Times the highest other interval of the day.
    pub spike_ratio: u32,
    /// Share of the capacity in percent.
    pub spike_floor_percent: u32,
    /// Other intervals that make a day.
    pub spike_min_others: u32,
    /// Identical intervals in a row.
    pub stuck_run: u32,
}

impl Rules {
    fn thresholds(&self) -> Thresholds {
        Thresholds {
            future_tolerance_us: micros(self.future_tolerance),
            max_age_us: micros(self.max_age),
            clock_tolerance_us: micros(self.clock_tolerance),
            spike_ratio: self.spike_ratio,
            spike_floor_percent: self.spike_floor_percent,
            spike_min_others: self.spike_min_others,
            stuck_run: self.stuck_run,
        }
    }

    fn validate(&self, problems: &mut Problems) {
        problems.require(!self.max_age.is_zero(), "rules.max_age", "must be above zero, or every reading is too old");
        problems.require(
            self.spike_ratio >= 2,
            "rules.spike_ratio",
            "must be at least 2, or the highest value of any day is a spike",
        );
        problems.require(
            self.spike_floor_percent <= 100,
            "rules.spike_floor_percent",
            "is a share of the capacity, at most 100",
        );
        problems.require(self.spike_min_others >= 1, "rules.spike_min_others", "must be at least 1");
        problems.require(self.stuck_run >= 2, "rules.stuck_run", "must be at least 2: one value alone is no run");
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Config {
    /// What decisions are made by.
    pub fn settings(&self) -> Settings {
        Settings {
            thresholds: self.rules.thresholds(),
            history: Limits {
                readings_per_channel: self.state.readings_per_channel,
                bytes: usize::try_from(self.state.memory_budget.as_u64()).unwrap_or(usize::MAX),
            },
            max_decision_bytes: usize::try_from(self.producer.max_decision_bytes.as_u64()).unwrap_or(usize::MAX),
        }
    }

    /// Settings of the raw topic's consumer. A position that does not exist is an error there: the output decides where
    /// to begin, and a silent jump would be a loss.
    pub fn raw_consumer(&self) -> ConsumerConfig {
        ConsumerConfig {
            reset: OffsetReset::Error,
            block_bytes: usize::try_from(self.consumer.block_bytes.as_u64()).unwrap_or(usize::MAX),
            block_wait: self.consumer.block_wait,
            revoke_timeout: self.consumer.drain_timeout * 2,
            ..ConsumerConfig::new(&self.consumer.group, [&self.topics.raw])
        }
    }

    /// Settings of the producer of decisions and dead letters.
    pub fn producer(&self) -> ProducerConfig {
        ProducerConfig {
            linger: self.producer.linger,
            compression: self.producer.compression,
            delivery_timeout: self.producer.delivery_timeout,
            ..ProducerConfig::default()
        }
    }

    fn validate_topics(&self, problems: &mut Problems) {
        let Topics { raw, validated, rejected, devices } = &self.topics;
        let named = [("raw", raw), ("validated", validated), ("rejected", rejected), ("devices", devices)];
        for (index, (key, topic)) in named.iter().enumerate() {
            let key = format!("topics.{key}");
            problems.require(!topic.is_empty(), &key, "must not be empty");
            if let Some((other, _)) = named[..index].iter().find(|(_, name)| name == topic) {
                problems.add(&key, format!("must differ from topics.{other}"));
            }
        }
    }
}

impl ServiceConfig for Config {
    fn validate(&self, problems: &mut Problems) {
        self.validate_topics(problems);
        self.rules.validate(problems);
        problems.require(!self.consumer.group.is_empty(), "consumer.group", "must not be empty");
        problems.require(self.consumer.block_bytes.as_u64() > 0, "consumer.block_bytes", "must be above zero");
        problems.require(self.consumer.queued_blocks > 0, "consumer.queued_blocks", "must be above zero");
        let drain = self.consumer.drain_timeout;
        problems.require(!drain.is_zero(), "consumer.drain_timeout", "must be above zero");
        problems.require(
            drain <= MAX_DRAIN,
            "consumer.drain_timeout",
            "must be at most 1 min: the whole group waits for it",
        );
        problems.require(
            drain * 2 <= self.shutdown_grace,
            "shutdown_grace",
            "must be at least twice consumer.drain_timeout: decisions are waited for, then the group is left",
        );
        problems.require(
            self.producer.max_decision_bytes.as_u64() + RECORD_OVERHEAD <= MAX_RECORD,
            "producer.max_decision_bytes",
            "must leave 64 KiB of the topic's 8 MiB for key and framing",
        );
        problems.require(
            self.state.window_messages > 0,
            "state.window_messages",
            "must be above zero: the resume offset is found in it",
        );
        problems.require(self.state.readings_per_channel > 0, "state.readings_per_channel", "must be above zero");
        problems.require(
            self.state.memory_budget.as_u64() >= MIN_HISTORY,
            "state.memory_budget",
            "must be at least 16 MiB",
        );
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn grace(&self) -> Duration {
        self.shutdown_grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_runtime::{ServiceInfo, load};

    const INFO: ServiceInfo =
        ServiceInfo { name: "validate", version: "0", defaults: include_str!("../config.default.toml") };

    fn with(variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| (format!("METER_VALIDATE__{name}"), (*value).to_owned()));
        load::<Config>(INFO, None, variables).map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_complete_valid_and_those_of_the_rules() {
        let config = with(&[]).unwrap();
        let Settings { thresholds, history, max_decision_bytes } = config.settings();
        let defaults = Settings::default();
        assert_eq!((thresholds, history), (defaults.thresholds, defaults.history));
        assert_eq!(max_decision_bytes, defaults.max_decision_bytes);
        assert_eq!(config.raw_consumer().reset, OffsetReset::Error);
    }

    #[test]
    fn broken_relations_are_reported_together() {
        let error = with(&[
            ("TOPICS__VALIDATED", "meter.readings.raw.v1"),
            ("SHUTDOWN_GRACE", "15s"),
            ("PRODUCER__MAX_DECISION_BYTES", "8MiB"),
            ("RULES__SPIKE_RATIO", "1"),
            ("STATE__WINDOW_MESSAGES", "0"),
        ])
        .unwrap_err();
        for key in [
            "topics.validated",
            "shutdown_grace",
            "producer.max_decision_bytes",
            "rules.spike_ratio",
            "state.window_messages",
        ] {
            assert!(error.contains(key), "{key} is missing in: {error}");
        }
    }
}

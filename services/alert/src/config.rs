//! The configuration; every key is explained in `config.default.toml`.

use std::time::Duration;

use kafka_pipeline::{KafkaConfig, RegistryConfig};
use serde::{Deserialize, Serialize};
use service_runtime::{AdminConfig, Backoff, LogConfig, Problems, Secret, ServiceConfig};

use crate::core::thresholds::{FlowLimit, Thresholds};

/// A watched run of more than a week would need more memory per device than the rule is worth.
const MAX_FLOW_HOURS: u32 = 168;
/// DynamoDB Local and the real service take more, but a table is one resource among many.
const MAX_CONCURRENCY: usize = 256;

/// Configuration of the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Time to drain after a signal.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
    /// Waits between attempts at Kafka, the registry and DynamoDB; attempts go on until the process is told to end.
    pub retry: Backoff,
    /// Admin endpoint.
    pub admin: AdminConfig,
    /// Logs.
    pub log: LogConfig,
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The schema registry.
    pub registry: RegistryConfig,
    /// Names of the topics.
    pub topics: TopicsConfig,
    /// How input is read.
    pub consumer: InputConfig,
    /// When output is written.
    pub flush: FlushConfig,
    /// The tables.
    pub dynamodb: DynamoConfig,
    /// Where alerts are sent besides.
    pub webhook: WebhookConfig,
    /// Figures of the rules.
    pub rules: Thresholds,
}

/// `[topics]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicsConfig {
    /// Decisions of validate.
    pub validated: String,
    /// Device events.
    pub events: String,
    /// The device register.
    pub devices: String,
    /// Where alerts go.
    pub alerts: String,
    /// Where input goes that cannot be taken in.
    pub rejected: String,
}

/// `[consumer]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputConfig {
    /// Consumer group; positions in the events topic are kept under `<group>-events`.
    pub group: String,
    /// How much of the log is read again to rebuild the state of a partition.
    #[serde(with = "humantime_serde")]
    pub state_window: Duration,
}

/// `[flush]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlushConfig {
    /// Longest time that output waits.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Input records after which output is written at once.
    pub records: usize,
}

/// `[dynamodb]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamoConfig {
    /// AWS region.
    pub region: String,
    /// Address of the API; empty for the region's own.
    pub endpoint: String,
    /// Access key; empty for the default chain (role, environment, profile).
    pub access_key: Secret,
    /// Secret key that belongs to the access key.
    pub secret_key: Secret,
    /// Table of statuses.
    pub status_table: String,
    /// Table of alerts.
    pub alerts_table: String,
    /// Create missing tables at the start.
    pub create_tables: bool,
    /// Requests under way at most.
    pub concurrency: usize,
    /// Longest time of one request.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long closed alerts stay in the table.
    #[serde(with = "humantime_serde")]
    pub alert_retention: Duration,
}

/// `[webhook]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where to post alerts; empty for nowhere.
    pub url: String,
    /// Key of the signature.
    pub secret: Secret,
    /// Whether private and loopback addresses may be called.
    pub allow_private: bool,
    /// Longest time of one attempt.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Attempts per alert.
    pub attempts: u32,
    /// Waits between attempts.
    pub retry: Backoff,
    /// Alerts that may wait; beyond, further ones are dropped and counted.
    pub queue: usize,
}

impl WebhookConfig {
    /// Whether alerts are sent anywhere.
    pub fn is_on(&self) -> bool {
        !self.url.is_empty()
    }
}

impl ServiceConfig for Config {
    fn validate(&self, problems: &mut Problems) {
        let grace_covers = self.shutdown_grace > self.dynamodb.timeout;
        problems.require(grace_covers, "shutdown_grace", "must be longer than dynamodb.timeout");
        problems.require(self.flush.records > 0, "flush.records", "must be above 0");
        problems.require(!self.flush.interval.is_zero(), "flush.interval", "must be above 0");
        let day = Duration::from_secs(86_400);
        let lasts = self.consumer.state_window >= day;
        problems.require(lasts, "consumer.state_window", "must be a day or more: rules look back that far");
        problems.require(!self.consumer.group.is_empty(), "consumer.group", "must not be empty");
        self.validate_stores(problems);
        self.validate_rules(problems);
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

impl Config {
    fn validate_stores(&self, problems: &mut Problems) {
        let dynamo = &self.dynamodb;
        let concurrency = (1..=MAX_CONCURRENCY).contains(&dynamo.concurrency);
        problems.require(concurrency, "dynamodb.concurrency", "must lie between 1 and 256");
        let both = dynamo.access_key.is_empty() == dynamo.secret_key.is_empty();
        problems.require(both, "dynamodb.secret_key", "must be given together with access_key, or neither");
        if self.webhook.is_on() {
            let long = self.webhook.secret.expose().len() >= 16;
            problems.require(long, "webhook.secret", "must have 16 characters or more when webhook.url is set");
            problems.require(self.webhook.attempts > 0, "webhook.attempts", "must be above 0");
            problems.require(self.webhook.queue > 0, "webhook.queue", "must be above 0");
            if let Err(reason) = crate::edge::webhook_target(&self.webhook) {
                problems.add("webhook.url", reason.to_string());
            }
        }
    }

    fn validate_rules(&self, problems: &mut Problems) {
        let rules = &self.rules;
        let flow = &rules.continuous_flow;
        let classes = [
            ("residential", flow.residential),
            ("multi_family", flow.multi_family),
            ("commercial", flow.commercial),
            ("industrial", flow.industrial),
        ];
        for (class, FlowLimit { litres_per_hour, hours }) in classes {
            let key = format!("rules.continuous_flow.{class}");
            problems.require(
                (1..=MAX_FLOW_HOURS).contains(&hours),
                format!("{key}.hours"),
                "must lie between 1 and 168",
            );
            problems.require(litres_per_hour > 0, format!("{key}.litres_per_hour"), "must be above 0");
        }
        let ratio = rules.high_usage.ratio_percent > 100;
        problems.require(ratio, "rules.high_usage.ratio_percent", "must be above 100, or ordinary days are high");
        let after = !rules.silent_meter.after.is_zero();
        problems.require(after, "rules.silent_meter.after", "must be above 0");
        let silence = rules.silent_meter.after + rules.silent_meter.allowed_lateness;
        let within = silence < self.consumer.state_window;
        problems.require(
            within,
            "consumer.state_window",
            "must be longer than rules.silent_meter's two durations together",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_runtime::{ServiceInfo, load};

    fn load_with(variables: &[(&str, &str)]) -> Result<Config, String> {
        let info = ServiceInfo { name: "alert", version: "0", defaults: include_str!("../config.default.toml") };
        let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        load::<Config>(info, None, variables).map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_complete_and_valid() {
        let config = load_with(&[]).unwrap();
        assert!(!config.webhook.is_on() && !config.dynamodb.create_tables);
        assert_eq!(config.rules.silent_meter.after, Duration::from_secs(36 * 3_600));
    }

    #[test]
    fn broken_relations_are_reported_together() {
        let error = load_with(&[
            ("METER_ALERT__WEBHOOK__URL", "http://127.0.0.1/hook"),
            ("METER_ALERT__WEBHOOK__SECRET", "short"),
            ("METER_ALERT__DYNAMODB__ACCESS_KEY", "only"),
            ("METER_ALERT__RULES__HIGH_USAGE__RATIO_PERCENT", "100"),
            ("METER_ALERT__RULES__CONTINUOUS_FLOW__RESIDENTIAL__HOURS", "0"),
            ("METER_ALERT__CONSUMER__STATE_WINDOW", "2d"),
        ])
        .unwrap_err();
        insta::assert_snapshot!(error);
    }
}

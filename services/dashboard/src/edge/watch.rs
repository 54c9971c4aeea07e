//! Looks at topics and consumer groups from time to time, so that a request never waits for a broker.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use kafka_pipeline::{Admin, AdminError};
use serde_json::{Value, json};
use service_runtime::sleep_or_shutdown;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// What was seen last.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Whether the brokers answered.
    pub reachable: bool,
    /// When the raw topic was last seen to have grown.
    pub raw_moved: Option<DateTime<Utc>>,
    /// The same of the decisions.
    pub validated_moved: Option<DateTime<Utc>>,
    /// Messages per second since the look before.
    pub raw_rate: Option<f64>,
    /// The same of the decisions.
    pub validated_rate: Option<f64>,
    /// Raw messages that `validate` has not committed.
    pub validate_lag: Option<i64>,
    /// Decisions that the sink has not committed.
    pub sink_lag: Option<i64>,
    /// Topics that are not there.
    pub missing: Vec<Value>,
}

/// Looks, and remembers.
#[derive(Debug)]
pub struct Watch {
    admin: Admin,
    config: Config,
    seen: Mutex<Seen>,
}

/// A topic's end at a look.
#[derive(Debug, Clone, Copy)]
struct End {
    at: Instant,
    messages: i64,
}

impl Watch {
    /// Connects.
    ///
    /// # Errors
    /// When the brokers cannot be reached.
    pub async fn connect(config: &Config) -> Result<Arc<Self>, AdminError> {
        let admin = Admin::connect(&config.kafka).await?;
        Ok(Arc::new(Self { admin, config: config.clone(), seen: Mutex::default() }))
    }

    /// The client, for others who look at topics.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// What was seen last.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks until told to end.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let (mut raw, mut validated) = (None, None);
        loop {
            let mut seen = Seen { reachable: true, missing: Vec::new(), ..self.seen() };
            let topics = &self.config.topics;
            (seen.raw_rate, seen.raw_moved) = self.look(&topics.raw, &mut raw, seen.raw_moved, &mut seen.missing).await;
            (seen.validated_rate, seen.validated_moved) =
                self.look(&topics.validated, &mut validated, seen.validated_moved, &mut seen.missing).await;
            seen.validate_lag = self.lag(&self.config.groups.validate, &topics.raw).await;
            seen.sink_lag = self.lag(&self.config.groups.parquet_sink, &topics.validated).await;
            seen.reachable = raw.is_some() && validated.is_some();
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
            if !sleep_or_shutdown(self.config.pipeline.interval, &shutdown).await {
                return;
            }
        }
    }

    async fn look(
        &self,
        topic: &str,
        before: &mut Option<End>,
        moved: Option<DateTime<Utc>>,
        missing: &mut Vec<Value>,
    ) -> (Option<f64>, Option<DateTime<Utc>>) {
        let now = match self.admin.watermarks(topic).await {
            Ok(partitions) => End { at: Instant::now(), messages: partitions.iter().map(|(_, _, high)| high).sum() },
            Err(error) => {
                if matches!(error, AdminError::UnknownTopic(_)) {
                    missing.push(
                        json!({"topic": topic, "partition": -1, "since": null, "detail": "The topic does not exist."}),
                    );
                }
                tracing::warn!(error = %error, topic, "topic cannot be looked at");
                *before = None;
                return (None, moved);
            }
        };
        let last = before.replace(now);
        let Some(last) = last else { return (None, moved) };
        let grown = now.messages - last.messages;
        let rate = grown.max(0) as f64 / now.at.duration_since(last.at).as_secs_f64();
        (Some(rate), if grown > 0 { Some(Utc::now()) } else { moved })
    }

    async fn lag(&self, group: &str, topic: &str) -> Option<i64> {
        let lags = self.admin.group_lag(group).await.ok()?;
        Some(lags.iter().filter(|lag| *lag.at.topic == *topic).map(|lag| lag.records()).sum())
    }
}

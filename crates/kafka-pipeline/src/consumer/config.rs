//! Settings of a consumer and where to begin.

use std::time::Duration;

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::config::{CreateError, KafkaConfig};
use crate::record::NextOffset;

/// What to do when the position to start at does not exist: no committed offset, or retention has removed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OffsetReset {
    /// Begin at the oldest record that is still there.
    Earliest,
    /// Begin with what is written from now on.
    Latest,
    /// End with [`ConsumerError::OffsetOutOfRange`](super::ConsumerError::OffsetOutOfRange) or
    /// [`ConsumerError::NoCommittedOffset`](super::ConsumerError::NoCommittedOffset). The choice for sinks: a silent jump
    /// is a loss that somebody must look at.
    #[default]
    Error,
}

impl OffsetReset {
    fn as_property(self) -> &'static str {
        match self {
            Self::Earliest => "earliest",
            Self::Latest => "latest",
            Self::Error => "error",
        }
    }
}

/// Where a partition begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// The oldest record that is still there.
    Beginning,
    /// What is written from now on.
    End,
    /// This position.
    Offset(NextOffset),
    /// What the group committed last; without one, what [`ConsumerConfig::reset`] says.
    Committed,
}

/// Settings of a consumer. All durations and sizes have working defaults; `group` and `topics` must be set.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// Consumer group. Used for positions too when partitions are assigned by hand.
    pub group: String,
    /// Topics to subscribe to; empty when partitions are assigned by hand.
    pub topics: Vec<String>,
    /// What to do when a start position does not exist.
    pub reset: OffsetReset,
    /// A block is closed at so many bytes of keys and payloads. Larger: fewer hand-overs, more memory per partition.
    pub block_bytes: usize,
    /// A block is closed at so many records.
    pub block_records: usize,
    /// A block is closed when its first record has waited so long. Larger: more latency, larger blocks.
    pub block_wait: Duration,
    /// Blocks that may wait for the service before reading stops. Bounds memory at `queue_blocks × block_bytes`, plus one
    /// open block per partition, plus `fetch_queue_bytes`.
    pub queue_blocks: usize,
    /// Bytes that librdkafka may fetch ahead, over [`fetch_partitions`](Self::fetch_partitions): its limit is per
    /// partition and cannot be changed later.
    pub fetch_queue_bytes: usize,
    /// Partitions that this member may come to own: all of the topic's. With fewer than eight, each has an eighth of
    /// `fetch_queue_bytes`, and none has less than 64 KiB.
    pub fetch_partitions: usize,
    /// Kafka takes the partitions away when the poll thread has been silent for so long. The poll thread never waits for
    /// the service except in a revocation, so this need not cover processing time.
    pub max_poll_interval: Duration,
    /// Kafka takes the partitions away when no heartbeat has come for so long. `session.timeout.ms` of the pass-through map
    /// wins: how soon a silent member is given up is the operator's choice, and no guarantee rests on it.
    pub session_timeout: Duration,
    /// How long a revocation waits for the service's acknowledgement; at most half of `max_poll_interval`.
    pub revoke_timeout: Duration,
    /// How often commits are sent; the newest position per partition wins.
    pub commit_interval: Duration,
    /// How often the lag gauge is refreshed; zero turns it off. Each refresh costs one request per partition.
    pub lag_interval: Duration,
    /// Whether [`Event::PartitionEof`](super::Event::PartitionEof) is sent.
    pub partition_eof: bool,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            group: String::new(),
            topics: Vec::new(),
            reset: OffsetReset::default(),
            block_bytes: 1 << 20,
            block_records: 10_000,
            block_wait: Duration::from_millis(50),
            queue_blocks: 16,
            fetch_queue_bytes: 32 << 20,
            fetch_partitions: MIN_FETCH_SHARES,
            max_poll_interval: Duration::from_secs(300),
            session_timeout: Duration::from_secs(45),
            revoke_timeout: Duration::from_secs(20),
            commit_interval: Duration::from_secs(1),
            lag_interval: Duration::from_secs(15),
            partition_eof: false,
        }
    }
}

/// Shares that [`ConsumerConfig::fetch_queue_bytes`] is divided into at least.
const MIN_FETCH_SHARES: usize = 8;
/// Smallest share: below, fetches carry single batches.
const MIN_FETCH_SHARE_KIB: usize = 64;

/// What this crate prefers and the pass-through map may overrule.
const PREFERENCES: [(&str, &str); 2] = [
    // Records of a transaction that was aborted never happened.
    ("isolation.level", "read_committed"),
    // How long fetching rests when enough is fetched ahead. The client's own second is longer than it takes to work the
    // stock off, so that reading would go by fits and starts.
    ("fetch.queue.backoff.ms", "20"),
];

impl ConsumerConfig {
    /// Default settings for a group and its topics.
    pub fn new<T: Into<String>>(group: impl Into<String>, topics: impl IntoIterator<Item = T>) -> Self {
        Self { group: group.into(), topics: topics.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    pub(crate) fn check(&self, topics: usize) -> Result<(), CreateError> {
        let problem = if self.block_bytes == 0 || self.block_records == 0 || self.queue_blocks == 0 {
            "block_bytes, block_records and queue_blocks must be above 0"
        } else if self.revoke_timeout * 2 > self.max_poll_interval {
            "revoke_timeout must be at most half of max_poll_interval"
        } else if self.session_timeout > self.max_poll_interval {
            "session_timeout must not exceed max_poll_interval"
        } else if topics == 0 {
            "no topic to consume"
        } else {
            return Ok(());
        };
        Err(CreateError::Config(problem.to_owned()))
    }

    /// What may be fetched ahead of one partition.
    fn fetch_share_kib(&self) -> usize {
        let shares = self.fetch_partitions.max(MIN_FETCH_SHARES);
        (self.fetch_queue_bytes / shares / 1024).max(MIN_FETCH_SHARE_KIB)
    }

    pub(crate) fn client(&self, kafka: &KafkaConfig) -> ClientConfig {
        let group = if self.group.is_empty() { &kafka.client_id } else { &self.group };
        let mut client = kafka.client();
        client
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("auto.offset.reset", self.reset.as_property())
            .set("enable.partition.eof", if self.partition_eof { "true" } else { "false" })
            .set("max.poll.interval.ms", self.max_poll_interval.as_millis().to_string())
            .set("queued.max.messages.kbytes", self.fetch_share_kib().to_string())
            .set("statistics.interval.ms", "0");
        let session_timeout = self.session_timeout.as_millis().to_string();
        for (key, value) in PREFERENCES.into_iter().chain([("session.timeout.ms", session_timeout.as_str())]) {
            if client.get(key).is_none() {
                client.set(key, value);
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_checked() {
        let config = ConsumerConfig::new("g", ["t"]);
        assert!(config.check(1).is_ok());
        assert!(ConsumerConfig { revoke_timeout: Duration::from_secs(200), ..config.clone() }.check(1).is_err());
        assert!(ConsumerConfig { queue_blocks: 0, ..config.clone() }.check(1).is_err());
        assert!(config.check(0).is_err());
    }

    #[test]
    fn guarantees_win_over_the_pass_through_map() {
        let mut kafka = KafkaConfig::new("b:1", "c");
        kafka.properties.insert("enable.auto.commit".into(), "true".into());
        kafka.properties.insert("partition.assignment.strategy".into(), "range".into());
        kafka.properties.insert("fetch.message.max.bytes".into(), "4194304".into());
        let client = ConsumerConfig::new("g", ["t"]).client(&kafka);
        assert_eq!(client.get("enable.auto.commit"), Some("false"));
        assert_eq!(client.get("partition.assignment.strategy"), Some("cooperative-sticky"));
        assert_eq!(client.get("auto.offset.reset"), Some("error"));
        assert_eq!(client.get("fetch.message.max.bytes"), Some("4194304"));
    }

    #[test]
    fn what_is_fetched_ahead_has_a_bound_however_many_partitions_there_are() {
        let share = |fetch_partitions| {
            let config = ConsumerConfig { fetch_partitions, fetch_queue_bytes: 16 << 20, ..ConsumerConfig::default() };
            let kib = config.client(&KafkaConfig::new("b:1", "c")).get("queued.max.messages.kbytes").map(str::to_owned);
            kib.and_then(|kib| kib.parse::<usize>().ok()).unwrap() << 10
        };
        assert_eq!(share(2), 2 << 20);
        assert_eq!(share(8), 2 << 20);
        assert!([12, 48, 200].into_iter().all(|partitions| share(partitions) * partitions <= 16 << 20));
    }

    #[test]
    fn preferences_give_way_to_the_pass_through_map() {
        let mut kafka = KafkaConfig::new("b:1", "c");
        kafka.properties.insert("isolation.level".into(), "read_uncommitted".into());
        let client = ConsumerConfig::new("g", ["t"]).client(&kafka);
        assert_eq!(client.get("isolation.level"), Some("read_uncommitted"));
        assert_eq!(client.get("fetch.queue.backoff.ms"), Some("20"));
        assert_eq!(client.get("session.timeout.ms"), Some("45000"));
        kafka.properties.insert("session.timeout.ms".into(), "6000".into());
        assert_eq!(ConsumerConfig::new("g", ["t"]).client(&kafka).get("session.timeout.ms"), Some("6000"));
    }
}

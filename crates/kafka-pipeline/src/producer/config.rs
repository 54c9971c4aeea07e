//! Settings of a producer.

use std::time::Duration;

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::config::KafkaConfig;

/// Compression of record batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// None.
    None,
    /// Fast, about half the size.
    Lz4,
    /// Smallest.
    #[default]
    Zstd,
}

/// Settings of a producer. What its guarantees rest on (`acks=all`, idempotence, no gaps, partitioner) is not settable.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// How long a record may wait for others to share a request. Larger: fewer requests, more latency.
    pub linger: Duration,
    /// Compression of record batches.
    pub compression: Compression,
    /// Records that may wait for the broker before `send` waits and `try_send` refuses.
    pub queue_records: usize,
    /// Bytes that may wait for the broker.
    pub queue_bytes: usize,
    /// Largest record that may be sent, with its key and headers.
    pub message_max_bytes: usize,
    /// A record that is not acknowledged for so long has failed, and the producer with it.
    pub delivery_timeout: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            linger: Duration::from_millis(5),
            compression: Compression::default(),
            queue_records: 100_000,
            queue_bytes: 64 << 20,
            message_max_bytes: 8 << 20,
            delivery_timeout: Duration::from_secs(120),
        }
    }
}

impl ProducerConfig {
    pub(crate) fn client(&self, kafka: &KafkaConfig) -> ClientConfig {
        let compression = match self.compression {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        };
        let mut client = kafka.client();
        client
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", self.linger.as_millis().to_string())
            .set("compression.type", compression)
            .set("queue.buffering.max.messages", self.queue_records.max(1).to_string())
            .set("queue.buffering.max.kbytes", (self.queue_bytes / 1024).max(1).to_string())
            // The limit also applies to a whole batch request, whose framing takes some bytes more.
            .set("message.max.bytes", (self.message_max_bytes + 4096).to_string())
            .set("message.timeout.ms", self.delivery_timeout.as_millis().max(1).to_string())
            .set("statistics.interval.ms", "0");
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guarantees_win_over_the_pass_through_map() {
        let mut kafka = KafkaConfig::new("b:1", "c");
        for (key, value) in [("acks", "1"), ("enable.idempotence", "false"), ("partitioner", "random")] {
            kafka.properties.insert(key.into(), value.into());
        }
        let client = ProducerConfig::default().client(&kafka);
        assert_eq!(client.get("acks"), Some("all"));
        assert_eq!(client.get("enable.idempotence"), Some("true"));
        assert_eq!(client.get("enable.gapless.guarantee"), Some("true"));
        assert_eq!(client.get("partitioner"), Some("murmur2_random"));
    }
}

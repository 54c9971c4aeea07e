//! What the partitions of one process share, and what can go wrong with one of them.

use std::sync::Arc;
use std::time::Duration;

use kafka_pipeline::{
    BatchDecoder, Consumer, ConsumerError, DeadLetters, DecodeError, Decoded, DeliveryError, KafkaConfig, Producer,
    RecordBlock, Registry, SendError, TopicPartition,
};
use service_runtime::{Backoff, Clock, Readiness, sleep};

use crate::config::{Lane, Topics};
use crate::core::block::NotTheContract;
use crate::core::checkpoint::{Foreign, Refused};
use crate::core::decide::Settings;
use crate::core::rules::Rule;
use crate::edge::devices::Devices;
use crate::edge::memory::Memory;

/// What all partitions share.
pub(crate) struct Line {
    pub(crate) kafka: KafkaConfig,
    pub(crate) topics: Topics,
    pub(crate) lane: Lane,
    /// Id of the raw topic when the process began; it ends when the topic gets another.
    pub(crate) raw_id: String,
    pub(crate) readiness: Readiness,
    pub(crate) settings: Settings,
    pub(crate) rules: &'static [Rule],
    /// For the histories of all partitions.
    pub(crate) memory: Arc<Memory>,
    /// Decisions read back on assignment.
    pub(crate) window_messages: u32,
    /// How long decisions under way are waited for when a partition leaves.
    pub(crate) drain_timeout: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) registry: Registry,
    /// Schema of decisions.
    pub(crate) schema_id: u32,
    pub(crate) consumer: Consumer,
    pub(crate) producer: Producer,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) devices: Arc<Devices>,
}

/// Why a partition can't go on. All but one end the process: what was decided is in the output, and the next start goes on
/// from there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// The raw topic, or the tail of the output, can't be read.
    #[error("read from kafka")]
    Consumer(#[from] ConsumerError),
    /// A decision or dead letter was not accepted by the client.
    #[error("send to kafka")]
    Send(#[from] SendError),
    /// A decision was not delivered.
    #[error("deliver a decision")]
    Delivery(#[from] DeliveryError),
    /// The registry refuses, for good.
    #[error("decode a block")]
    Decode(#[from] DecodeError),
    /// The decoder gave something else than the contract.
    #[error("decode a block")]
    Contract(#[from] NotTheContract),
    /// The output is about something else than this raw partition. The only one that does not end the process.
    #[error("resume behind the last decision")]
    Refused(#[from] Refused),
    /// The output has records, and none of them is a decision.
    #[error("resume behind the last decision: none of the last {records} records of {at} is a decision")]
    NoDecision {
        /// The output partition.
        at: TopicPartition,
        /// Records that were looked at.
        records: u64,
    },
    /// Somebody else decides about the same messages.
    #[error("keep the state of the first decisions")]
    Foreign(#[from] Foreign),
}

impl Line {
    /// Decodes a block, waiting for the registry as long as it takes.
    pub(crate) async fn decode(&self, decoder: &mut BatchDecoder, block: &RecordBlock) -> Result<Decoded, LineError> {
        let mut backoff = self.backoff.clone();
        loop {
            match decoder.decode(block).await {
                Ok(decoded) => return Ok(decoded),
                Err(DecodeError::Registry(error)) if error.is_transient() => {
                    let delay = backoff.next_delay(&mut rand::rng());
                    tracing::warn!(error = %error, delay_ms = delay.as_millis() as u64, "wait for the schema registry");
                    sleep(delay).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// First offset and end of a partition, asking as long as it takes.
    pub(crate) async fn watermarks(&self, at: &TopicPartition) -> Result<(i64, i64), LineError> {
        let mut backoff = self.backoff.clone();
        loop {
            match self.consumer.watermarks(at).await {
                Ok(watermarks) => return Ok(watermarks),
                Err(error @ ConsumerError::Query(_)) => {
                    let delay = backoff.next_delay(&mut rand::rng());
                    tracing::warn!(partition = %at, error = %error, "wait for the broker");
                    sleep(delay).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

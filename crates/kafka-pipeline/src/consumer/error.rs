//! How a consumer fails.

use rdkafka::error::KafkaError;

use crate::config::CreateError;
use crate::record::TopicPartition;

/// Why a consumer could not be made, asked, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// The client could not be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The client cannot go on: a fatal error, or access was denied.
    #[error("kafka client has ended: {reason}")]
    Fatal {
        /// What the client reported.
        #[source]
        error: KafkaError,
        /// Its explanation, with topic and partition where there is one.
        reason: String,
    },
    /// The position to read from is not in the partition any more, and [`OffsetReset::Error`](super::OffsetReset::Error) forbids to guess another.
    #[error("position to read from does not exist, {position}: {reason}")]
    OffsetOutOfRange {
        /// What the client reported.
        reason: String,
        /// Partition and position.
        position: String,
    },
    /// [`StartAt::Committed`](super::StartAt::Committed) with [`OffsetReset::Error`](super::OffsetReset::Error), and the group has committed nothing.
    #[error("no committed offset for {0}")]
    NoCommittedOffset(TopicPartition),
    /// A change of the assignment was refused.
    #[error("change the assignment")]
    Rebalance(#[source] KafkaError),
    /// A partition could not be positioned.
    #[error("seek {at}")]
    Seek {
        /// The partition.
        at: TopicPartition,
        /// What the client reported.
        #[source]
        error: KafkaError,
    },
    /// A partition could not be set going.
    #[error("resume {at}")]
    Resume {
        /// The partition.
        at: TopicPartition,
        /// What the client reported.
        #[source]
        error: KafkaError,
    },
    /// A question to a broker failed; asking again may help.
    #[error("ask the broker")]
    Query(#[source] KafkaError),
    /// The group was not left within the deadline; the process may exit all the same.
    #[error("consumer did not close in time")]
    CloseTimeout,
    /// The consumer has ended before.
    #[error("consumer is closed")]
    Closed,
}

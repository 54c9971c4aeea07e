//! Kafka for every service: consumers, the producer, dead letters, administration, the schema registry and Avro. The only
//! crate that uses rdkafka.
//!
//! # What it guarantees
//! - **Offsets mean one thing.** A position is always the next offset to read ([`NextOffset`]); ranges are half open.
//! - **Polling never stops for the service.** A [`Consumer`] has its own thread. When the service is slow, the thread stops
//!   reading and keeps polling; the member stays in its group, and nothing is lost or fetched into memory without bound.
//! - **The service decides where a partition begins.** Assigned partitions stay paused until [`Consumer::start`]; after it
//!   returns, nothing that was fetched before can come out.
//! - **Revocations wait for the service**, for a bounded time, and commit what it acknowledges. Partitions that were lost
//!   instead of revoked commit nothing.
//! - **A producer that lost a record says so for ever.** [`Producer`] is idempotent and gapless, and after one failed
//!   delivery every call is an error.
//! - **A bad message costs no neighbour.** [`BatchDecoder`] gives every message of a block as a row or as [`Poison`]; a
//!   registry that is away is neither.
//! - **A dead letter is stored before its source advances**, with the bytes unchanged ([`DeadLetters`]).
//!
//! # What it does not
//! - It does not make effects happen once. A block may come again after a crash or a rebalance; the service's own store
//!   decides what is done, and commits to Kafka are a hint that shortens the replay.
//! - It keeps no order between partitions, and none between the batches of one decoded block that was written with several
//!   schemas (rows carry their index).
//! - It does not use Kafka transactions, nor store offsets by itself.
//! - It does not retry decisions: fatal errors come out once, and the service is expected to end.

#![warn(missing_docs)]

mod admin;
mod avro;
mod config;
mod consumer;
pub mod core;
pub mod dead_letter;
pub mod metrics;
mod producer;
mod record;
mod registry;

pub use self::{
    admin::{
        Admin, AdminError, Broker, Cluster, PartitionLag, TopicId, TopicInfo, TopicSpec, topic_id, topic_replaced,
    },
    avro::{
        AvroReader, AvroWriter, BatchDecoder, CodecError, DecodeError, Decoded, DecodedBatch, FRAME_BYTES, Poison,
        frame, unframe,
    },
    config::{CreateError, KafkaConfig, RegistryConfig},
    consumer::{
        Consumer, ConsumerConfig, ConsumerError, Event, Events, OffsetReset, RevokeAck, StartAt, TailBlocks, read_tail,
    },
    dead_letter::DeadLetters,
    producer::{
        Compression, Delivered, DeliveryError, DeliveryReceipt, FlushError, Producer, ProducerConfig, ProducerRecord,
        SendError, SendGroup, partition_of,
    },
    record::{Header, NextOffset, RecordBlock, RecordBlockBuilder, RecordRef, TopicPartition},
    registry::{Compatibility, Registry, RegistryError},
};

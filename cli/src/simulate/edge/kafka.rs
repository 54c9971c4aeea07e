//! Gateways that speak Kafka: one producer, acknowledgements in the order of sending.

use super::journal::{Acknowledged, Journal};
use crate::simulate::core::malformed::Material;
use crate::simulate::core::truth::{Coordinates, Outcome};
use anyhow::Context;
use kafka_pipeline::{
    Compression, Delivered, DeliveryReceipt, KafkaConfig, Producer, ProducerConfig, ProducerRecord, Registry, frame,
};
use meterway_schemas::encode::{self, Reading, ReadingBatch};
use meterway_schemas::{DEVICE_EVENT, DeviceEvent, READING_BATCH, encode_record};
use std::collections::VecDeque;
use std::time::Duration;

/// Unsettled messages at most. More would need memory, fewer would make the producer wait for its slowest batch.
const WINDOW: usize = 20_000;

/// Topics that gateways write.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    /// Readings.
    pub readings: String,
    /// Device events.
    pub events: String,
}

/// What to remember of a message until it is acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Note {
    /// Readings in it.
    pub readings: u32,
    /// The truth entry it belongs to, and what it contributes.
    pub outcome: Option<(usize, Outcome)>,
}

/// The Kafka way into the raw topics.
#[derive(Debug)]
pub(crate) struct KafkaWay {
    producer: Producer,
    topics: Topics,
    batch_schema: u32,
    event_schema: u32,
    event_avro: apache_avro::Schema,
    buffer: Vec<u8>,
    pending: VecDeque<(DeliveryReceipt, Note)>,
    journal: Journal,
    settled: Vec<(usize, Outcome)>,
    bytes: u64,
}

impl KafkaWay {
    /// Connects; the schemas must be registered.
    ///
    /// # Errors
    /// When the registry does not know the schemas or settings are refused.
    pub(crate) async fn connect(
        kafka: &KafkaConfig,
        registry: &Registry,
        topics: Topics,
        journal: Journal,
    ) -> anyhow::Result<Self> {
        let batch_schema = registered(registry, &topics.readings, READING_BATCH.avsc).await?;
        let event_schema = registered(registry, &topics.events, DEVICE_EVENT.avsc).await?;
        let config = ProducerConfig {
            linger: Duration::from_millis(10),
            compression: Compression::Lz4,
            ..ProducerConfig::default()
        };
        let producer = Producer::new(kafka, &config).context("create producer")?;
        Ok(Self {
            producer,
            topics,
            batch_schema,
            event_schema,
            event_avro: DEVICE_EVENT.schema(),
            buffer: Vec::with_capacity(4096),
            pending: VecDeque::with_capacity(WINDOW),
            journal,
            settled: Vec::new(),
            bytes: 0,
        })
    }

    /// Sends a delivery. Its key is the device it claims.
    pub(crate) async fn deliver(&mut self, batch: &ReadingBatch<'_>, note: Note) -> anyhow::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        frame(self.batch_schema, &[], &mut buffer);
        encode::reading_batch(batch, &mut buffer);
        let sent = self.send(batch.device_id, Some(&buffer), note).await;
        self.buffer = buffer;
        sent
    }

    /// Sends any bytes, or a null, to the topic of readings.
    pub(crate) async fn send(&mut self, key: &str, payload: Option<&[u8]>, note: Note) -> anyhow::Result<()> {
        let topic = self.topics.readings.as_str();
        let record = ProducerRecord { topic, key: Some(key.as_bytes()), payload, ..ProducerRecord::default() };
        let receipt = self.producer.send(record).await.context("send reading")?;
        self.bytes += payload.map_or(0, <[u8]>::len) as u64;
        self.pending.push_back((receipt, note));
        if self.pending.len() >= WINDOW { self.settle(WINDOW / 2).await } else { Ok(()) }
    }

    /// Sends a device event and waits until it is stored.
    pub(crate) async fn event(&mut self, event: &DeviceEvent) -> anyhow::Result<()> {
        let payload = self.event_payload(event)?;
        let topic = self.topics.events.as_str();
        let key = Some(event.device_id.as_bytes());
        let record = ProducerRecord { topic, key, payload: Some(&payload), ..ProducerRecord::default() };
        self.producer.send(record).await.context("send event")?.await.context("store event")?;
        Ok(())
    }

    fn event_payload(&self, event: &DeviceEvent) -> anyhow::Result<Vec<u8>> {
        let datum = encode_record(&self.event_avro, event).context("encode event")?;
        let mut payload = Vec::new();
        frame(self.event_schema, &datum, &mut payload);
        Ok(payload)
    }

    /// What broken messages are made from.
    pub(crate) fn material<'a>(
        &self,
        ids: [&'a str; 3],
        reading: Reading<'static>,
        event_datum: &'a [u8],
    ) -> Material<'a> {
        let [tenant_id, device_id, gateway_id] = ids;
        Material {
            batch_schema: self.batch_schema,
            event_schema: self.event_schema,
            event_datum,
            tenant_id,
            device_id,
            gateway_id,
            reading,
        }
    }

    /// The bare datum of an event.
    pub(crate) fn event_datum(&self, event: &DeviceEvent) -> anyhow::Result<Vec<u8>> {
        encode_record(&self.event_avro, event).context("encode event")
    }

    /// Waits for acknowledgements until no more than so many messages are without.
    pub(crate) async fn settle(&mut self, at_most: usize) -> anyhow::Result<()> {
        while self.pending.len() > at_most {
            let Some((receipt, note)) = self.pending.pop_front() else { break };
            let Delivered { partition, offset } = receipt.await.context("store reading")?;
            self.journal.note(partition, offset, note.readings)?;
            if let Some((entry, mut outcome)) = note.outcome {
                outcome.locate(Coordinates { partition, offset });
                self.settled.push((entry, outcome));
            }
        }
        if at_most == 0 { self.journal.flush() } else { Ok(()) }
    }

    /// Outcomes whose messages were acknowledged since the last call.
    pub(crate) fn take_settled(&mut self) -> Vec<(usize, Outcome)> {
        std::mem::take(&mut self.settled)
    }

    /// Bytes of payload sent.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was acknowledged, by partition.
    pub(crate) fn acknowledged(&self) -> Vec<Acknowledged> {
        self.journal.partitions()
    }
}

async fn registered(registry: &Registry, topic: &str, avsc: &str) -> anyhow::Result<u32> {
    let subject = format!("{topic}-value");
    let id = registry.lookup(&subject, avsc).await.with_context(|| format!("look up {subject}"))?;
    id.with_context(|| format!("{subject} is not registered; `meterway topics apply` does it"))
}

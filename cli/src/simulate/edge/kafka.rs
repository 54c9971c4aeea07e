//! Gateways that speak Kafka: one producer, acknowledgements in the order of sending.

use super::journal::{Attempt, AttemptId, EventNote, Journal, Payload, Series};
use crate::simulate::core::malformed::Material;
use crate::simulate::core::truth::{Coordinates, Outcome};
use anyhow::Context;
use futures::FutureExt;
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
    /// Name of the fault that its device carries on this day.
    pub fault: Option<&'static str>,
}

/// Bytes that are no delivery, and whose they pretend to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a> {
    /// Tenant of the device.
    pub tenant: &'a str,
    /// The device.
    pub device: &'a str,
    /// Key.
    pub key: &'a str,
    /// Payload; `None` is a null.
    pub payload: Option<&'a [u8]>,
    /// How they are broken.
    pub variant: &'static str,
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
    pending: VecDeque<(DeliveryReceipt, AttemptId, Note)>,
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
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let batch_schema = registered(registry, &topics.readings, READING_BATCH.avsc).await?;
        let event_schema = registered(registry, &topics.events, DEVICE_EVENT.avsc).await?;
        let config = ProducerConfig {
            linger: Duration::from_millis(10),
            compression: Compression::Lz4,
            // Brokers come and go; until this is over, the client tries again by itself.
            delivery_timeout: patience,
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
            settled: Vec::new(),
            bytes: 0,
        })
    }

    /// Sends a delivery. Its key is the device it claims.
    pub(crate) async fn deliver(
        &mut self,
        journal: &mut Journal,
        batch: &ReadingBatch<'_>,
        note: Note,
    ) -> anyhow::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        frame(self.batch_schema, &[], &mut buffer);
        encode::reading_batch(batch, &mut buffer);
        let attempt = journal.attempt(|| Attempt {
            topic: &self.topics.readings,
            way: "kafka",
            tenant: batch.tenant_id,
            device: batch.device_id,
            payload: Some(Payload::of(&buffer)),
            fault: note.fault,
            readings: Series::of(batch.readings),
            ..Attempt::default()
        })?;
        let sent = self.send(journal, batch.device_id, Some(&buffer), (attempt, note)).await;
        self.buffer = buffer;
        sent
    }

    /// Sends any bytes, or a null, to the topic of readings.
    pub(crate) async fn raw(&mut self, journal: &mut Journal, raw: Raw<'_>, note: Note) -> anyhow::Result<()> {
        let attempt = journal.attempt(|| Attempt {
            topic: &self.topics.readings,
            way: "kafka",
            tenant: raw.tenant,
            device: raw.device,
            key: (raw.key != raw.device).then_some(raw.key),
            payload: raw.payload.map(Payload::of),
            fault: note.fault,
            variant: Some(raw.variant),
            ..Attempt::default()
        })?;
        self.send(journal, raw.key, raw.payload, (attempt, note)).await
    }

    async fn send(
        &mut self,
        journal: &mut Journal,
        key: &str,
        payload: Option<&[u8]>,
        (attempt, note): (AttemptId, Note),
    ) -> anyhow::Result<()> {
        let topic = self.topics.readings.as_str();
        let record = ProducerRecord { topic, key: Some(key.as_bytes()), payload, ..ProducerRecord::default() };
        let receipt = self.producer.send(record).await.context("send reading")?;
        self.bytes += payload.map_or(0, <[u8]>::len) as u64;
        self.pending.push_back((receipt, attempt, note));
        self.note_arrived(journal)?;
        if self.pending.len() >= WINDOW { self.settle(journal, WINDOW / 2).await } else { Ok(()) }
    }

    /// Sends a device event and waits until it is stored.
    pub(crate) async fn event(&mut self, journal: &mut Journal, event: &DeviceEvent) -> anyhow::Result<()> {
        let payload = self.event_payload(event)?;
        let topic = self.topics.events.as_str();
        let attempt = journal.attempt(|| Attempt {
            topic,
            way: "kafka",
            tenant: &event.tenant_id,
            device: &event.device_id,
            payload: Some(Payload::of(&payload)),
            event: Some(EventNote { kind: event.kind, at: event.at }),
            ..Attempt::default()
        })?;
        let key = Some(event.device_id.as_bytes());
        let record = ProducerRecord { topic, key, payload: Some(&payload), ..ProducerRecord::default() };
        let at = self.producer.send(record).await.context("send event")?.await.context("store event")?;
        journal.event_stored(attempt, at)
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
    pub(crate) async fn settle(&mut self, journal: &mut Journal, at_most: usize) -> anyhow::Result<()> {
        while self.pending.len() > at_most {
            let Some((receipt, attempt, note)) = self.pending.pop_front() else { break };
            self.note_stored(journal, attempt, receipt.await.context("store reading")?, note)?;
        }
        Ok(())
    }

    /// Notes the acknowledgements that are there already, so that a run which is killed leaves few in doubt.
    fn note_arrived(&mut self, journal: &mut Journal) -> anyhow::Result<()> {
        while let Some((receipt, ..)) = self.pending.front_mut() {
            let Some(delivered) = receipt.now_or_never() else { break };
            let Some((_, attempt, note)) = self.pending.pop_front() else { break };
            self.note_stored(journal, attempt, delivered.context("store reading")?, note)?;
        }
        Ok(())
    }

    fn note_stored(
        &mut self,
        journal: &mut Journal,
        attempt: AttemptId,
        at: Delivered,
        note: Note,
    ) -> anyhow::Result<()> {
        journal.stored(attempt, at, note.readings)?;
        if let Some((entry, mut outcome)) = note.outcome {
            // A repeated request may leave the offset unknown; then any place will do.
            if at.offset >= 0 {
                outcome.locate(Coordinates { partition: at.partition, offset: at.offset });
            }
            self.settled.push((entry, outcome));
        }
        Ok(())
    }

    /// Outcomes whose messages were acknowledged since the last call.
    pub(crate) fn take_settled(&mut self) -> Vec<(usize, Outcome)> {
        std::mem::take(&mut self.settled)
    }

    /// Bytes of payload sent.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

async fn registered(registry: &Registry, topic: &str, avsc: &str) -> anyhow::Result<u32> {
    let subject = format!("{topic}-value");
    let id = registry.lookup(&subject, avsc).await.with_context(|| format!("look up {subject}"))?;
    id.with_context(|| format!("{subject} is not registered; `meterway topics apply` does it"))
}

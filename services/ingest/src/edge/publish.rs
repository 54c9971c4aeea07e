//! Puts deliveries on the topics and waits for the broker's report.

use super::problem::{Code, Problem};
use crate::{
    config::Config,
    core::{delivery::Messages, once::TAG_HEADER},
};
use anyhow::Context;
use kafka_pipeline::{
    AvroWriter, DeliveryReceipt, FRAME_BYTES, Producer, ProducerConfig, ProducerRecord, Registry, SendError, frame,
};
use meterway_schemas::{DEVICE_EVENT, DeviceEvent, READING_BATCH};
use std::{sync::Arc, time::Duration};

/// A message as it goes to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Topic.
    pub topic: Arc<str>,
    /// Device.
    pub key: Arc<str>,
    /// Framed bytes.
    pub payload: Vec<u8>,
}

impl Outgoing {
    fn record<'a>(&'a self, headers: &'a [(&'a str, &'a [u8])]) -> ProducerRecord<'a> {
        ProducerRecord {
            topic: &self.topic,
            key: Some(self.key.as_bytes()),
            payload: Some(&self.payload),
            headers,
            ..ProducerRecord::default()
        }
    }
}

/// The producer and the ids of the schemas it writes.
#[derive(Debug)]
pub struct Publisher {
    producer: Producer,
    readings_topic: Arc<str>,
    events_topic: Arc<str>,
    readings_id: u32,
    events: AvroWriter<DeviceEvent>,
}

impl Publisher {
    /// Looks the schemas up; they must have been registered (`meterway topics apply`).
    ///
    /// # Errors
    /// When a schema is not registered, or registry or client settings are wrong.
    pub async fn connect(config: &Config) -> anyhow::Result<Self> {
        let registry = Registry::new(&config.registry).context("open schema registry")?;
        let subject = format!("{}-value", config.topics.readings);
        let readings_id = registry
            .lookup(&subject, READING_BATCH.avsc)
            .await
            .context("look up schema of readings")?
            .with_context(|| format!("{subject} is not registered: run `meterway topics apply`"))?;
        let events = AvroWriter::new(&registry, &format!("{}-value", config.topics.events), DEVICE_EVENT.avsc)
            .await
            .context("look up schema of events")?;
        let settings = ProducerConfig { linger: Duration::from_millis(2), ..ProducerConfig::default() };
        let producer = Producer::new(&config.kafka, &settings).context("open producer")?;
        let (readings_topic, events_topic) =
            (config.topics.readings.as_str().into(), config.topics.events.as_str().into());
        Ok(Self { producer, readings_topic, events_topic, readings_id, events })
    }

    /// The messages of a delivery of readings, in order.
    pub fn readings(&self, messages: Messages) -> impl Iterator<Item = Outgoing> {
        let key: Arc<str> = messages.device_id.into();
        messages.datums.into_iter().map(move |datum| {
            let mut payload = Vec::with_capacity(FRAME_BYTES + datum.len());
            frame(self.readings_id, &datum, &mut payload);
            Outgoing { topic: Arc::clone(&self.readings_topic), key: Arc::clone(&key), payload }
        })
    }

    /// The message of an event.
    ///
    /// # Errors
    /// [`Code::Invalid`] when it does not fit the schema.
    pub fn event(&self, event: &DeviceEvent) -> Result<Outgoing, Problem> {
        let payload = self.events.write(event).map_err(|error| Problem::new(Code::Invalid, error))?;
        Ok(Outgoing { topic: Arc::clone(&self.events_topic), key: event.device_id.as_str().into(), payload })
    }

    /// Queues a message, if there is room.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the queue is full or the producer has failed; what was queued before may be stored.
    pub fn try_send(&self, message: &Outgoing) -> Result<DeliveryReceipt, Problem> {
        self.producer.try_send(message.record(&[])).map_err(refusal)
    }

    /// Queues a message as part of a keyed request; waits for room.
    ///
    /// # Errors
    /// As [`Self::try_send`], but for the full queue.
    pub async fn send(&self, message: &Outgoing, tag: &str) -> Result<DeliveryReceipt, Problem> {
        self.producer.send(message.record(&[(TAG_HEADER, tag.as_bytes())])).await.map_err(refusal)
    }

    /// Ends when the producer has lost a record; the process must end then, because later records would pass it.
    pub async fn failed(&self) -> anyhow::Error {
        anyhow::Error::new(self.producer.failed().await).context("producer failed")
    }

    /// Waits until everything queued is reported.
    ///
    /// # Errors
    /// When that takes longer than the limit.
    pub async fn flush(&self, limit: Duration) -> anyhow::Result<()> {
        self.producer.flush(limit).await.context("flush producer")
    }
}

fn refusal(error: SendError) -> Problem {
    match error {
        SendError::QueueFull => Problem::retry(Code::Unavailable, "too much is waiting for the broker", 1),
        SendError::Invalid { .. } => Problem::new(Code::Invalid, error),
        SendError::Failed(_) => Problem::retry(Code::Unavailable, "the broker cannot be reached", 5),
    }
}

/// Waits for the reports of a delivery.
///
/// # Errors
/// [`Code::Unavailable`] when one of them is a failure: the delivery may be stored in part and must be sent again.
pub async fn stored(receipts: Vec<DeliveryReceipt>) -> Result<(), Problem> {
    for receipt in receipts {
        receipt.await.map_err(|error| {
            tracing::error!(%error, "delivery failed");
            Problem::retry(Code::Unavailable, "the broker did not confirm the delivery", 5)
        })?;
    }
    Ok(())
}

//! Puts deliveries on the topics and waits for the broker's report.

use super::problem::{Code, Problem};
use crate::{
    config::{Config, Topics},
    core::delivery::Messages,
};
use anyhow::Context;
use kafka_pipeline::{
    AvroWriter, DeliveryReceipt, Producer, ProducerConfig, ProducerRecord, Registry, SendError, frame,
};
use meterway_schemas::{DEVICE_EVENT, DeviceEvent, READING_BATCH};
use std::time::Duration;

/// The producer and the ids of the schemas it writes.
#[derive(Debug)]
pub struct Publisher {
    producer: Producer,
    topics: Topics,
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
        Ok(Self { producer, topics: config.topics.clone(), readings_id, events })
    }

    /// Queues the messages of a delivery of readings.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when the queue is full or the producer has failed; what was queued before may be stored.
    pub fn readings(&self, messages: &Messages) -> Result<Vec<DeliveryReceipt>, Problem> {
        let mut framed = Vec::new();
        let mut receipts = Vec::with_capacity(messages.datums.len());
        for datum in &messages.datums {
            framed.clear();
            frame(self.readings_id, datum, &mut framed);
            receipts.push(self.send(&self.topics.readings, &messages.device_id, &framed)?);
        }
        Ok(receipts)
    }

    /// Queues an event.
    ///
    /// # Errors
    /// As [`Self::readings`].
    pub fn event(&self, event: &DeviceEvent) -> Result<DeliveryReceipt, Problem> {
        let framed = self.events.write(event).map_err(|error| Problem::new(Code::Invalid, error))?;
        self.send(&self.topics.events, &event.device_id, &framed)
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

    fn send(&self, topic: &str, key: &str, payload: &[u8]) -> Result<DeliveryReceipt, Problem> {
        let record =
            ProducerRecord { topic, key: Some(key.as_bytes()), payload: Some(payload), ..ProducerRecord::default() };
        self.producer.try_send(record).map_err(|error| match error {
            SendError::QueueFull => Problem::retry(Code::Unavailable, "too much is waiting for the broker", 1),
            SendError::Invalid { .. } => Problem::new(Code::Invalid, error),
            SendError::Failed(_) => Problem::retry(Code::Unavailable, "the broker cannot be reached", 5),
        })
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

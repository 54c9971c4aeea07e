//! Alert messages to the alerts topic.

use anyhow::Context;
use kafka_pipeline::{AvroWriter, Producer, ProducerRecord, Registry};
use meterway_schemas::{ALERT, Alert};

use super::retry::Patience;
use crate::core::episode::AlertChange;
use crate::metrics;

/// Writes alerts, keyed by device.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    producer: Producer,
    writer: AvroWriter<Alert>,
    topic: String,
}

impl Publisher {
    /// Registers the schema and makes a publisher.
    ///
    /// # Errors
    /// When the registry refuses, or the process is told to end while it is away.
    pub(crate) async fn new(
        producer: Producer,
        registry: &Registry,
        topic: String,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        let subject = format!("{topic}-value");
        let register = || async { AvroWriter::new(registry, &subject, ALERT.avsc).await };
        let writer = patience.run(register).await.context("register the schema of alerts")?;
        Ok(Self { producer, writer, topic })
    }

    /// Writes the alerts in order and waits until all are stored.
    ///
    /// # Errors
    /// When a delivery fails; the process must end then.
    pub(crate) async fn publish(&self, changes: &[AlertChange]) -> anyhow::Result<()> {
        let group = self.producer.group();
        for AlertChange { alert, .. } in changes {
            let payload = self.writer.write(alert).context("encode an alert")?;
            let record = ProducerRecord {
                topic: &self.topic,
                key: Some(alert.device_id.as_bytes()),
                payload: Some(&payload),
                ..ProducerRecord::default()
            };
            group.send(record).await.context("send an alert")?;
        }
        group.delivered().await.context("deliver alerts")?;
        changes.iter().for_each(|change| metrics::published(&change.alert));
        Ok(())
    }
}

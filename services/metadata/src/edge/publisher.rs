//! Devices as messages.

use std::time::Duration;

use anyhow::Context;
use kafka_pipeline::{
    AvroWriter, KafkaConfig, Producer, ProducerConfig, ProducerRecord, Registry, RegistryConfig, SendError,
};
use meterway_schemas::{DEVICE, Device};

use crate::core::device::{DeviceState, published};
use crate::edge::store::outbox::Refused;

/// Writes states of devices to their topic.
#[derive(Debug)]
pub(super) struct DevicePublisher {
    producer: Producer,
    writer: AvroWriter<Device>,
    topic: String,
}

impl DevicePublisher {
    /// Connects to broker and registry, where the schema is registered unless it is known.
    ///
    /// # Errors
    /// When the registry can't be reached or refuses the schema, or the broker's settings are wrong.
    pub(super) async fn connect(
        kafka: &KafkaConfig,
        registry: &RegistryConfig,
        topic: &str,
        delivery_timeout: Duration,
    ) -> anyhow::Result<Self> {
        let registry = Registry::new(registry).context("prepare the schema registry")?;
        let subject = format!("{topic}-value");
        let writer = AvroWriter::new(&registry, &subject, DEVICE.avsc).await.context("register the device schema")?;
        let config = ProducerConfig { delivery_timeout, ..ProducerConfig::default() };
        let producer = Producer::new(kafka, &config).context("create the producer")?;
        Ok(Self { producer, writer, topic: topic.to_owned() })
    }

    /// Writes the states in order and waits until the brokers have stored all of them. The key of a message is the id of
    /// its device, so the states of one device keep their order. Returns those that cannot be written as they are.
    ///
    /// # Errors
    /// When a message was not stored, or it isn't known whether it was; the publisher is of no further use then.
    pub(super) async fn publish(&self, devices: &[DeviceState]) -> anyhow::Result<Vec<Refused>> {
        let group = self.producer.group();
        let mut refused = Vec::new();
        for device in devices {
            let refuse = |reason: String| Refused {
                tenant_id: device.tenant_id.clone(),
                device_id: device.spec.device_id.clone(),
                version: device.version,
                reason,
            };
            let message = match self.writer.write(&published(device)) {
                Ok(message) => message,
                Err(error) => {
                    refused.push(refuse(error.to_string()));
                    continue;
                }
            };
            let (key, payload) = (Some(device.spec.device_id.as_bytes()), Some(&*message));
            let record = ProducerRecord { topic: &self.topic, key, payload, ..ProducerRecord::default() };
            match group.send(record).await {
                Ok(()) => {}
                Err(error @ SendError::Invalid { .. }) => {
                    refused.push(refuse(format!("{:#}", anyhow::Error::from(error))))
                }
                Err(error) => return Err(error).context("send devices"),
            }
        }
        group.delivered().await.context("send devices")?;
        Ok(refused)
    }
}

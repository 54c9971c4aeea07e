//! The device register: read whole at the start, then followed.

use anyhow::Context;
use kafka_pipeline::{
    AvroReader, CodecError, Consumer, ConsumerConfig, Event, Events, KafkaConfig, OffsetReset, RecordBlock, RecordRef,
    Registry, StartAt, TopicPartition, read_tail,
};
use meterway_schemas::{DEVICE, Device};

use super::retry::Patience;
use crate::core::register::Register;
use crate::metrics;

/// Follows the devices topic.
#[derive(Debug)]
pub(crate) struct DeviceFeed {
    reader: AvroReader<Device>,
    patience: Patience,
    // Held, because dropping the handle ends the reading.
    _consumer: Consumer,
    events: Events,
}

impl DeviceFeed {
    /// Reads the topic to its present end into the register and goes on from there.
    ///
    /// # Errors
    /// When Kafka or the registry refuse, or the process is told to end.
    pub(crate) async fn load(
        kafka: &KafkaConfig,
        registry: Registry,
        (topic, partitions): (&str, i32),
        patience: Patience,
        register: &mut Register,
    ) -> anyhow::Result<Self> {
        let reader = AvroReader::new(registry, DEVICE.avsc).context("prepare to read devices")?;
        let mut starts = Vec::new();
        for partition in 0..partitions {
            let at = TopicPartition::new(topic, partition);
            let read = || async { read_tail(kafka, &at, StartAt::Beginning).await };
            let mut tail = patience.run(read).await.with_context(|| format!("read {at}"))?;
            let mut next = tail.end();
            while let Some(block) = tail.next().await.with_context(|| format!("read {at}"))? {
                take(&reader, &patience, &block, register).await?;
                next = next.max(block.next_offset());
            }
            starts.push((at, StartAt::Offset(next)));
        }
        let config = ConsumerConfig {
            group: String::new(),
            reset: OffsetReset::Earliest,
            block_bytes: 1 << 18,
            queue_blocks: 4,
            ..ConsumerConfig::default()
        };
        let (consumer, events) = Consumer::assign(kafka, config, starts).context("follow the devices topic")?;
        Ok(Self { reader, patience, _consumer: consumer, events })
    }

    /// The next changes; `None` when the consumer was closed.
    ///
    /// # Errors
    /// When the consumer has ended for good.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn recv(&mut self) -> anyhow::Result<Option<RecordBlock>> {
        loop {
            match self.events.recv().await {
                Some(Ok(Event::Records(block))) => return Ok(Some(block)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error).context("follow the devices topic"),
                None => return Ok(None),
            }
        }
    }

    /// Takes changes over into the register; the devices that are not in service any more.
    ///
    /// # Errors
    /// When the registry refuses, or the process is told to end while it is away.
    pub(crate) async fn apply(&self, block: &RecordBlock, register: &mut Register) -> anyhow::Result<Vec<String>> {
        take(&self.reader, &self.patience, block, register).await
    }
}

async fn take(
    reader: &AvroReader<Device>,
    patience: &Patience,
    block: &RecordBlock,
    register: &mut Register,
) -> anyhow::Result<Vec<String>> {
    metrics::records_read(block.topic(), block.len());
    let mut gone = Vec::new();
    for record in block.iter() {
        let Some(payload) = record.payload else {
            gone.extend(forget(&record, register));
            continue;
        };
        let read = || async {
            match reader.read(payload).await {
                Ok(device) => Ok(Some(device)),
                Err(CodecError::Poison(poison)) => {
                    metrics::poison(block.topic(), poison.code());
                    tracing::error!(kafka.offset = record.offset, error = %poison, "pass over a device record");
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        if let Some(device) = patience.run(read).await.context("read a device record")? {
            let (device_id, active) =
                (device.device_id.clone(), device.status == meterway_schemas::DeviceStatus::Active);
            if register.upsert(device) && !active {
                gone.push(device_id);
            }
        }
    }
    Ok(gone)
}

/// A tombstone: the register forgets the device.
fn forget(record: &RecordRef<'_>, register: &mut Register) -> Option<String> {
    let device_id = std::str::from_utf8(record.key?).ok()?;
    register.remove(device_id);
    Some(device_id.to_owned())
}

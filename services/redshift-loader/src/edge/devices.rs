//! Keeps `raw.devices` level with the compacted devices topic, for the dimensions.
//!
//! At least once with an idempotent write: every assignment reads its partitions from the beginning. The position is not
//! kept, because a position in Kafka and rows in a warehouse that may be another one tomorrow can't agree for ever.

use std::time::Duration;

use kafka_pipeline::{
    AvroReader, CodecError, Consumer, ConsumerConfig, Event, Events, KafkaConfig, OffsetReset, RecordBlock, RecordRef,
    Registry, StartAt,
};
use meterway_schemas::{DEVICE, Device};
use metrics::counter;
use service_runtime::Backoff;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::warehouse::{Warehouse, WarehouseError};
use crate::core::devices::{DeviceChange, DeviceRows};
use crate::metrics as names;

/// Longest wait for the consumer to leave its group.
const CLOSE: Duration = Duration::from_secs(5);

/// The task that follows the devices topic.
#[derive(Debug)]
pub struct DeviceLoader {
    kafka: KafkaConfig,
    group: String,
    topic: String,
    reader: AvroReader<Device>,
    warehouse: Box<dyn Warehouse>,
    backoff: Backoff,
    refresher: Arc<Notify>,
}

impl DeviceLoader {
    /// A task that has not begun.
    ///
    /// # Errors
    /// When the contract's schema cannot be used.
    pub fn new(
        kafka: KafkaConfig,
        (group, topic): (String, String),
        registry: Registry,
        warehouse: Box<dyn Warehouse>,
        backoff: Backoff,
        refresher: Arc<Notify>,
    ) -> Result<Self, CodecError> {
        let reader = AvroReader::new(registry, DEVICE.avsc)?;
        Ok(Self { kafka, group, topic, reader, warehouse, backoff, refresher })
    }

    /// Follows the topic until shutdown. Errors never end the task: facts without names are better than no facts.
    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.follow(&shutdown).await {
                let delay = self.backoff.next_delay(&mut rand::rng());
                let delay_ms = delay.as_millis() as u64;
                let kind = error.downcast_ref::<WarehouseError>().map_or("kafka", WarehouseError::kind);
                counter!(names::RETRIES, "table" => "devices", "kind" => kind).increment(1);
                tracing::warn!(kafka.topic = self.topic, error = %format!("{error:#}"), delay_ms, "devices are interrupted");
                service_runtime::sleep_or_shutdown(delay, &shutdown).await;
            }
        }
        Ok(())
    }

    async fn follow(&mut self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let config = ConsumerConfig {
            reset: OffsetReset::Earliest,
            queue_blocks: 2,
            ..ConsumerConfig::new(self.group.clone(), [self.topic.clone()])
        };
        let (consumer, mut events) = Consumer::subscribe(&self.kafka, config)?;
        let result = tokio::select! {
            biased;
            () = shutdown.cancelled() => Ok(()),
            result = self.apply_all(&consumer, &mut events) => result,
        };
        consumer.close(CLOSE).await?;
        result
    }

    async fn apply_all(&mut self, consumer: &Consumer, events: &mut Events) -> anyhow::Result<()> {
        while let Some(event) = events.recv().await {
            match event? {
                Event::Assigned(partitions) => {
                    partitions.iter().try_for_each(|at| consumer.start(at, StartAt::Beginning))?;
                }
                Event::Revoked(_, ack) => ack.done([]),
                Event::Records(block) => self.apply(&block).await?,
                Event::PartitionEof(..) => {}
            }
        }
        Ok(())
    }

    async fn apply(&mut self, block: &RecordBlock) -> anyhow::Result<()> {
        let mut changes = Vec::with_capacity(block.len());
        for record in block.iter() {
            changes.extend(self.read(block, record).await?);
        }
        let given = changes.len() as u64;
        let rows = DeviceRows::from_changes(changes);
        if rows.is_empty() {
            return Ok(());
        }
        let changed = self.warehouse.upsert_devices(&rows).await?;
        self.backoff.reset();
        counter!(names::DEVICES, "outcome" => "applied").increment(changed);
        counter!(names::DEVICES, "outcome" => "unchanged").increment(given.saturating_sub(changed));
        if changed > 0 {
            tracing::info!(kafka.partition = block.partition(), devices = changed, "devices loaded");
            self.refresher.notify_one();
        }
        Ok(())
    }

    /// What a record says; `None` when it cannot be read. It stays in the compacted topic, which is where to look at it.
    async fn read(&self, block: &RecordBlock, record: RecordRef<'_>) -> anyhow::Result<Option<DeviceChange>> {
        let Some(payload) = record.payload else {
            let key = record.key.map(String::from_utf8_lossy).unwrap_or_default();
            return Ok(Some(DeviceChange::Erased { device_id: key.into_owned() }));
        };
        match self.reader.read(payload).await {
            Ok(device) => Ok(Some(DeviceChange::State(Box::new(device)))),
            Err(CodecError::Poison(poison)) => {
                counter!(names::DEVICES, "outcome" => "poison").increment(1);
                let (topic, partition, offset) = (block.topic(), block.partition(), record.offset);
                tracing::error!(
                    kafka.topic = topic, kafka.partition = partition, kafka.offset = offset, error = %poison,
                    "device cannot be read"
                );
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

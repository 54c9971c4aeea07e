//! Tells the world about loads. The ledger remembers what was told, so a crash after a commit delays the notice, and one
//! after the notice repeats it: at least once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kafka_pipeline::{AvroWriter, KafkaConfig, Producer, ProducerConfig, ProducerRecord, Registry};
use meterway_schemas::{WAREHOUSE_LOAD, WarehouseLoad};
use metrics::counter;
use service_runtime::Backoff;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::warehouse::{Warehouse, WarehouseError};
use crate::metrics as names;

/// Loads read from the ledger at once.
const BATCH: i64 = 100;
/// Looks at the ledger without being told to: another loader may have died before its notice.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// A notice that is not acknowledged for so long is tried again with a new producer.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// The task that announces loads.
#[derive(Debug)]
pub struct Announcer {
    kafka: KafkaConfig,
    topic: String,
    registry: Registry,
    warehouse: Box<dyn Warehouse>,
    backoff: Backoff,
    loaded: Arc<Notify>,
}

impl Announcer {
    /// A task that has not begun; `loaded` tells it that there is something to announce.
    pub fn new(
        kafka: KafkaConfig,
        topic: String,
        registry: Registry,
        warehouse: Box<dyn Warehouse>,
        backoff: Backoff,
        loaded: Arc<Notify>,
    ) -> Self {
        Self { kafka, topic, registry, warehouse, backoff, loaded }
    }

    /// Announces until shutdown. Errors never end the task, and never hold up a load.
    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            let ended = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                ended = self.announce_all() => ended,
            };
            let Err(error) = ended;
            let delay = self.backoff.next_delay(&mut rand::rng());
            let delay_ms = delay.as_millis() as u64;
            let kind = error.downcast_ref::<WarehouseError>().map_or("kafka", WarehouseError::kind);
            counter!(names::RETRIES, "table" => "announcements", "kind" => kind).increment(1);
            tracing::warn!(kafka.topic = self.topic, error = %format!("{error:#}"), delay_ms, "announcements are delayed");
            service_runtime::sleep_or_shutdown(delay, &shutdown).await;
        }
    }

    async fn announce_all(&mut self) -> anyhow::Result<std::convert::Infallible> {
        let subject = format!("{}-value", self.topic);
        let writer =
            AvroWriter::new(&self.registry, &subject, WAREHOUSE_LOAD.avsc).await.context("register the schema")?;
        let config = ProducerConfig { delivery_timeout: DELIVERY_TIMEOUT, ..ProducerConfig::default() };
        // A new one after each failure: a producer that has lost a record refuses all further ones.
        let producer = Producer::new(&self.kafka, &config).context("make a producer")?;
        loop {
            let loads = self.warehouse.unannounced(BATCH).await?;
            for load in &loads {
                announce(&producer, &writer, &self.topic, load).await?;
                self.warehouse.announced(load).await?;
                counter!(names::ANNOUNCEMENTS).increment(1);
            }
            self.backoff.reset();
            if loads.is_empty() {
                tokio::select! {
                    () = self.loaded.notified() => {}
                    () = service_runtime::sleep(LOOK_INTERVAL) => {}
                }
            }
        }
    }
}

async fn announce(
    producer: &Producer,
    writer: &AvroWriter<WarehouseLoad>,
    topic: &str,
    load: &WarehouseLoad,
) -> anyhow::Result<()> {
    let payload = writer.write(load)?;
    let (key, payload) = (Some(load.table.as_bytes()), Some(payload.as_slice()));
    let receipt = producer.send(ProducerRecord { topic, key, payload, ..ProducerRecord::default() }).await?;
    receipt.await.with_context(|| format!("announce snapshot {}", load.snapshot_id))?;
    Ok(())
}

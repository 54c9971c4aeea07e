//! Records of the events topic to device events.

use kafka_pipeline::{AvroReader, CodecError, RecordBlock, Registry};
use meterway_schemas::{DEVICE_EVENT, DeviceEvent};

use super::retry::Patience;
use crate::core::admission::Arrival;
use crate::metrics;

/// A record that is no event: its index in the block, and why.
pub(crate) type Broken = (usize, kafka_pipeline::Poison);

/// Reads device events.
#[derive(Debug, Clone)]
pub(crate) struct EventReader {
    reader: AvroReader<DeviceEvent>,
    patience: Patience,
}

impl EventReader {
    pub(crate) fn new(registry: Registry, patience: Patience) -> Result<Self, CodecError> {
        Ok(Self { reader: AvroReader::new(registry, DEVICE_EVENT.avsc)?, patience })
    }

    /// The events of a block, and what can't be decoded, by index: gateways write this topic, so that is to be expected.
    ///
    /// # Errors
    /// When the registry refuses, or the process is told to end while it is away.
    pub(crate) async fn read(&self, block: &RecordBlock) -> anyhow::Result<(Vec<(Arrival, DeviceEvent)>, Vec<Broken>)> {
        let (mut events, mut broken) = (Vec::with_capacity(block.len()), Vec::new());
        for (index, record) in block.iter().enumerate() {
            match self.read_one(record.payload).await? {
                Ok(event) => {
                    let arrived = Arrival { offset: record.offset, timestamp_ms: record.timestamp_ms };
                    events.push((arrived, event));
                }
                Err(poison) => {
                    metrics::poison(block.topic(), poison.code());
                    tracing::warn!(
                        kafka.topic = block.topic(),
                        kafka.partition = block.partition(),
                        kafka.offset = record.offset,
                        error = %poison,
                        "pass over an event that can't be decoded"
                    );
                    broken.push((index, poison));
                }
            }
        }
        Ok((events, broken))
    }

    async fn read_one(&self, payload: Option<&[u8]>) -> anyhow::Result<Result<DeviceEvent, kafka_pipeline::Poison>> {
        let Some(payload) = payload else { return Ok(Err(kafka_pipeline::Poison::Empty)) };
        let read = self.patience.run(|| async {
            match self.reader.read(payload).await {
                Ok(event) => Ok(Ok(event)),
                Err(CodecError::Poison(poison)) => Ok(Err(poison)),
                Err(error) => Err(error),
            }
        });
        Ok(read.await?)
    }
}

//! Input that cannot be taken in, set aside with its bytes.

use anyhow::Context;
use kafka_pipeline::{DeadLetters, Producer, RecordBlock};

/// Stage that the letters name.
const STAGE: &str = env!("CARGO_PKG_NAME");
/// Code of input on which a rule panicked.
const INTERNAL_ERROR: &str = "INTERNAL_ERROR";

/// Writes dead letters of this service.
#[derive(Debug, Clone)]
pub(crate) struct Letters(DeadLetters);

impl Letters {
    pub(crate) fn new(producer: &Producer, topic: &str, group: &str) -> Self {
        Self(DeadLetters::new(producer.clone(), topic, STAGE, group))
    }

    /// Sets a record aside, and returns when the broker has it.
    ///
    /// # Errors
    /// When the copy was not stored: the position must not pass the record then.
    pub(crate) async fn bury(&self, block: &RecordBlock, index: usize, code: &str, why: &str) -> anyhow::Result<()> {
        let record = block.get(index);
        let source = block.topic_partition();
        self.0
            .send(&record, source, code, why)
            .await
            .with_context(|| format!("set offset {} of {source} aside", record.offset))
    }

    /// Sets the records at these offsets aside: a rule panicked on them.
    ///
    /// # Errors
    /// As [`bury`](Self::bury).
    pub(crate) async fn bury_panicked(&self, block: &RecordBlock, offsets: &[i64]) -> anyhow::Result<()> {
        for (index, record) in block.iter().enumerate().filter(|(_, record)| offsets.contains(&record.offset)) {
            tracing::error!(
                kafka.topic = block.topic(),
                kafka.partition = block.partition(),
                kafka.offset = record.offset,
                "a rule panicked on this record, it was set aside"
            );
            self.bury(block, index, INTERNAL_ERROR, "a rule panicked").await?;
        }
        Ok(())
    }
}

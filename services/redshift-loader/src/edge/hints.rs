//! Wakes a table's loader when the sink says that it has committed. Only a hint: a lost or late one costs a poll interval.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_pipeline::{Consumer, ConsumerConfig, ConsumerError, Event, KafkaConfig, OffsetReset, StartAt};
use metrics::counter;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::metrics as names;

/// Wait before the topic is subscribed to again after an error.
const RESUBSCRIBE: Duration = Duration::from_secs(30);
/// Longest wait for the consumer to leave its group.
const CLOSE: Duration = Duration::from_secs(5);

/// The task that follows the topic of lake commits.
#[derive(Debug)]
pub struct Hints {
    kafka: KafkaConfig,
    group: String,
    topic: String,
    /// By name of the lake table, which is the key of the messages.
    tables: HashMap<String, Arc<Notify>>,
}

impl Hints {
    /// A task that has not begun; `tables` are whom to wake, by name of the lake table.
    pub fn new(kafka: KafkaConfig, group: String, topic: String, tables: HashMap<String, Arc<Notify>>) -> Self {
        Self { kafka, group, topic, tables }
    }

    /// Follows the topic until shutdown; without it, loads only begin later, so no error ends the task.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.follow(&shutdown).await {
                tracing::warn!(kafka.topic = self.topic, error = %error, "hints are interrupted");
                service_runtime::sleep_or_shutdown(RESUBSCRIBE, &shutdown).await;
            }
        }
        Ok(())
    }

    async fn follow(&self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let config = ConsumerConfig {
            reset: OffsetReset::Latest,
            block_wait: Duration::from_millis(10),
            queue_blocks: 1,
            fetch_queue_bytes: 1 << 20,
            lag_interval: Duration::ZERO,
            ..ConsumerConfig::new(self.group.clone(), [self.topic.clone()])
        };
        let (consumer, mut events) = Consumer::subscribe(&self.kafka, config)?;
        let result: Result<(), ConsumerError> = loop {
            let event = tokio::select! {
                biased;
                () = shutdown.cancelled() => break Ok(()),
                event = events.recv() => event,
            };
            match event {
                None => break Ok(()),
                Some(Ok(event)) => self.handle(&consumer, event)?,
                Some(Err(error)) => break Err(error),
            }
        };
        consumer.close(CLOSE).await?;
        Ok(result?)
    }

    fn handle(&self, consumer: &Consumer, event: Event) -> Result<(), ConsumerError> {
        match event {
            // What was committed while nobody listened is found in the table's log.
            Event::Assigned(partitions) => partitions.iter().try_for_each(|at| consumer.start(at, StartAt::End))?,
            Event::Revoked(_, ack) => ack.done([]),
            Event::Records(block) => {
                counter!(names::HINTS).increment(block.len() as u64);
                let keys = block.iter().filter_map(|record| std::str::from_utf8(record.key?).ok().map(str::to_owned));
                for loader in keys.filter_map(|table| self.tables.get(&table).cloned()) {
                    loader.notify_one();
                }
            }
            Event::PartitionEof(..) => {}
        }
        Ok(())
    }
}

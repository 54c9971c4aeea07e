//! Announces commits. A hint only: whoever needs to be sure reads the table's log.

use std::time::Duration;

use anyhow::Context;
use kafka_pipeline::{AvroWriter, KafkaConfig, Producer, ProducerConfig, ProducerRecord};
use lake::{CommitRequest, Committed, WrittenFile};
use meterway_schemas::{LakeCommit, LakeFile, OffsetRange};

use crate::metrics::RouteMetrics;

/// How long a route waits for an announcement before it goes on without.
const PATIENCE: Duration = Duration::from_secs(5);

/// Announces the commits of one route.
pub(crate) struct Hints {
    kafka: KafkaConfig,
    topic: String,
    writer: AvroWriter<LakeCommit>,
    metrics: RouteMetrics,
    /// A producer that has lost a record refuses all others; for hints a new one will do.
    producer: Option<Producer>,
}

impl Hints {
    pub(crate) fn new(
        kafka: KafkaConfig,
        topic: String,
        writer: AvroWriter<LakeCommit>,
        metrics: RouteMetrics,
    ) -> Self {
        Self { kafka, topic, writer, metrics, producer: None }
    }

    /// Announces a commit, or counts that it could not be announced.
    pub(crate) async fn announce(&mut self, table: &str, request: &CommitRequest, committed: &Committed) {
        let message = message(table, request, committed);
        let sent = tokio::time::timeout(PATIENCE, self.send(&message)).await;
        if let Err(error) = sent.map_err(anyhow::Error::from).flatten() {
            self.producer = None;
            self.metrics.hint_lost();
            tracing::warn!(route = self.metrics.0, error = format!("{error:#}"), "commit was not announced");
        }
    }

    async fn send(&mut self, message: &LakeCommit) -> anyhow::Result<()> {
        let payload = self.writer.write(message).context("encode the announcement")?;
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => Producer::new(&self.kafka, &ProducerConfig::default()).context("create a producer")?,
        };
        let record = ProducerRecord {
            topic: &self.topic,
            partition: None,
            key: Some(message.table.as_bytes()),
            payload: Some(&payload),
            headers: &[],
            timestamp_ms: None,
        };
        producer.send_all([record]).await.context("announce a commit")?;
        self.producer = Some(producer);
        Ok(())
    }
}

fn message(table: &str, request: &CommitRequest, committed: &Committed) -> LakeCommit {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let file = |file: &WrittenFile| LakeFile {
        path: file.path().to_owned(),
        rows: number(file.rows()),
        bytes: number(file.bytes()),
    };
    LakeCommit {
        table: table.to_owned(),
        snapshot_id: committed.snapshot_id,
        commit_id: request.commit_id.to_string(),
        committed_at: committed.at_micros,
        rows: number(request.files.iter().map(WrittenFile::rows).sum()),
        files: request.files.iter().map(file).collect(),
        offsets: request
            .advances
            .iter()
            .map(|advance| OffsetRange {
                topic: advance.key.topic.to_string(),
                topic_id: advance.key.topic_id.to_string(),
                partition: advance.key.partition,
                from: advance.from.unwrap_or(0),
                next: advance.to.next,
            })
            .collect(),
    }
}

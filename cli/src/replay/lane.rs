//! The topics of the replay lane: where it stands, and what it decided.

use anyhow::{Context, bail, ensure};
use kafka_pipeline::{
    Admin, BatchDecoder, KafkaConfig, NextOffset, Registry, StartAt, TopicPartition, read_tail, topic_id,
};
use lake::{HeadKey, LakeTable};
use meter_model::RejectCode;
use meterway_schemas::columns::{ValidatedBatchColumns, range};
use meterway_schemas::replay::{REPLAY_HEADER, ReplayNote};
use meterway_schemas::{VALIDATED_BATCH, counts};
use serde::Serialize;
use std::collections::BTreeMap;

/// The lane.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) kafka: KafkaConfig,
    /// Topic of old messages.
    pub(crate) replay: String,
    /// Topic of the decisions about them.
    pub(crate) validated: String,
}

/// The last message of a partition of the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    /// What it says.
    pub(crate) note: ReplayNote,
    /// Where it stands in the replay topic.
    pub(crate) offset: i64,
}

/// What became of the messages of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    /// Messages decided.
    pub(crate) messages: u64,
    /// Messages that were sent again after a kill and had been judged.
    pub(crate) repeated: u64,
    /// Readings that made a row: accepted for the first time, or with another outcome than before.
    pub(crate) rows: u64,
    /// Readings accepted as before, and those of messages before the range.
    pub(crate) unchanged: u64,
    /// Readings that are refused now and have a row, which stays.
    pub(crate) refused: u64,
    /// Readings and whole messages that are refused as before.
    pub(crate) rejected: u64,
}

/// A reading that has a row and is refused now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Refused {
    pub(crate) tenant: String,
    pub(crate) device: String,
    pub(crate) partition: i32,
    /// Offset in the raw topic.
    pub(crate) offset: i64,
    /// Position in the message, -1 for the whole message.
    pub(crate) reading: i32,
    pub(crate) code: String,
    pub(crate) detail: String,
}

impl Lane {
    /// The last message of each partition that has one.
    ///
    /// # Errors
    /// When the brokers do not answer, the topic does not exist, or something else wrote to it.
    pub(crate) async fn tails(&self) -> anyhow::Result<BTreeMap<i32, Tail>> {
        let mut tails = BTreeMap::new();
        for (partition, low, high) in self.watermarks(&self.replay).await? {
            if high <= low {
                continue;
            }
            let at = TopicPartition::new(self.replay.as_str(), partition);
            let last = StartAt::Offset(NextOffset(high - 1));
            let mut blocks = read_tail(&self.kafka, &at, last).await.with_context(|| format!("read {at}"))?;
            let block = blocks.next().await.with_context(|| format!("read {at}"))?;
            let Some(block) = block.filter(|block| !block.is_empty()) else { continue };
            let record = block.get(block.len() - 1);
            let note = record.header(REPLAY_HEADER).and_then(|bytes| ReplayNote::parse(bytes).ok());
            let note = note.with_context(|| format!("{at} holds messages that meterway replay has not written"))?;
            tails.insert(partition, Tail { note, offset: record.offset });
        }
        Ok(tails)
    }

    /// Low and high watermarks of a topic.
    ///
    /// # Errors
    /// When it does not exist.
    pub(crate) async fn watermarks(&self, topic: &str) -> anyhow::Result<Vec<(i32, i64, i64)>> {
        let admin = Admin::connect(&self.kafka).await.context("connect to kafka")?;
        admin.watermarks(topic).await.with_context(|| format!("look up {topic}; `meterway topics apply` makes it"))
    }

    /// How far the table of readings has taken in the decisions of a topic: the highest source offset, by partition.
    ///
    /// # Errors
    /// When catalog or brokers do not answer, or the topic was created anew.
    pub(crate) async fn taken(&self, table: &LakeTable, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
        let id = topic_id(&self.kafka, topic).await.with_context(|| format!("look up {topic}"))?.to_string();
        let heads = table.heads().await.context("read the heads of readings")?.heads;
        let mut taken = BTreeMap::new();
        for (partition, _, _) in self.watermarks(topic).await? {
            if let Some(head) = heads.get(&HeadKey::new(topic, &id, partition))? {
                taken.insert(partition, head.watermark);
            }
        }
        Ok(taken)
    }
}

/// Follows the decisions of one replay.
pub(crate) struct Follower {
    lane: Lane,
    decoder: BatchDecoder,
    revision: i64,
    next: BTreeMap<i32, i64>,
    /// The highest offset of the replay topic that was decided, by partition.
    decided: BTreeMap<i32, i64>,
    pub(crate) outcome: Outcome,
}

impl Follower {
    /// From these offsets of the decisions on.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub(crate) fn new(
        lane: &Lane,
        registry: Registry,
        revision: i64,
        next: BTreeMap<i32, i64>,
    ) -> anyhow::Result<Self> {
        let decoder = BatchDecoder::new(registry, VALIDATED_BATCH.avsc)?;
        let (decided, outcome) = (BTreeMap::new(), Outcome::default());
        Ok(Self { lane: lane.clone(), decoder, revision, next, decided, outcome })
    }

    /// Whether the decision about this offset of the replay topic, or a later one, was seen.
    pub(crate) fn has_decided(&self, partition: i32, offset: i64) -> bool {
        self.decided.get(&partition).is_some_and(|decided| *decided >= offset)
    }

    /// Takes in what was decided since the last call.
    ///
    /// # Errors
    /// When brokers or registry do not answer, a newer replay has taken the lane over, or `refused` fails.
    pub(crate) async fn catch_up(
        &mut self,
        refused: &mut impl FnMut(Refused) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for (partition, low, high) in self.lane.watermarks(&self.lane.validated).await? {
            let from = self.next.get(&partition).copied().unwrap_or(low).max(low);
            if from >= high {
                continue;
            }
            let at = TopicPartition::new(self.lane.validated.as_str(), partition);
            let read = || format!("read {at}");
            let mut blocks =
                read_tail(&self.lane.kafka, &at, StartAt::Offset(NextOffset(from))).await.with_context(read)?;
            while let Some(block) = blocks.next().await.with_context(read)? {
                let decoded = self.decoder.decode(&block).await.context("decode decisions")?;
                ensure!(decoded.poison.is_empty(), "{at} holds messages that are no decisions");
                for batch in &decoded.batches {
                    let columns = ValidatedBatchColumns::try_from(&batch.batch)?;
                    let decides = |row: &usize| {
                        let offset = block.get(batch.rows[*row] as usize).offset;
                        counts(columns.decision_offset.value(*row), offset)
                    };
                    self.take(partition, &columns, (0..batch.rows.len()).filter(decides), refused)?;
                }
                self.next.insert(partition, block.next_offset().get());
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        partition: i32,
        columns: &ValidatedBatchColumns<'_>,
        rows: impl Iterator<Item = usize>,
        refused: &mut impl FnMut(Refused) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for row in rows {
            let source_offset = columns.source_offset.value(row);
            // Only the first decision about a message counts.
            if self.has_decided(partition, source_offset) {
                continue;
            }
            self.decided.insert(partition, source_offset);
            let revision = columns.revision.value(row);
            if revision > self.revision {
                bail!("replay {revision} has taken the lane over from replay {}", self.revision);
            }
            if revision == self.revision {
                self.count(partition, columns, row, refused)?;
            }
        }
        Ok(())
    }

    fn count(
        &mut self,
        partition: i32,
        columns: &ValidatedBatchColumns<'_>,
        row: usize,
        refused: &mut impl FnMut(Refused) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (readings, rejections) = (range(columns.lists, row), range(columns.rejection_lists, row));
        self.outcome.messages += 1;
        if rejections.clone().any(|index| columns.rejections.code.value(index) == RejectCode::Repeated.as_str()) {
            self.outcome.repeated += 1;
            return Ok(());
        }
        let unchanged = readings.clone().filter(|index| columns.unchanged.value(*index)).count() as u64;
        self.outcome.unchanged += unchanged;
        self.outcome.rows += readings.len() as u64 - unchanged;
        for index in rejections {
            if !columns.had_row.value(index) {
                self.outcome.rejected += 1;
                continue;
            }
            self.outcome.refused += 1;
            refused(Refused {
                tenant: columns.tenant_id.value(row).to_owned(),
                device: columns.device_id.value(row).to_owned(),
                partition,
                offset: columns.origin_offset.value(row),
                reading: columns.rejections.index.value(index),
                code: columns.rejections.code.value(index).to_owned(),
                detail: columns.rejections.detail.value(index).to_owned(),
            })?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("revision", &self.revision).field("next", &self.next).finish_non_exhaustive()
    }
}

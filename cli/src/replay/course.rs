//! A replay under way: messages out, decisions in, until the lake has them.

use super::ReplayArgs;
use super::known::{Delivery, Known};
use super::landing::{self, Landed, Survey, Wanted};
use super::lane::{Follower, Lane, Refused};
use super::lookup::{self, Readings};
use super::order::{groups, slices};
use super::progress::Progress;
use super::report::SHOWN;
use super::run::{ends, until_taken};
use crate::out::Out;
use anyhow::{Context, bail};
use kafka_pipeline::{BatchDecoder, Producer, ProducerRecord, SendGroup};
use lake::{LakeTable, day_of_micros};
use meterway_schemas::replay::{REPLAY_HEADER, ReplayNote};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

/// Payload bytes that are read at once.
const SLICE_BYTES: u64 = 32 << 20;
/// Messages whose rows are looked up at once.
const CHUNK_MESSAGES: usize = 2_000;
/// Payload bytes of these messages, so that their readings have a bound.
const CHUNK_BYTES: usize = 4 << 20;
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(500);

/// Readings that have rows and are refused now.
pub(crate) struct Refusals {
    file: Option<BufWriter<File>>,
    /// Those that the report shows.
    pub(crate) first: Vec<Refused>,
}

impl Refusals {
    /// Opens the file that was asked for.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn open(args: &ReplayArgs) -> anyhow::Result<Self> {
        let create = |path: &std::path::PathBuf| {
            File::create(path).map(BufWriter::new).with_context(|| format!("create {}", path.display()))
        };
        Ok(Self { file: args.refused.as_ref().map(create).transpose()?, first: Vec::new() })
    }

    fn add(&mut self, refused: Refused) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            serde_json::to_writer(&mut *file, &refused).context("write a refused reading")?;
            file.write_all(b"\n").context("write a refused reading")?;
        }
        if self.first.len() < SHOWN {
            self.first.push(refused);
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.flush().context("write refused readings"))
    }
}

/// A replay under way.
pub(crate) struct Course<'a> {
    pub(crate) args: &'a ReplayArgs,
    pub(crate) out: &'a Out,
    pub(crate) lane: Lane,
    pub(crate) revision: i64,
    pub(crate) plan: String,
    /// Messages before this time make no rows.
    pub(crate) from: i64,
    /// The last message of each partition.
    pub(crate) last: BTreeMap<i32, i64>,
    /// The partitions in which the replay has messages.
    pub(crate) ours: BTreeSet<i32>,
    pub(crate) decoder: BatchDecoder,
    pub(crate) known: Readings,
    pub(crate) producer: Producer,
    pub(crate) follower: Follower,
    /// The highest offset of the replay topic that holds a message of this replay, by partition.
    pub(crate) sent: BTreeMap<i32, i64>,
    pub(crate) days: BTreeSet<i32>,
    pub(crate) refusals: Refusals,
    pub(crate) began: Instant,
    pub(crate) told: Instant,
    pub(crate) progress: Progress,
}

impl Course<'_> {
    /// Sends every message that is wanted.
    ///
    /// # Errors
    /// When the lake cannot be read or the brokers do not take them.
    pub(crate) async fn send_all(
        &mut self,
        landing: &LakeTable,
        survey: Survey,
        wanted: &Wanted,
    ) -> anyhow::Result<()> {
        for group in groups(survey.files) {
            for slice in slices(&group, SLICE_BYTES) {
                let messages = landing::read(landing, &group, &slice, wanted).await?;
                for chunk in chunks(&messages) {
                    self.send_chunk(chunk).await?;
                    self.tell(false).await?;
                }
            }
        }
        Ok(())
    }

    /// Sends messages of any partitions, in their order.
    async fn send_chunk(&mut self, messages: &[Landed]) -> anyhow::Result<()> {
        let mut deliveries = Vec::with_capacity(messages.len());
        for run in messages.chunk_by(|a, b| a.partition == b.partition) {
            deliveries.extend(lookup::decode(&mut self.decoder, &self.args.raw_topic, run).await?);
        }
        let decoded: Vec<Delivery> = deliveries.iter().flatten().cloned().collect();
        let known = self.known.known(&decoded).await?;
        tracing::debug!(messages = messages.len(), rows = known.len(), "looked up");
        let group = self.producer.group();
        for (message, delivery) in messages.iter().zip(&deliveries) {
            self.send(&group, message, delivery.as_ref(), &known).await?;
        }
        group.delivered().await.context("send to the lane")
    }

    async fn send(
        &mut self,
        group: &SendGroup,
        message: &Landed,
        delivery: Option<&Delivery>,
        known: &Known,
    ) -> anyhow::Result<()> {
        self.pace().await;
        self.progress.sent += 1;
        let last_offset = self.last.get(&message.partition).copied().unwrap_or(message.offset);
        let other = self.args.tenant.as_ref().is_some_and(|tenant| delivery.is_none_or(|d| d.tenant != *tenant));
        // The last message of a partition says that the replay is complete there, whosever it is.
        if other && message.offset < last_offset {
            return Ok(());
        }
        let mut note = ReplayNote {
            revision: self.revision,
            origin_offset: message.offset,
            timestamp_ms: message.timestamp.div_euclid(1_000),
            plan: self.plan.clone(),
            last_offset,
            partitions: u32::try_from(self.ours.len()).unwrap_or(u32::MAX),
            lead: other || message.timestamp < self.from,
            ..ReplayNote::default()
        };
        if let Some(delivery) = delivery {
            known.fill(delivery, &mut note);
            self.progress.readings += delivery.readings.len() as u64;
        }
        let note = note.to_bytes();
        let record = ProducerRecord {
            topic: &self.lane.replay,
            partition: Some(message.partition),
            key: message.key.as_deref(),
            payload: message.payload.as_deref(),
            headers: &[(REPLAY_HEADER, &note)],
            timestamp_ms: None,
        };
        group.send(record).await.context("send to the lane")?;
        if self.days.insert(day_of_micros(message.timestamp)) {
            self.progress.days_begun = self.days.len() as u64;
        }
        Ok(())
    }

    /// Keeps to the rate that was asked for.
    async fn pace(&self) {
        let Some(rate) = self.args.rate else { return };
        let due = Duration::from_secs_f64(self.progress.sent as f64 / f64::from(rate));
        tokio::time::sleep(due.saturating_sub(self.began.elapsed())).await;
    }

    /// Tells how far it is, now and then, or now.
    async fn tell(&mut self, now: bool) -> anyhow::Result<()> {
        if now || self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            self.look().await?;
            self.out.note(&self.progress.line(self.began.elapsed(), 0));
        }
        Ok(())
    }

    /// Takes in what was decided.
    async fn look(&mut self) -> anyhow::Result<()> {
        let refusals = &mut self.refusals;
        self.follower.catch_up(&mut |refused| refusals.add(refused)).await?;
        self.progress.decided = self.follower.outcome.messages;
        Ok(())
    }

    /// Waits until everything that was sent is decided.
    ///
    /// # Errors
    /// When the lane does not move.
    pub(crate) async fn wait_for_decisions(&mut self) -> anyhow::Result<()> {
        let ends = ends(&self.lane, &self.lane.replay).await?;
        let ours = ends.into_iter().filter(|(partition, _)| self.ours.contains(partition));
        self.sent = ours.map(|(partition, end)| (partition, end - 1)).collect();
        let (mut moved, mut before) = (Instant::now(), 0);
        loop {
            self.look().await?;
            let undecided = |(partition, offset): (&i32, &i64)| !self.follower.has_decided(*partition, *offset);
            if !self.sent.iter().any(undecided) {
                return self.tell(true).await;
            }
            if self.follower.outcome.messages > before {
                (moved, before) = (Instant::now(), self.follower.outcome.messages);
            }
            if moved.elapsed() > Duration::from_secs(self.args.wait) {
                bail!("nobody decides about {}: is the lane's validate running?", self.lane.replay);
            }
            self.tell(false).await?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the lake has taken the decisions in.
    ///
    /// # Errors
    /// When it does not move.
    pub(crate) async fn wait_for_the_lake(&self, readings: &LakeTable) -> anyhow::Result<()> {
        until_taken(Duration::from_secs(self.args.wait), &self.lane, readings, &self.sent).await
    }
}

/// Divides messages so that what is looked up at once has a bound.
fn chunks(messages: &[Landed]) -> impl Iterator<Item = &[Landed]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |message: &&Landed| {
            bytes += message.payload.as_ref().map_or(0, bytes::Bytes::len);
            bytes <= CHUNK_BYTES
        };
        let count = rest.iter().take(CHUNK_MESSAGES).take_while(fits).count().max(1).min(rest.len());
        let (chunk, behind) = rest.split_at(count);
        rest = behind;
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_bounded_by_number_and_by_bytes_and_lose_nothing() {
        let message = |offset, size: usize| Landed {
            partition: 0,
            offset,
            timestamp: 0,
            key: None,
            payload: Some(vec![0; size].into()),
        };
        let sizes = [1_000, CHUNK_BYTES + 1, 1, 1, CHUNK_BYTES / 2, CHUNK_BYTES / 2, 7];
        let messages: Vec<_> = (0..).zip(sizes).map(|(offset, size)| message(offset, size)).collect();
        let lengths: Vec<_> = chunks(&messages).map(<[Landed]>::len).collect();
        assert_eq!(lengths, [1, 1, 3, 2]);
        assert_eq!(chunks(&[]).count(), 0);
        let many: Vec<_> = (0..5_000).map(|offset| message(offset, 1)).collect();
        assert_eq!(chunks(&many).map(<[Landed]>::len).collect::<Vec<_>>(), [2_000, 2_000, 1_000]);
    }
}

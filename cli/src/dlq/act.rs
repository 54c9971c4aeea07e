//! What `replay` and `drop` have in common: choosing, fetching, marking, reporting.

use super::args::{ActionArgs, Place, Selection};
use super::plan::{Chosen, Left, Planner};
use super::scan::Survey;
use crate::exit::{BadConfig, Exit};
use crate::out::{Mood, Out};
use anyhow::Context;
use kafka_pipeline::dead_letter::{Deed, Mark};
use kafka_pipeline::{
    KafkaConfig, NextOffset, Producer, ProducerConfig, RecordBlock, RecordBlockBuilder, StartAt, TopicPartition,
    read_tail,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the broker may take to acknowledge. A record that is not stored until then never will be.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often people are told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Letters that a table names.
const ROWS: usize = 50;

/// What was chosen, by partition of the dead-letter topic.
pub(crate) type Plan = Vec<(i32, Vec<Chosen>)>;

/// What became of a letter that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Done {
    /// The letter, `partition:offset`.
    pub(crate) letter: String,
    /// Where it came from.
    pub(crate) source: String,
    /// Its code.
    pub(crate) code: Option<String>,
    /// What was done.
    pub(crate) outcome: &'static str,
    /// Where its replay was stored: partition and offset of the source topic.
    pub(crate) to: Option<(i32, i64)>,
}

/// What a run did.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    run: String,
    dry_run: bool,
    /// Letters that were taken.
    taken: Vec<Done>,
    /// Letters that were left alone, by reason.
    left: BTreeMap<Left, u64>,
    #[serde(skip)]
    told: Option<Instant>,
}

impl Report {
    /// A run that has done nothing.
    pub(crate) fn new(dry_run: bool) -> Self {
        let run = uuid::Uuid::new_v4().simple().to_string();
        Self { run, dry_run, taken: Vec::new(), left: BTreeMap::new(), told: None }
    }

    /// Name of the run, which its marks carry.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// Notes a letter that was taken.
    pub(crate) fn took(&mut self, chosen: &Chosen, outcome: &'static str, to: Option<(i32, i64)>) {
        let letter = &chosen.letter;
        let (name, source) = (letter.name(), super::source(letter));
        self.taken.push(Done { letter: name, source, code: letter.code.clone(), outcome, to });
    }

    /// Notes a letter that was left alone.
    pub(crate) fn left(&mut self, why: Left) {
        *self.left.entry(why).or_default() += 1;
    }

    /// Tells people now and then how far it is.
    pub(crate) fn tell(&mut self, out: &Out, all: usize) {
        if self.told.get_or_insert_with(Instant::now).elapsed() >= TELL_EVERY {
            out.note(&format!("{} of {all} letters", self.taken.len()));
            self.told = Some(Instant::now());
        }
    }

    /// Writes the report, and judges it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn show(&self, out: &Out) -> anyhow::Result<Exit> {
        out.report(self, &["letter", "source", "code", "outcome", "to"], |report, rows| {
            for done in report.taken.iter().take(ROWS) {
                let to = done.to.map_or_else(|| "-".to_owned(), |(partition, offset)| format!("{partition}:{offset}"));
                let code = done.code.clone().unwrap_or_else(|| "-".to_owned());
                rows.push(Mood::Plain, [done.letter.clone(), done.source.clone(), code, done.outcome.to_owned(), to]);
            }
        })?;
        if out.is_table() {
            self.explain(out);
        }
        Ok(Exit::ok_if(!self.left.keys().any(|why| why.is_refusal())))
    }

    fn explain(&self, out: &Out) {
        let more = self.taken.len().saturating_sub(ROWS);
        let more = if more == 0 { String::new() } else { format!(" ({more} more than shown)") };
        let dry = if self.dry_run { ", nothing was done" } else { "" };
        out.note(&format!("{} letters{more}{dry}", self.taken.len()));
        for (why, letters) in &self.left {
            out.note(&format!("{letters} left alone: {}", why.text()));
        }
    }
}

/// Refuses to act on everything by mistake.
///
/// # Errors
/// [`BadConfig`] without a filter and without `--all`.
pub(crate) fn check(selection: &Selection, action: &ActionArgs) -> Result<(), BadConfig> {
    let everything = selection.filter(chrono::Utc::now()).is_empty() && selection.status.is_empty();
    if everything && !action.all {
        return Err(BadConfig::new("no filter is given; --all takes every letter"));
    }
    Ok(())
}

/// Chooses letters, and notes why others are left alone.
///
/// # Errors
/// When brokers or the registry do not answer.
pub(crate) async fn choose(
    survey: &mut Survey,
    (place, selection): (&Place, &Selection),
    limit: u32,
    planner: &mut Planner,
    report: &mut Report,
) -> anyhow::Result<Plan> {
    let mut plan = Plan::new();
    let mut room = limit as usize;
    for (partition, _) in survey.partitions.clone() {
        let ledger = survey.ledger.clone();
        let mut chosen = Vec::new();
        let take = async |letter, standing, _: &kafka_pipeline::RecordRef<'_>| {
            if chosen.len() < room {
                match planner.judge(letter, &standing, &ledger) {
                    Ok(one) => chosen.push(one),
                    Err(why) => report.left(why),
                }
            }
            anyhow::Ok(())
        };
        survey.letters(place, selection, partition, take).await?;
        room -= chosen.len();
        plan.push((partition, chosen));
    }
    Ok(plan)
}

/// Reads the records of letters, which are in the order of the log.
///
/// # Errors
/// When brokers do not answer.
pub(crate) async fn fetch(
    kafka: &KafkaConfig,
    topic: &str,
    partition: i32,
    batch: &[Chosen],
) -> anyhow::Result<RecordBlock> {
    let at = TopicPartition::new(topic, partition);
    let mut wanted = batch.iter().map(|chosen| chosen.letter.offset).peekable();
    let mut found = RecordBlockBuilder::new(topic, partition);
    let from = StartAt::Offset(NextOffset(wanted.peek().copied().unwrap_or(0)));
    let mut tail = read_tail(kafka, &at, from).await.with_context(|| format!("read {at}"))?;
    while wanted.peek().is_some()
        && let Some(block) = tail.next().await.with_context(|| format!("read {at}"))?
    {
        for record in block.iter() {
            // Retention may have taken some since they were chosen.
            while wanted.next_if(|offset| *offset < record.offset).is_some() {}
            if wanted.next_if_eq(&record.offset).is_some() {
                found.push(record.offset, record.timestamp_ms, record.key, record.payload, record.headers);
            }
        }
    }
    Ok(found.build())
}

/// A producer whose records are stored soon or never.
///
/// # Errors
/// When the client refuses the settings.
pub(crate) fn producer(kafka: &KafkaConfig) -> anyhow::Result<Producer> {
    let config =
        ProducerConfig { delivery_timeout: DELIVERY_TIMEOUT, message_max_bytes: 9 << 20, ..ProducerConfig::default() };
    Producer::new(kafka, &config).context("create a producer")
}

/// A mark about a letter.
pub(crate) fn mark(deed: Deed, chosen: &Chosen, (run, by, because): (&str, &str, &str)) -> Mark {
    let source = &chosen.source;
    Mark {
        deed,
        letter: chosen.letter.offset,
        source: (source.topic.clone(), source.partition, source.offset),
        run: run.to_owned(),
        by: by.to_owned(),
        reason: because.to_owned(),
        to: None,
        count: if deed == Deed::Dropped { 0 } else { chosen.count },
    }
}

/// Writes marks and waits until they are stored. The key of each is that of its letter.
///
/// # Errors
/// When one was not stored.
pub(crate) async fn write_marks(
    producer: &Producer,
    topic: &str,
    partition: i32,
    marks: Vec<(Mark, Option<Vec<u8>>)>,
) -> anyhow::Result<()> {
    let mut receipts = Vec::with_capacity(marks.len());
    for (mark, key) in &marks {
        receipts.push(mark.send(producer, topic, partition, key.as_deref()).await.context("write a mark")?);
    }
    for receipt in receipts {
        receipt.await.context("write a mark")?;
    }
    Ok(())
}

//! `dlq replay`: sends letters back to where they came from.
//!
//! In three steps, each of which is stored before the next begins: a claim beside the letter, the message in its source
//! topic, the mark that closes the claim. A run that dies in between leaves claims; the next run looks for their messages
//! in the source topic and sends only those that are not there. Of two runs at once the first claim in the log holds.

use super::act::{self, Plan, Report};
use super::args::ReplayArgs;
use super::plan::{Chosen, Left, Planner, Policy, batches};
use super::read::Letters;
use super::scan::Survey;
use crate::exit::Exit;
use crate::out::Out;
use crate::simulate::Pace;
use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use kafka_pipeline::dead_letter::{Deed, Mark, replay};
use kafka_pipeline::{DeliveryReceipt, Producer, RecordBlock};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Longest time from a claim to the last message that is sent by it. With the time that the broker may take it is below
/// the default of `--claim-timeout`, after which others take the run for dead.
const HOLD: Duration = Duration::from_secs(120);
/// Letters claimed together at most.
const BATCH_LETTERS: usize = 500;
/// Bytes of theirs.
const BATCH_BYTES: usize = 16 << 20;
/// Seconds that a batch takes at a given rate.
const BATCH_SECONDS: f64 = 30.0;
/// Clocks of two machines may differ by so much.
const CLOCKS: chrono::Duration = chrono::Duration::minutes(10);

/// Letter → where its replay stands in the source topic, and its number.
type Found = HashMap<(i32, i64), ((i32, i64), u32)>;

/// Replays letters.
pub(crate) async fn run(args: ReplayArgs, out: &Out) -> anyhow::Result<Exit> {
    act::check(&args.selection, &args.action)?;
    let now = Utc::now();
    let mut survey = Survey::of(&args.place, &args.selection, now).await?;
    let mut planner = Planner::new(Policy {
        again: args.action.again,
        duplicates: args.selection.reasons.iter().any(|code| code == super::ledger::DUPLICATE),
        max_replays: Some(args.max_replays),
        validated_topic: args.place.validated_topic.clone(),
        now,
        claim_timeout: args.action.claim_timeout,
    });
    let mut report = Report::new(args.action.dry_run);
    let from = (&args.place, &args.selection);
    let plan = act::choose(&mut survey, from, args.action.limit, &mut planner, &mut report).await?;
    if args.action.dry_run {
        plan.iter().flat_map(|(_, chosen)| chosen).for_each(|one| report.took(one, "would be replayed", None));
        return report.show(out);
    }
    let producer = act::producer(&survey.kafka)?;
    let pace = Pace::new(args.action.rate);
    Replayer { args: &args, out, survey, producer, pace, report }.run(plan).await
}

struct Replayer<'a> {
    args: &'a ReplayArgs,
    out: &'a Out,
    survey: Survey,
    producer: Producer,
    pace: Pace,
    report: Report,
}

impl Replayer<'_> {
    async fn run(mut self, plan: Plan) -> anyhow::Result<Exit> {
        let all = plan.iter().map(|(_, chosen)| chosen.len()).sum();
        let letters = match self.args.action.rate {
            rate if rate > 0.0 => ((rate * BATCH_SECONDS) as usize).clamp(1, BATCH_LETTERS),
            _ => BATCH_LETTERS,
        };
        for (partition, chosen) in plan {
            let found = self.look_for(&chosen).await.context("look for the messages of a run that stopped")?;
            let chosen = self.settle(partition, chosen, &found).await?;
            for batch in batches(&chosen, letters, BATCH_BYTES) {
                self.replay(partition, batch).await?;
                self.report.tell(self.out, all);
            }
        }
        self.report.show(self.out)
    }

    /// Looks in the source topics for messages that a run sent before it stopped.
    async fn look_for(&self, chosen: &[Chosen]) -> anyhow::Result<Found> {
        let mut places: BTreeMap<(&str, i32), DateTime<Utc>> = BTreeMap::new();
        for one in chosen.iter().filter(|one| !one.uncertain.is_empty()) {
            let first = one.uncertain.iter().filter_map(|claim| claim.at).min().unwrap_or(DateTime::UNIX_EPOCH);
            let since = places.entry((&one.source.topic, one.source.partition)).or_insert(first);
            *since = first.min(*since);
        }
        let mut found = Found::new();
        for ((topic, partition), since) in places {
            let letters = Letters { kafka: &self.survey.kafka, topic };
            let note = async |block: &RecordBlock| {
                for record in block.iter() {
                    if let Some(letter) = replay::letter_of(&record) {
                        found.insert(letter, ((partition, record.offset), replay::count(&record)));
                    }
                }
                anyhow::Ok(())
            };
            letters.scan(partition, Some(since - CLOCKS), note).await?;
        }
        Ok(found)
    }

    /// Closes the claims whose messages were found; returns the letters that are still to be sent.
    async fn settle(&mut self, partition: i32, chosen: Vec<Chosen>, found: &Found) -> anyhow::Result<Vec<Chosen>> {
        let (mut open, mut marks) = (Vec::new(), Vec::new());
        for one in chosen {
            let sent = one.uncertain.iter().find_map(|claim| Some((claim, found.get(&claim.letter)?)));
            let Some((claim, (to, count))) = sent else {
                open.push(one);
                continue;
            };
            let said = (&*claim.run, &*claim.by, "the run stopped behind this replay");
            marks.push((Mark { to: Some(*to), count: *count, ..act::mark(Deed::Replayed, &one, said) }, None));
            self.report.took(&one, "was replayed by a run that stopped", Some(*to));
        }
        act::write_marks(&self.producer, &self.args.place.topic, partition, marks).await?;
        Ok(open)
    }

    async fn replay(&mut self, partition: i32, batch: &[Chosen]) -> anyhow::Result<()> {
        let topic = &self.args.place.topic;
        let records = act::fetch(&self.survey.kafka, topic, partition, batch).await?;
        let claimed_at = Instant::now();
        self.write(Deed::Claimed, partition, &records, &pairs(batch, &records)).await.context("claim letters")?;
        self.survey.read_on(topic, partition).await?;
        let mut sent = Vec::with_capacity(batch.len());
        for (one, index) in pairs(batch, &records) {
            let (run, timeout) = (self.report.run(), self.args.action.claim_timeout);
            if !self.survey.ledger.holds(&one.letter, one.settled, run, Utc::now(), timeout) {
                self.report.left(Left::Claimed);
                continue;
            }
            self.pace.pass(1).await;
            ensure!(claimed_at.elapsed() < HOLD, "the claims are too old to send by; repeat the command in 5 minutes");
            sent.push((one, index, self.send(partition, one, &records, index).await?));
        }
        let mut marks = Vec::with_capacity(sent.len());
        for (one, index, receipt) in sent {
            let stored = receipt.await.with_context(|| format!("replay letter {}", one.letter.name()))?;
            // A broker that acknowledges a repeated request does not say where the first one went.
            let to = (stored.offset >= 0).then_some((stored.partition, stored.offset));
            self.report.took(one, "replayed", to);
            let mark = Mark { to, ..self.mark(Deed::Replayed, one) };
            marks.push((mark, records.get(index).key.map(<[u8]>::to_vec)));
        }
        act::write_marks(&self.producer, topic, partition, marks).await
    }

    async fn send(
        &self,
        partition: i32,
        one: &Chosen,
        records: &RecordBlock,
        index: usize,
    ) -> anyhow::Result<DeliveryReceipt> {
        let record = records.get(index);
        let (to, _) = replay::source(&record).context("headers of the letter")?;
        let sent = replay::send(&self.producer, &record, partition, &to, one.count).await;
        sent.with_context(|| format!("replay letter {}", one.letter.name()))
    }

    async fn write(
        &self,
        deed: Deed,
        partition: i32,
        records: &RecordBlock,
        pairs: &[(&Chosen, usize)],
    ) -> anyhow::Result<()> {
        let key = |index: usize| records.get(index).key.map(<[u8]>::to_vec);
        let marks = pairs.iter().map(|(one, index)| (self.mark(deed, one), key(*index))).collect();
        act::write_marks(&self.producer, &self.args.place.topic, partition, marks).await
    }

    fn mark(&self, deed: Deed, one: &Chosen) -> Mark {
        act::mark(deed, one, (self.report.run(), &self.args.action.by, &self.args.because))
    }
}

/// The letters with the index of their record; those that retention took meanwhile are left out.
fn pairs<'a>(batch: &'a [Chosen], records: &RecordBlock) -> Vec<(&'a Chosen, usize)> {
    let index: HashMap<i64, usize> = records.iter().enumerate().map(|(index, record)| (record.offset, index)).collect();
    batch.iter().filter_map(|one| Some((one, *index.get(&one.letter.offset)?))).collect()
}

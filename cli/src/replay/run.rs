//! The course of a replay.

use super::ReplayArgs;
use super::course::{Course, Refusals};
use super::landing::{self, Survey, Wanted};
use super::lane::{Follower, Lane, Outcome, Tail};
use super::lookup::Readings;
use super::plan::{Beginning, Request, begin};
use super::progress::Progress;
use super::report::Report;
use crate::exit::{BadConfig, Exit};
use crate::out::Out;
use anyhow::{Context, bail};
use chrono::Utc;
use kafka_pipeline::{BatchDecoder, Producer, ProducerConfig, Registry};
use lake::{Lake, LakeTable, tables};
use meterway_schemas::READING_BATCH;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(500);

/// Runs the command.
///
/// # Errors
/// [`BadConfig`] when a replay of other options is unfinished; otherwise when something does not answer.
pub(crate) async fn run(args: ReplayArgs, out: &Out) -> anyhow::Result<Exit> {
    let report = Box::pin(replay(&args, out)).await?;
    if out.is_table() {
        out.text(&report.to_string())?;
    } else {
        out.json(&report)?;
    }
    Ok(Exit::ok_if(report.outcome.refused == 0))
}

/// What a replay needs before its first message.
struct Prepared {
    lane: Lane,
    landing: LakeTable,
    readings: LakeTable,
    revision: i64,
    request: Request,
    resumed: bool,
    /// Where the partitions stand in which this replay has sent something.
    done: BTreeMap<i32, Tail>,
    wanted: Wanted,
    survey: Survey,
}

async fn replay(args: &ReplayArgs, out: &Out) -> anyhow::Result<Report> {
    let prepared = prepare(args).await?;
    let (messages, bytes) = prepared.survey.size();
    let something = messages > 0 || prepared.resumed;
    let mut report = Report {
        revision: Some(prepared.revision).filter(|_| !args.dry_run && something),
        resumed: prepared.resumed,
        dry_run: args.dry_run,
        progress: Progress { messages, days: prepared.survey.days.len() as u64, ..Progress::default() },
        bytes,
        outcome: Outcome::default(),
        refused: Vec::new(),
    };
    if report.revision.is_none() {
        return Ok(report);
    }
    let mut course = course(args, out, &prepared, report.progress).await?;
    course.send_all(&prepared.landing, prepared.survey, &prepared.wanted).await?;
    course.wait_for_decisions().await?;
    course.wait_for_the_lake(&prepared.readings).await?;
    course.refusals.finish()?;
    report.progress = course.progress;
    report.outcome = course.follower.outcome;
    report.refused = course.refusals.first;
    Ok(report)
}

async fn prepare(args: &ReplayArgs) -> anyhow::Result<Prepared> {
    let lane = Lane {
        kafka: args.kafka.config()?,
        replay: args.replay_topic.clone(),
        validated: args.replay_validated_topic.clone(),
    };
    let lake = Lake::connect(&args.lake.config()?).await.context("open the lake")?;
    let landing = lake.open(&tables::landing()).await.context("open landing")?;
    let readings = lake.open(&tables::readings()).await.context("open readings")?;
    let tails = lane.tails().await?;
    let (revision, request, resumed) = choose(args, &tails)?;
    if !resumed && !args.dry_run {
        // The rows of the replay before must be in the lake: this one is told what the lake holds.
        settle(args, &lane, &readings, &tails).await.context("wait for the replay before this one")?;
    }
    let of_this = |tail: &Tail| resumed && tail.note.revision == revision;
    let done: BTreeMap<i32, Tail> = tails.into_iter().filter(|(_, tail)| of_this(tail)).collect();
    let wanted = wanted(args, &lane, &readings, &request, &done).await?;
    let survey = landing::survey(&landing, &landing.live_files().await?.files, &wanted).await?;
    Ok(Prepared { lane, landing, readings, revision, request, resumed, done, wanted, survey })
}

async fn course<'a>(
    args: &'a ReplayArgs,
    out: &'a Out,
    prepared: &Prepared,
    progress: Progress,
) -> anyhow::Result<Course<'a>> {
    let Prepared { lane, readings, revision, request, resumed, done, survey, .. } = prepared;
    let registry = Registry::new(&args.registry.config()?)?;
    let follow_from = if *resumed { BTreeMap::new() } else { ends(lane, &lane.validated).await? };
    Ok(Course {
        args,
        out,
        lane: lane.clone(),
        revision: *revision,
        plan: request.text(),
        from: request.time.start,
        last: survey.last.clone(),
        ours: survey.last.keys().chain(done.keys()).copied().collect(),
        decoder: BatchDecoder::new(registry.clone(), READING_BATCH.avsc)?,
        known: Readings::new(readings.clone(), readings.live_files().await?.files, &args.raw_topic),
        producer: Producer::new(&lane.kafka, &ProducerConfig::default()).context("create a producer")?,
        follower: Follower::new(lane, registry, *revision, follow_from)?,
        sent: BTreeMap::new(),
        days: BTreeSet::new(),
        refusals: Refusals::open(args)?,
        began: Instant::now(),
        told: Instant::now(),
        progress,
    })
}

/// The number of the replay, what it is asked, and whether it goes on with one that was interrupted.
fn choose(args: &ReplayArgs, tails: &BTreeMap<i32, Tail>) -> anyhow::Result<(i64, Request, bool)> {
    let now = Utc::now();
    let from = args.from.at(now).timestamp_micros();
    let to = args.to.map_or(i64::MAX, |to| to.at(now).timestamp_micros());
    if from >= to {
        bail!(BadConfig::new("--from is not before --to"));
    }
    let given = (args.from.to_string(), args.to.map(|to| to.to_string()));
    let asked = args.asked((&given.0, given.1.as_deref()));
    let request = Request { asked: asked.clone(), time: from..to };
    match begin(tails, &asked, now.timestamp_millis()) {
        Beginning::New { revision } => Ok((revision, request, false)),
        Beginning::Resume { revision, request } => Ok((revision, request, true)),
        Beginning::Unfinished { revision, .. } if args.abandon => {
            Ok((now.timestamp_millis().max(revision + 1), request, false))
        }
        Beginning::Unfinished { revision, asked } => bail!(BadConfig(format!(
            "replay {revision} ({asked}) is unfinished: start it again to finish it, or leave it with --abandon"
        ))),
    }
}

/// The messages of the request that the live lane's decisions are in the lake of, less those that were sent.
async fn wanted(
    args: &ReplayArgs,
    lane: &Lane,
    readings: &LakeTable,
    request: &Request,
    done: &BTreeMap<i32, Tail>,
) -> anyhow::Result<Wanted> {
    let taken = lane.taken(readings, &args.validated_topic).await?;
    let offsets = taken.into_iter().map(|(partition, highest)| {
        let tail = done.get(&partition).map(|tail| &tail.note);
        let from = tail.map_or(0, |note| note.origin_offset + 1);
        let to = tail.map_or(highest, |note| note.last_offset.min(highest)) + 1;
        (partition, from..to.max(from))
    });
    let lead = i64::try_from(args.lead.as_micros()).unwrap_or(i64::MAX);
    Ok(Wanted {
        topic: args.raw_topic.clone(),
        time: request.time.start.saturating_sub(lead)..request.time.end,
        offsets: offsets.collect(),
        device: args.device.clone(),
    })
}

/// The ends of a topic, by partition.
///
/// # Errors
/// When it does not exist.
pub(crate) async fn ends(lane: &Lane, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
    Ok(lane.watermarks(topic).await?.into_iter().map(|(partition, _, high)| (partition, high)).collect())
}

/// Waits until the lake has taken in all decisions of the lane.
async fn settle(
    args: &ReplayArgs,
    lane: &Lane,
    readings: &LakeTable,
    tails: &BTreeMap<i32, Tail>,
) -> anyhow::Result<()> {
    let sent: BTreeMap<i32, i64> = tails.iter().map(|(partition, tail)| (*partition, tail.offset)).collect();
    until_taken(Duration::from_secs(args.wait), lane, readings, &sent).await
}

/// Waits until the lake has taken in the decisions about these offsets of the lane, as long as it moves.
///
/// # Errors
/// When it does not.
pub(crate) async fn until_taken(
    patience: Duration,
    lane: &Lane,
    readings: &LakeTable,
    sent: &BTreeMap<i32, i64>,
) -> anyhow::Result<()> {
    let (mut moved, mut before) = (Instant::now(), BTreeMap::new());
    loop {
        let taken = lane.taken(readings, &lane.validated).await?;
        let lacks = |(partition, offset): (&i32, &i64)| taken.get(partition).is_none_or(|taken| taken < offset);
        if !sent.iter().any(lacks) {
            return Ok(());
        }
        if taken != before {
            (moved, before) = (Instant::now(), taken);
        }
        if moved.elapsed() > patience {
            bail!("the lake does not take in {}: is the lane's parquet-sink running?", lane.validated);
        }
        tokio::time::sleep(POLL).await;
    }
}

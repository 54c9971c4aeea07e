//! `meterway verify`: proves that nothing was lost and nothing came twice, or shows where.
//!
//! Per partition, every raw offset has a decision; readings in raw = accepted + rejected by the first decisions; landing =
//! raw; lake = accepted; warehouse = lake; by count and by an order-independent checksum of natural keys and values, per
//! partition and local day. It also reports gaps in the gateways' own counters, which no service can answer for: they do not
//! make the result unclean. What an operator made a table pass over, with a report, is left out of the comparison and
//! listed; what retention took before `validate` decided about it is a finding. It looks at the raw messages that were in
//! the topic when it began, and shares no code with
//! the services but the schemas: topics are decoded with apache-avro, the lake is read by an Iceberg reader of its own.

mod audit;
mod gaps;
pub(crate) mod iceberg;
pub(crate) mod lake;
mod lane;
mod report;
mod sequences;
mod tally;
pub(crate) mod topics;
mod warehouse;

use crate::{
    connection::{KafkaArgs, RegistryArgs},
    exit::Exit,
    out::Out,
    stores::WarehouseArgs,
};
use anyhow::Context;
use audit::Audit;
use gaps::{Gaps, Holes};
use iceberg::{LakeArgs, LakeReader};
use kafka_pipeline::{Admin, Registry, RegistryError};
use report::Report;
use sequences::Sequences;
use service_runtime::{Clock, SystemClock};
use std::{
    collections::BTreeMap,
    ops::Range,
    time::{Duration, Instant},
};
use topics::{RawPartition, Topics, Untaken};

/// What to verify and how long to wait for the rest of the way.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  meterway --env-file .local/demo.env verify\n  meterway verify --wait 60 --json\n\n\
Exit codes: 0 everything adds up, 1 it does not, 70 something could not be reached."
)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    lake: LakeArgs,
    #[command(flatten)]
    warehouse: WarehouseArgs,
    /// Seconds to wait until decisions, lake and warehouse have caught up with what was in the raw topic at the start
    #[arg(long, default_value_t = 0)]
    wait: u64,
    /// Raw topic
    #[arg(long, default_value = "meter.readings.raw.v1")]
    raw_topic: String,
    /// Topic of device events, whose deliveries gateways count together with those of readings
    #[arg(long, default_value = "meter.events.raw.v1")]
    events_topic: String,
    /// Topic of decisions
    #[arg(long, default_value = "meter.readings.validated.v1")]
    validated_topic: String,
    #[command(flatten)]
    lane: lane::LaneArgs,
    /// Compacted topic of devices, for their time zones
    #[arg(long, default_value = "meter.devices.v1")]
    devices_topic: String,
}

/// For each partition the offsets of the raw messages that are compared, and those among them that are not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Windows(BTreeMap<i32, (Range<i64>, Holes)>);

impl Windows {
    fn of(audits: &[(Range<i64>, Audit)], holes: impl Fn(&Audit) -> Holes) -> Self {
        Self(audits.iter().map(|(window, audit)| (audit.partition(), (window.clone(), holes(audit)))).collect())
    }

    fn contains(&self, partition: i32, offset: i64) -> bool {
        self.0.get(&partition).is_some_and(|(window, holes)| window.contains(&offset) && !holes.contains(offset))
    }
}

const POLL: Duration = Duration::from_secs(2);
/// How long a gateway's message may be on its way while a later one is there already, in milliseconds.
const SETTLE_MS: i64 = 60_000;

/// Runs the command: prints the report, and ends with 1 when it does not add up.
///
/// # Errors
/// As [`verify`].
pub(crate) async fn run(args: VerifyArgs, out: &Out) -> anyhow::Result<Exit> {
    let report = verify(&args).await?;
    if out.is_table() {
        out.text(&report.to_string())?
    } else {
        out.json(&report)?
    }
    Ok(Exit::ok_if(report.clean))
}

/// Verifies the whole way.
///
/// # Errors
/// When a topic, the lake or the warehouse cannot be reached or read; differences are no error but part of the report.
async fn verify(args: &VerifyArgs) -> anyhow::Result<Report> {
    let kafka = args.kafka.config()?;
    let registry = Registry::new(&args.registry.config()?)?;
    let known = Admin::connect(&kafka).await.context("connect to kafka")?.topics().await.context("list topics")?;
    let partitions = |topic: &str| {
        known.get(topic).map(|info| info.partitions).with_context(|| format!("topic {topic} does not exist"))
    };
    let topics = Topics { kafka, registry };
    let lake = LakeReader::new(&args.lake)?;
    let gaps = Gaps::read(&lake).await.context("read the gap reports")?;
    let zones = topics.zones(&args.devices_topic, partitions(&args.devices_topic)?).await?;
    let (mut raw, mut sequences) = (BTreeMap::new(), Sequences::default());
    let settled_ms = SystemClock.now_millis() - SETTLE_MS;
    for partition in 0..partitions(&args.raw_topic)? {
        let not_landed = gaps.holes("landing", &args.raw_topic, partition);
        let raw_partition = topics.raw(&args.raw_topic, partition, (&zones, &not_landed), &mut sequences).await?;
        raw.insert(partition, raw_partition);
    }
    for partition in 0..partitions(&args.events_topic)? {
        topics.events(&args.events_topic, partition, &mut sequences).await?;
    }
    let sequences = sequences.summary(settled_ms);
    let deadline = Instant::now() + Duration::from_secs(args.wait);
    let (audits, landing) = audit(&topics, (args, &gaps), raw, deadline).await?;
    let lane = lane::audit(&topics, &args.lane, lane::counts(&known, |info| info.partitions), &zones, deadline).await?;
    let report = compare_stores(args, (&lake, gaps), (audits, landing), lane, deadline).await?;
    Ok(Report { sequences, ..report })
}

/// The audit of each partition with the offsets it covers, and what the landing table must hold.
type Audits = (Vec<(Range<i64>, Audit)>, BTreeMap<i32, tally::Tally>);

/// Audits every partition, waiting for decisions that are still to come.
async fn audit(
    topics: &Topics,
    (args, gaps): (&VerifyArgs, &Gaps),
    raw: BTreeMap<i32, RawPartition>,
    deadline: Instant,
) -> anyhow::Result<Audits> {
    let mut audits = Vec::new();
    let mut landing = BTreeMap::new();
    for (partition, raw) in raw {
        let window = raw.low..raw.high;
        if raw.bytes.count > 0 {
            landing.insert(partition, raw.bytes);
        }
        let mut audit = Audit::new(partition, raw.messages);
        let untaken = Untaken {
            readings: gaps.holes("readings", &args.validated_topic, partition),
            rejections: gaps.holes("rejected", &args.validated_topic, partition),
        };
        let mut next = None;
        loop {
            next = Some(topics.decisions(&args.validated_topic, partition, next, (&mut audit, &untaken)).await?);
            if audit.undecided() == 0 || Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        audit.finish();
        audits.push((window, audit));
    }
    Ok((audits, landing))
}

/// Compares lake and warehouse with the audits, again and again until they agree or the time is up.
async fn compare_stores(
    args: &VerifyArgs,
    (lake, gaps): (&LakeReader, Gaps),
    (audits, landing): Audits,
    lane: Option<lane::LaneAudit>,
    deadline: Instant,
) -> anyhow::Result<Report> {
    let landed = Windows::of(&audits, |audit| gaps.holes("landing", &args.raw_topic, audit.partition()));
    let readings = Windows::of(&audits, |audit| audit.untaken_readings.clone());
    let rejections = Windows::of(&audits, |audit| audit.untaken_rejections.clone());
    loop {
        let warehouse = args.warehouse.connect().await.context("open warehouse")?;
        let stores = report::Stores {
            landing: lake::landing(lake, &args.raw_topic, &landed).await?,
            landing_of_lost: landing_of_lost(lake, args, &audits).await?,
            lake: lake::readings(lake, &readings).await?,
            lake_rejections: lake::rejections(lake, &rejections).await?,
            warehouse: warehouse::readings(&warehouse, &readings).await?,
            warehouse_rejections: warehouse::rejections(&warehouse, &rejections).await?,
        };
        let mut report = Report::new(audits.iter().map(|(_, audit)| audit), &landing, &stores).with_gaps(&gaps);
        if let Some(lane) = &lane {
            report = report.with_lane(lane.compare(lake, &warehouse).await?);
        }
        if report.clean || Instant::now() >= deadline {
            return Ok(report);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// How many of the messages that were removed undecided are in the landing table, from where they can be replayed.
async fn landing_of_lost(
    lake: &LakeReader,
    args: &VerifyArgs,
    audits: &[(Range<i64>, Audit)],
) -> anyhow::Result<BTreeMap<(i32, i64), u64>> {
    let mut found = BTreeMap::new();
    for audit in audits.iter().map(|(_, audit)| audit) {
        for lost in &audit.lost {
            let window = Windows([(audit.partition(), (lost.clone(), Holes::default()))].into());
            let tallies = lake::landing(lake, &args.raw_topic, &window).await?;
            found.insert((audit.partition(), lost.start), tallies.values().map(|tally| tally.count).sum());
        }
    }
    Ok(found)
}

/// The schema behind an id; `None` when the registry says that there is none.
async fn known_schema(registry: &Registry, id: u32) -> anyhow::Result<Option<std::sync::Arc<str>>> {
    match registry.schema_by_id(id).await {
        Ok(schema) => Ok(Some(schema)),
        Err(RegistryError::NotFound(_)) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("look up schema {id}")),
    }
}

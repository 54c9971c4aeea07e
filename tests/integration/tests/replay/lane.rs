//! A replay ends in new revisions and never in double rows, whatever is killed and however often it is run.

use crate::fleet::{DAY, EXPORT, LOAD, SECOND, day, delivery, meter, reading};
use crate::process::Process;
use crate::world::World;
use meter_model::{Commodity, Kind};
use meterway_schemas::encode::Reading;
use meterway_schemas::{Device, DeviceChannel, Source};
use std::collections::BTreeMap;

const TENANT: &str = "northgrid";
const HALF_HOUR: i32 = 1_800;
const DAYS: i64 = 30;
/// The slot of each day in which the narrow meter delivers more than the register says that its service can carry.
const HIGH_SLOT: usize = 20;
/// Commits often, so that there is a middle to be killed in.
const OFTEN: &[(&str, &str)] =
    &[("SINK__COMMIT_AGE", "700ms"), ("SINK__IDLE_COMMIT_AGE", "1s"), ("SINK__PROBE_STORE", "false")];

/// Midnight `days` days ago.
fn midnight(days: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as i64;
    now / DAY * DAY - days * DAY
}

/// A day of the narrow meter: 9 kWh within half an hour.
fn high_day(start: i64) -> Vec<Reading<'static>> {
    let mut readings = day(start, HALF_HOUR);
    readings[HIGH_SLOT].value = 9_000_000;
    readings
}

fn high_slot(start: i64, thousandths: i64) -> Vec<Reading<'static>> {
    vec![reading(start + HIGH_SLOT as i64 * i64::from(HALF_HOUR) * SECOND, HALF_HOUR, thousandths)]
}

/// A water meter, and 30 hours of a leak.
fn water_meter(device: &str) -> Device {
    let mut meter = meter(TENANT, device, 3_600, "1000");
    meter.commodity = Commodity::Water;
    meter.channels =
        vec![DeviceChannel { channel: "water.volume".into(), unit: "L".into(), ..meter.channels[0].clone() }];
    meter
}

fn leak() -> Vec<Reading<'static>> {
    let start = midnight(3);
    let hour = |hour: i64| Reading {
        channel: "water.volume",
        unit: "L",
        ..reading(start + hour * 3_600 * SECOND, 3_600, 40_000 + hour * 7 % 11)
    };
    (0..30).map(hour).collect()
}

/// What the meters deliver, and which value each key of the import channel must end with.
struct Deliveries {
    sent: Vec<(String, Vec<u8>)>,
    last: BTreeMap<(String, i64), i64>,
}

impl Deliveries {
    fn send(&mut self, device: &str, readings: &[Reading<'static>]) {
        self.sent.push((device.to_owned(), delivery(TENANT, device, Source::Kafka, readings)));
        for reading in readings.iter().filter(|reading| reading.channel == LOAD) {
            self.last.insert((device.to_owned(), reading.start), reading.value);
        }
    }
}

fn deliveries() -> Deliveries {
    let mut all = Deliveries { sent: Vec::new(), last: BTreeMap::new() };
    for number in (1..=DAYS).rev() {
        all.send("good", &day(midnight(number), HALF_HOUR));
        all.send("narrow", &high_day(midnight(number)));
        all.send("unknown", &day(midnight(number), HALF_HOUR));
    }
    // Refused at first, as the delivery before it; then one that is accepted, which must stay above both.
    all.send("narrow", &high_slot(midnight(5), 8_000));
    all.send("narrow", &high_slot(midnight(5), 1_000));
    // Refused only: the lane accepts the last of them.
    all.send("narrow", &high_slot(midnight(6), 8_500));
    // A delivery that comes twice, and one from ten years ago.
    all.send("good", &day(midnight(9), HALF_HOUR));
    all.send("good", &day(midnight(3_650), HALF_HOUR));
    all.send("leaking", &leak());
    all.send("unknown-leaking", &leak());
    let sold = Reading { channel: EXPORT, kind: Kind::Interval, value: -5_000, ..day(midnight(2), HALF_HOUR)[0] };
    all.send("good", &[sold]);
    all
}

/// Readings that the lane accepts and the live lane did not.
const NEW_ROWS: i64 = DAYS * 48 // of the unknown meter
    + DAYS // high values of the narrow one
    + 2 // its two refused corrections
    + 1 // its accepted one, which was out of order as long as the first value was unknown
    + 48 // ten years ago
    + 30; // of the unknown leak

async fn newest_values(world: &World) -> BTreeMap<(String, i64), i64> {
    let query = "SELECT DISTINCT ON (device_id, channel, kind, start) device_id, \
        (extract(epoch FROM start) * 1000000)::bigint, (value * 1000000)::bigint FROM raw.readings \
        WHERE channel = '1-0:1.29.0' ORDER BY device_id, channel, kind, start, version DESC, source_offset DESC, \
        coalesce(revision, 0) DESC";
    let rows = world.warehouse().await.query(query, &[]).await.unwrap();
    rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect()
}

/// Rows, rows of replays, and rows that tell the same reading of the same message in the same revision.
async fn counted(world: &World) -> (i64, i64, i64) {
    let query = "SELECT count(*), count(revision), count(*) - count(DISTINCT (tenant_id, device_id, channel, kind, start, \
        source_partition, source_offset, version, coalesce(revision, 0))) FROM raw.readings";
    let row = world.warehouse().await.query_one(query, &[]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

struct Services(Vec<Process>);

impl Services {
    async fn start(mut services: Vec<Process>) -> Self {
        for service in &mut services {
            service.ready().await;
        }
        Self(services)
    }

    fn check(&mut self) {
        self.0.iter_mut().for_each(Process::check);
    }
}

/// The register is put right, and one thing is forbidden that was allowed.
async fn mend(world: &World) {
    let mut strict = meter(TENANT, "good", HALF_HOUR, "25");
    strict.channels[1].allow_negative = false;
    let mended = [
        strict,
        meter(TENANT, "narrow", HALF_HOUR, "25"),
        meter(TENANT, "unknown", HALF_HOUR, "25"),
        water_meter("unknown-leaking"),
    ];
    world.register(&mended).await;
}

/// Kills the command, then both services of the lane, then the command again.
async fn kill_in_the_middle(world: &World, lane: &mut Services, messages: i64) {
    let slowly = ["--from", "2d", "--rate", "25"];
    let first = world.replay(&slowly);
    world.until_records("replay", 20).await;
    first.kill();
    assert!(world.records("replay").await < messages, "it was not killed in the middle");
    world.until_records("replay.validated", 10).await;
    lane.0.iter_mut().for_each(Process::restart);
    let other = world.replay(&["--from", "3d"]).ended().await;
    assert_eq!(other.code, Some(64), "an unfinished replay is not passed over: {}", other.stderr);
    let second = world.replay(&slowly);
    world.until_records("replay", 45).await;
    second.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_at_every_turn_ends_in_one_row_for_each_new_outcome() {
    let world = World::new("replay_lane").await;
    world
        .register(&[
            meter(TENANT, "good", HALF_HOUR, "25"),
            meter(TENANT, "narrow", HALF_HOUR, "10"),
            water_meter("leaking"),
        ])
        .await;
    let mut live = Services::start(vec![world.validate(), world.sink(OFTEN), world.loader(), world.alert()]).await;
    let mut all = deliveries();
    world.deliver(all.sent.clone()).await;
    world.deliver_nonsense("good").await;
    let before = world.verify().await;
    assert_eq!(before["replays"]["messages"], 0, "{before:#}");
    let (rows_before, _, _) = counted(&world).await;
    assert_ne!(newest_values(&world).await, all.last, "the register was wrong");
    world.until_records("alerts", 1).await;

    mend(&world).await;
    let dry = world.replay(&["--from", "2d", "--dry-run"]).ended().await;
    assert_eq!((dry.code, world.records("replay").await), (Some(0), 0), "{}", dry.stderr);
    let messages = dry.json()["messages"].as_i64().unwrap();
    assert_eq!(messages, all.sent.len() as i64 + 1);

    let mut lane = Services::start(vec![world.validate_of_the_lane(), world.sink_of_the_lane(OFTEN)]).await;
    kill_in_the_middle(&world, &mut lane, messages).await;
    // While it is under way, a correction arrives on the live lane.
    let mut late = Deliveries { sent: Vec::new(), last: std::mem::take(&mut all.last) };
    late.send("narrow", &high_slot(midnight(6), 2_000));
    world.deliver(late.sent.clone()).await;
    lane.0[1].restart();
    let third = world.replay(&["--from", "2d"]).ended().await;
    let report = third.json();
    assert_eq!(third.code, Some(1), "a row is refused now: {report:#}");
    assert_eq!(report["resumed"], true, "{report:#}");
    // In a partition that had got nothing before the kills, the late correction is judged with the rest.
    let made = report["outcome"]["rows"].as_i64().unwrap();
    assert!((NEW_ROWS..=NEW_ROWS + 1).contains(&made), "{report:#}");
    assert_eq!(report["outcome"]["refused"], 1);
    assert_eq!(report["refused"][0]["code"], "NEGATIVE");

    let after = world.verify().await;
    assert_eq!(after["replays"]["rows"].as_i64(), Some(made), "{after:#}");
    assert_eq!(after["replays"]["warehouse"].as_i64(), Some(made));
    assert_eq!(counted(&world).await, (rows_before + made + 1, made, 0));
    assert_eq!(newest_values(&world).await, late.last, "what holds is what the log says last");

    // Whatever was left, such as the late correction: it is in order, now that what it corrects is known.
    let lane_messages = world.records("replay").await;
    let refused = world.file("refused.ndjson");
    let again = world.replay(&["--from", "2d", "--refused", refused.to_str().unwrap()]).ended().await;
    let report = again.json();
    assert_eq!(report["resumed"], false, "{report:#}");
    assert_eq!(report["outcome"]["rows"].as_i64(), Some(NEW_ROWS + 1 - made), "{report:#}");
    assert_eq!(world.records("replay").await - lane_messages, messages + 1, "all of it was judged again");
    assert_eq!(std::fs::read_to_string(&refused).unwrap().lines().count(), 1);

    // Nothing has changed since: nothing is added.
    let report = world.replay(&["--from", "2d"]).ended().await.json();
    assert_eq!(report["outcome"]["rows"], 0, "{report:#}");
    world.verify().await;
    assert_eq!(counted(&world).await, (rows_before + NEW_ROWS + 2, NEW_ROWS + 1, 0));
    assert_eq!(newest_values(&world).await, late.last);
    let one = world.replay(&["--from", "2d", "--device", "unknown", "--tenant", TENANT]).ended().await;
    assert_eq!((one.code, &one.json()["outcome"]["messages"]), (Some(0), &DAYS.into()), "{}", one.stdout);
    assert_eq!(one.json()["outcome"]["rows"], 0);

    let alerts = world.keys("alerts").await;
    assert!(alerts.contains("leaking"), "a leak on the live lane: {alerts:?}");
    assert!(!alerts.contains("unknown-leaking"), "a replay raises no alert: {alerts:?}");
    assert_eq!(world.records("replay.rejected").await, 0, "a replay writes no dead letter");
    live.check();
    lane.check();
    drop((live, lane));
    world.remove().await;
}

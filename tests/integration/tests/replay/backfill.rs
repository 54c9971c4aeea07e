//! Ten years of days come out of order: every service stays within 512 MiB, the number of files has a bound, and every
//! reading is where it belongs.

use crate::fleet::{DAY, day, delivery, meter};
use crate::process::Process;
use crate::world::World;
use meterway_schemas::Source;

const TENANTS: [&str; 4] = ["northgrid", "lakeside", "harbour", "uplands"];
const METERS_PER_TENANT: usize = 2;
/// Ten years; `METERWAY_BACKFILL_DAYS` makes it fewer.
const TEN_YEARS: i64 = 3_650;
const HOURLY: i32 = 3_600;
/// A prime, so that every day comes once, far from its neighbours.
const STRIDE: i64 = 1_103;
/// What a process may have at most; the promise of the design, in KiB.
const MOST_KIB: u64 = 512 << 10;
/// The sink's default for files in one commit, and what the block of messages that passes it may add.
const MOST_FILES_PER_COMMIT: f64 = 2_000.0;

fn device(tenant: &str, number: usize) -> String {
    format!("{tenant}-{number}")
}

fn number_of_days() -> i64 {
    let given = std::env::var_os("METERWAY_BACKFILL_DAYS").and_then(|days| days.to_str()?.parse().ok());
    given.unwrap_or(TEN_YEARS)
}

/// The days in the order in which they come, each once.
fn days(count: i64) -> impl Iterator<Item = i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as i64;
    let today = now / DAY * DAY;
    (0..count).map(move |number| today - (1 + number * STRIDE % count) * DAY)
}

fn deliveries(start: i64) -> impl Iterator<Item = (String, Vec<u8>)> {
    TENANTS.into_iter().flat_map(move |tenant| {
        (0..METERS_PER_TENANT).map(move |number| {
            let device = device(tenant, number);
            let datum = delivery(tenant, &device, Source::Replay, &day(start, HOURLY));
            (device, datum)
        })
    })
}

fn assert_bounded(processes: &[(&str, &Process)]) -> Vec<String> {
    let peaks: Vec<_> = processes.iter().map(|(name, process)| (*name, process.peak_kib())).collect();
    for (name, peak) in &peaks {
        assert!(*peak < MOST_KIB, "{name} had {peak} KiB; all: {peaks:?}");
    }
    peaks.into_iter().map(|(name, peak)| format!("{name} {} MiB", peak >> 10)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_years_that_come_out_of_order_stay_within_their_memory_and_are_complete() {
    let (world, count) = (World::new("backfill").await, number_of_days());
    let meters = TENANTS.iter().flat_map(|tenant| {
        (0..METERS_PER_TENANT).map(move |number| meter(tenant, &device(tenant, number), HOURLY, "25"))
    });
    world.register(&meters.collect::<Vec<_>>()).await;
    world.deliver(days(count).flat_map(deliveries)).await;
    let messages = count * (TENANTS.len() * METERS_PER_TENANT) as i64;
    assert_eq!(world.records("raw").await, messages);

    // Everything as it comes, but for the ends of the last commit and for the probe that other tests make.
    let settings = [("SINK__SCATTERED_COMMIT_AGE", "60s"), ("SINK__COMMIT_AGE", "20s"), ("SINK__PROBE_STORE", "false")];
    let (mut validate, mut sink) = (world.validate(), world.sink(&settings));
    let (mut loader, mut alert) = (world.loader(), world.alert());
    for process in [&mut validate, &mut sink, &mut loader, &mut alert] {
        process.ready().await;
    }
    world.until_records("validated", messages).await;
    let readings = messages * DAY / 1_000_000 / i64::from(HOURLY);
    world.until_loaded(readings).await;
    let report = world.verify().await;
    assert_eq!(report["totals"]["raw_readings"].as_i64(), Some(readings), "{report:#}");
    assert_eq!(report["totals"]["accepted"].as_i64(), Some(readings), "a declared backfill may be old: {report:#}");
    assert_eq!(report["totals"]["warehouse"].as_i64(), Some(readings));
    let (files, commits) =
        (sink.metric("parquet_sink_files_committed_total"), sink.metric("parquet_sink_commits_total"));
    assert!(files / commits <= MOST_FILES_PER_COMMIT, "{files} files in {commits} commits");
    assert!(files <= 1.5 * (count as f64) * TENANTS.len() as f64, "{files} files for {count} days of {TENANTS:?}");
    assert_eq!(world.records("alerts").await, 0, "history raises no alert");
    let peaks = assert_bounded(&[
        ("validate", &validate),
        ("parquet-sink", &sink),
        ("redshift-loader", &loader),
        ("alert", &alert),
    ]);
    eprintln!("{readings} readings in {messages} messages: {files} files in {commits} commits; {}", peaks.join(", "));

    // The lane judges all of it again, and finds nothing to add.
    let mut lane = [
        world.validate_of_the_lane(),
        world.sink_of_the_lane(&[("SINK__IDLE_COMMIT_AGE", "20s"), settings[1], settings[2]]),
    ];
    for process in &mut lane {
        process.ready().await;
    }
    let ran = world.replay(&["--from", "2d"]).ended().await;
    let report = ran.json();
    assert_eq!((ran.code, report["outcome"]["messages"].as_i64()), (Some(0), Some(messages)), "{report:#}");
    assert_eq!(report["outcome"]["rows"], 0, "{report:#}");
    assert!(ran.peak_kib > 0 && ran.peak_kib < MOST_KIB, "meterway had {} KiB", ran.peak_kib);
    let peaks = assert_bounded(&[("validate of the lane", &lane[0]), ("parquet-sink of the lane", &lane[1])]);
    eprintln!("replayed: meterway {} MiB, {}", ran.peak_kib >> 10, peaks.join(", "));
    for process in [&mut validate, &mut sink, &mut loader, &mut alert] {
        process.check();
    }
    drop((validate, sink, loader, alert, lane));
    world.remove().await;
}

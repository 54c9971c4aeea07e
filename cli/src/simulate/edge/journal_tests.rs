use super::*;
use meter_model::Kind;
use proptest::prelude::*;

fn run() -> RunLine {
    RunLine { version: 1, run: Uuid::nil(), seed: 7, devices: 3, days: 2, until: "2026-11-25".to_owned() }
}

fn reading(channel: &'static str, start: i64, value: i64) -> Reading<'static> {
    Reading { channel, kind: Kind::Interval, start, duration_s: 1800, value, unit: "kWh", flags: &[] }
}

fn attempt(device: &str) -> Attempt<'_> {
    let readings = Series::of(&[reading("a", 0, 5), reading("a", 1800, 6), reading("b", 0, 7)]);
    let payload = Some(Payload::of(b""));
    Attempt { topic: "raw", way: "kafka", tenant: "t", device, payload, readings, ..Attempt::default() }
}

#[test]
fn attempts_come_before_acknowledgements_and_both_are_in_the_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.ndjson");
    let mut journal = Journal::open(Some(&path), &run()).unwrap();
    let lines = || std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let first = journal.attempt(|| attempt("d")).unwrap();
    assert_eq!(
        lines()[1],
        r#"{"attempt":1,"topic":"raw","way":"kafka","tenant":"t","device":"d","payload_xxh3":"2d06800538d394c2","payload_bytes":0,"readings":[{"channel":"a","kind":"INTERVAL","start":0,"step":1800,"values":[5,6]},{"channel":"b","kind":"INTERVAL","start":0,"step":0,"values":[7]}]}"#
    );
    journal.stored(first, Delivered { partition: 1, offset: 7 }, 3).unwrap();
    let over_http = [journal.attempt(|| attempt("e")).unwrap(), journal.attempt(|| attempt("f")).unwrap()];
    journal.answered(&over_http, 202).unwrap();
    journal.end().unwrap();
    let lines = lines();
    assert!(lines[0].starts_with(r#"{"journal":{"#) && lines[0].contains(r#""seed":7"#), "{}", lines[0]);
    assert_eq!(lines[2], r#"{"ack":1,"partition":1,"offset":7}"#);
    assert_eq!(
        lines[5..],
        [r#"{"ack":2,"status":202}"#, r#"{"ack":3,"status":202}"#, r#"{"end":{"acked":3,"attempts":3}}"#]
    );
    let [partition] = journal.partitions()[..] else { panic!("one partition") };
    assert_eq!((partition.messages, partition.readings, partition.last_offset), (1, 3, 7));
}

#[test]
fn a_second_run_is_appended_behind_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.ndjson");
    std::fs::write(&path, "{\"attempt\":1,\"to").unwrap();
    Journal::open(Some(&path), &run()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let (torn, rest) = text.split_once('\n').unwrap();
    assert_eq!(torn, "{\"attempt\":1,\"to");
    assert!(rest.starts_with(r#"{"journal""#) && rest.ends_with('\n'), "{rest}");
}

proptest! {
    #[test]
    fn series_hold_exactly_the_readings_in_their_order(
        picks in proptest::collection::vec((0usize..2, 0i64..6, any::<i64>()), 0..40)
    ) {
        let readings: Vec<_> = picks.iter().map(|(name, step, value)| {
            reading(["a", "b"][*name], step * 1_800_000_000, *value)
        }).collect();
        let series = Series::of(&readings);
        let told = series.iter().flat_map(|of| {
            of.values.iter().enumerate().map(|(i, value)| (of.channel, of.start + i as i64 * of.step, *value))
        });
        let given = readings.iter().map(|r| (r.channel, r.start, r.value));
        prop_assert!(told.eq(given));
    }
}

use super::*;
use proptest::prelude::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn parts() -> Vec<Line> {
    let refused = anyhow::anyhow!("connection refused\n  at port 1").context("connect to the warehouse");
    vec![
        Line::new("topics", "meter.readings.raw.v1").count(1_234_567, "messages").detail("4 partitions"),
        Line::new("groups", "validate").lag(12, "messages").state(State::Notice).detail("never committed"),
        Line::new("lake", "readings").count(90_000, "rows").lag(0, "messages").changed(Some(at(940))),
        Line::missing("lake", "alerts", "not created yet"),
        Line::unreachable("warehouse", "warehouse", &refused),
    ]
}

#[test]
fn rows_read_well() {
    let rows: Vec<String> = parts().iter().map(|line| line.cells(at(1_000)).join(" | ")).collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
    topics | meter.readings.raw.v1 | ok | 1,234,567 messages | - | - | 4 partitions
    groups | validate | notice | - | 12 messages | - | never committed
    lake | readings | ok | 90,000 rows | 0 messages | 1 min 0 s | 
    lake | alerts | missing | - | - | - | not created yet
    warehouse | warehouse | unreachable | - | - | - | connect to the warehouse: connection refused at port 1
    ");
}

#[test]
fn a_part_that_is_missing_or_away_makes_the_whole_unhealthy_and_a_notice_does_not() {
    let report = Report::new(at(0), parts());
    assert!(!report.healthy);
    assert_eq!(report.conclusion(), "2 of 5 parts are not as they should be, first lake alerts: missing");
    let good = Report::new(at(0), parts().into_iter().take(3).collect());
    assert!(good.healthy);
    assert_eq!(good.conclusion(), "every part answers");
}

#[test]
fn json_leaves_out_what_does_not_apply() {
    let report = Report::new(at(0), parts().into_iter().take(1).collect());
    insta::assert_json_snapshot!(report, @r#"
    {
      "taken_at": "1970-01-01T00:00:00Z",
      "healthy": true,
      "parts": [
        {
          "stage": "topics",
          "part": "meter.readings.raw.v1",
          "state": "ok",
          "count": {
            "value": 1234567,
            "unit": "messages"
          },
          "detail": "4 partitions"
        }
      ]
    }
    "#);
}

#[test]
fn a_partition_without_a_position_counts_from_its_oldest_message() {
    let marks = Watermarks::from([(0, (10, 30)), (1, (0, 5)), (2, (7, 7))]);
    assert_eq!(messages(&marks), 25);
    assert_eq!(lag(&marks, &BTreeMap::from([(0, 25), (1, 5), (2, 7)])), 5);
    assert_eq!(lag(&marks, &BTreeMap::from([(1, 5)])), 20);
    // Retention took what the group had not read yet: those messages are lost to it, and no lag.
    assert_eq!(lag(&marks, &BTreeMap::from([(0, 3), (1, 5)])), 20);
    // Behind a topic that was made again.
    assert_eq!(lag(&marks, &BTreeMap::from([(0, 99), (1, 99), (2, 99)])), 0);
}

#[test]
fn ages_have_two_units() {
    assert_eq!([-5, 59, 61, 3_600, 90_061].map(age), ["0 s", "59 s", "1 min 1 s", "1 h 0 min", "1 d 1 h"]);
}

proptest! {
    #[test]
    fn grouping_only_adds_commas(number: u64) {
        let text = grouped(number);
        prop_assert_eq!(text.replace(',', ""), number.to_string());
        let mut groups = text.split(',');
        prop_assert!((1..=3).contains(&groups.next().unwrap().len()));
        prop_assert!(groups.all(|group| group.len() == 3));
    }

    #[test]
    fn whoever_stands_at_the_end_has_no_lag(
        marks in proptest::collection::btree_map(0..8_i32, (0..50_i64, 50..99_i64), 0..8),
    ) {
        let end = marks.iter().map(|(partition, (_, high))| (*partition, *high)).collect();
        prop_assert_eq!(lag(&marks, &end), 0);
        prop_assert_eq!(lag(&marks, &BTreeMap::new()), messages(&marks));
    }
}

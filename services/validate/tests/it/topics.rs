//! Raw topics and outputs that are not what they were: nothing is left out without somebody being told.

use kafka_pipeline::{NextOffset, TopicPartition};

use crate::decisions::{all, first, records};
use crate::fixture::Fixture;
use crate::fleet::{day, delivery, meter};

async fn deliver(fixture: &Fixture, days: std::ops::Range<i64>) {
    let deliveries: Vec<_> = days.map(|number| ("e-1", delivery("e-1", &day(number)))).collect();
    fixture.deliver(&deliveries).await;
}

async fn source_offsets(fixture: &Fixture) -> Vec<i64> {
    let decisions = all(fixture, 0).await;
    first(&decisions).iter().map(|decision| decision.source_offset).collect()
}

/// The new topic holds more than was ever decided about, so no offset is out of range: only its id tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_raw_topic_that_is_created_again_is_not_decided_about_until_the_output_is_too() {
    let fixture = Fixture::new("vd_replaced", 1).await;
    fixture.register(&[meter("e-1")]).await;
    deliver(&fixture, 0..3).await;
    let mut process = fixture.start();
    fixture.until_decided(3).await;
    fixture.replace_topic("raw", 1).await;
    deliver(&fixture, 3..9).await;
    assert_eq!(process.ended().await, Some(1), "its positions mean nothing any more");

    let mut process = fixture.start();
    process.refuses("docs/runbooks/topic-replaced.md").await;
    let metrics = process.page("/metrics").await;
    assert!(metrics.contains("validate_refused{reason=\"replaced\"} 1"), "{metrics}");
    let decided = fixture.decided().await;

    fixture.replace_topic("validated", 1).await;
    assert_eq!(process.ended().await, Some(1), "an operator has decided, a new start takes notice");
    let _process = fixture.start();
    fixture.until_decided(6).await;
    assert_eq!(source_offsets(&fixture).await, (0..6).collect::<Vec<_>>(), "every message of the new topic");
    assert!(decided <= 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_took_undecided_is_passed_over_and_said() {
    let fixture = Fixture::new("vd_lost", 1).await;
    fixture.register(&[meter("e-1")]).await;
    deliver(&fixture, 0..3).await;
    let mut process = fixture.start();
    fixture.until_decided(3).await;
    process.kill();
    deliver(&fixture, 3..9).await;
    let raw = TopicPartition::new(fixture.topic("raw"), 0);
    assert_eq!(fixture.admin.delete_records(&raw, NextOffset(7)).await.unwrap(), 7);

    let process = fixture.start();
    fixture.until_decided(5).await;
    let metrics = process.page("/metrics").await;
    assert!(metrics.contains("validate_lost_offsets_total 4"), "{metrics}");
    assert_eq!(source_offsets(&fixture).await, [0, 1, 2, 7, 8]);
    let lost: Vec<_> = said(&fixture, "x-source-lost-from").await;
    assert_eq!(lost, [(3, "3".to_owned())], "the decision behind the gap says where it begins");
}

/// The output is created again and the raw topic is not: everything that is left is decided again, whatever the group says.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_is_created_again_is_filled_again() {
    let fixture = Fixture::new("vd_fresh", 1).await;
    fixture.register(&[meter("e-1")]).await;
    deliver(&fixture, 0..4).await;
    let group = test_support::unique("vd_fresh");
    let mut process = fixture.start_in(&group, "");
    fixture.until_decided(4).await;
    process.signal("TERM");
    assert_eq!(process.ended().await, Some(0));
    let committed = fixture.admin.group_lag(&group).await.unwrap();
    assert_eq!(committed[0].committed, 4, "the group is behind everything");

    fixture.replace_topic("validated", 1).await;
    deliver(&fixture, 4..6).await;
    let _process = fixture.start_in(&group, "");
    fixture.until_decided(6).await;
    assert_eq!(source_offsets(&fixture).await, (0..6).collect::<Vec<_>>());
}

/// Records of the output with a header, by position, and its value.
async fn said(fixture: &Fixture, header: &str) -> Vec<(i64, String)> {
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    let mut found = Vec::new();
    for block in records(fixture, "validated", 0).await {
        found.extend(block.iter().filter_map(|record| Some((record.offset, text(record.header(header)?)))));
    }
    found
}

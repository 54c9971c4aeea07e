//! The process is killed exactly between the steps of a block, and started again.

use kafka_pipeline::dead_letter;

use crate::decisions::{all, records};
use crate::fixture::Fixture;
use crate::fleet::{day, delivery, meter};
use crate::restart::{DEVICES, SLOWLY, assert_whole, deliveries};

/// Source offsets of the dead letters of a partition.
async fn letters(fixture: &Fixture) -> Vec<i64> {
    let mut offsets = Vec::new();
    for block in records(fixture, "rejected", 0).await {
        for letter in block.iter() {
            let offset = std::str::from_utf8(letter.header(dead_letter::OFFSET).unwrap()).unwrap();
            offsets.push(offset.parse().unwrap());
        }
    }
    offsets
}

/// Whoever reads a rejection may rely on the bytes being there, even if the validator died right behind the decision.
#[tokio::test(flavor = "multi_thread")]
async fn no_decision_stands_without_its_dead_letter() {
    let fixture = Fixture::new("vd_letter_first", 1).await;
    fixture.register(&[meter("e-1")]).await;
    for number in 0..4 {
        let good = fixture.framed(&delivery("e-1", &day(number)));
        fixture.send("raw", Some(0), Some(b"e-1"), Some(&good)).await;
        fixture.send("raw", Some(0), Some(b"e-1"), Some(b"garbage")).await;
    }
    // The decisions have been handed over, and the task rests: whatever was to come after them has not.
    let mut process = fixture.start_armed("validate.after_send=delay(60s)", "");
    fixture.until_decided(8).await;
    process.kill();
    let decided: Vec<i64> =
        all(&fixture, 0).await.iter().filter(|d| !d.rejected.is_empty()).map(|d| d.source_offset).collect();
    assert_eq!(decided, [1, 3, 5, 7]);
    let letters = letters(&fixture).await;
    assert!(decided.iter().all(|offset| letters.contains(offset)), "decided {decided:?}, letters {letters:?}");
}

async fn killed_at(point: &str) {
    let fixture = Fixture::new("vd_fail_point", 1).await;
    fixture.register(&DEVICES.map(meter)).await;
    let deliveries = deliveries();
    fixture.deliver(&deliveries).await;
    fixture.send("raw", Some(0), Some(b"k-1"), Some(b"garbage")).await;
    fixture.deliver(&[("k-1", delivery("k-1", &day(40)))]).await;
    let mut doomed = fixture.start_armed(&format!("{point}=kill"), SLOWLY);
    assert_eq!(doomed.ended().await, None, "killed, not ended");
    let _heir = fixture.start_with(SLOWLY);
    let messages = deliveries.len() as i64 + 2;
    let decisions = loop {
        let decisions = all(&fixture, 0).await;
        if decisions.iter().any(|decision| decision.source_offset + 1 == messages) {
            break decisions;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let of_fleet: Vec<_> = decisions.into_iter().filter(|d| d.source_offset < deliveries.len() as i64).collect();
    assert_whole(&of_fleet, deliveries.len());
    assert!(letters(&fixture).await.contains(&(deliveries.len() as i64)));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_dead_letters_and_decisions() {
    killed_at("validate.after_dead_letters").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_behind_decisions_nobody_has_acknowledged() {
    killed_at("validate.after_send").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_group_is_told() {
    killed_at("validate.after_delivery").await;
}

//! Dead letters that are sent back, as `meterway dlq replay` does: what is repaired is accepted once, what was accepted
//! before is a duplicate.

use crate::decisions::{Seen, all, records};
use crate::fixture::Fixture;
use crate::fleet::{day, delivery, meter};
use kafka_pipeline::dead_letter::{self, replay};
use kafka_pipeline::{Producer, ProducerConfig};
use meter_model::Quantity;

/// Sends every letter of partition 0 back, from the `first` on.
async fn replay_all(fixture: &Fixture, first: usize) {
    let producer = Producer::new(&fixture.kafka, &ProducerConfig::default()).unwrap();
    let blocks = records(fixture, "rejected", 0).await;
    for letter in blocks.iter().flat_map(|block| block.iter()).skip(first) {
        let (to, _) = replay::source(&letter).unwrap();
        let count = replay::count(&letter) + 1;
        replay::send(&producer, &letter, 0, &to, count).await.unwrap().await.unwrap();
    }
}

fn codes(decision: &Seen) -> Vec<&str> {
    let mut codes: Vec<_> = decision.rejected.iter().map(|(_, code)| code.as_str()).collect();
    codes.dedup();
    codes
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_after_the_repair_accepts_each_reading_once_however_often_it_is_repeated() {
    let fixture = Fixture::new("vd_replay", 1).await;
    let mut tight = meter("e-1");
    tight.channels[0].capacity_per_hour = Some("0.4".parse::<Quantity>().unwrap());
    fixture.register(&[tight]).await;
    let readings = day(0);
    fixture.deliver(&[("e-1", delivery("e-1", &readings)), ("e-2", delivery("e-2", &readings))]).await;
    let _process = fixture.start();
    fixture.until_decided(2).await;
    let before = all(&fixture, 0).await;
    let over = before[0].rejected.len();
    assert!(over > 0 && before[0].accepted.len() == 48 - over, "{:?}", before[0]);
    assert_eq!((codes(&before[0]), codes(&before[1])), (vec!["OVER_CAPACITY"], vec!["UNKNOWN_DEVICE"]));

    fixture.register(&[meter("e-1"), meter("e-2")]).await;
    // The capacity of a device that is known is taken over with the next read of the topic, which an unknown one forces.
    fixture.deliver(&[("e-3", delivery("e-3", &readings))]).await;
    fixture.until_decided(3).await;
    replay_all(&fixture, 0).await;
    fixture.until_decided(6).await;
    let replayed = &all(&fixture, 0).await[3..];
    assert_eq!((replayed[0].accepted.len(), codes(&replayed[0])), (over, vec!["DUPLICATE"]));
    assert_eq!((replayed[1].accepted.len(), replayed[1].rejected.len()), (48, 0));
    assert_eq!(codes(&replayed[2]), ["UNKNOWN_DEVICE"], "not repaired");

    replay_all(&fixture, 0).await;
    fixture.until_decided(11).await;
    let again = &all(&fixture, 0).await[6..];
    assert!(again.iter().all(|decision| decision.accepted.is_empty()), "nothing twice: {again:?}");
    assert_eq!((codes(&again[0]), codes(&again[1])), (vec!["DUPLICATE"], vec!["DUPLICATE"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_keeps_bytes_and_headers_and_may_be_old() {
    let fixture = Fixture::new("vd_replay_old", 1).await;
    let mut old = day(0);
    old.iter_mut().for_each(|reading| reading.start -= 400 * 24 * 3_600_000_000);
    let payload = fixture.framed(&delivery("e-1", &old));
    fixture.send("raw", Some(0), Some(b"e-1"), Some(&payload)).await;
    let _process = fixture.start();
    fixture.until_decided(1).await;
    fixture.register(&[meter("e-1")]).await;
    // Sent again by the gateway it is too old, replayed by somebody it is not.
    fixture.send("raw", Some(0), Some(b"e-1"), Some(&payload)).await;
    fixture.until_decided(2).await;
    replay_all(&fixture, 1).await;
    fixture.until_decided(3).await;
    let decisions = all(&fixture, 0).await;
    assert_eq!(codes(&decisions[0]), ["UNKNOWN_DEVICE"]);
    assert_eq!(codes(&decisions[1]), ["TOO_OLD"]);
    assert_eq!((decisions[2].accepted.len(), decisions[2].rejected.len()), (48, 0));

    let raw = records(&fixture, "raw", 0).await;
    let raw: Vec<_> = raw.iter().flat_map(|block| block.iter()).collect();
    assert_eq!((raw[2].key, raw[2].payload), (Some(&b"e-1"[..]), Some(&payload[..])));
    assert_eq!(raw[2].header(replay::REPLAY_COUNT), Some(&b"1"[..]));
    assert_eq!(raw[2].header(replay::REPLAY_OF), Some(&b"0:1"[..]));
    assert_eq!(raw[2].header(dead_letter::TOPIC), None, "what the first rejection said stays with the letter");
}

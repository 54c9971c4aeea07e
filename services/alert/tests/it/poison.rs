//! Input that cannot be taken in: it is set aside, and everything around it raises what it should.

use crate::world::{HOUR, T0, World, electricity};
use kafka_pipeline::{StartAt, TopicPartition, dead_letter, read_tail};
use meter_model::Commodity;
use meterway_schemas::{AlertKind, DeviceEventKind};

/// Topic, offset, code and bytes of the letters of a partition.
async fn letters(world: &World, partition: i32) -> Vec<(String, String, String, Vec<u8>)> {
    let at = TopicPartition::new(world.topic("rejected"), partition);
    let blocks = read_tail(&world.kafka, &at, StartAt::Beginning).await.unwrap().collect().await.unwrap();
    let mut letters = Vec::new();
    for letter in blocks.iter().flat_map(|block| block.iter()) {
        let text = |name: &str| String::from_utf8(letter.header(name).unwrap().to_vec()).unwrap();
        assert_eq!(text(dead_letter::STAGE), "alert");
        let source = (text(dead_letter::TOPIC), text(dead_letter::OFFSET), text(dead_letter::ERROR_CODE));
        letters.push((source.0, source.1, source.2, letter.payload.unwrap().to_vec()));
    }
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_cannot_be_decoded_are_kept_and_their_neighbours_raise_alerts() {
    let world = World::new().await;
    world.register("e-1", Commodity::Electricity).await;
    world.decide(0, "e-1", &[electricity(T0, 100)]).await;
    world.event(0, "e-1", DeviceEventKind::Tamper, T0 + HOUR).await;
    world.send("events", Some(0), "e-1", b"no event").await;
    world.send("events", Some(0), "e-1", b"\x00").await;
    world.event(0, "e-1", DeviceEventKind::LowBattery, T0 + HOUR).await;
    let service = world.start().await;
    world.wait_until_done().await;
    service.stop().await;
    let topic = world.topic("events");
    let expected = [("1", "WRONG_MAGIC", &b"no event"[..]), ("2", "TOO_SHORT", b"\x00")]
        .map(|(offset, code, bytes)| (topic.clone(), offset.to_owned(), code.to_owned(), bytes.to_vec()));
    assert_eq!(letters(&world, 0).await, expected);
    let mut kinds: Vec<_> = world.messages().await.iter().map(|alert| alert.kind).collect();
    kinds.sort_unstable_by_key(|kind| format!("{kind:?}"));
    assert_eq!(kinds, [AlertKind::LowBattery, AlertKind::Tamper]);

    // The next process learns the same log again, and sets nothing aside a second time.
    let service = world.start().await;
    world.event(0, "e-1", DeviceEventKind::BatteryOk, T0 + 2 * HOUR).await;
    world.wait_until_done().await;
    service.stop().await;
    assert_eq!(letters(&world, 0).await.len(), 2);
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_a_rule_panics_on_is_set_aside_and_the_line_goes_on() {
    let world = World::new().await;
    for device in ["e-1", "e-2"] {
        world.register(device, Commodity::Electricity).await;
    }
    world.decide(1, "e-1", &[electricity(T0, 100)]).await;
    world.decide_beyond_days(1, "e-2", &electricity(T0, 100)).await;
    world.decide(1, "e-2", &[electricity(T0 + HOUR, 200)]).await;
    world.decide(1, "e-1", &[electricity(T0 + HOUR, 300)]).await;
    let service = world.start().await;
    world.wait_until_done().await;
    service.stop().await;
    let letters = letters(&world, 1).await;
    let sources: Vec<_> = letters.iter().map(|(topic, offset, code, _)| (&**topic, &**offset, &**code)).collect();
    assert_eq!(sources, [(&*world.topic("validated"), "1", "INTERNAL_ERROR")]);
    for device in ["e-1", "e-2"] {
        let status = world.status(device).await.expect("the device has a status");
        assert_eq!(crate::world::number(&status, "event_ts"), T0 + HOUR + HOUR / 2, "{device}");
    }
    world.remove().await;
}

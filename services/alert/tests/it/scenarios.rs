use std::collections::BTreeSet;

use meter_model::Commodity;
use meterway_schemas::{AlertKind, AlertState, DeviceEventKind};

use crate::world::{Accepted, DAY, HOUR, T0, World, electricity, number, text, water};

fn day_of_electricity(number: i64, wh: i64) -> Vec<Accepted> {
    (0..48).map(|slot| electricity(T0 + number * DAY + slot * HOUR / 2, wh)).collect()
}

fn day_of_water(number: i64, litres: i64) -> Vec<Accepted> {
    (0..24).map(|hour| water(T0 + number * DAY + hour * HOUR, litres)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leak_outage_silence_and_high_usage_end_in_topic_and_table() {
    let world = World::new().await;
    for (device_id, commodity) in
        [("w-leak", Commodity::Water), ("w-quiet", Commodity::Water), ("e-1", Commodity::Electricity)]
    {
        world.register(device_id, commodity).await;
    }
    let service = world.start().await;
    for number in 0..9 {
        world.decide(0, "w-leak", &day_of_water(number, if number == 3 { 60 } else { 1 })).await;
        if number < 5 {
            world.decide(0, "w-quiet", &day_of_water(number, 1)).await;
        }
        let wh = if number == 7 { 1_200 } else { 200 };
        world.decide(1, "e-1", &day_of_electricity(number, wh)).await;
    }
    world.event(1, "e-1", DeviceEventKind::LastGasp, T0 + 2 * DAY + 10 * HOUR).await;
    world.event(1, "e-1", DeviceEventKind::PowerRestored, T0 + 2 * DAY + 14 * HOUR).await;
    world.event(1, "e-1", DeviceEventKind::LowBattery, T0 + 3 * DAY).await;
    world.event(1, "nobody", DeviceEventKind::Tamper, T0).await;
    world.send("events", Some(1), "e-1", b"not avro").await;
    world.wait_until_done().await;
    service.stop().await;

    let messages = world.messages().await;
    let found: BTreeSet<_> = messages
        .iter()
        .map(|alert| (alert.device_id.as_str(), alert.kind, alert.state == AlertState::Closed))
        .collect();
    let expected = BTreeSet::from([
        ("w-leak", AlertKind::ContinuousFlow, false),
        ("w-leak", AlertKind::ContinuousFlow, true),
        ("w-quiet", AlertKind::SilentMeter, false),
        ("e-1", AlertKind::HighUsage, false),
        ("e-1", AlertKind::HighUsage, true),
        ("e-1", AlertKind::Outage, false),
        ("e-1", AlertKind::Outage, true),
        ("e-1", AlertKind::LowBattery, false),
    ]);
    assert_eq!(found, expected);
    let leak = messages.iter().find(|alert| alert.device_id == "w-leak").unwrap();
    assert_eq!(
        (leak.opened_at, leak.customer_id.as_deref(), leak.site_id.as_deref()),
        (T0 + 3 * DAY, None, Some("s-1"))
    );

    let items = world.items("alerts").await;
    assert_eq!(items.len(), 5);
    for item in &items {
        let of_alert = messages.iter().filter(|alert| alert.alert_id == text(item, "alert_id"));
        let newest = of_alert.max_by_key(|alert| alert.revision).unwrap();
        assert_eq!(number(item, "revision"), i64::from(newest.revision));
        assert_eq!(item.get("closed_at").map(|at| at.as_n().unwrap().parse().unwrap()), newest.closed_at);
        assert_eq!(text(item, "detail"), newest.detail);
    }
    let open = world.dynamo.query().table_name(world.topic("alerts")).index_name("open_by_tenant");
    let open = open.key_condition_expression("open_tenant = :t");
    let open = open.expression_attribute_values(":t", aws_sdk_dynamodb::types::AttributeValue::S("north".into()));
    let kinds: BTreeSet<_> =
        open.send().await.unwrap().items().iter().map(|item| text(item, "kind").to_owned()).collect();
    assert_eq!(kinds, BTreeSet::from(["LOW_BATTERY".to_owned(), "SILENT_METER".to_owned()]));
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_reading_never_overwrites_a_newer_status() {
    let world = World::new().await;
    world.register("e-1", Commodity::Electricity).await;
    let service = world.start().await;
    world.decide(0, "e-1", &day_of_electricity(5, 500)).await;
    world.wait_until_done().await;
    let late = world.decide(0, "e-1", &day_of_electricity(4, 100)).await;
    // A second channel of the same device that is older than the first one's newest value, but the newest of its own.
    let other = Accepted { channel: "1-0:2.29.0", ..electricity(T0 + 4 * DAY, 7) };
    let last = world.decide(0, "e-1", &[other]).await;
    // A decision that was written twice.
    world.decide_at(0, late, "e-1", &day_of_electricity(9, 900)).await;
    world.wait_until_done().await;

    let item = world.status("e-1").await.unwrap();
    assert_eq!(number(&item, "event_ts"), T0 + 6 * DAY);
    assert_eq!(number(&item, "source_offset"), last);
    assert_eq!(number(&item, "device_version"), 3);
    let value = |channel: &str| item[channel].as_m().unwrap()["value"].as_n().unwrap().clone();
    assert_eq!((value("ch:1-0:1.29.0"), value("ch:1-0:2.29.0")), ("0.5".to_owned(), "0.007".to_owned()));
    assert!(!item.contains_key("power"), "nothing is known of its power");

    world.event(0, "e-1", DeviceEventKind::LastGasp, T0 + 7 * DAY).await;
    world.wait_until_done().await;
    assert_eq!(text(&world.status("e-1").await.unwrap(), "power"), "OFF");
    world.decide(0, "e-1", &day_of_electricity(8, 500)).await;
    world.wait_until_done().await;
    let item = world.status("e-1").await.unwrap();
    assert_eq!((text(&item, "power"), number(&item, "power_ts")), ("ON", T0 + 8 * DAY));
    service.stop().await;
    world.remove().await;
}

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use meter_model::Commodity;
use meterway_schemas::{Alert, DeviceEventKind};

use crate::world::{Accepted, DAY, HOUR, Item, T0, World, electricity, water};

/// Days of three devices with everything that can happen to them, in 24 steps of half a day.
///
/// Outages depend on events and on readings, so how the two topics interleave shows in the revisions: here the events of
/// an outage are always read first. Everything else depends on one topic and is sent without waiting.
async fn step(world: &World, step: i64) {
    let from = T0 + step * DAY / 2;
    match step % 6 {
        1 => world.event(1, "e-2", DeviceEventKind::LastGasp, from + HOUR).await,
        2 => world.event(1, "e-2", DeviceEventKind::PowerRestored, from - 9 * HOUR).await,
        _ => {}
    }
    world.wait_until_done().await;
    let leaks = (6..9).contains(&step) || (15..19).contains(&step);
    let flow: Vec<_> = (0..12).map(|hour| water(from + hour * HOUR, if leaks { 40 } else { 2 })).collect();
    world.decide(0, "w-1", &flow).await;
    let high = step == 16 || step == 17;
    let use_of = |slot: i64| electricity(from + slot * HOUR / 2, if high { 1_500 } else { 200 });
    if !(8..18).contains(&step) {
        world.decide(1, "e-1", &(0..24).map(use_of).collect::<Vec<_>>()).await;
    }
    let mut with_outages: Vec<Accepted> = (0..if step % 6 == 1 { 2 } else { 24 }).map(use_of).collect();
    with_outages[0].gap = step % 6 == 2;
    world.decide(1, "e-2", &with_outages).await;
    match step % 6 {
        3 => world.event(0, "w-1", DeviceEventKind::LowBattery, from).await,
        4 => world.event(0, "w-1", DeviceEventKind::Tamper, from).await,
        5 => world.event(0, "w-1", DeviceEventKind::BatteryOk, from).await,
        _ => {}
    }
}

async fn prepare() -> World {
    let world = World::new().await;
    world.register("w-1", Commodity::Water).await;
    world.register("e-1", Commodity::Electricity).await;
    world.register("e-2", Commodity::Electricity).await;
    world
}

/// Starts the binary. A static member: the next process of the same name takes the partitions over at once, where a new
/// member would have to wait for the dead one's session to end.
fn spawn(world: &World) -> Child {
    let properties = r#"{ "group.instance.id" = "only" }"#;
    Command::new(env!("CARGO_BIN_EXE_alert"))
        .envs(world.variables())
        .env("METER_ALERT__KAFKA__PROPERTIES", properties)
        .env("METER_ALERT__LOG__LEVEL", "warn")
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn by_revision(messages: Vec<Alert>) -> BTreeMap<(String, i32), Alert> {
    let mut known = BTreeMap::new();
    for alert in messages {
        let before = known.insert((alert.alert_id.clone(), alert.revision), alert.clone());
        assert!(before.is_none_or(|before| before == alert), "a repetition says the same: {alert:?}");
    }
    known
}

/// What stands in the table, without what depends on the wall clock or on where input lay in this world's topics.
fn lasting(items: Vec<Item>) -> BTreeMap<String, Item> {
    let key = |item: &Item| format!("{:?}", item.get("alert_id").or(item.get("pk")));
    let strip = |mut item: Item| {
        for attribute in ["written_at", "expires_at", "seen_decision", "seen_event"] {
            item.remove(attribute);
        }
        item
    };
    items.into_iter().map(|item| (key(&item), strip(item))).collect()
}

/// Both worlds saw the same, so both must hold the same.
async fn assert_same(found: &World, expected: &World) {
    let (found_messages, expected_messages) = (found.messages().await, expected.messages().await);
    let (found_by, expected_by) = (by_revision(found_messages), by_revision(expected_messages));
    assert!(expected_by.len() >= 15, "the scenario makes many alerts: {}", expected_by.len());
    assert_eq!(found_by, expected_by);
    assert_eq!(lasting(found.items("alerts").await), lasting(expected.items("alerts").await));
    assert_eq!(lasting(found.items("status").await), lasting(expected.items("status").await));
}

/// One process that runs through.
async fn run_calmly() -> World {
    let calm = prepare().await;
    let service = calm.start().await;
    for number in 0..24 {
        step(&calm, number).await;
    }
    calm.wait_until_done().await;
    service.stop().await;
    calm
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_the_same_alerts_and_statuses_as_one_that_ran_through() {
    let calm = run_calmly().await;
    let stormy = prepare().await;
    let mut process = spawn(&stormy);
    for number in 0..24 {
        step(&stormy, number).await;
        if number % 4 == 3 {
            // Anywhere within the work on this step; its positions are committed only about once a second.
            service_runtime::sleep(Duration::from_millis(u64::try_from(number).unwrap() * 23)).await;
            process.kill().unwrap();
            process.wait().unwrap();
            process = spawn(&stormy);
        }
    }
    stormy.wait_until_done().await;
    process.kill().unwrap();
    process.wait().unwrap();

    assert_same(&stormy, &calm).await;
    stormy.remove().await;
    calm.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_change_hands_end_as_if_they_had_not() {
    let calm = run_calmly().await;
    let shared = prepare().await;
    let mut members = vec![shared.start().await];
    for number in 0..24 {
        step(&shared, number).await;
        match number {
            // A second member takes one of the two partitions, with its events.
            5 => members.push(shared.start().await),
            // The first leaves; the second takes both. Then a third comes.
            12 => members.remove(0).stop().await,
            15 => members.push(shared.start().await),
            _ => {}
        }
    }
    shared.wait_until_done().await;
    for member in members {
        member.stop().await;
    }
    assert_same(&shared, &calm).await;
    shared.remove().await;
    calm.remove().await;
}

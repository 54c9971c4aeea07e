use std::sync::Arc;
use std::time::Duration;

use alert::core::outbox::{PowerUpdate, StatusUpdate};
use alert::core::status::{LastValue, Power};
use alert::stores::{Dynamo, Patience, StatusTable, create_missing};
use futures::future::join_all;
use meter_model::Kind;
use service_runtime::{Backoff, Liveness};
use tokio_util::sync::CancellationToken;

use crate::world::{World, number, text};

async fn dynamo(world: &World) -> Dynamo {
    let config = world.config().dynamodb;
    let patience = Patience {
        policy: Backoff::new(Duration::from_millis(10), Duration::from_millis(500), 0.5).unwrap(),
        shutdown: CancellationToken::new(),
        beat: Arc::new(Liveness::default().beat_handle("test", Duration::from_secs(60))),
    };
    let dynamo = Dynamo::connect(&config, patience).await;
    create_missing(&dynamo.client, &config).await.unwrap();
    dynamo
}

fn status(device: usize, event_ts: i64, source_offset: i64) -> StatusUpdate {
    let value = LastValue {
        channel: Arc::from("water.volume"),
        unit: Arc::from("L"),
        kind: Kind::Interval,
        start: event_ts,
        duration_s: 0,
        value: source_offset * 1_000_000,
        valid: true,
        source_offset,
    };
    StatusUpdate {
        tenant_id: Arc::from("north"),
        device_id: format!("d-{device}").into(),
        event_ts,
        source_partition: 0,
        source_offset,
        last_seen: 0,
        device_version: None,
        customer_id: None,
        site_id: None,
        values: vec![value],
    }
}

/// Eight owners that believe in the same partition (zombies) write everything they know in different orders at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_writers_the_newest_event_time_wins_and_of_equals_the_higher_offset() {
    const DEVICES: usize = 10;
    let world = World::new().await;
    let dynamo = dynamo(&world).await;
    let table = StatusTable::new(dynamo.clone(), world.topic("status"));
    // A status for every event time 0..6 with two offsets each; the winner is (5, 12).
    let versions: Vec<_> = (0..12).map(|n| (n / 2, n + 1)).collect();
    let writers = (0..8).map(|writer: usize| {
        let (table, mut versions) = (table.clone(), versions.clone());
        let turn = writer * 5 % versions.len();
        versions.rotate_left(turn);
        if writer % 2 == 1 {
            versions.reverse();
        }
        tokio::spawn(async move {
            for (event_ts, source_offset) in versions {
                let updates: Vec<_> = (0..DEVICES).map(|device| status(device, event_ts, source_offset)).collect();
                let powers = updates.iter().map(|update| PowerUpdate {
                    tenant_id: Arc::clone(&update.tenant_id),
                    device_id: update.device_id.clone(),
                    power: Power { on: source_offset % 2 == 0, at: event_ts },
                });
                table.write(&updates, &powers.collect::<Vec<_>>()).await.unwrap();
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    for device in 0..DEVICES {
        let item = world.status(&format!("d-{device}")).await.unwrap();
        assert_eq!((number(&item, "event_ts"), number(&item, "source_offset")), (5, 12));
        assert_eq!(item["ch:water.volume"].as_m().unwrap()["value"].as_n().unwrap(), "12");
        assert_eq!((text(&item, "power"), number(&item, "power_ts")), ("OFF", 5), "of equals, gone holds");
    }
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_is_written_over_a_power_state_that_came_first() {
    let world = World::new().await;
    let table = StatusTable::new(dynamo(&world).await, world.topic("status"));
    let update = status(0, 1, 1);
    let (tenant_id, device_id) = (Arc::clone(&update.tenant_id), update.device_id.clone());
    let power = PowerUpdate { tenant_id, device_id, power: Power { on: false, at: 9 } };
    table.write(&[], &[power]).await.unwrap();
    table.write(&[update], &[]).await.unwrap();
    let item = world.status("d-0").await.unwrap();
    assert_eq!((number(&item, "event_ts"), text(&item, "power")), (1, "OFF"));
    world.remove().await;
}

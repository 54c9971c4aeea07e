//! A second process joins the group and leaves again: every row is there once.

use std::time::Duration;

use lake::tables;
use service_runtime::sleep;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_move_without_loss_or_doubles() {
    let world = World::new("rebalance").await;
    let readings = world.table(&tables::readings()).await;
    let mut expected = Vec::new();
    let mut next = 0;
    let first = world.start(world.config(&["readings"], &[])).await;
    let mut second = None;
    for round in 0..16 {
        for partition in 0..2 {
            expected.extend(world.decide(partition, next..next + 10, 2).await);
        }
        next += 10;
        if round == 4 {
            second = Some(world.start(world.config(&["readings"], &[])).await);
        }
        if round == 12 {
            second.take().unwrap().stop().await.unwrap();
        }
        sleep(Duration::from_millis(700)).await;
    }
    world.expect_rows(&readings, "validated", expected).await;
    first.stop().await.unwrap();
}

//! The process dies with rows in hand, or between the commits of the two tables: every row is there once.

use std::time::Duration;

use lake::tables;
use service_runtime::sleep;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_gathered_by_a_killed_process_are_read_again() {
    let world = World::new("crash").await;
    let readings = world.table(&tables::readings()).await;
    let mut expected = world.decide(0, 0..40, 4).await;
    // Memory for little, so that files are written, and no reason to commit them.
    let never = [("SINK__COMMIT_AGE", "30m"), ("SINK__IDLE_COMMIT_AGE", "1h")];
    let doomed = world.start(world.config(&["readings"], &never)).await;
    expected.extend(world.decide(1, 0..40, 4).await);
    sleep(Duration::from_secs(8)).await;
    doomed.kill().await;
    assert_eq!(readings.heads().await.unwrap().snapshot_id, None, "nothing was committed");

    let sink = world.start(world.config(&["readings"], &[])).await;
    world.expect_rows(&readings, "validated", expected.clone()).await;
    sink.stop().await.unwrap();

    // A third process finds nothing to do, whatever the group has or has not committed.
    let fresh_group = format!("{}-other", world.name);
    let sink = world.start(world.config(&["readings"], &[("ROUTES__READINGS__GROUP", &fresh_group)])).await;
    expected.extend(world.decide(0, 40..45, 2).await);
    world.expect_rows(&readings, "validated", expected).await;
    sink.stop().await.unwrap();
}

/// A crash after `readings` was committed and before `rejected` was leaves the tables at different heads; each goes on
/// from its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_table_goes_on_from_its_own_head() {
    let world = World::new("two_tables").await;
    let accepted = world.decide(0, 0..30, 2).await;
    let rejected: Vec<_> = (0..30).step_by(3).map(|at| (0, at, 5)).collect();
    let readings = world.table(&tables::readings()).await;
    let first = world.start(world.config(&["readings"], &[])).await;
    world.expect_rows(&readings, "validated", accepted.clone()).await;
    first.kill().await;

    let both = world.start(world.config(&["readings", "rejected"], &[])).await;
    world.expect_rows(&world.table(&tables::rejected()).await, "validated", rejected).await;
    world.expect_rows(&readings, "validated", accepted).await;
    both.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_commits_what_was_gathered() {
    let world = World::new("stop").await;
    let readings = world.table(&tables::readings()).await;
    let expected = world.decide(0, 0..10, 2).await;
    let never = [("SINK__COMMIT_AGE", "30m"), ("SINK__IDLE_COMMIT_AGE", "1h")];
    let sink = world.start(world.config(&["readings"], &never)).await;
    sleep(Duration::from_secs(8)).await;
    assert_eq!(readings.heads().await.unwrap().snapshot_id, None, "no trigger has fired");
    sink.stop().await.unwrap();
    world.expect_rows(&readings, "validated", expected).await;
}

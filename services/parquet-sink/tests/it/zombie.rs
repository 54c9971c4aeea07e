//! Two sinks that both believe to own every partition, as a zombie does: the table has every row once.

use lake::tables;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_adds_no_row_twice() {
    let world = World::new("zombie").await;
    let readings = world.table(&tables::readings()).await;
    // Different groups: nobody tells either of them about the other.
    let group = format!("{}-zombie", world.name);
    let living = world.start(world.config(&["readings"], &[])).await;
    let zombie = world.start(world.config(&["readings"], &[("ROUTES__READINGS__GROUP", &group)])).await;
    let mut expected = Vec::new();
    for round in 0..25 {
        expected.extend(world.decide(0, round * 20..round * 20 + 20, 3).await);
        expected.extend(world.decide(1, round * 10..round * 10 + 10, 3).await);
        service_runtime::sleep(std::time::Duration::from_millis(200)).await;
    }
    world.expect_rows(&readings, "validated", expected.clone()).await;
    living.stop().await.unwrap();
    zombie.stop().await.unwrap();
    world.expect_rows(&readings, "validated", expected).await;
    let metrics = service_runtime::MetricsHandle::install().unwrap().render();
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("parquet_sink_commit_conflicts_total{") && line.contains("restarted")),
        "the two never met, so the test showed nothing:\n{metrics}"
    );
}

//! Records that should not exist: decisions emitted again, holes, bytes that are no decision.

use kafka_pipeline::dead_letter;
use lake::tables;
use service_runtime::MetricsHandle;

use crate::world::World;

/// Sum of the samples of a counter of the route `readings`.
fn counter(name: &str) -> u64 {
    let rendered = MetricsHandle::install().unwrap().render();
    let samples = rendered.lines().filter(|line| line.starts_with(name) && line.contains("route=\"readings\""));
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn re_emissions_are_dropped_gaps_counted_and_poison_set_aside() {
    let before =
        ["re_emissions", "gaps", "missing_decisions"].map(|name| counter(&format!("parquet_sink_{name}_total")));
    let world = World::new("poison").await;
    let mut expected = world.decide(0, 0..10, 2).await;
    // A validator that crashed before its output was acknowledged decides again, differently.
    world.decide(0, 6..10, 9).await;
    let broken = world.decision(0, 10, 2)[..20].to_vec();
    let misplaced = world.decision(1, 0, 2);
    world.produce("validated", 0, &[broken.clone(), vec![0], misplaced.clone()]).await;
    // 10 is lost with the broken record; 13 and 14 were never decided.
    expected.extend(world.decide(0, 11..13, 2).await);
    expected.extend(world.decide(0, 15..20, 2).await);

    let readings = world.table(&tables::readings()).await;
    let sink = world.start(world.config(&["readings"], &[])).await;
    world.expect_rows(&readings, "validated", expected).await;
    sink.stop().await.unwrap();

    let after =
        ["re_emissions", "gaps", "missing_decisions"].map(|name| counter(&format!("parquet_sink_{name}_total")));
    assert_eq!([after[0] - before[0], after[1] - before[1], after[2] - before[2]], [4, 2, 3]);

    let mut letters = Vec::new();
    for block in world.read("dead", 0).await {
        for record in block.iter() {
            let code = String::from_utf8(record.header(dead_letter::ERROR_CODE).unwrap().to_vec()).unwrap();
            assert_eq!(record.header("x-test"), Some(&b"1"[..]), "headers of the record are kept");
            letters.push((code, record.payload.unwrap().to_vec()));
        }
    }
    let expected = [("TRUNCATED", broken), ("TOO_SHORT", vec![0]), ("WRONG_PARTITION", misplaced)]
        .map(|(code, p)| (code.to_owned(), p));
    assert_eq!(letters, expected);
}

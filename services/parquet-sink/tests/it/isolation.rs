//! A record that decodes and cannot be written: it is set aside, its neighbours are not, and the heads advance.

use kafka_pipeline::dead_letter;
use lake::tables;
use meter_model::LocalDay;

use crate::world::World;

/// Microseconds of a day that no calendar has: the lake's library panics when it names the partition.
const NO_SUCH_DAY: i64 = i64::MAX - 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_cannot_be_written_are_found_among_their_neighbours() {
    let world = World::new("unwritable").await;
    let mut expected = world.decide(0, 0..40, 3).await;
    let cursed =
        [world.decision_at(0, 40, NO_SUCH_DAY, LocalDay(0)), world.decision_at(0, 53, NO_SUCH_DAY, LocalDay(0))];
    world.produce("validated", 0, &cursed[..1]).await;
    expected.extend(world.decide(0, 41..53, 2).await);
    world.produce("validated", 0, &cursed[1..]).await;
    expected.extend(world.decide(0, 54..60, 2).await);
    expected.extend(world.decide(1, 0..20, 4).await);

    let readings = world.table(&tables::readings()).await;
    let sink = world.start(world.config(&["readings"], &[])).await;
    world.expect_rows(&readings, "validated", expected.clone()).await;
    // The line goes on, also behind a restart.
    expected.extend(world.decide(0, 60..70, 1).await);
    world.expect_rows(&readings, "validated", expected.clone()).await;
    sink.stop().await.unwrap();
    let sink = world.start(world.config(&["readings"], &[])).await;
    expected.extend(world.decide(1, 20..30, 1).await);
    world.expect_rows(&readings, "validated", expected).await;
    sink.stop().await.unwrap();

    let letters = world.read("dead", 0).await;
    let letters: Vec<_> = letters.iter().flat_map(|block| block.iter()).collect();
    let payloads: Vec<_> = letters.iter().map(|letter| letter.payload.unwrap().to_vec()).collect();
    assert_eq!(payloads, cursed, "the bytes are kept");
    for letter in letters {
        assert_eq!(letter.header(dead_letter::ERROR_CODE), Some(&b"UNWRITABLE"[..]));
        assert_eq!(letter.header(dead_letter::STAGE), Some(&b"parquet-sink"[..]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_nothing_can_be_written_no_record_is_blamed() {
    let world = World::new("unwritable_all").await;
    let cursed: Vec<_> = (0..3).map(|offset| world.decision_at(0, offset, NO_SUCH_DAY, LocalDay(0))).collect();
    world.produce("validated", 0, &cursed).await;
    let readings = world.table(&tables::readings()).await;
    let sink = world.start(world.config(&["readings"], &[])).await;
    let error = format!("{:#}", sink.ended().await.unwrap_err());
    assert!(error.contains("no record can be written"), "{error}");
    assert!(world.read("dead", 0).await.is_empty());
    assert!(readings.heads().await.unwrap().heads.iter().next().is_none(), "no head has moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timestamp_that_is_no_date_costs_landing_nothing() {
    let world = World::new("no_date").await;
    world.allow_any_timestamp("raw").await;
    world.produce_at("raw", 0, b"before", Some(1_700_000_000_000)).await;
    world.produce_at("raw", 0, b"broken clock", Some(i64::MAX)).await;
    world.produce_at("raw", 0, b"after", Some(1_700_000_000_001)).await;
    let landing = world.table(&tables::landing()).await;
    let sink = world.start(world.config(&["landing"], &[])).await;
    world.drained(&landing, "raw").await;
    let rows: usize = world.rows(&landing).await.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 3);
    assert!(world.read("dead", 0).await.is_empty());
    sink.stop().await.unwrap();
}

//! The dead-letter topic in the lake: bytes, headers and what became of them, exactly once.

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use kafka_pipeline::dead_letter::{Deed, Mark};
use kafka_pipeline::{DeadLetters, RecordBlockBuilder, TopicPartition};
use lake::{LakeTable, tables};
use service_runtime::MetricsHandle;

use crate::world::{World, eventually};

/// Sets messages of the raw topic aside, as validate does.
async fn set_aside(world: &World, partition: i32, offsets: std::ops::Range<i64>) {
    let letters = DeadLetters::new(world.producer.clone(), world.topic("dead"), "validate", "validate");
    let mut block = RecordBlockBuilder::new("raw", partition);
    for offset in offsets {
        block.push(offset, 0, Some(b"dev"), Some(&[0xff, offset as u8]), &[]);
    }
    let block = block.build();
    for record in block.iter() {
        letters.send(&record, &TopicPartition::new("raw", partition), "WRONG_MAGIC", "first byte").await.unwrap();
    }
}

/// Records that the route has taken in, over all tests of this process.
fn read() -> u64 {
    let rendered = MetricsHandle::install().unwrap().render();
    let of_route = |line: &&str| line.starts_with("parquet_sink_records_read_total{route=\"dead_letters\"}");
    rendered.lines().filter(of_route).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Partition, offset, kind and bytes of all rows, sorted.
async fn stored(world: &World, table: &LakeTable) -> Vec<(i32, i64, String, Option<Vec<u8>>)> {
    let mut rows = Vec::new();
    for batch in world.rows(table).await {
        let partition = batch.column_by_name("partition").unwrap().as_primitive::<Int32Type>();
        let offset = batch.column_by_name("offset").unwrap().as_primitive::<Int64Type>();
        let kind = batch.column_by_name("kind").unwrap().as_string::<i32>();
        let payload = batch.column_by_name("payload").unwrap().as_binary::<i64>().iter();
        rows.extend(payload.enumerate().map(|(row, payload)| {
            (partition.value(row), offset.value(row), kind.value(row).to_owned(), payload.map(<[u8]>::to_vec))
        }));
    }
    rows.sort_unstable();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_and_marks_are_in_the_lake_once_though_the_sink_is_killed() {
    let world = World::new("dead_letters").await;
    let table = world.table(&tables::dead_letters()).await;
    set_aside(&world, 0, 0..5).await;
    set_aside(&world, 1, 0..3).await;
    let slow = [("SINK__COMMIT_AGE", "30m"), ("SINK__IDLE_COMMIT_AGE", "2h")];
    let before = read();
    let doomed = world.start(world.config(&["dead_letters"], &slow)).await;
    eventually("the letters are in hand", async || read() >= before + 8).await;
    doomed.kill().await;

    let sink = world.start(world.config(&["dead_letters"], &[])).await;
    let mark = Mark {
        deed: Deed::Dropped,
        letter: 2,
        source: ("raw".into(), 0, 2),
        run: "run".into(),
        by: "sre".into(),
        reason: "meters re-read".into(),
        to: None,
        count: 0,
    };
    let dead = world.topic("dead");
    mark.send(&world.producer, &dead, 0, Some(b"dev")).await.unwrap().await.unwrap();
    world.drained(&table, "dead").await;
    sink.stop().await.unwrap();

    let letter = |partition: i32, offset: i64| (partition, offset, "letter".to_owned(), Some(vec![0xff, offset as u8]));
    let mut expected: Vec<_> = (0..5).map(|offset| letter(0, offset)).collect();
    expected.push((0, 5, "dropped".to_owned(), None));
    expected.extend((0..3).map(|offset| letter(1, offset)));
    assert_eq!(stored(&world, &table).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sink_sets_aside_itself_is_there_too_and_goes_round_once() {
    let world = World::new("dead_own").await;
    let (readings, table) = (world.table(&tables::readings()).await, world.table(&tables::dead_letters()).await);
    let broken = world.decision(0, 0, 2)[..20].to_vec();
    world.produce("validated", 0, std::slice::from_ref(&broken)).await;
    let expected = world.decide(0, 1..4, 2).await;
    let sink = world.start(world.config(&["readings", "dead_letters"], &[])).await;
    world.expect_rows(&readings, "validated", expected).await;
    world.drained(&table, "dead").await;
    sink.stop().await.unwrap();
    assert_eq!(stored(&world, &table).await, [(0, 0, "letter".to_owned(), Some(broken))]);
}

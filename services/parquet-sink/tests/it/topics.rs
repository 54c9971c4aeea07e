//! Topics that are not the continuation of their table: refused, loudly, and for no longer than an operator needs.

use kafka_pipeline::{Admin, NextOffset, TopicPartition};
use lake::core::reset::{Feed, Target};
use lake::tables;

use crate::outage::Cable;
use crate::world::{World, eventually};

const KEEP: Feed = Feed::Decisions { renewed: false };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_created_again_is_refused_until_the_heads_are_moved() {
    let world = World::new("replaced").await;
    let readings = world.table(&tables::readings()).await;
    let mut expected = world.decide(0, 0..10, 2).await;
    let sink = world.start(world.config(&["readings"], &[])).await;
    world.expect_rows(&readings, "validated", expected.clone()).await;
    sink.stop().await.unwrap();

    world.replace_topic("validated").await;
    // As validate does with an empty output: it decides everything again, and then goes on.
    world.decide(0, 0..10, 2).await;
    expected.extend(world.decide(0, 10..14, 2).await);
    let sink = world.start(world.config(&["readings"], &[])).await;
    sink.refuses("docs/runbooks/topic-replaced.md").await;
    assert_eq!(world.coordinates(&readings).await.len(), 20, "nothing was taken in");

    let report = world.reset_heads(&readings, "validated", Target::Earliest, KEEP).await;
    assert_eq!(report.gaps[0].lost_behind, Some(10));
    sink.is_ready().await;
    world.expect_rows(&readings, "validated", expected).await;
    sink.stop().await.unwrap();
}

/// The new topic has a record at every position that the old one had, so no fetch fails: only its id tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_created_again_under_a_running_sink_is_refused() {
    let world = World::new("replaced_live").await;
    let landing = world.table(&tables::landing()).await;
    let sink = world.start(world.config(&["landing"], &[])).await;
    for partition in 0..2 {
        world.produce("raw", partition, &vec![b"before".to_vec(); 5]).await;
    }
    world.drained(&landing, "raw").await;
    let heads = landing.heads().await.unwrap().heads;

    world.replace_topic("raw").await;
    for partition in 0..2 {
        world.produce("raw", partition, &vec![b"after".to_vec(); 50]).await;
    }
    sink.refuses("created again").await;
    assert_eq!(landing.heads().await.unwrap().heads, heads, "nothing of the new topic was taken for the old one");

    world.reset_heads(&landing, "raw", Target::Earliest, Feed::Records).await;
    sink.is_ready().await;
    world.drained(&landing, "raw").await;
    let rows: usize = world.rows(&landing).await.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 110);
    sink.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_retention_took_are_missed_and_the_other_partition_goes_on() {
    let world = World::new("expired").await;
    let landing = world.table(&tables::landing()).await;
    for partition in 0..2 {
        world.produce("raw", partition, &vec![b"taken".to_vec(); 5]).await;
    }
    let sink = world.start(world.config(&["landing"], &[])).await;
    world.drained(&landing, "raw").await;
    sink.stop().await.unwrap();
    for partition in 0..2 {
        world.produce("raw", partition, &vec![b"more".to_vec(); 10]).await;
    }
    remove_before(&world, 0, 12).await;

    let sink = world.start(world.config(&["landing"], &[])).await;
    sink.refuses("the oldest record left is 12: 7 records are lost").await;
    eventually("partition 1 goes on", async || {
        landing.heads().await.unwrap().heads.iter().any(|(key, head)| key.partition == 1 && head.next == 15)
    })
    .await;
    let report = world.reset_heads(&landing, "raw", Target::Earliest, Feed::Records).await;
    assert_eq!(report.gaps.iter().filter_map(|gap| gap.lost).map(|lost| lost.count()).sum::<u64>(), 7);
    sink.is_ready().await;
    world.drained(&landing, "raw").await;
    let rows: usize = world.rows(&landing).await.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 30 - 7);
    sink.stop().await.unwrap();
}

/// The store is away, so the route stands still with its queue full, and retention passes the position of its client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_that_passes_a_waiting_route_is_noticed() {
    const RECORDS: usize = 240;
    let world = World::new("expired_live").await;
    let landing = world.table(&tables::landing()).await;
    let endpoint = test_support::Stack::from_env().s3_endpoint();
    let mut cable = Cable::to(endpoint.strip_prefix("http://").unwrap().trim_end_matches('/')).await;
    let proxy = format!("http://{}", cable.address());
    let sink = world.start(world.config(&["landing"], &[("LAKE__S3__ENDPOINT", &proxy)])).await;
    world.produce("raw", 0, &[b"first".to_vec()]).await;
    world.drained(&landing, "raw").await;
    cable.cut().await;
    // More than the queues hold.
    for _ in 0..RECORDS / 20 {
        world.produce("raw", 0, &vec![vec![7; 200_000]; 20]).await;
    }
    let last = RECORDS as i64 - 2;
    remove_before(&world, 0, last).await;
    cable.plug_in().await;
    sink.refuses("docs/runbooks/retention-overrun.md").await;
    let report = world.reset_heads(&landing, "raw", Target::Earliest, Feed::Records).await;
    let lost = report.gaps[0].lost.unwrap();
    assert!(lost.from > 1 && lost.to == last, "what was in memory was committed, the rest is owned up to: {lost:?}");
    sink.is_ready().await;
    world.drained(&landing, "raw").await;
    let rows: usize = world.rows(&landing).await.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows as u64, 1 + RECORDS as u64 - lost.count());
    sink.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_behind_the_end_of_the_log_is_refused_however_far_the_log_grows() {
    let world = World::new("truncated").await;
    let landing = world.table(&tables::landing()).await;
    world.produce("raw", 0, &vec![b"a".to_vec(); 5]).await;
    let sink = world.start(world.config(&["landing"], &[])).await;
    world.drained(&landing, "raw").await;
    sink.stop().await.unwrap();
    // What a log looks like to its table after its end was lost: the head lies behind it.
    let base = landing.heads().await.unwrap();
    let ahead =
        base.heads.iter().map(|(key, head)| (key.clone(), lake::Head { next: head.next + 3, ..*head })).collect();
    let report = world.reset_heads(&landing, "raw", Target::Latest, Feed::Records).await;
    landing
        .move_heads(&landing.heads().await.unwrap(), ahead, &lake::GapReport { id: uuid::Uuid::now_v7(), ..report })
        .await
        .unwrap();

    let sink = world.start(world.config(&["landing"], &[])).await;
    sink.refuses("docs/runbooks/topic-truncated.md").await;
    world.produce("raw", 0, &vec![b"b".to_vec(); 9]).await;
    // Partition 1 is read, so looks were taken at partition 0 meanwhile.
    world.produce("raw", 1, &vec![b"c".to_vec(); 2]).await;
    eventually("partition 1 is taken in", async || {
        landing.heads().await.unwrap().heads.iter().any(|(key, head)| key.partition == 1 && head.next == 2)
    })
    .await;
    sink.refuses("docs/runbooks/topic-truncated.md").await;
    let rows: usize = world.rows(&landing).await.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 7, "nothing of the partition was read although the log has passed the head");
    sink.stop().await.unwrap();
}

async fn remove_before(world: &World, partition: i32, offset: i64) {
    let admin = Admin::connect(&world.kafka).await.unwrap();
    let at = TopicPartition::new(world.topic("raw"), partition);
    assert_eq!(admin.delete_records(&at, NextOffset(offset)).await.unwrap(), offset);
}

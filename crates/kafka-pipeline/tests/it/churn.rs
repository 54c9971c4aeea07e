//! Members come and go while records flow. Each keeps its positions in one common store, as a sink does in its table; a
//! block that is not exactly the continuation of the store's position is a gap, an overlap or a stale delivery.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_pipeline::{Consumer, ConsumerConfig, Event, NextOffset, StartAt};
use test_support::unique;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::support::{Topic, close, fill, group_config, kafka, producer};

const PARTITIONS: i32 = 4;
const RECORDS: usize = 1500;

type Heads = Arc<Mutex<BTreeMap<i32, i64>>>;

fn head(heads: &Heads, partition: i32) -> NextOffset {
    NextOffset(heads.lock().unwrap().get(&partition).copied().unwrap_or(0))
}

/// Works for a while, a little too slowly, and leaves.
async fn member(config: ConsumerConfig, heads: Heads, life: Duration) {
    let (consumer, mut events) = Consumer::subscribe(&kafka(), config).unwrap();
    let end = Instant::now() + life;
    while let Ok(event) = timeout_at(end, events.recv()).await {
        match event.unwrap().unwrap() {
            Event::Assigned(partitions) => {
                for at in partitions {
                    consumer.start(&at, StartAt::Offset(head(&heads, at.partition))).unwrap();
                }
            }
            Event::Records(block) => {
                let expected = head(&heads, block.partition());
                assert_eq!(NextOffset(block.first_offset()), expected, "partition {}", block.partition());
                heads.lock().unwrap().insert(block.partition(), block.next_offset().get());
                consumer.commit(&[(block.topic_partition().clone(), block.next_offset())]);
                sleep(Duration::from_millis(25)).await;
            }
            Event::Revoked(partitions, ack) => {
                assert!(!ack.is_lost(), "nobody here was silent");
                let positions: Vec<_> =
                    partitions.into_iter().map(|at| (at.clone(), head(&heads, at.partition))).collect();
                ack.done(positions);
            }
            Event::PartitionEof(..) => {}
        }
    }
    close(&consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_without_gap_or_overlap() {
    let (topic, group) = (Topic::new(PARTITIONS).await, unique("g"));
    let config = ConsumerConfig { block_records: 20, queue_blocks: 2, ..group_config(&topic.name, &group) };
    let heads = Heads::default();
    let mut members = JoinSet::new();
    for life_s in [24, 5, 14] {
        members.spawn(member(config.clone(), Arc::clone(&heads), Duration::from_secs(life_s)));
    }
    let producer = producer();
    for step in 0..15 {
        for partition in 0..PARTITIONS {
            fill(&producer, &topic.at(partition), step * RECORDS / 15, RECORDS / 15).await;
        }
        if step == 7 {
            members.spawn(member(config.clone(), Arc::clone(&heads), Duration::from_secs(6)));
        }
        sleep(Duration::from_millis(800)).await;
    }
    while let Some(ended) = members.join_next().await {
        ended.unwrap();
    }
    let complete: BTreeMap<_, _> =
        (0..PARTITIONS).map(|partition| (partition, i64::try_from(RECORDS).unwrap())).collect();
    assert_eq!(*heads.lock().unwrap(), complete);
    topic.drop().await;
}

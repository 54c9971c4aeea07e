//! Reading given partitions: blocks, starts, seeks, backpressure, ends.

use std::time::{Duration, Instant};

use kafka_pipeline::{
    Consumer, ConsumerConfig, ConsumerError, Event, NextOffset, OffsetReset, StartAt, TopicPartition, read_tail,
};
use tokio::time::sleep;

use crate::support::{Topic, block, close, fill, kafka, next, numbers, producer, quiet, read};

fn small_blocks() -> ConsumerConfig {
    ConsumerConfig { block_records: 10, queue_blocks: 2, ..ConsumerConfig::default() }
}

fn reader(config: ConsumerConfig, at: &TopicPartition, from: StartAt) -> (Consumer, kafka_pipeline::Events) {
    Consumer::assign(&kafka(), config, vec![(at.clone(), from)]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_everything_in_order_and_says_where_the_end_is() {
    let topic = Topic::new(1).await;
    fill(&producer(), &topic.at(0), 0, 95).await;
    let config = ConsumerConfig { partition_eof: true, ..small_blocks() };
    let (consumer, mut events) = reader(config, &topic.at(0), StartAt::Beginning);
    let mut seen = Vec::new();
    let end = loop {
        match next(&mut events).await {
            Event::Records(block) => {
                assert!(block.len() <= 10 && block.topic_partition() == &topic.at(0));
                assert_eq!(block.first_offset() as usize, seen.len());
                seen.extend(numbers(&block));
                assert_eq!(block.next_offset().get() as usize, seen.len());
            }
            Event::PartitionEof(at, end) => break (at, end),
            other => panic!("unexpected {other:?}"),
        }
    };
    assert_eq!(seen, (0..95).collect::<Vec<_>>());
    assert_eq!(end, (topic.at(0), NextOffset(95)));
    assert_eq!(consumer.watermarks(&topic.at(0)).await.unwrap(), (0, 95));
    close(&consumer).await;
    assert!(events.recv().await.is_none(), "closed is the end");
    assert!(matches!(consumer.watermarks(&topic.at(0)).await, Err(ConsumerError::Closed)));
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_read_before_a_start_comes_after_it() {
    let topic = Topic::new(1).await;
    fill(&producer(), &topic.at(0), 0, 1000).await;
    let (consumer, mut events) = reader(small_blocks(), &topic.at(0), StartAt::Beginning);
    let mut backwards_and_forwards = [500, 20, 900, 0, 700].into_iter();
    for target in &mut backwards_and_forwards {
        block(&mut events).await;
        sleep(Duration::from_millis(150)).await; // the channel is full of blocks of the old place
        consumer.start(&topic.at(0), StartAt::Offset(NextOffset(target))).unwrap();
        assert_eq!(block(&mut events).await.first_offset(), target);
        assert_eq!(block(&mut events).await.first_offset(), target + 10, "and on from there");
    }
    consumer.start(&topic.at(0), StartAt::End).unwrap();
    assert!(quiet(&mut events, Duration::from_millis(500)).await);
    fill(&producer(), &topic.at(0), 1000, 1).await;
    assert_eq!(numbers(&block(&mut events).await), [1000]);
    close(&consumer).await;
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_reader_loses_nothing_and_polling_goes_on() {
    let topic = Topic::new(2).await;
    let producer = producer();
    for partition in 0..2 {
        fill(&producer, &topic.at(partition), 0, 2000).await;
    }
    let starts = vec![(topic.at(0), StartAt::Beginning), (topic.at(1), StartAt::Beginning)];
    let (consumer, mut events) = Consumer::assign(&kafka(), small_blocks(), starts).unwrap();
    let mut seen = [Vec::new(), Vec::new()];
    let mut blocks = 0;
    while seen.iter().map(Vec::len).sum::<usize>() < 4000 {
        let block = block(&mut events).await;
        seen[block.partition() as usize].extend(numbers(&block));
        blocks += 1;
        if blocks % 40 == 0 {
            sleep(Duration::from_millis(300)).await;
            assert!(consumer.last_poll().elapsed() < Duration::from_millis(200), "the poll thread does not wait");
        }
    }
    for numbers in seen {
        assert_eq!(numbers, (0..2000).collect::<Vec<_>>(), "each once, in order");
    }
    close(&consumer).await;
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backpressure_costs_no_more_than_the_service_itself() {
    let topic = Topic::new(2).await;
    let producer = producer();
    for partition in 0..2 {
        fill(&producer, &topic.at(partition), 0, 1000).await;
    }
    let config = ConsumerConfig { queue_blocks: 1, ..small_blocks() };
    let starts = vec![(topic.at(0), StartAt::Beginning), (topic.at(1), StartAt::Beginning)];
    let (consumer, mut events) = Consumer::assign(&kafka(), config, starts).unwrap();
    let (mut read, mut by_partition) = (0, [0, 0]);
    let mut began = None;
    while read < 2000 {
        let block = block(&mut events).await;
        began.get_or_insert_with(Instant::now);
        read += block.len();
        by_partition[block.partition() as usize] += block.len();
        if read == 1000 {
            assert!(by_partition.iter().all(|read| *read > 300), "both have their turns: {by_partition:?}");
        }
        sleep(Duration::from_millis(10)).await;
    }
    let took = began.unwrap().elapsed();
    assert!(took < Duration::from_secs(8), "200 blocks of 10 ms took {took:?}");
    close(&consumer).await;
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_of_several_topics_are_told_apart() {
    let (first, second) = (Topic::new(1).await, Topic::new(1).await);
    fill(&producer(), &second.at(0), 0, 3).await;
    let config = ConsumerConfig { partition_eof: true, ..ConsumerConfig::default() };
    let starts = vec![(first.at(0), StartAt::Beginning), (second.at(0), StartAt::Beginning)];
    let (consumer, mut events) = Consumer::assign(&kafka(), config, starts).unwrap();
    let mut ends = std::collections::BTreeMap::new();
    while ends.len() < 2 {
        if let Event::PartitionEof(at, end) = next(&mut events).await {
            ends.insert(at, end);
        }
    }
    assert_eq!(ends, [(first.at(0), NextOffset(0)), (second.at(0), NextOffset(3))].into());
    close(&consumer).await;
    first.drop().await;
    second.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_partition_is_silent_until_it_is_resumed() {
    let topic = Topic::new(2).await;
    let producer = producer();
    let starts = vec![(topic.at(0), StartAt::Beginning), (topic.at(1), StartAt::Beginning)];
    let (consumer, mut events) = Consumer::assign(&kafka(), ConsumerConfig::default(), starts).unwrap();
    fill(&producer, &topic.at(0), 0, 5).await;
    assert_eq!(read(&mut events, 5).await, [0, 1, 2, 3, 4]);
    consumer.pause(&topic.at(0)).unwrap();
    sleep(Duration::from_millis(300)).await;
    fill(&producer, &topic.at(0), 5, 5).await;
    fill(&producer, &topic.at(1), 100, 1).await;
    assert_eq!(numbers(&block(&mut events).await), [100], "only the other one");
    assert!(quiet(&mut events, Duration::from_millis(500)).await);
    consumer.resume(&topic.at(0)).unwrap();
    assert_eq!(read(&mut events, 5).await, [5, 6, 7, 8, 9]);
    close(&consumer).await;
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn position_that_is_gone_ends_the_consumer() {
    let topic = Topic::new(1).await;
    fill(&producer(), &topic.at(0), 0, 5).await;
    let (_consumer, mut events) = reader(small_blocks(), &topic.at(0), StartAt::Offset(NextOffset(500)));
    let error = tokio::time::timeout(crate::support::PATIENCE, events.recv()).await.unwrap().unwrap().unwrap_err();
    let expected = format!("{} at 500", topic.at(0));
    assert!(matches!(&error, ConsumerError::OffsetOutOfRange { position, .. } if *position == expected), "{error:?}");
    assert!(events.recv().await.is_none());
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn position_that_is_gone_is_replaced_when_that_is_asked_for() {
    let topic = Topic::new(1).await;
    fill(&producer(), &topic.at(0), 0, 5).await;
    let config = ConsumerConfig { reset: OffsetReset::Earliest, ..small_blocks() };
    let (consumer, mut events) = reader(config, &topic.at(0), StartAt::Offset(NextOffset(500)));
    assert_eq!(read(&mut events, 5).await, [0, 1, 2, 3, 4]);
    close(&consumer).await;
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_ends_at_the_end_as_it_was() {
    let topic = Topic::new(1).await;
    fill(&producer(), &topic.at(0), 0, 50).await;
    for (from, expected) in [
        (StartAt::Beginning, 0..50),
        (StartAt::Offset(NextOffset(45)), 45..50),
        (StartAt::Offset(NextOffset(50)), 0..0),
        (StartAt::End, 0..0),
    ] {
        let began = Instant::now();
        let tail = read_tail(&kafka(), &topic.at(0), from).await.unwrap();
        assert_eq!(tail.end(), NextOffset(50));
        let blocks = tail.collect().await.unwrap();
        assert_eq!(blocks.iter().flat_map(numbers).collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{from:?}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_reaches_its_end_while_others_write() {
    let topic = Topic::new(1).await;
    let (producer, at) = (producer(), topic.at(0));
    let writing = tokio::spawn(async move {
        for step in 0..150 {
            fill(&producer, &at, step * 10, 10).await;
        }
    });
    let mut checked = 0;
    while !writing.is_finished() || checked == 0 {
        let tail = read_tail(&kafka(), &topic.at(0), StartAt::Beginning).await.unwrap();
        let end = tail.end().get();
        let read: Vec<_> = tail.collect().await.unwrap().iter().flat_map(numbers).collect();
        assert!(read.len() as i64 >= end, "{} of {end}", read.len());
        assert_eq!(read, (0..read.len()).collect::<Vec<_>>());
        checked += 1;
    }
    writing.await.unwrap();
    topic.drop().await;
}

//! Groups: assignment, revocation with acknowledgement, commits.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_pipeline::{Consumer, ConsumerConfig, ConsumerError, Event, NextOffset, OffsetReset, StartAt};
use test_support::unique;
use tokio::time::{sleep, timeout};

use crate::support::{PATIENCE, Topic, assigned, close, fill, group_config, kafka, next, producer, quiet, read};

#[tokio::test(flavor = "multi_thread")]
async fn assigned_partitions_wait_for_their_start_and_commits_are_the_next_offset() {
    let topic = Topic::new(1).await;
    let group = unique("g");
    fill(&producer(), &topic.at(0), 0, 10).await;
    let (consumer, mut events) = Consumer::subscribe(&kafka(), group_config(&topic.name, &group)).unwrap();
    assert_eq!(assigned(&mut events).await, [topic.at(0)]);
    assert!(quiet(&mut events, Duration::from_secs(1)).await, "paused, and no reset error without commits");
    consumer.start(&topic.at(0), StartAt::Offset(NextOffset(4))).unwrap();
    assert_eq!(read(&mut events, 6).await, [4, 5, 6, 7, 8, 9]);
    consumer.commit(&[(topic.at(0), NextOffset(6))]);
    consumer.commit(&[(topic.at(0), NextOffset(7))]);
    close(&consumer).await;

    let (consumer, mut events) = Consumer::subscribe(&kafka(), group_config(&topic.name, &group)).unwrap();
    assigned(&mut events).await;
    assert_eq!(consumer.committed(&topic.at(0)).await.unwrap(), Some(NextOffset(7)));
    consumer.start(&topic.at(0), StartAt::Committed).unwrap();
    assert_eq!(read(&mut events, 3).await, [7, 8, 9]);
    assert_eq!(consumer.assigned(), [topic.at(0)]);
    close(&consumer).await;
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_start_without_a_commit_does_what_the_reset_says() {
    let topic = Topic::new(1).await;
    fill(&producer(), &topic.at(0), 0, 3).await;
    let config = |reset| ConsumerConfig { reset, ..group_config(&topic.name, &unique("g")) };

    let (_consumer, mut events) = Consumer::subscribe(&kafka(), config(OffsetReset::Error)).unwrap();
    assigned(&mut events).await;
    _consumer.start(&topic.at(0), StartAt::Committed).unwrap();
    let error = timeout(PATIENCE, events.recv()).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, ConsumerError::NoCommittedOffset(at) if at == topic.at(0)));

    let (consumer, mut events) = Consumer::subscribe(&kafka(), config(OffsetReset::Earliest)).unwrap();
    assigned(&mut events).await;
    consumer.start(&topic.at(0), StartAt::Committed).unwrap();
    assert_eq!(read(&mut events, 3).await, [0, 1, 2]);
    close(&consumer).await;
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_member_takes_over_exactly_where_the_first_acknowledged() {
    let topic = Topic::new(2).await;
    let group = unique("g");
    let producer = producer();
    for partition in 0..2 {
        fill(&producer, &topic.at(partition), 0, 10).await;
    }
    let (first, mut first_events) = Consumer::subscribe(&kafka(), group_config(&topic.name, &group)).unwrap();
    for at in assigned(&mut first_events).await {
        first.start(&at, StartAt::Beginning).unwrap();
    }
    assert_eq!(read(&mut first_events, 20).await.len(), 20);

    let (second, mut second_events) = Consumer::subscribe(&kafka(), group_config(&topic.name, &group)).unwrap();
    let (given_up, ack) = loop {
        match next(&mut first_events).await {
            Event::Revoked(partitions, ack) => break (partitions, ack),
            Event::Assigned(partitions) => assert!(partitions.is_empty()),
            other => panic!("unexpected {other:?}"),
        }
    };
    assert!(!ack.is_lost() && given_up.len() == 1);
    sleep(Duration::from_secs(2)).await; // flushing takes its time
    ack.done([(given_up[0].clone(), NextOffset(6))]);
    assert_eq!(assigned(&mut second_events).await, given_up, "cooperative: the other partition stays");
    assert_eq!(second.committed(&given_up[0]).await.unwrap(), Some(NextOffset(6)));
    second.start(&given_up[0], StartAt::Committed).unwrap();
    assert_eq!(read(&mut second_events, 4).await, [6, 7, 8, 9]);

    let kept: BTreeSet<_> = first.assigned().into_iter().collect();
    assert_eq!(kept.len(), 1);
    fill(&producer, kept.first().unwrap(), 10, 1).await;
    assert_eq!(read(&mut first_events, 1).await, [10], "the first goes on with what it kept");
    close(&second).await;
    close(&first).await;
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_that_nobody_answers_is_not_waited_for_longer_than_agreed() {
    let topic = Topic::new(2).await;
    let group = unique("g");
    let config = || ConsumerConfig { revoke_timeout: Duration::from_secs(2), ..group_config(&topic.name, &group) };
    let (first, mut first_events) = Consumer::subscribe(&kafka(), config()).unwrap();
    assigned(&mut first_events).await;
    let (second, mut second_events) = Consumer::subscribe(&kafka(), config()).unwrap();
    let ignored = next(&mut first_events).await; // kept, never acknowledged
    assert!(!assigned(&mut second_events).await.is_empty());
    assert!(first.last_poll().elapsed() < Duration::from_secs(1));
    drop(ignored);
    close(&second).await;
    close(&first).await;
    topic.drop().await;
}

/// The longest test: a service that is silent for longer than `max.poll.interval` keeps its partitions.
#[tokio::test(flavor = "multi_thread")]
async fn silent_service_stays_in_its_group() {
    let topic = Topic::new(1).await;
    let config = ConsumerConfig {
        max_poll_interval: Duration::from_secs(7),
        session_timeout: Duration::from_secs(6),
        revoke_timeout: Duration::from_secs(3),
        block_records: 10,
        queue_blocks: 1,
        ..group_config(&topic.name, &unique("g"))
    };
    fill(&producer(), &topic.at(0), 0, 300).await;
    let (consumer, mut events) = Consumer::subscribe(&kafka(), config).unwrap();
    assigned(&mut events).await;
    consumer.start(&topic.at(0), StartAt::Beginning).unwrap();
    for _ in 0..10 {
        sleep(Duration::from_secs(1)).await;
        assert!(consumer.last_poll().elapsed() < Duration::from_millis(500));
    }
    assert_eq!(consumer.assigned(), [topic.at(0)]);
    assert_eq!(read(&mut events, 300).await, (0..300).collect::<Vec<_>>(), "no revocation in between");
    close(&consumer).await;
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_handle_leaves_the_group() {
    let topic = Topic::new(1).await;
    let group = unique("g");
    let (first, mut first_events) = Consumer::subscribe(&kafka(), group_config(&topic.name, &group)).unwrap();
    assigned(&mut first_events).await;
    drop((first, first_events));
    let (second, mut second_events) = Consumer::subscribe(&kafka(), group_config(&topic.name, &group)).unwrap();
    let took = timeout(Duration::from_secs(9), assigned(&mut second_events)).await;
    assert!(took.is_ok(), "before the session of the first would have run out");
    close(&second).await;
    topic.drop().await;
}

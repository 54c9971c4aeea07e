//! What a healthy broker does not do: faults of the group protocol, on librdkafka's mock cluster.

use std::time::Duration;

use kafka_pipeline::{
    Consumer, ConsumerConfig, ConsumerError, Event, KafkaConfig, NextOffset, OffsetReset, Producer, ProducerConfig,
    StartAt, TopicPartition,
};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::time::timeout;

use crate::support::{PATIENCE, assigned, close, fill, group_config, next, quiet, read};

fn cluster() -> (MockCluster<'static, DefaultProducerContext>, KafkaConfig) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut kafka = KafkaConfig::new(cluster.bootstrap_servers(), "test");
    kafka.properties.insert("heartbeat.interval.ms".into(), "300".into());
    (cluster, kafka)
}

/// The partition, with ten records in it.
async fn ten_records(kafka: &KafkaConfig) -> TopicPartition {
    let at = TopicPartition::new("t", 0);
    let producer = Producer::new(kafka, &ProducerConfig::default()).unwrap();
    fill(&producer, &at, 0, 10).await;
    at
}

fn config() -> ConsumerConfig {
    ConsumerConfig { session_timeout: Duration::from_secs(6), ..group_config("t", "g") }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_partitions_are_told_apart_commit_nothing_and_come_again() {
    let (cluster, kafka) = cluster();
    let at = ten_records(&kafka).await;
    let slow_commits = ConsumerConfig { commit_interval: Duration::from_secs(60), ..config() };
    let (consumer, mut events) = Consumer::subscribe(&kafka, slow_commits).unwrap();
    assigned(&mut events).await;
    consumer.start(&at, StartAt::Beginning).unwrap();
    read(&mut events, 10).await;
    consumer.commit(&[(at.clone(), NextOffset(10))]);

    cluster.request_errors(RDKafkaApiKey::Heartbeat, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]);
    let Event::Revoked(partitions, ack) = next(&mut events).await else { panic!("partitions were lost") };
    assert_eq!(partitions, std::slice::from_ref(&at));
    assert!(ack.is_lost());
    ack.done([(at.clone(), NextOffset(10))]);
    assert_eq!(assigned(&mut events).await, std::slice::from_ref(&at));
    assert_eq!(consumer.committed(&at).await.unwrap(), None, "another member may have been at it meanwhile");
    consumer.start(&at, StartAt::Offset(NextOffset(8))).unwrap();
    assert_eq!(read(&mut events, 2).await, [8, 9]);
    close(&consumer).await;
}

/// A broker that answers late, as a loaded one does: what the client asked before a start is answered after it.
fn slow_cluster() -> (MockCluster<'static, DefaultProducerContext>, KafkaConfig) {
    let (cluster, kafka) = cluster();
    cluster.broker_round_trip_time(1, Duration::from_millis(300)).unwrap();
    (cluster, kafka)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_stands_against_late_answers_about_an_earlier_one() {
    let (_cluster, kafka) = slow_cluster();
    let at = ten_records(&kafka).await;
    let at_end = vec![(at.clone(), StartAt::End)];
    // Each wait meets the client at another point of its dialogue with the broker.
    for wait in [0, 200, 400, 600, 800, 1000] {
        let (consumer, mut events) = Consumer::assign(&kafka, ConsumerConfig::default(), at_end.clone()).unwrap();
        tokio::time::sleep(Duration::from_millis(wait)).await;
        consumer.start(&at, StartAt::Offset(NextOffset(4))).unwrap();
        assert_eq!(read(&mut events, 6).await, [4, 5, 6, 7, 8, 9], "started after {wait} ms");
        consumer.start(&at, StartAt::End).unwrap();
        consumer.start(&at, StartAt::Offset(NextOffset(8))).unwrap();
        assert_eq!(read(&mut events, 2).await, [8, 9], "started again after {wait} ms");
        close(&consumer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_in_a_group_stands_against_late_answers() {
    let (_cluster, kafka) = slow_cluster();
    let at = ten_records(&kafka).await;
    for wait in [0, 900] {
        let may_go_back = ConsumerConfig { reset: OffsetReset::Earliest, ..group_config("t", &format!("g{wait}")) };
        let (consumer, mut events) = Consumer::subscribe(&kafka, may_go_back).unwrap();
        assigned(&mut events).await;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        consumer.start(&at, StartAt::Offset(NextOffset(4))).unwrap();
        assert_eq!(read(&mut events, 6).await, [4, 5, 6, 7, 8, 9], "started after {wait} ms");
        assert!(quiet(&mut events, Duration::from_secs(2)).await, "went back after {wait} ms");
        close(&consumer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fatal_error_is_the_last_word() {
    let (cluster, mut kafka) = cluster();
    kafka.properties.insert("group.instance.id".into(), "one".into());
    let (consumer, mut events) = Consumer::subscribe(&kafka, config()).unwrap();
    assigned(&mut events).await;
    cluster.request_errors(RDKafkaApiKey::Heartbeat, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID]);
    let error = loop {
        match timeout(PATIENCE, events.recv()).await.unwrap() {
            Some(Err(error)) => break error,
            Some(Ok(Event::Revoked(..))) => {}
            other => panic!("unexpected {other:?}"),
        }
    };
    assert!(matches!(error, ConsumerError::Fatal { .. }), "{error:?}");
    while let Some(event) = timeout(PATIENCE, events.recv()).await.unwrap() {
        assert!(matches!(event, Ok(Event::Revoked(..))), "{event:?}");
    }
    assert!(matches!(consumer.start(&TopicPartition::new("t", 0), StartAt::End), Err(ConsumerError::Closed)));
    close(&consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_access_ends_the_consumer() {
    let (cluster, kafka) = cluster();
    cluster.topic_error("t", RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    let (_consumer, mut events) = Consumer::subscribe(&kafka, config()).unwrap();
    let error = loop {
        match timeout(PATIENCE, events.recv()).await.unwrap() {
            Some(Err(error)) => break error,
            Some(Ok(Event::Assigned(partitions))) => assert!(partitions.is_empty()),
            other => panic!("unexpected {other:?}"),
        }
    };
    assert!(matches!(error, ConsumerError::Fatal { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn contradictory_settings_are_refused() {
    let kafka = KafkaConfig::new("127.0.0.1:1", "test");
    assert!(matches!(Consumer::subscribe(&kafka, ConsumerConfig::new("", ["t"])), Err(ConsumerError::Create(_))));
    let mut mistyped = kafka.clone();
    mistyped.properties.insert("fetch.min.byts".into(), "1".into());
    let error = Consumer::subscribe(&mistyped, config()).unwrap_err();
    assert!(error.to_string().contains("fetch.min.byts"), "{error}");
}

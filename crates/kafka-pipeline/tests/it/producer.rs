//! The producer and dead letters.

use std::time::Duration;

use bytes::Bytes;
use kafka_pipeline::{
    DeadLetters, Header, KafkaConfig, Producer, ProducerConfig, ProducerRecord, RecordBlockBuilder, SendError, StartAt,
    dead_letter, partition_of, read_tail,
};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use test_support::free_port;
use tokio::time::timeout;

use crate::support::{PATIENCE, Topic, kafka, numbers, producer};

fn record<'a>(topic: &'a str, payload: &'a [u8]) -> ProducerRecord<'a> {
    ProducerRecord { topic, partition: Some(0), payload: Some(payload), ..ProducerRecord::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipt_says_where_the_record_is() {
    let topic = Topic::new(1).await;
    let producer = producer();
    for expected in 0..3 {
        let delivered = producer.send(record(&topic.name, b"x")).await.unwrap().await.unwrap();
        assert_eq!((delivered.partition, delivered.offset), (0, expected));
    }
    assert_eq!(producer.delivered(), 3);
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_where_javas_clients_put_them() {
    let topic = Topic::new(7).await;
    let producer = producer();
    for key in ["meter-1", "meter-2", "meter-3", "a", "", "zähler"] {
        let keyed = ProducerRecord { key: Some(key.as_bytes()), partition: None, ..record(&topic.name, b"x") };
        let delivered = producer.send(keyed).await.unwrap().await.unwrap();
        assert_eq!(delivered.partition, partition_of(key.as_bytes(), 7), "{key:?}");
    }
    topic.drop().await;
}

/// Retries when brokers answer with errors: each record once, in the order of sending. One request at a time, because the
/// mock cluster, unlike a broker, takes a later request of an idempotent producer when it has just refused an earlier one.
#[tokio::test(flavor = "multi_thread")]
async fn broker_errors_neither_lose_nor_double_nor_reorder() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut kafka = KafkaConfig::new(cluster.bootstrap_servers(), "test");
    kafka.properties.insert("max.in.flight.requests.per.connection".into(), "1".into());
    let config = ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::default() };
    let producer = Producer::new(&kafka, &config).unwrap();
    producer.send(record("t", b"0")).await.unwrap().await.unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ],
    );
    let group = producer.group();
    for number in 1..200 {
        group.send(record("t", number.to_string().as_bytes())).await.unwrap();
    }
    timeout(PATIENCE, group.delivered()).await.unwrap().unwrap();
    let at = kafka_pipeline::TopicPartition::new("t", 0);
    let blocks = read_tail(&kafka, &at, StartAt::Beginning).await.unwrap().collect().await.unwrap();
    assert_eq!(blocks.iter().flat_map(numbers).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_delivery_fails_everything_after_it() {
    let nobody = KafkaConfig::new(format!("127.0.0.1:{}", free_port()), "test");
    let config = ProducerConfig { delivery_timeout: Duration::from_secs(2), ..ProducerConfig::default() };
    let producer = Producer::new(&nobody, &config).unwrap();
    let receipt = producer.send(record("t", b"x")).await.unwrap();
    let group = producer.group();
    group.send(record("t", b"y")).await.unwrap();
    assert!(timeout(PATIENCE, receipt).await.unwrap().is_err());
    assert!(timeout(PATIENCE, group.delivered()).await.unwrap().is_err());
    assert!(matches!(producer.send(record("t", b"z")).await, Err(SendError::Failed(_))));
    assert!(matches!(producer.try_send(record("t", b"z")), Err(SendError::Failed(_))));
    assert!(producer.flush(Duration::from_secs(1)).await.is_err());
    assert!(producer.check().is_err());
    assert_eq!(timeout(PATIENCE, producer.failed()).await.unwrap().topic, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_queue_refuses_or_waits() {
    let nobody = KafkaConfig::new(format!("127.0.0.1:{}", free_port()), "test");
    let config =
        ProducerConfig { queue_records: 2, delivery_timeout: Duration::from_secs(3), ..ProducerConfig::default() };
    let producer = Producer::new(&nobody, &config).unwrap();
    let _receipts = [producer.try_send(record("t", b"1")).unwrap(), producer.try_send(record("t", b"2")).unwrap()];
    assert!(matches!(producer.try_send(record("t", b"3")), Err(SendError::QueueFull)));
    assert_eq!(producer.in_flight(), 2);
    assert!(timeout(Duration::from_millis(500), producer.send(record("t", b"3"))).await.is_err(), "waits");
    let late = timeout(PATIENCE, producer.send(record("t", b"3"))).await.unwrap();
    assert!(matches!(late, Err(SendError::Failed(_))), "and ends with the producer");
}

#[tokio::test(flavor = "multi_thread")]
async fn record_that_can_never_be_sent_does_not_fail_the_others() {
    let topic = Topic::new(1).await;
    let producer = Producer::new(&kafka(), &ProducerConfig { message_max_bytes: 1000, ..Default::default() }).unwrap();
    let large = vec![0; 10_000];
    assert!(matches!(producer.send(record(&topic.name, &large)).await, Err(SendError::Invalid { .. })));
    producer.send(record(&topic.name, b"small")).await.unwrap().await.unwrap();
    producer.flush(Duration::from_secs(5)).await.unwrap();
    topic.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_keeps_the_bytes_and_says_why() {
    let letters = Topic::new(3).await;
    let dead = DeadLetters::new(producer(), letters.name.clone(), "validate", "validate-group");
    let source = kafka_pipeline::TopicPartition::new("meter.readings.raw.v1", 2);
    let headers = [
        Header { key: "traceparent".into(), value: Some(Bytes::from_static(b"\xff\0binary")) },
        Header { key: "null".into(), value: None },
        Header { key: "empty".into(), value: Some(Bytes::new()) },
    ];
    let mut builder = RecordBlockBuilder::new("meter.readings.raw.v1", 2);
    builder.push(41, 5, Some(b"\0key\xff"), Some(b"\x01not avro\xfe"), &headers).push(42, 5, None, None, &[]);
    let block = builder.build();
    dead.send(&block.get(0), &source, "WRONG_MAGIC", "first byte is 0x01").await.unwrap();
    dead.send(&block.get(1), &source, "NULL_PAYLOAD", "message has no payload").await.unwrap();

    let blocks = read_tail(&kafka(), &letters.at(2), StartAt::Beginning).await.unwrap().collect().await.unwrap();
    let stored: Vec<_> = blocks.iter().flat_map(|block| block.iter()).collect();
    assert_eq!(stored.len(), 2, "in the partition of the source");
    let letter = stored[0];
    assert_eq!((letter.key, letter.payload), (Some(&b"\0key\xff"[..]), Some(&b"\x01not avro\xfe"[..])));
    assert_eq!(letter.headers[..3], headers, "original headers first, unchanged, null included");
    for (key, value) in [
        (dead_letter::TOPIC, "meter.readings.raw.v1"),
        (dead_letter::PARTITION, "2"),
        (dead_letter::OFFSET, "41"),
        (dead_letter::GROUP, "validate-group"),
        (dead_letter::DELIVERY_COUNT, "1"),
        (dead_letter::MESSAGE, "first byte is 0x01"),
        (dead_letter::ERROR_CODE, "WRONG_MAGIC"),
        (dead_letter::STAGE, "validate"),
        (dead_letter::VERSION, "1"),
    ] {
        assert_eq!(letter.header(key), Some(value.as_bytes()), "{key}");
    }
    assert_eq!((stored[1].key, stored[1].payload), (None, None), "null stays null");
    letters.drop().await;
}

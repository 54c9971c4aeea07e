//! Short words for the tests.

use std::time::Duration;

use kafka_pipeline::{
    Admin, Consumer, ConsumerConfig, Event, Events, KafkaConfig, Producer, ProducerConfig, ProducerRecord, RecordBlock,
    TopicPartition, TopicSpec,
};
use test_support::{Stack, unique};
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) fn kafka() -> KafkaConfig {
    KafkaConfig::new(Stack::from_env().kafka_bootstrap(), "kafka-pipeline-test")
}

/// A topic that goes away with the test.
pub(crate) struct Topic {
    pub(crate) name: String,
    admin: Admin,
}

impl Topic {
    pub(crate) async fn new(partitions: i32) -> Self {
        Self::with(partitions, &[]).await
    }

    pub(crate) async fn with(partitions: i32, configs: &[(&str, &str)]) -> Self {
        let admin = Admin::connect(&kafka()).await.unwrap();
        let name = unique("kp-test");
        let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let spec = TopicSpec { name: name.clone(), partitions, replication: 1, configs };
        admin.create_topic(&spec).await.unwrap();
        Self { name, admin }
    }

    pub(crate) fn at(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.name.as_str(), partition)
    }

    pub(crate) async fn drop(self) {
        self.admin.delete_topic(&self.name).await.unwrap();
    }
}

pub(crate) fn producer() -> Producer {
    Producer::new(&kafka(), &ProducerConfig::default()).unwrap()
}

/// Fills a partition with `count` records whose payload is their number, from `first` on.
pub(crate) async fn fill(producer: &Producer, at: &TopicPartition, first: usize, count: usize) {
    let payloads: Vec<_> = (first..first + count).map(|number| number.to_string()).collect();
    let mut records = Vec::with_capacity(count);
    for payload in &payloads {
        records.push(ProducerRecord {
            topic: &at.topic,
            partition: Some(at.partition),
            payload: Some(payload.as_bytes()),
            ..ProducerRecord::default()
        });
    }
    producer.send_all(records).await.unwrap();
}

pub(crate) fn numbers(block: &RecordBlock) -> Vec<usize> {
    let number = |payload: Option<&[u8]>| std::str::from_utf8(payload.unwrap()).unwrap().parse().unwrap();
    block.iter().map(|record| number(record.payload)).collect()
}

pub(crate) async fn next(events: &mut Events) -> Event {
    timeout(PATIENCE, events.recv()).await.expect("an event in time").expect("not closed").expect("no failure")
}

/// Waits for the next assignment that is not empty.
pub(crate) async fn assigned(events: &mut Events) -> Vec<TopicPartition> {
    loop {
        if let Event::Assigned(partitions) = next(events).await
            && !partitions.is_empty()
        {
            return partitions;
        }
    }
}

pub(crate) async fn block(events: &mut Events) -> RecordBlock {
    loop {
        if let Event::Records(block) = next(events).await {
            return block;
        }
    }
}

/// Reads until `count` records have come.
pub(crate) async fn read(events: &mut Events, count: usize) -> Vec<usize> {
    let mut read = Vec::new();
    while read.len() < count {
        read.extend(numbers(&block(events).await));
    }
    read
}

/// Nothing comes for a while.
pub(crate) async fn quiet(events: &mut Events, span: Duration) -> bool {
    timeout(span, events.recv()).await.is_err()
}

pub(crate) fn group_config(topic: &str, group: &str) -> ConsumerConfig {
    ConsumerConfig {
        session_timeout: Duration::from_secs(10),
        commit_interval: Duration::from_millis(100),
        ..ConsumerConfig::new(group, [topic])
    }
}

pub(crate) async fn close(consumer: &Consumer) {
    consumer.close(Duration::from_secs(20)).await.unwrap();
}

//! Administration: topics, their settings, watermarks and the lag of groups.

mod cluster;
mod topic_id;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::{FromClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

pub use self::cluster::{Broker, Cluster};
pub use self::topic_id::{TopicId, topic_id, topic_replaced};
use crate::config::{CreateError, KafkaConfig};
use crate::record::{NextOffset, TopicPartition};

const TIMEOUT: Duration = Duration::from_secs(15);

/// Why an administrative call failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The client could not be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// Brokers did not answer, or refused.
    #[error("ask the cluster")]
    Query(#[source] KafkaError),
    /// The topic does not exist.
    #[error("topic {0} does not exist")]
    UnknownTopic(String),
    /// The topic exists already.
    #[error("topic {0} exists already")]
    TopicExists(String),
    /// The brokers give no topic ids: they are older than Kafka 2.8.
    #[error("the brokers give no id for topic {0}")]
    NoTopicId(String),
    /// A change was refused.
    #[error("change topic {topic}: {code}")]
    Refused {
        /// The topic.
        topic: String,
        /// The broker's reason.
        code: RDKafkaErrorCode,
    },
}

/// What a topic is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Identity; see [`TopicId`].
    pub id: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Number of replicas of each partition (the least, where they differ).
    pub replication: i32,
    /// Settings made for this topic; what it inherits from the brokers is not among them.
    pub configs: BTreeMap<String, String>,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Number of replicas; -1 is the cluster's default.
    pub replication: i32,
    /// Settings, such as `cleanup.policy`.
    pub configs: BTreeMap<String, String>,
}

/// Position and lag of a group in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLag {
    /// The partition.
    pub at: TopicPartition,
    /// What the group has committed: its next offset.
    pub committed: i64,
    /// The offset that the next record will get.
    pub high: i64,
}

impl PartitionLag {
    /// Records behind the end.
    #[must_use]
    pub fn records(&self) -> i64 {
        (self.high - self.committed).max(0)
    }
}

#[derive(Debug)]
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::consumer::log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = %error, reason, "kafka client error");
    }
}

impl ConsumerContext for Quiet {}

/// An administrative client; clones share it.
#[derive(Clone)]
pub struct Admin {
    kafka: KafkaConfig,
    admin: Arc<AdminClient<DefaultClientContext>>,
    reader: Arc<BaseConsumer<Quiet>>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("kafka", &self.kafka).finish_non_exhaustive()
    }
}

impl Admin {
    /// Connects, and waits until a broker has answered.
    ///
    /// # Errors
    /// [`AdminError::Create`] or [`AdminError::Query`].
    pub async fn connect(kafka: &KafkaConfig) -> Result<Self, AdminError> {
        let admin = AdminClient::from_config(&kafka.client()).map_err(CreateError::from)?;
        let reader = kafka.client().create_with_context(Quiet).map_err(CreateError::from)?;
        let admin = Self { kafka: kafka.clone(), admin: Arc::new(admin), reader: Arc::new(reader) };
        admin.partition_counts(None).await?;
        Ok(admin)
    }

    /// All topics but Kafka's own, by name.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn topics(&self) -> Result<BTreeMap<String, TopicInfo>, AdminError> {
        let counts = self.partition_counts(None).await?;
        let names: Vec<String> = counts.keys().cloned().collect();
        let ids = {
            let (kafka, names) = (self.kafka.clone(), names.clone());
            blocking(move || topic_id::topic_ids(&kafka, &names)).await?
        };
        let mut configs = self.configs(&names).await?;
        let info = |((name, (partitions, replication)), id): ((String, (i32, i32)), TopicId)| {
            let configs = configs.remove(&name).unwrap_or_default();
            (name, TopicInfo { id: id.0, partitions, replication, configs })
        };
        Ok(counts.into_iter().zip(ids).map(info).collect())
    }

    /// Creates a topic and waits until brokers know it.
    ///
    /// # Errors
    /// [`AdminError::TopicExists`], [`AdminError::Refused`] or [`AdminError::Query`].
    pub async fn create_topic(&self, spec: &TopicSpec) -> Result<(), AdminError> {
        let mut topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(spec.replication));
        for (key, value) in &spec.configs {
            topic = topic.set(key, value);
        }
        let created = self.admin.create_topics([&topic], &options()).await.map_err(AdminError::Query)?;
        outcome(created)?;
        self.wait_for_partitions(&spec.name, spec.partitions).await
    }

    /// Creates a topic unless it exists; true when it was created.
    ///
    /// # Errors
    /// [`AdminError::Refused`] or [`AdminError::Query`].
    pub async fn ensure_topic(&self, spec: &TopicSpec) -> Result<bool, AdminError> {
        match self.create_topic(spec).await {
            Ok(()) => Ok(true),
            Err(AdminError::TopicExists(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes a topic with all its records.
    ///
    /// # Errors
    /// [`AdminError::UnknownTopic`], [`AdminError::Refused`] or [`AdminError::Query`].
    pub async fn delete_topic(&self, topic: &str) -> Result<(), AdminError> {
        outcome(self.admin.delete_topics(&[topic], &options()).await.map_err(AdminError::Query)?)
    }

    /// Removes the records of a partition below an offset, as retention does; returns the oldest offset that is left.
    ///
    /// # Errors
    /// [`AdminError::Refused`] or [`AdminError::Query`].
    pub async fn delete_records(&self, at: &TopicPartition, before: NextOffset) -> Result<i64, AdminError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&at.topic, at.partition, Offset::Offset(before.0)).map_err(AdminError::Query)?;
        let done = self.admin.delete_records(&list, &options()).await.map_err(AdminError::Query)?;
        let element = done.find_partition(&at.topic, at.partition);
        let element = element.ok_or_else(|| AdminError::UnknownTopic(at.topic.to_string()))?;
        element.error().map_err(AdminError::Query)?;
        Ok(element.offset().to_raw().unwrap_or(before.0))
    }

    /// Raises the number of partitions. Changes the partition of keys: only for topics whose order does not depend on it.
    ///
    /// # Errors
    /// [`AdminError::UnknownTopic`], [`AdminError::Refused`] or [`AdminError::Query`].
    pub async fn add_partitions(&self, topic: &str, total: i32) -> Result<(), AdminError> {
        let count = usize::try_from(total).unwrap_or(0);
        let added = self.admin.create_partitions([&NewPartitions::new(topic, count)], &options()).await;
        outcome(added.map_err(AdminError::Query)?)?;
        self.wait_for_partitions(topic, total).await
    }

    /// Sets settings of a topic and keeps its others. Read, change, write: not against a concurrent change.
    ///
    /// # Errors
    /// [`AdminError::UnknownTopic`], [`AdminError::Refused`] or [`AdminError::Query`].
    pub async fn set_configs(&self, topic: &str, changes: &BTreeMap<String, String>) -> Result<(), AdminError> {
        // The request that rdkafka has replaces everything, so what is set now must be sent again.
        let mut all = self.configs(&[topic.to_owned()]).await?.remove(topic).unwrap_or_default();
        all.extend(changes.clone());
        let mut alter = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (key, value) in &all {
            alter = alter.set(key, value);
        }
        let altered = self.admin.alter_configs([&alter], &options()).await.map_err(AdminError::Query)?;
        let named = altered.into_iter().map(|result| match result {
            Ok(_) => Ok(topic.to_owned()),
            Err((_, code)) => Err((topic.to_owned(), code)),
        });
        outcome(named)
    }

    /// Settings made for topics, by topic.
    ///
    /// # Errors
    /// [`AdminError::UnknownTopic`], [`AdminError::Refused`] or [`AdminError::Query`].
    pub async fn configs(&self, topics: &[String]) -> Result<BTreeMap<String, BTreeMap<String, String>>, AdminError> {
        let resources: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        if resources.is_empty() {
            return Ok(BTreeMap::new());
        }
        let described = self.admin.describe_configs(&resources, &options()).await.map_err(AdminError::Query)?;
        let mut configs = BTreeMap::new();
        for (topic, resource) in topics.iter().zip(described) {
            let resource = resource.map_err(|code| refused(topic, code))?;
            let own = resource.entries.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
            configs.insert(topic.clone(), own.filter_map(|entry| Some((entry.name, entry.value?))).collect());
        }
        Ok(configs)
    }

    /// Oldest offset and end of every partition: `(partition, low, high)`, where `high` is the next record's offset.
    ///
    /// # Errors
    /// [`AdminError::UnknownTopic`] or [`AdminError::Query`].
    pub async fn watermarks(&self, topic: &str) -> Result<Vec<(i32, i64, i64)>, AdminError> {
        let counts = self.partition_counts(Some(topic)).await?;
        let (partitions, _) = *counts.get(topic).ok_or_else(|| AdminError::UnknownTopic(topic.to_owned()))?;
        let (reader, topic) = (Arc::clone(&self.reader), topic.to_owned());
        blocking(move || {
            let marks = (0..partitions).map(|partition| {
                let (low, high) = reader.fetch_watermarks(&topic, partition, TIMEOUT).map_err(AdminError::Query)?;
                Ok((partition, low, high))
            });
            marks.collect()
        })
        .await
    }

    /// Where a group stands in every partition that it has committed for.
    ///
    /// # Errors
    /// [`AdminError::Query`] or [`AdminError::Create`].
    pub async fn group_lag(&self, group: &str) -> Result<Vec<PartitionLag>, AdminError> {
        let counts = self.partition_counts(None).await?;
        let mut config = self.kafka.client();
        config.set("group.id", group).set("enable.auto.commit", "false");
        blocking(move || {
            // Only asks about the group; a member would have to subscribe.
            let client: BaseConsumer<Quiet> = config.create_with_context(Quiet).map_err(CreateError::from)?;
            let mut list = TopicPartitionList::new();
            for (topic, (partitions, _)) in counts.iter().filter(|(_, (partitions, _))| *partitions > 0) {
                list.add_partition_range(topic, 0, partitions - 1);
            }
            let committed = client.committed_offsets(list, TIMEOUT).map_err(AdminError::Query)?;
            let mut lags = Vec::new();
            for element in committed.elements() {
                let Some(position) = element.offset().to_raw().filter(|offset| *offset >= 0) else { continue };
                let (topic, partition) = (element.topic(), element.partition());
                let (_, high) = client.fetch_watermarks(topic, partition, TIMEOUT).map_err(AdminError::Query)?;
                lags.push(PartitionLag { at: TopicPartition::new(topic, partition), committed: position, high });
            }
            Ok(lags)
        })
        .await
    }

    /// Partitions and replicas by topic, without Kafka's own topics.
    async fn partition_counts(&self, topic: Option<&str>) -> Result<BTreeMap<String, (i32, i32)>, AdminError> {
        let (reader, topic) = (Arc::clone(&self.reader), topic.map(str::to_owned));
        blocking(move || {
            let metadata = reader.fetch_metadata(topic.as_deref(), TIMEOUT).map_err(AdminError::Query)?;
            let topics = metadata.topics().iter().filter(|topic| !topic.name().starts_with("__"));
            let counts = topics.filter(|topic| !topic.partitions().is_empty()).map(|topic| {
                let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
                let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
                (topic.name().to_owned(), (count(topic.partitions().len()), count(replicas)))
            });
            Ok(counts.collect())
        })
        .await
    }

    /// Metadata spreads over brokers after the controller has answered; until then, others call the topic unknown.
    async fn wait_for_partitions(&self, topic: &str, partitions: i32) -> Result<(), AdminError> {
        let wanted = partitions.max(1);
        for _ in 0..100 {
            let counts = self.partition_counts(Some(topic)).await?;
            if counts.get(topic).is_some_and(|(count, _)| *count >= wanted) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(AdminError::UnknownTopic(topic.to_owned()))
    }
}

async fn blocking<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, AdminError> + Send + 'static,
) -> Result<T, AdminError> {
    tokio::task::spawn_blocking(question).await.unwrap_or(Err(AdminError::Query(KafkaError::Canceled)))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

fn outcome(results: impl IntoIterator<Item = Result<String, (String, RDKafkaErrorCode)>>) -> Result<(), AdminError> {
    results.into_iter().try_for_each(|result| result.map(drop).map_err(|(topic, code)| refused(&topic, code)))
}

fn refused(topic: &str, code: RDKafkaErrorCode) -> AdminError {
    match code {
        RDKafkaErrorCode::TopicAlreadyExists => AdminError::TopicExists(topic.to_owned()),
        RDKafkaErrorCode::UnknownTopicOrPartition => AdminError::UnknownTopic(topic.to_owned()),
        code => AdminError::Refused { topic: topic.to_owned(), code },
    }
}

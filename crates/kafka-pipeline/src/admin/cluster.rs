//! The brokers themselves: who they are, and how one of them is set.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::admin::ResourceSpecifier;
use rdkafka::consumer::Consumer as _;
use rdkafka::metadata::{Metadata, MetadataBroker, MetadataPartition};

use super::{Admin, AdminError, TIMEOUT, blocking, options};
use crate::record::TopicPartition;

/// A broker, as it wants to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Number in the cluster.
    pub id: i32,
    /// Advertised address, `host:port`.
    pub address: String,
}

/// The cluster behind the bootstrap servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Identity of the cluster; `None` when the brokers give none.
    pub id: Option<String>,
    /// Brokers, by number.
    pub brokers: Vec<Broker>,
    /// Partitions with fewer in-sync copies than copies, Kafka's own included.
    pub under_replicated: Vec<TopicPartition>,
    /// Partitions that nobody leads: neither to be written nor read.
    pub leaderless: Vec<TopicPartition>,
}

impl Cluster {
    fn from_metadata(id: Option<String>, metadata: &Metadata) -> Self {
        let broker = |broker: &MetadataBroker| Broker {
            id: broker.id(),
            address: format!("{}:{}", broker.host(), broker.port()),
        };
        let mut brokers: Vec<_> = metadata.brokers().iter().map(broker).collect();
        brokers.sort_by_key(|broker| broker.id);
        let such = |wrong: fn(&MetadataPartition) -> bool| {
            let topics = metadata.topics().iter();
            let partitions = topics.flat_map(|topic| topic.partitions().iter().map(move |one| (topic.name(), one)));
            partitions.filter(|(_, one)| wrong(one)).map(|(topic, one)| TopicPartition::new(topic, one.id())).collect()
        };
        Self {
            id,
            brokers,
            under_replicated: such(|partition| partition.isr().len() < partition.replicas().len()),
            leaderless: such(|partition| partition.leader() < 0),
        }
    }
}

impl Admin {
    /// Who the brokers are, and which partitions they do not keep as they should.
    ///
    /// # Errors
    /// [`AdminError::Query`].
    pub async fn cluster(&self) -> Result<Cluster, AdminError> {
        let reader = Arc::clone(&self.reader);
        blocking(move || {
            let metadata = reader.fetch_metadata(None, TIMEOUT).map_err(AdminError::Query)?;
            Ok(Cluster::from_metadata(reader.client().fetch_cluster_id(TIMEOUT), &metadata))
        })
        .await
    }

    /// The settings of a broker, defaults included; without those that it keeps secret.
    ///
    /// # Errors
    /// [`AdminError::Refused`], which names the broker in place of a topic, or [`AdminError::Query`].
    pub async fn broker_settings(&self, broker: i32) -> Result<BTreeMap<String, String>, AdminError> {
        let described = self.admin.describe_configs([&ResourceSpecifier::Broker(broker)], &options()).await;
        let mut settings = BTreeMap::new();
        for resource in described.map_err(AdminError::Query)? {
            let resource =
                resource.map_err(|code| AdminError::Refused { topic: format!("of broker {broker}"), code })?;
            settings.extend(resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))));
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KafkaConfig;
    use rdkafka::mocking::MockCluster;

    #[tokio::test]
    async fn brokers_are_listed_and_a_partition_without_a_leader_is_found() {
        let mock = MockCluster::new(3).unwrap();
        mock.create_topic("led", 2, 3).unwrap();
        mock.create_topic("orphan", 1, 3).unwrap();
        mock.partition_leader("orphan", 0, None).unwrap();
        let admin = Admin::connect(&KafkaConfig::new(mock.bootstrap_servers(), "test")).await.unwrap();
        let cluster = admin.cluster().await.unwrap();
        assert_eq!(cluster.brokers.iter().map(|broker| broker.id).collect::<Vec<_>>(), [1, 2, 3]);
        let addresses: Vec<_> = cluster.brokers.into_iter().map(|broker| broker.address).collect();
        assert!(addresses.iter().all(|address| mock.bootstrap_servers().contains(address)), "{addresses:?}");
        assert_eq!(cluster.leaderless, [TopicPartition::new("orphan", 0)]);
    }
}

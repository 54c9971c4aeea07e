//! Kafka: reachable, whole, and with the topics that the pipeline needs.

use super::finding::Finding;
use super::topics::{judge, judge_broker, judge_cluster};
use crate::topics::Declared;
use anyhow::Context;
use kafka_pipeline::{Admin, AdminError, Cluster, KafkaConfig, TopicInfo};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a partition may be without a leader before it is said: one that is just being made is, for a moment.
const ELECTION: Duration = Duration::from_secs(2);

/// Asks the brokers; `exact` as in [`judge`].
///
/// # Errors
/// When no broker answers.
pub(crate) async fn probe(kafka: &KafkaConfig, declared: &Declared, exact: bool) -> anyhow::Result<Vec<Finding>> {
    let admin = Admin::connect(kafka).await.with_context(|| format!("connect to {}", kafka.bootstrap_servers))?;
    let cluster = settled(&admin).await?;
    let mut findings = judge_cluster(&cluster);
    if let Some(broker) = cluster.brokers.first() {
        match admin.broker_settings(broker.id).await {
            Ok(settings) => findings.extend(judge_broker(&settings)),
            // Managed clusters hide them, and nothing depends on knowing.
            Err(error) => tracing::info!(%error, "broker settings are not shown to this user"),
        }
    }
    let topics = topics(&admin).await.context("describe the topics")?;
    findings.extend(judge(declared, &topics, cluster.brokers.len(), exact));
    Ok(findings)
}

/// The cluster, asked twice when something is wrong with it at first.
async fn settled(admin: &Admin) -> anyhow::Result<Cluster> {
    let ask = async || admin.cluster().await.context("ask for the brokers");
    let cluster = ask().await?;
    if cluster.leaderless.is_empty() && cluster.under_replicated.is_empty() {
        return Ok(cluster);
    }
    tokio::time::sleep(ELECTION).await;
    ask().await
}

/// All topics. One that is deleted by somebody between listing and describing is no finding: asks again.
async fn topics(admin: &Admin) -> Result<BTreeMap<String, TopicInfo>, AdminError> {
    const MORE_ATTEMPTS: usize = 5;
    for _ in 0..MORE_ATTEMPTS {
        match admin.topics().await {
            Err(AdminError::UnknownTopic(topic)) => tracing::info!(topic, "a topic went away meanwhile, ask again"),
            other => return other,
        }
    }
    admin.topics().await
}

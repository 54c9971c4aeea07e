//! Kafka: reachable, whole, and with the topics that the pipeline needs.

use super::finding::Finding;
use super::topics::{judge, judge_broker, judge_cluster};
use crate::topics::Declared;
use anyhow::Context;
use kafka_pipeline::{Admin, KafkaConfig};

/// Asks the brokers; `exact` as in [`judge`].
///
/// # Errors
/// When no broker answers.
pub(crate) async fn probe(kafka: &KafkaConfig, declared: &Declared, exact: bool) -> anyhow::Result<Vec<Finding>> {
    let admin = Admin::connect(kafka).await.with_context(|| format!("connect to {}", kafka.bootstrap_servers))?;
    let cluster = admin.cluster().await.context("ask for the brokers")?;
    let mut findings = judge_cluster(&cluster);
    if let Some(broker) = cluster.brokers.first() {
        match admin.broker_settings(broker.id).await {
            Ok(settings) => findings.extend(judge_broker(&settings)),
            // Managed clusters hide them, and nothing depends on knowing.
            Err(error) => tracing::info!(%error, "broker settings are not shown to this user"),
        }
    }
    let topics = admin.topics().await.context("describe the topics")?;
    findings.extend(judge(declared, &topics, cluster.brokers.len(), exact));
    Ok(findings)
}

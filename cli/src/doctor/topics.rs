//! Whether topics are as the pipeline needs them. Pure.

use super::finding::Finding;
use crate::topics::{Declared, Topic};
use kafka_pipeline::{Cluster, TopicInfo, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

const KAFKA: &str = "kafka";
/// Topics in which a device must have the same partition: validate maps partition to partition, and alert reads events
/// beside decisions.
const ALIKE: [&str; 4] =
    ["meter.readings.raw.v1", "meter.readings.validated.v1", "meter.readings.rejected.v1", "meter.events.raw.v1"];
const APPLY: &str = "meterway topics apply --dry-run shows the difference, meterway topics apply removes it";
/// Brokers from which on one may be lost without harm.
const SAFE_COPIES: i32 = 3;

/// What is there, beside what is declared. `exact`: the numbers of partitions are this installation's own.
pub(crate) fn judge(
    declared: &Declared,
    actual: &BTreeMap<String, TopicInfo>,
    brokers: usize,
    exact: bool,
) -> Vec<Finding> {
    let wrong = |topic: &Topic| match actual.get(&topic.name) {
        None => vec![missing(topic)],
        Some(info) => judge_topic(topic, info, brokers, exact),
    };
    let mut findings: Vec<_> = declared.topics.iter().flat_map(wrong).chain(judge_alike(actual)).collect();
    if findings.is_empty() {
        findings.push(Finding::ok(KAFKA, "topics", format!("{} as declared", declared.topics.len())));
    }
    findings
}

fn missing(topic: &Topic) -> Finding {
    Finding::fail(KAFKA, topic_check(topic), "does not exist")
        .advise("services that write or read it do not start", "meterway topics apply")
}

fn topic_check(topic: &Topic) -> String {
    format!("topic {}", topic.name)
}

fn judge_topic(topic: &Topic, info: &TopicInfo, brokers: usize, exact: bool) -> Vec<Finding> {
    let mut findings: Vec<_> = judge_partitions(topic, info, exact).into_iter().collect();
    findings.extend(judge_copies(topic, info, brokers));
    findings.extend(topic.configs.iter().filter_map(|(key, to)| judge_config(topic, key, info.configs.get(key), to)));
    findings
}

fn judge_partitions(topic: &Topic, info: &TopicInfo, exact: bool) -> Option<Finding> {
    let (is, shall) = (info.partitions, topic.partitions);
    if is == shall {
        return None;
    }
    let found = format!("{is} partitions, declared are {shall}");
    Some(if shall == 1 {
        Finding::fail(KAFKA, topic_check(topic), found).advise(
            "its readers rely on one order of all messages, which there is only in one partition",
            "Kafka can't take partitions away: stop the services, delete the topic, meterway topics apply",
        )
    } else if exact {
        Finding::fail(KAFKA, topic_check(topic), found)
            .advise("keys are in other partitions than planned; capacity is not what was planned", APPLY)
    } else {
        Finding::warn(KAFKA, topic_check(topic), found).advise(
            "fine when this installation has chosen its own number",
            "compare with it: meterway doctor --partitions N",
        )
    })
}

fn judge_copies(topic: &Topic, info: &TopicInfo, brokers: usize) -> Option<Finding> {
    let in_sync = info.configs.get("min.insync.replicas").and_then(|text| text.parse::<i32>().ok()).unwrap_or(1);
    let found = format!("{} copies, {in_sync} must be in sync, {brokers} brokers", info.replication);
    if brokers >= SAFE_COPIES as usize && info.replication < SAFE_COPIES {
        return Some(Finding::warn(KAFKA, topic_check(topic), found).advise(
            "the loss of one broker stops the topic or loses acknowledged messages",
            "move it to three copies with kafka-reassign-partitions, then min.insync.replicas=2",
        ));
    }
    if info.replication > 1 && in_sync < 2 {
        return Some(Finding::warn(KAFKA, topic_check(topic), found).advise(
            "a write is acknowledged when one broker has it; the loss of that broker loses it",
            "meterway topics apply --replication-factor 3 --min-insync-replicas 2",
        ));
    }
    (info.replication > 1 && in_sync >= info.replication).then(|| {
        Finding::warn(KAFKA, topic_check(topic), found)
            .advise("nothing can be written while one broker is down, as in a rolling upgrade", APPLY)
    })
}

fn judge_config(topic: &Topic, key: &str, is: Option<&String>, shall: &str) -> Option<Finding> {
    let is = is.map(String::as_str);
    let number = |text: &str| text.parse::<i64>().ok();
    // Kafka reads -1 as "for ever".
    let span = |text: &str| number(text).map(|ms| if ms < 0 { i64::MAX } else { ms });
    let found = format!("{key} is {}, declared is {shall}", is.unwrap_or("the brokers' default"));
    match key {
        "cleanup.policy" if is.unwrap_or("delete") != shall => Some(
            Finding::fail(KAFKA, topic_check(topic), found)
                .advise("compaction would drop readings of a device; deletion would drop devices", APPLY),
        ),
        // The brokers' default is 1 MiB, give or take the overhead of a batch.
        "max.message.bytes" if is.and_then(number).unwrap_or(1_048_588) < number(shall).unwrap_or(0) => Some(
            Finding::fail(KAFKA, topic_check(topic), found)
                .advise("a message that the stage before accepted is refused here, and the stage stops", APPLY),
        ),
        "retention.ms" if is.and_then(span) < span(shall) => Some(
            Finding::warn(KAFKA, topic_check(topic), found)
                .advise("an outage longer than that loses what was not read yet", APPLY),
        ),
        _ => None,
    }
}

fn judge_alike(actual: &BTreeMap<String, TopicInfo>) -> Option<Finding> {
    let found: Vec<_> = ALIKE.iter().filter_map(|name| Some((*name, actual.get(*name)?.partitions))).collect();
    let numbers: BTreeSet<_> = found.iter().map(|(_, partitions)| *partitions).collect();
    if numbers.len() < 2 {
        return None;
    }
    let found: Vec<_> = found.iter().map(|(name, partitions)| format!("{name} {partitions}")).collect();
    Some(Finding::fail(KAFKA, "partitions alike", found.join(", ")).advise(
        "validate writes the decision about partition p into partition p, and alert reads events beside decisions: \
         both refuse to start",
        "give the topics the same number of partitions: meterway topics apply --force",
    ))
}

/// What the brokers say of themselves.
pub(crate) fn judge_cluster(cluster: &Cluster) -> Vec<Finding> {
    let brokers: Vec<_> = cluster.brokers.iter().map(|broker| format!("{} at {}", broker.id, broker.address)).collect();
    let id = cluster.id.as_deref().unwrap_or("unknown");
    let mut findings = vec![Finding::ok(KAFKA, "reachable", format!("cluster {id}, brokers: {}", brokers.join(", ")))];
    if !cluster.leaderless.is_empty() {
        findings.push(
            Finding::fail(KAFKA, "leaders", named(&cluster.leaderless)).advise(
                "nobody leads these partitions: they can be neither written nor read",
                "bring their brokers back",
            ),
        );
    }
    if !cluster.under_replicated.is_empty() {
        findings.push(Finding::warn(KAFKA, "copies in sync", named(&cluster.under_replicated)).advise(
            "these partitions have fewer copies in sync than copies: a broker is down or can't keep up",
            "look at the brokers' logs and disks",
        ));
    }
    findings
}

/// The settings of a broker that matter to topics which do not set them.
pub(crate) fn judge_broker(settings: &BTreeMap<String, String>) -> Vec<Finding> {
    let is_on = |key: &str| settings.get(key).is_some_and(|value| value == "true");
    let mut findings = Vec::new();
    if is_on("auto.create.topics.enable") {
        findings.push(Finding::warn(KAFKA, "broker settings", "auto.create.topics.enable is true").advise(
            "a name with a typing mistake becomes a topic with the wrong partitions and retention, instead of an error",
            "set auto.create.topics.enable=false on the brokers",
        ));
    }
    if is_on("unclean.leader.election.enable") {
        findings.push(Finding::warn(KAFKA, "broker settings", "unclean.leader.election.enable is true").advise(
            "a broker that missed acknowledged messages may become leader, and they are lost",
            "set unclean.leader.election.enable=false on the brokers",
        ));
    }
    findings
}

fn named(partitions: &[TopicPartition]) -> String {
    const SHOWN: usize = 5;
    let mut text = partitions.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if partitions.len() > SHOWN {
        text.push_str(&format!(" and {} more", partitions.len() - SHOWN));
    }
    text
}

#[cfg(test)]
#[path = "topics_tests.rs"]
mod tests;

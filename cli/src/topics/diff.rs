//! What has to change so that a cluster is as declared, and which changes could lose something.

use super::file::Topic;
use kafka_pipeline::{Compatibility, TopicInfo, TopicSpec};
use serde::Serialize;
use std::collections::BTreeMap;

/// How to make a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Create a topic.
    Create(TopicSpec),
    /// Add partitions up to a total.
    AddPartitions(String, i32),
    /// Set settings of a topic.
    SetConfigs(String, BTreeMap<String, String>),
    /// Register a contract under a subject.
    Register(String, &'static str),
    /// Set a subject's compatibility level.
    SetCompatibility(String, Compatibility),
    /// There is no way; only its refusal is reported.
    Impossible,
}

/// Why a change is not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "refused", content = "because")]
pub(crate) enum Refusal {
    /// It could lose data or guarantees; `--force` makes it.
    WithoutForce(String),
    /// It can't be made at all.
    Always(String),
}

/// A difference between what is and what is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// Topic or subject.
    pub object: String,
    /// What of it: `topic`, `partitions`, a setting's name, `schema`, `compatibility`.
    pub what: String,
    /// As it is; absent when there is nothing yet.
    pub from: Option<String>,
    /// As it shall be.
    pub to: String,
    /// Why it is not made, if so.
    #[serde(flatten)]
    pub refusal: Option<Refusal>,
    /// How to make it.
    #[serde(skip)]
    pub step: Step,
}

/// Differences of one topic; empty when it is as declared.
pub(crate) fn topic_changes(declared: &Topic, actual: Option<&TopicInfo>) -> Vec<Change> {
    let Some(actual) = actual else { return vec![creation(declared)] };
    let mut changes: Vec<Change> = partition_change(declared, actual).into_iter().collect();
    for (key, to) in &declared.configs {
        let from = actual.configs.get(key);
        if from != Some(to) {
            changes.push(config_change(declared, key, from, to));
        }
    }
    changes
}

fn creation(declared: &Topic) -> Change {
    let spec = TopicSpec {
        name: declared.name.clone(),
        partitions: declared.partitions,
        replication: declared.replication_factor,
        configs: declared.configs.clone(),
    };
    let configs: Vec<_> = declared.configs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let to = format!("{} partitions, {} copies, {}", spec.partitions, spec.replication, configs.join(", "));
    Change { object: spec.name.clone(), what: "topic".into(), from: None, to, refusal: None, step: Step::Create(spec) }
}

fn partition_change(declared: &Topic, actual: &TopicInfo) -> Option<Change> {
    let (from, to) = (actual.partitions, declared.partitions);
    let (refusal, step) = match from.cmp(&to) {
        std::cmp::Ordering::Equal => return None,
        std::cmp::Ordering::Less => (
            Refusal::WithoutForce("keys move to other partitions, and their order is lost across the move".into()),
            Step::AddPartitions(declared.name.clone(), to),
        ),
        std::cmp::Ordering::Greater => {
            (Refusal::Always("Kafka can't take partitions away; a new topic is needed".into()), Step::Impossible)
        }
    };
    Some(Change {
        object: declared.name.clone(),
        what: "partitions".into(),
        from: Some(from.to_string()),
        to: to.to_string(),
        refusal: Some(refusal),
        step,
    })
}

fn config_change(declared: &Topic, key: &str, from: Option<&String>, to: &str) -> Change {
    let risk = risk(key, from.map(String::as_str), to);
    Change {
        object: declared.name.clone(),
        what: key.to_owned(),
        from: from.cloned(),
        to: to.to_owned(),
        refusal: risk.map(|risk| Refusal::WithoutForce(risk.to_owned())),
        step: Step::SetConfigs(declared.name.clone(), BTreeMap::from([(key.to_owned(), to.to_owned())])),
    }
}

/// Kafka's own defaults, which hold where a topic has no setting of its own.
fn default_of(key: &str) -> &'static str {
    match key {
        "cleanup.policy" => "delete",
        "retention.ms" => "604800000",
        _ => "1",
    }
}

/// What could be lost by the change.
fn risk(key: &str, from: Option<&str>, to: &str) -> Option<&'static str> {
    let from = from.unwrap_or(default_of(key));
    let number = |text: &str| text.parse::<i64>().ok();
    // Kafka reads -1 as "for ever".
    let span = |text: &str| number(text).map(|ms| if ms < 0 { i64::MAX } else { ms });
    match key {
        "cleanup.policy" if from != to => Some("records may be deleted that the other policy keeps"),
        "retention.ms" if span(to) < span(from) => Some("records older than the new retention are deleted"),
        "min.insync.replicas" if number(to) < number(from) => Some("writes are acknowledged with fewer copies"),
        _ => None,
    }
}

/// The changes that may not be made.
pub(crate) fn refused(changes: &[Change], force: bool) -> usize {
    let is_refused = |change: &&Change| match &change.refusal {
        Some(Refusal::WithoutForce(_)) => !force,
        Some(Refusal::Always(_)) => true,
        None => false,
    };
    changes.iter().filter(is_refused).count()
}

#[cfg(test)]
mod tests {
    use super::super::file::{BUILT_IN, Overrides, parse};
    use super::*;

    fn raw() -> Topic {
        parse(BUILT_IN, Overrides::default()).unwrap().topics.remove(0)
    }

    fn as_declared(topic: &Topic) -> TopicInfo {
        TopicInfo {
            id: "x".into(),
            partitions: topic.partitions,
            replication: topic.replication_factor,
            configs: topic.configs.clone(),
        }
    }

    #[test]
    fn topic_as_declared_needs_nothing_and_a_missing_one_is_created() {
        let topic = raw();
        assert_eq!(topic_changes(&topic, Some(&as_declared(&topic))), vec![]);
        let changes = topic_changes(&topic, None);
        assert!(matches!(&changes[..], [Change { step: Step::Create(_), refusal: None, .. }]));
    }

    #[test]
    fn partitions_are_never_taken_away_and_added_only_by_force() {
        let topic = raw();
        let fewer = TopicInfo { partitions: 2, ..as_declared(&topic) };
        let more = TopicInfo { partitions: 9, ..as_declared(&topic) };
        let (add, remove) = (topic_changes(&topic, Some(&fewer)), topic_changes(&topic, Some(&more)));
        assert_eq!((refused(&add, false), refused(&add, true)), (1, 0));
        assert_eq!((refused(&remove, false), refused(&remove, true)), (1, 1));
    }

    #[test]
    fn only_changes_that_could_lose_something_are_refused() {
        let topic = raw();
        let with = |key: &str, value: &str| {
            let mut actual = as_declared(&topic);
            actual.configs.insert(key.into(), value.into());
            let changes = topic_changes(&topic, Some(&actual));
            assert_eq!(changes.len(), 1, "{key}");
            refused(&changes, false)
        };
        assert_eq!(with("retention.ms", "86400000"), 0, "longer retention");
        assert_eq!(with("retention.ms", "-1"), 1, "no longer for ever");
        assert_eq!(with("retention.ms", "2592000000"), 1, "shorter retention");
        assert_eq!(with("cleanup.policy", "compact"), 1);
        assert_eq!(with("min.insync.replicas", "2"), 1);
        assert_eq!(with("max.message.bytes", "8388608"), 0);
    }

    #[test]
    fn inherited_retention_counts_as_kafkas_default() {
        let topic = raw();
        let mut actual = as_declared(&topic);
        actual.configs.clear();
        let changes = topic_changes(&topic, Some(&actual));
        assert_eq!((changes.len(), refused(&changes, false)), (topic.configs.len(), 0));
    }
}

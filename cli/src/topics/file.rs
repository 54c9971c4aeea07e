//! The declarative file of topics: what it may say, and that what it says fits together.

use bytesize::ByteSize;
use figment::Figment;
use figment::providers::{Format, Toml};
use kafka_pipeline::Compatibility;
use meterway_schemas::{CONTRACTS, Contract};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The file that comes with the program.
pub(crate) const BUILT_IN: &str = include_str!("../../../deploy/topics.toml");

/// A topic as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication_factor: i32,
    /// Settings by Kafka's names.
    pub configs: BTreeMap<String, String>,
    /// Contract of the values, if they have one.
    pub contract: Option<Contract>,
}

impl Topic {
    /// Subject of the values' schema (TopicNameStrategy).
    pub(crate) fn subject(&self) -> String {
        format!("{}-value", self.name)
    }
}

/// Everything the file declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Compatibility level of every subject.
    pub compatibility: Compatibility,
    /// The topics, in the file's order.
    pub topics: Vec<Topic>,
}

/// Numbers that an installation has instead of the file's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// Partitions of the topics that have the default number.
    pub partitions: Option<i32>,
    /// Copies of each partition.
    pub replication_factor: Option<i32>,
    /// Copies that must exist before a write is acknowledged.
    pub min_insync_replicas: Option<i32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    compatibility: String,
    defaults: Defaults,
    topic: Vec<RawTopic>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    partitions: i32,
    replication_factor: i32,
    min_insync_replicas: i32,
    cleanup: Cleanup,
    max_message: ByteSize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Cleanup {
    Delete,
    Compact,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTopic {
    name: String,
    contract: Option<String>,
    partitions: Option<i32>,
    same_partitions_as: Option<String>,
    replication_factor: Option<i32>,
    min_insync_replicas: Option<i32>,
    cleanup: Option<Cleanup>,
    #[serde(default, with = "humantime_serde")]
    retention: Option<Duration>,
    max_message: Option<ByteSize>,
}

/// A file that declares nothing that could be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidFile {
    /// Not TOML, or a key or value that there is not.
    #[error("{0}")]
    Syntax(String),
    /// What it says of a topic does not fit.
    #[error("topic {topic}: {problem}")]
    Topic {
        /// Name.
        topic: String,
        /// What is wrong.
        problem: String,
    },
}

/// Reads a file.
///
/// # Errors
/// [`InvalidFile`] names the first problem.
pub(crate) fn parse(text: &str, overrides: Overrides) -> Result<Declared, InvalidFile> {
    let file: RawFile =
        Figment::from(Toml::string(text)).extract().map_err(|error| InvalidFile::Syntax(error.to_string()))?;
    let defaults = Defaults {
        partitions: overrides.partitions.unwrap_or(file.defaults.partitions),
        replication_factor: overrides.replication_factor.unwrap_or(file.defaults.replication_factor),
        min_insync_replicas: overrides.min_insync_replicas.unwrap_or(file.defaults.min_insync_replicas),
        ..file.defaults
    };
    let mut names = BTreeSet::new();
    let mut topics: Vec<Topic> = Vec::with_capacity(file.topic.len());
    for raw in file.topic {
        let name = raw.name.clone();
        let wrong = |problem: String| InvalidFile::Topic { topic: name.clone(), problem };
        if !names.insert(raw.name.clone()) {
            return Err(wrong("is declared twice".to_owned()));
        }
        topics.push(topic(raw, &defaults, &topics).map_err(wrong)?);
    }
    Ok(Declared { compatibility: compatibility(&file.compatibility)?, topics })
}

fn compatibility(name: &str) -> Result<Compatibility, InvalidFile> {
    use Compatibility as C;
    let levels =
        [C::None, C::Backward, C::BackwardTransitive, C::Forward, C::ForwardTransitive, C::Full, C::FullTransitive];
    let found = levels.into_iter().find(|level| level.as_str() == name);
    found.ok_or_else(|| InvalidFile::Syntax(format!("{name:?} is no compatibility level")))
}

fn topic(raw: RawTopic, defaults: &Defaults, before: &[Topic]) -> Result<Topic, String> {
    let partitions = match (raw.partitions, &raw.same_partitions_as) {
        (Some(_), Some(_)) => return Err("partitions and same_partitions_as exclude each other".to_owned()),
        (Some(partitions), None) => partitions,
        (None, Some(other)) => {
            let other = before.iter().find(|topic| topic.name == *other);
            other.ok_or_else(|| "same_partitions_as names no topic above".to_owned())?.partitions
        }
        (None, None) => defaults.partitions,
    };
    let replication_factor = raw.replication_factor.unwrap_or(defaults.replication_factor);
    let in_sync = raw.min_insync_replicas.unwrap_or(defaults.min_insync_replicas);
    if partitions < 1 || replication_factor < 1 || in_sync < 1 {
        return Err("partitions, replication_factor and min_insync_replicas begin at 1".to_owned());
    }
    if in_sync > replication_factor {
        return Err(format!("min_insync_replicas {in_sync} is more than replication_factor {replication_factor}"));
    }
    let contract = raw.contract.as_deref().map(contract).transpose()?;
    let cleanup = raw.cleanup.unwrap_or(defaults.cleanup);
    let max_message = raw.max_message.unwrap_or(defaults.max_message).as_u64();
    let configs = configs(cleanup, raw.retention, max_message, in_sync)?;
    Ok(Topic { name: raw.name, partitions, replication_factor, configs, contract })
}

fn contract(name: &str) -> Result<Contract, String> {
    let known = || CONTRACTS.iter().map(|contract| contract.name).collect::<Vec<_>>().join(", ");
    let found = CONTRACTS.iter().copied().find(|contract| contract.name == name);
    found.ok_or_else(|| format!("no contract is called {name}; there are {}", known()))
}

fn configs(
    cleanup: Cleanup,
    retention: Option<Duration>,
    max_message: u64,
    in_sync: i32,
) -> Result<BTreeMap<String, String>, String> {
    let mut configs = BTreeMap::from([
        ("max.message.bytes".to_owned(), max_message.to_string()),
        ("min.insync.replicas".to_owned(), in_sync.to_string()),
    ]);
    match (cleanup, retention) {
        (Cleanup::Delete, Some(retention)) => {
            configs.insert("cleanup.policy".to_owned(), "delete".to_owned());
            configs.insert("retention.ms".to_owned(), retention.as_millis().to_string());
        }
        (Cleanup::Delete, None) => return Err("cleanup delete needs a retention".to_owned()),
        (Cleanup::Compact, None) => {
            configs.insert("cleanup.policy".to_owned(), "compact".to_owned());
        }
        (Cleanup::Compact, Some(_)) => return Err("a compacted topic has no retention".to_owned()),
    }
    Ok(configs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "compatibility = \"FULL_TRANSITIVE\"\n[defaults]\npartitions = 4\nreplication_factor = 1\n\
        min_insync_replicas = 1\ncleanup = \"delete\"\nmax_message = \"1MiB\"\n[[topic]]\nname = \"a\"\nretention = \"7d\"\n";

    fn error(more: &str) -> String {
        parse(&format!("{HEAD}{more}"), Overrides::default()).unwrap_err().to_string()
    }

    #[test]
    fn built_in_file_declares_every_contract() {
        let declared = parse(BUILT_IN, Overrides::default()).unwrap();
        let mut contracts: Vec<_> = declared.topics.iter().filter_map(|topic| topic.contract).collect();
        assert_eq!(contracts.len(), CONTRACTS.len() + 1, "decisions have two topics: the live lane's and the replay's");
        contracts.sort_by_key(|contract| contract.name);
        contracts.dedup_by_key(|contract| contract.name);
        assert_eq!(contracts.len(), CONTRACTS.len());
        let raw = &declared.topics[0];
        assert_eq!(raw.subject(), "meter.readings.raw.v1-value");
        assert_eq!(raw.configs["retention.ms"], "604800000");
        assert_eq!(raw.configs["max.message.bytes"], "1048576");
    }

    #[test]
    fn decisions_always_have_the_partitions_of_the_raw_topic() {
        let overrides = Overrides { partitions: Some(48), replication_factor: Some(3), min_insync_replicas: Some(2) };
        let declared = parse(BUILT_IN, overrides).unwrap();
        let of = |name: &str| declared.topics.iter().find(|topic| topic.name == name).unwrap();
        for name in ["meter.readings.raw.v1", "meter.readings.validated.v1", "meter.readings.rejected.v1"] {
            assert_eq!(of(name).partitions, 48, "{name}");
        }
        assert_eq!(of("lake.commits.v1").partitions, 1);
        assert_eq!(of("lake.commits.v1").configs["min.insync.replicas"], "2");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        assert!(error("[[topic]]\nname = \"a\"\nretention = \"1d\"").contains("topic a: is declared twice"));
        assert!(error("[[topic]]\nname = \"b\"").contains("topic b: cleanup delete needs a retention"));
        assert!(
            error("[[topic]]\nname = \"b\"\nretention = \"1d\"\ncontract = \"x\"").contains("no contract is called x")
        );
        assert!(error("[[topic]]\nname = \"b\"\nretention = \"1d\"\nmin_insync_replicas = 2").contains("is more than"));
        assert!(
            error("[[topic]]\nname = \"b\"\nretention = \"1d\"\nsame_partitions_as = \"z\"").contains("no topic above")
        );
        assert!(error("retentoin = \"7d\"").contains("retentoin"));
    }
}

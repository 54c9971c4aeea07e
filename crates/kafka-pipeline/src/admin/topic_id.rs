//! The identity of a topic: what tells a topic from a later one of the same name.
//!
//! Brokers give it in their metadata, but rdkafka 0.39 has no call that hands it on, and its raw bindings would need
//! unsafe code. A request of our own over a socket would do without TLS and SASL only. So it is read where librdkafka
//! itself states it: in its debug line about a topic that it meets for the first time, on a client made for this one
//! question. That works with every security setting. The wording belongs to the librdkafka that is built into this crate;
//! the test `topic_ids_are_read_from_the_client` fails when an upgrade changes it, and at run time a missing line is an
//! error, never a made-up id.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;

use super::AdminError;
use crate::config::{CreateError, KafkaConfig};

/// How long brokers may take to answer.
const METADATA_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the line may come after the answer.
const LINE_TIMEOUT: Duration = Duration::from_secs(2);

/// Identity of a topic, in the form of Kafka's own tools: 22 characters of URL-safe base64.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub String);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Asks for the identity of a topic.
///
/// # Errors
/// [`AdminError::UnknownTopic`], [`AdminError::Query`] when no broker answers, [`AdminError::NoTopicId`] when the brokers
/// are too old to have ids (before Kafka 2.8).
pub async fn topic_id(kafka: &KafkaConfig, topic: &str) -> Result<TopicId, AdminError> {
    let (kafka, topics) = (kafka.clone(), vec![topic.to_owned()]);
    let ids = tokio::task::spawn_blocking(move || topic_ids(&kafka, &topics)).await;
    let ids = ids.map_err(|_| AdminError::Query(KafkaError::Canceled))??;
    ids.into_iter().next().ok_or_else(|| AdminError::NoTopicId(topic.to_owned()))
}

/// Waits until one of the topics has another identity than the one given with it, looking every so often; returns its name
/// and the new identity. Topics that do not exist, and brokers that do not answer, are waited for.
///
/// The client does not do this for us: when a topic is created again under a running consumer and reaches the position
/// of the old one before the next fetch, librdkafka 2.12 reads on from there as if nothing had happened.
///
/// # Cancel safety
/// Safe.
pub async fn topic_replaced(kafka: KafkaConfig, known: Vec<(String, TopicId)>, every: Duration) -> (String, TopicId) {
    let known = Arc::new(known);
    loop {
        tokio::time::sleep(every).await;
        let (kafka, known) = (kafka.clone(), Arc::clone(&known));
        if let Ok(Some(found)) = tokio::task::spawn_blocking(move || find_replaced(&kafka, &known)).await {
            return found;
        }
    }
}

fn find_replaced(kafka: &KafkaConfig, known: &[(String, TopicId)]) -> Option<(String, TopicId)> {
    let asking = open(kafka).inspect_err(|error| tracing::debug!(error = %error, "topics were not looked at"));
    let (client, lines) = asking.ok()?;
    known.iter().find_map(|(topic, id)| match ask(&client, &lines, topic) {
        Ok(found) => (found != *id).then(|| (topic.clone(), found)),
        Err(error) => {
            tracing::debug!(topic, error = %error, "topic was not looked at");
            None
        }
    })
}

/// The identities of topics, in their order. Blocks.
pub(super) fn topic_ids(kafka: &KafkaConfig, topics: &[String]) -> Result<Vec<TopicId>, AdminError> {
    let (client, lines) = open(kafka)?;
    topics.iter().map(|topic| ask(&client, &lines, topic)).collect()
}

/// A client that says what it learns, and where it says so.
fn open(kafka: &KafkaConfig) -> Result<(BaseConsumer<Lines>, Lines), CreateError> {
    let lines = Lines::default();
    let mut config = kafka.client();
    config.set("debug", "topic,metadata").set_log_level(RDKafkaLogLevel::Debug);
    Ok((BaseConsumer::from_config_and_context(&config, lines.clone())?, lines))
}

fn ask(client: &BaseConsumer<Lines>, lines: &Lines, topic: &str) -> Result<TopicId, AdminError> {
    let metadata = client.fetch_metadata(Some(topic), METADATA_TIMEOUT).map_err(AdminError::Query)?;
    let known = metadata.topics().iter().any(|found| found.name() == topic && !found.partitions().is_empty());
    if !known {
        return Err(AdminError::UnknownTopic(topic.to_owned()));
    }
    let deadline = Instant::now() + LINE_TIMEOUT;
    loop {
        // Log lines come out of the client's queue, a line per poll.
        drop(client.poll(Duration::from_millis(10)));
        if let Some(id) = lines.find(topic) {
            return Ok(id);
        }
        if Instant::now() >= deadline {
            return Err(AdminError::NoTopicId(topic.to_owned()));
        }
    }
}

/// Keeps what the client says about topic ids.
#[derive(Debug, Clone, Default)]
struct Lines {
    found: Arc<Mutex<Vec<(String, TopicId)>>>,
}

impl Lines {
    fn find(&self, topic: &str) -> Option<TopicId> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.iter().rev().find(|(name, _)| name == topic).map(|(_, id)| id.clone())
    }
}

impl ClientContext for Lines {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if let Some(found) = parse(message) {
            self.found.lock().unwrap_or_else(PoisonError::into_inner).push(found);
        } else if (level as i32) <= RDKafkaLogLevel::Warning as i32 {
            crate::consumer::log_line(level, facility, message);
        }
    }
}

impl ConsumerContext for Lines {}

/// Reads `[thrd:…]: Topic <name> changed id from <id> to <id>`. Topic names contain no spaces.
fn parse(message: &str) -> Option<(String, TopicId)> {
    let (head, id) = message.rsplit_once(" to ")?;
    let (head, _) = head.rsplit_once(" changed id from ")?;
    let (_, name) = head.rsplit_once("Topic ")?;
    let id = id.trim().replace('+', "-").replace('/', "_");
    let is_id = id.len() == 22 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let is_zero = id.bytes().all(|byte| byte == b'A');
    (is_id && !is_zero).then(|| (name.to_owned(), TopicId(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::mocking::MockCluster;

    #[test]
    fn line_is_read() {
        let line = "[thrd:main]: Topic a.b-c changed id from AAAAAAAAAAAAAAAAAAAAAA to Zq+v/1DBTyS0HBz0gLxVCw";
        assert_eq!(parse(line), Some(("a.b-c".to_owned(), TopicId("Zq-v_1DBTyS0HBz0gLxVCw".to_owned()))));
    }

    #[test]
    fn other_lines_and_the_zero_id_are_not() {
        for line in [
            "[thrd:main]: Topic a changed id from Zq+v/1DBTyS0HBz0gLxVCw to AAAAAAAAAAAAAAAAAAAAAA",
            "Topic a changed id from x to short",
            "Topic a is now known to exist",
            "",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn topic_ids_are_read_from_the_client() {
        let cluster = MockCluster::new(1).unwrap();
        let names: Vec<_> = (0..3).map(|n| format!("topic-{n}")).collect();
        for name in &names {
            cluster.create_topic(name, 2, 1).unwrap();
        }
        let kafka = KafkaConfig::new(cluster.bootstrap_servers(), "test");
        let ids = topic_ids(&kafka, &names).unwrap();
        assert_eq!(ids.len(), 3);
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        assert_eq!(topic_ids(&kafka, &names).unwrap(), ids, "another client reads the same");
    }
}

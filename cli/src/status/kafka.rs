//! Topics and how far groups have read them.

use super::report::{Line, State, Watermarks, grouped, lag, messages};
use anyhow::Context;
use kafka_pipeline::{Admin, AdminError, KafkaConfig};
use std::collections::BTreeMap;
use std::str::FromStr;

const TOPICS: &str = "topics";
const GROUPS: &str = "groups";

/// A consumer group and the topic that it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reader {
    group: String,
    topic: String,
}

impl FromStr for Reader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((group, topic)) if !group.is_empty() && !topic.is_empty() => {
                Ok(Self { group: group.to_owned(), topic: topic.to_owned() })
            }
            _ => Err("needs the form GROUP=TOPIC".to_owned()),
        }
    }
}

/// What was found in Kafka: the lines, and the watermarks of every topic that was asked about.
pub(crate) type Found = (Vec<Line>, BTreeMap<String, Watermarks>);

/// Asks about topics, and about groups in the topics that they read.
///
/// # Errors
/// When no broker answers.
pub(crate) async fn look(kafka: &KafkaConfig, topics: &[String], readers: &[Reader]) -> anyhow::Result<Found> {
    let admin = Admin::connect(kafka).await.context("connect to kafka")?;
    let mut lines = Vec::new();
    let mut known: BTreeMap<String, Watermarks> = BTreeMap::new();
    for topic in topics {
        match watermarks(&admin, topic).await? {
            Some(marks) => {
                lines.push(topic_line(topic, &marks));
                known.insert(topic.clone(), marks);
            }
            None => lines.push(Line::missing(TOPICS, topic, "does not exist; meterway topics apply makes it")),
        }
    }
    for reader in readers {
        lines.push(reader_line(&admin, reader, &mut known).await?);
    }
    Ok((lines, known))
}

async fn watermarks(admin: &Admin, topic: &str) -> anyhow::Result<Option<Watermarks>> {
    match admin.watermarks(topic).await {
        Ok(marks) => Ok(Some(marks.into_iter().map(|(partition, low, high)| (partition, (low, high))).collect())),
        Err(AdminError::UnknownTopic(_)) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("ask for the watermarks of {topic}")),
    }
}

fn topic_line(topic: &str, marks: &Watermarks) -> Line {
    let ever: i64 = marks.values().map(|(_, high)| *high).sum();
    let ever = grouped(u64::try_from(ever).unwrap_or(0));
    let detail = format!("{} partitions, {ever} messages ever", marks.len());
    Line::new(TOPICS, topic).count(messages(marks), "messages").detail(detail)
}

async fn reader_line(admin: &Admin, reader: &Reader, known: &mut BTreeMap<String, Watermarks>) -> anyhow::Result<Line> {
    let Reader { group, topic } = reader;
    if !known.contains_key(topic) {
        let Some(marks) = watermarks(admin, topic).await? else {
            return Ok(Line::missing(GROUPS, group, format!("reads {topic}, which does not exist")));
        };
        known.insert(topic.clone(), marks);
    }
    let committed = admin.group_lag(group).await.with_context(|| format!("ask for the positions of group {group}"))?;
    let of_topic = committed.iter().filter(|position| *position.at.topic == **topic);
    let positions: BTreeMap<i32, i64> = of_topic.map(|found| (found.at.partition, found.committed)).collect();
    let line = Line::new(GROUPS, group).lag(lag(&known[topic], &positions), "messages");
    Ok(if positions.is_empty() {
        line.state(State::Notice).detail(format!("has committed nothing of {topic} yet"))
    } else {
        line.detail(format!("behind {topic}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_group_and_topic() {
        let reader: Reader = "validate=meter.readings.raw.v1".parse().unwrap();
        assert_eq!((&*reader.group, &*reader.topic), ("validate", "meter.readings.raw.v1"));
        for wrong in ["validate", "=topic", "group=", ""] {
            assert!(wrong.parse::<Reader>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_topic_tells_what_it_holds_and_what_it_held() {
        let line = topic_line("t", &Watermarks::from([(0, (90, 100)), (1, (0, 1_000))]));
        assert_eq!(line.count.unwrap().value, 1_010);
        assert_eq!(line.detail, "2 partitions, 1,100 messages ever");
    }
}

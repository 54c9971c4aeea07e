//! Whether tables can go on from where they stand. Pure.

use crate::out::Mood;
use lake::{HeadKey, HeadSet};
use serde::Serialize;
use std::collections::BTreeMap;

/// A topic as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Topic {
    /// Its id.
    pub id: String,
    /// Oldest offset and end of each partition.
    pub bounds: BTreeMap<i32, (i64, i64)>,
}

/// How a table stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Standing {
    /// Table, without namespace.
    pub table: String,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Id of the topic that the table was fed from.
    pub topic_id: String,
    /// Next offset to read.
    pub head: i64,
    /// Highest source offset of the decisions taken in; nothing for tables that are not fed with decisions.
    pub watermark: Option<i64>,
    /// Oldest offset of the log.
    pub low: Option<i64>,
    /// End of the log.
    pub high: Option<i64>,
    /// Records that the table has not taken in.
    pub lag: Option<i64>,
    /// `ok`, `replaced`, `expired`, `truncated`, or `missing` for a topic or partition that is not there.
    pub state: &'static str,
    /// What the state means, and where to read on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Standing {
    pub(super) fn is_ok(&self) -> bool {
        self.state == "ok"
    }

    pub(super) fn mood(&self) -> Mood {
        if self.is_ok() { Mood::Good } else { Mood::Bad }
    }

    pub(super) fn cells(&self) -> [String; 9] {
        let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        [
            self.state.to_owned(),
            self.table.clone(),
            format!("{}[{}]", self.topic, self.partition),
            self.head.to_string(),
            number(self.watermark),
            number(self.low),
            number(self.high),
            number(self.lag),
            self.topic_id.clone(),
        ]
    }
}

/// Holds the heads of a table against the topics.
pub(super) fn standings(table: &str, heads: &HeadSet, topics: &BTreeMap<String, Topic>) -> Vec<Standing> {
    heads
        .iter()
        .map(|(key, head)| {
            let topic = topics.get(&*key.topic);
            let bounds = topic.and_then(|topic| topic.bounds.get(&key.partition)).copied();
            let (state, detail) = match topic.zip(bounds) {
                None => ("missing", format!("{key} does not exist")),
                Some((topic, bounds)) => judge(heads, key, topic, bounds),
            };
            let lag = bounds.filter(|_| state == "ok").map(|(_, high)| high - head.next);
            Standing {
                table: table.to_owned(),
                topic: key.topic.to_string(),
                partition: key.partition,
                topic_id: key.topic_id.to_string(),
                head: head.next,
                watermark: (head.watermark != lake::core::heads::NO_WATERMARK).then_some(head.watermark),
                low: bounds.map(|(low, _)| low),
                high: bounds.map(|(_, high)| high),
                lag,
                state,
                detail,
            }
        })
        .collect()
}

fn judge(heads: &HeadSet, key: &HeadKey, topic: &Topic, bounds: (i64, i64)) -> (&'static str, String) {
    let now = HeadKey::new(&key.topic, &topic.id, key.partition);
    match heads.standing(&now, bounds) {
        Ok(_) => ("ok", String::new()),
        Err(refusal) => (refusal.reason(), refusal.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake::Head;

    fn standing(id: &str, bounds: Option<(i64, i64)>) -> Standing {
        let heads = HeadSet::from_iter([(HeadKey::new("t", "a", 0), Head { next: 10, watermark: 7 })]);
        let bounds = bounds.map(|bounds| (0, bounds)).into_iter().collect();
        let topics = BTreeMap::from([("t".to_owned(), Topic { id: id.to_owned(), bounds })]);
        standings("readings", &heads, &topics).remove(0)
    }

    #[test]
    fn each_state_is_told() {
        let ok = standing("a", Some((3, 15)));
        assert_eq!((ok.state, ok.lag, ok.watermark), ("ok", Some(5), Some(7)));
        assert_eq!(standing("a", Some((11, 15))).state, "expired");
        assert_eq!(standing("a", Some((0, 9))).state, "truncated");
        assert_eq!(standing("a", None).state, "missing");
        let replaced = standing("b", Some((0, 15)));
        assert_eq!((replaced.state, replaced.lag), ("replaced", None));
        assert!(replaced.detail.contains("docs/runbooks/topic-replaced.md"), "{}", replaced.detail);
        assert!(ok.is_ok() && !replaced.is_ok());
    }
}

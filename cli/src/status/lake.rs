//! The tables of the lake, from the catalog and the tables' own metadata; no data file is opened.

use super::report::{Line, State, Watermarks, grouped, lag};
use crate::verify::iceberg::{LakeArgs, LakeReader, TableSummary};
use anyhow::Context;
use chrono::DateTime;
use lake::HeadSet;
use std::collections::BTreeMap;

const LAKE: &str = "lake";
const TABLES: [&str; 5] = ["landing", "readings", "rejected", "dead_letters", "alerts"];

/// The tables' summaries by name; `None` for one that the catalog does not have.
pub(crate) type Summaries = BTreeMap<&'static str, Option<TableSummary>>;

/// Asks for the tables' metadata.
///
/// # Errors
/// When the catalog or the object store does not answer.
pub(crate) async fn look(args: &LakeArgs) -> anyhow::Result<Summaries> {
    let reader = LakeReader::new(args)?;
    let mut found = Summaries::new();
    for table in TABLES {
        let summary = reader.summary(table).await.with_context(|| format!("read the metadata of table {table}"))?;
        found.insert(table, summary);
    }
    Ok(found)
}

/// The lines of the tables. Where a table's heads are in topics with known watermarks, with the lag behind them.
pub(crate) fn lines(found: &Summaries, topics: &BTreeMap<String, Watermarks>) -> Vec<Line> {
    let line = |(table, summary): (&&'static str, &Option<TableSummary>)| match summary {
        None => Line::missing(LAKE, *table, "not in the catalog; parquet-sink makes it when it starts"),
        Some(summary) => table_line(table, summary, topics),
    };
    found.iter().map(line).collect()
}

fn table_line(table: &str, summary: &TableSummary, topics: &BTreeMap<String, Watermarks>) -> Line {
    let Some(snapshot) = summary.snapshot_id else {
        return Line::new(LAKE, table).count(0, "rows").state(State::Notice).detail("nothing committed yet");
    };
    let files = summary.files.map_or_else(String::new, |files| format!(", {} files", grouped(files)));
    let mut line = Line::new(LAKE, table)
        .changed(summary.committed_at_ms.and_then(DateTime::from_timestamp_millis))
        .detail(format!("snapshot {snapshot}{files}"));
    if let Some(rows) = summary.rows {
        line = line.count(rows, "rows");
    }
    match summary.heads.as_deref().map(HeadSet::from_summary) {
        Some(Ok(heads)) => match behind(&heads, topics) {
            Some(messages) => line.lag(messages, "messages"),
            None => line,
        },
        Some(Err(problem)) => line.state(State::Notice).detail(format!("snapshot {snapshot}: heads: {problem}")),
        None => line.state(State::Notice).detail(format!("snapshot {snapshot}{files}; no snapshot carries heads")),
    }
}

/// Messages of the heads' topics that the table has not taken in; `None` when nothing is known of these topics.
fn behind(heads: &HeadSet, topics: &BTreeMap<String, Watermarks>) -> Option<u64> {
    let mut positions: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
    for (key, head) in heads.iter() {
        positions.entry(&key.topic).or_default().insert(key.partition, head.next);
    }
    let known = positions.iter().filter_map(|(topic, positions)| Some(lag(topics.get(*topic)?, positions)));
    known.reduce(|sum, lag| sum + lag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake::{Head, HeadKey};

    fn summary() -> TableSummary {
        let heads: HeadSet = [
            (HeadKey::new("validated", "id", 0), Head { next: 40, watermark: 39 }),
            (HeadKey::new("validated", "id", 1), Head { next: 7, watermark: 6 }),
        ]
        .into_iter()
        .collect();
        TableSummary {
            snapshot_id: Some(77),
            committed_at_ms: Some(1_000),
            rows: Some(1_500),
            files: Some(3),
            heads: Some(heads.to_summary()),
        }
    }

    #[test]
    fn lag_is_counted_from_the_heads_of_the_table() {
        let topics = BTreeMap::from([("validated".to_owned(), Watermarks::from([(0, (0, 50)), (1, (0, 7))]))]);
        let line = table_line("readings", &summary(), &topics);
        assert_eq!(line.lag.unwrap().value, 10);
        assert_eq!((line.count.unwrap().value, &*line.detail), (1_500, "snapshot 77, 3 files"));
        assert_eq!(table_line("readings", &summary(), &BTreeMap::new()).lag, None);
    }

    #[test]
    fn tables_that_are_empty_or_not_there_say_so() {
        let found = Summaries::from([("alerts", None), ("readings", Some(TableSummary::default()))]);
        let states: Vec<_> = lines(&found, &BTreeMap::new()).iter().map(|line| line.state).collect();
        assert_eq!(states, [State::Missing, State::Notice]);
    }

    #[test]
    fn a_table_whose_heads_make_no_sense_is_noticed() {
        let line =
            table_line("readings", &TableSummary { heads: Some("{}".to_owned()), ..summary() }, &BTreeMap::new());
        assert_eq!(line.state, State::Notice);
        let line = table_line("readings", &TableSummary { heads: None, ..summary() }, &BTreeMap::new());
        assert_eq!((line.state, &*line.detail), (State::Notice, "snapshot 77, 3 files; no snapshot carries heads"));
    }
}

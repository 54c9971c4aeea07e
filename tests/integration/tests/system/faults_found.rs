//! Every injected fault is found where it should be, and nothing else is.
//!
//! The simulator writes what must be found of each fault, and what may be; this compares sets with what the warehouse
//! holds at the end of the whole way.

use crate::world::World;
use anyhow::{Context, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// Longest wait for the last alerts to arrive in the warehouse.
const ALERTS_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
struct Entry {
    fault: String,
    device_id: String,
    expect: Vec<Item>,
    #[serde(default)]
    tolerated: Vec<Item>,
}

/// Something to be found, or found. A field that an expectation does not have matches anything.
#[derive(Debug, Clone, Deserialize)]
struct Item {
    kind: String,
    code_or_rule: String,
    device_id: Option<String>,
    channel: Option<String>,
    start: Option<i64>,
    version: Option<i32>,
    state: Option<String>,
    reading_index: Option<i32>,
    source: Option<Source>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Source {
    partition: i32,
    offset: i64,
}

#[derive(Debug, Default)]
struct Score {
    injected: usize,
    expected: usize,
    missed: usize,
}

pub(crate) async fn run(world: &mut World) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(world.file("truth.ndjson")).context("read truth file")?;
    let truth: Vec<Entry> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("parse truth file")?;
    let client = world.warehouse().await?;
    let deadline = Instant::now() + ALERTS_LIMIT;
    let mut found = Found::read(&client).await?;
    // Alerts have a longer way than readings: their topic, their route, their load.
    while !misses(&truth, &found).1.is_empty() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_secs(2)).await;
        found = Found::read(&client).await?;
    }
    let (scores, misses) = misses(&truth, &found);
    let alarms = false_alarms(&truth, &found);
    eprintln!("{:<20}{:>9}{:>10}{:>8}", "fault", "injected", "expected", "missed");
    for (fault, score) in &scores {
        eprintln!("{fault:<20}{:>9}{:>10}{:>8}", score.injected, score.expected, score.missed);
    }
    for (what, items) in &alarms {
        eprintln!("false alarm {what}: {}, such as {:?}", items.len(), items[0]);
    }
    ensure!(scores.len() >= 12, "only {} kinds of fault were injected", scores.len());
    ensure!(
        misses.is_empty(),
        "{} expectations are not met, such as {:?}",
        misses.len(),
        &misses[..misses.len().min(3)]
    );
    ensure!(alarms.is_empty(), "{} kinds of false alarm", alarms.len());
    Ok(())
}

/// What the pipeline found, by kind and code.
struct Found(HashMap<(String, String), Vec<Item>>);

impl Found {
    async fn read(client: &Client) -> anyhow::Result<Self> {
        let mut found = Self(HashMap::new());
        found.flagged(client).await?;
        found.rejected(client).await?;
        found.alerts(client).await?;
        Ok(found)
    }

    async fn flagged(&mut self, client: &Client) -> anyhow::Result<()> {
        const QUERY: &str = "SELECT device_id::text, channel::text, (extract(epoch FROM start) * 1000000)::bigint, version, \
            failed_rules::text, source_partition, source_offset \
            FROM raw.readings WHERE failed_rules <> '' OR version > 1";
        for row in client.query(QUERY, &[]).await.context("read flagged readings")? {
            let rules: String = row.get(4);
            let item = |rule: &str| Item {
                kind: "reading".to_owned(),
                code_or_rule: rule.to_owned(),
                device_id: Some(row.get(0)),
                channel: Some(row.get(1)),
                start: Some(row.get(2)),
                version: Some(row.get(3)),
                state: None,
                // In the lake the index counts accepted readings, in the truth all of the message; the start tells them apart.
                reading_index: None,
                source: Some(Source { partition: row.get(5), offset: row.get(6) }),
            };
            let rules = if rules.is_empty() { "correction" } else { &rules };
            rules.split(',').for_each(|rule| self.add(item(rule)));
        }
        Ok(())
    }

    async fn rejected(&mut self, client: &Client) -> anyhow::Result<()> {
        const QUERY: &str =
            "SELECT device_id::text, code::text, source_partition, source_offset, reading_index FROM raw.rejected";
        for row in client.query(QUERY, &[]).await.context("read rejections")? {
            let index: i32 = row.get(4);
            self.add(Item {
                kind: if index < 0 { "message" } else { "rejected" }.to_owned(),
                code_or_rule: row.get(1),
                device_id: Some(row.get(0)),
                channel: None,
                start: None,
                version: None,
                state: None,
                reading_index: (index >= 0).then_some(index),
                source: Some(Source { partition: row.get(2), offset: row.get(3) }),
            });
        }
        Ok(())
    }

    async fn alerts(&mut self, client: &Client) -> anyhow::Result<()> {
        const QUERY: &str = "SELECT DISTINCT ON (alert_id) device_id::text, kind::text, \
            CASE state::text WHEN 'CLOSED' THEN 'CLOSED' ELSE 'OPENED' END \
            FROM raw.alerts ORDER BY alert_id, revision DESC";
        for row in client.query(QUERY, &[]).await.context("read alerts")? {
            self.add(Item {
                kind: "alert".to_owned(),
                code_or_rule: row.get(1),
                device_id: Some(row.get(0)),
                channel: None,
                start: None,
                version: None,
                state: Some(row.get(2)),
                reading_index: None,
                source: None,
            });
        }
        Ok(())
    }

    fn add(&mut self, item: Item) {
        self.0.entry((item.kind.clone(), item.code_or_rule.clone())).or_default().push(item);
    }

    fn has(&self, expected: &Item, device: &str) -> bool {
        let key = (expected.kind.clone(), expected.code_or_rule.clone());
        self.0.get(&key).is_some_and(|found| found.iter().any(|item| matches(expected, device, item)))
    }
}

/// Whether what was found is what was expected of the device.
fn matches(expected: &Item, device: &str, found: &Item) -> bool {
    fn agree<T: PartialEq>(expected: &Option<T>, found: &Option<T>) -> bool {
        expected.is_none() || found.is_none() || expected == found
    }
    let device = expected.device_id.as_deref().unwrap_or(device);
    // A message that cannot be decoded has no device but its key; its coordinates tell it from all others.
    let same_device =
        found.device_id.as_deref() == Some(device) || (found.kind == "message" && expected.source.is_some());
    same_device
        && agree(&expected.channel, &found.channel)
        && agree(&expected.start, &found.start)
        && agree(&expected.version, &found.version)
        && agree(&expected.state, &found.state)
        && agree(&expected.reading_index, &found.reading_index)
        && agree(&expected.source, &found.source)
}

/// Fault, device and what was not found of it.
type Miss<'a> = (&'a str, &'a str, &'a Item);

fn misses<'a>(truth: &'a [Entry], found: &Found) -> (BTreeMap<&'a str, Score>, Vec<Miss<'a>>) {
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    let mut misses = Vec::new();
    for entry in truth {
        let score = scores.entry(&entry.fault).or_default();
        score.injected += 1;
        for item in &entry.expect {
            score.expected += 1;
            if !found.has(item, &entry.device_id) {
                score.missed += 1;
                misses.push((entry.fault.as_str(), entry.device_id.as_str(), item));
            }
        }
    }
    (scores, misses)
}

fn false_alarms<'a>(truth: &[Entry], found: &'a Found) -> BTreeMap<String, Vec<&'a Item>> {
    let mut known: HashMap<(&str, &str), Vec<(&str, &Item)>> = HashMap::new();
    for entry in truth {
        for item in entry.expect.iter().chain(&entry.tolerated) {
            known.entry((&item.kind, &item.code_or_rule)).or_default().push((&entry.device_id, item));
        }
    }
    let mut alarms: BTreeMap<String, Vec<&Item>> = BTreeMap::new();
    for ((kind, code), items) in &found.0 {
        let known = known.get(&(kind.as_str(), code.as_str())).map(Vec::as_slice).unwrap_or_default();
        for item in items {
            if !known.iter().any(|(device, expected)| matches(expected, device, item)) {
                alarms.entry(format!("{kind} {code}")).or_default().push(item);
            }
        }
    }
    alarms
}

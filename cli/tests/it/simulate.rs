//! `simulate run`: the journal of a simulator that is killed, against the topic.

use crate::support::{Settings, kafka, meterway, registry, remove_topics, settings, topic};
use kafka_pipeline::{NextOffset, StartAt, TopicPartition, read_tail};
use meterway_schemas::{DEVICE_EVENT, READING_BATCH};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use xxhash_rust::xxh3::xxh3_64;

const PARTITIONS: i32 = 3;
const SERIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.local/data/eemeter");
const LIMIT: Duration = Duration::from_secs(120);

struct Scene {
    settings: Settings,
    readings: String,
    events: String,
}

impl Scene {
    async fn new() -> Self {
        let scene = Self {
            settings: settings(),
            readings: topic("cli_sim", PARTITIONS).await,
            events: topic("cli_sim_events", PARTITIONS).await,
        };
        for (topic, avsc) in [(&scene.readings, READING_BATCH.avsc), (&scene.events, DEVICE_EVENT.avsc)] {
            registry().register(&format!("{topic}-value"), avsc).await.unwrap();
        }
        scene
    }

    fn arguments<'a>(&'a self, journal: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let base = ["simulate", "run", "--devices", "20", "--faults", "all", "--series", SERIES];
        let topics = ["--readings-topic", &self.readings, "--events-topic", &self.events, "--journal", journal];
        [&base[..], &topics, more].concat()
    }

    /// Hash of each payload in the topic, by partition and offset.
    async fn stored(&self) -> BTreeMap<(i64, i64), String> {
        let mut stored = BTreeMap::new();
        for partition in 0..PARTITIONS {
            let at = TopicPartition::new(self.readings.as_str(), partition);
            let mut tail = read_tail(&kafka(), &at, StartAt::Offset(NextOffset(0))).await.unwrap();
            while let Some(block) = tail.next().await.unwrap() {
                for record in block.iter() {
                    let hash = record.payload.map_or_else(String::new, |bytes| format!("{:016x}", xxh3_64(bytes)));
                    stored.insert((partition.into(), record.offset), hash);
                }
            }
        }
        stored
    }
}

fn lines(journal: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(journal).unwrap_or_default();
    // The last line of a killed run may be torn.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn acks(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line.get("ack").is_some()).collect()
}

/// Starts the simulator and kills it when it has so many acknowledgements.
async fn killed(scene: &Scene, journal: &Path, at_acks: usize) {
    let arguments = scene.arguments(journal.to_str().unwrap(), &["--days", "60", "--rate", "20000"]);
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_meterway"))
        .args(arguments)
        .env_clear()
        .envs(&scene.settings)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + LIMIT;
    while acks(&lines(journal)).len() < at_acks {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "no journal to kill it in");
        sleep(Duration::from_millis(20)).await;
    }
    child.kill().await.unwrap();
}

#[tokio::test]
async fn the_journal_of_a_killed_simulator_accounts_for_every_record_of_the_topic() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.ndjson");
    killed(&scene, &journal, 150).await;

    let (lines, stored) = (lines(&journal), scene.stored().await);
    let readings = |line: &&Value| line["topic"] == scene.readings.as_str();
    let attempts: BTreeMap<u64, String> = lines
        .iter()
        .filter(|line| line.get("attempt").is_some())
        .filter(readings)
        .map(|line| {
            let hash = line["payload_xxh3"].as_str().unwrap_or_default().to_owned();
            (line["attempt"].as_u64().unwrap(), hash)
        })
        .collect();
    let mut acked = 0;
    for ack in acks(&lines) {
        let Some(hash) = attempts.get(&ack["ack"].as_u64().unwrap()) else { continue };
        let at = (ack["partition"].as_i64().unwrap(), ack["offset"].as_i64().unwrap());
        assert_eq!(stored.get(&at), Some(hash), "{ack}");
        acked += 1;
    }
    let known: BTreeSet<&String> = attempts.values().collect();
    let unknown: Vec<_> = stored.iter().filter(|(_, hash)| !known.contains(hash)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(acked >= 100 && stored.len() >= acked, "{acked} acknowledged, {} stored", stored.len());

    let more = scene.arguments(journal.to_str().unwrap(), &["--days", "9"]);
    let run = meterway(&scene.settings, &more).await;
    assert_eq!(run.code, 0, "{run:?}");
    let both = self::lines(&journal);
    assert_eq!(both.iter().filter(|line| line.get("journal").is_some()).count(), 2);
    let end = &both.last().unwrap()["end"];
    assert!(end["attempts"].as_u64().unwrap() > 100 && end["attempts"] == end["acked"], "{end}");
    remove_topics(&[&scene.readings, &scene.events]).await;
}

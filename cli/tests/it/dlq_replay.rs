//! `dlq replay` and `dlq drop`: letters go back unchanged and once, whoever dies or competes; what was done is visible.

use crate::support::{Run, Settings, kafka, meterway, registry, remove_topics, settings, topic};
use bytes::Bytes;
use kafka_pipeline::dead_letter::{self, replay};
use kafka_pipeline::{
    DeadLetters, Header, Producer, ProducerConfig, ProducerRecord, RecordBlock, RecordBlockBuilder, StartAt,
    TopicPartition, frame, read_tail,
};
use meterway_schemas::encode::{self, ValidatedBatch};
use meterway_schemas::{Source, VALIDATED_BATCH};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};
use test_support::unique;

const PATIENCE: Duration = Duration::from_secs(90);

/// A dead-letter topic, the topic that its letters came from, and that of decisions.
struct Post {
    letters: String,
    raw: String,
    validated: String,
    settings: Settings,
    producer: Producer,
}

impl Post {
    async fn new() -> Self {
        Self {
            letters: topic("cli_letters", 2).await,
            raw: topic("cli_raw", 2).await,
            validated: topic("cli_validated", 2).await,
            settings: settings(),
            producer: Producer::new(&kafka(), &ProducerConfig::default()).unwrap(),
        }
    }

    async fn remove(self) {
        remove_topics(&[&self.letters, &self.raw, &self.validated]).await;
    }

    /// Writes messages to the raw topic and sets each aside.
    async fn set_aside(&self, partition: i32, payloads: &[Vec<u8>], code: &str) {
        let headers = [
            Header { key: "traceparent".into(), value: Some(Bytes::from_static(b"00-abc-01")) },
            Header { key: "empty".into(), value: None },
            Header { key: dead_letter::VERSION.into(), value: Some(Bytes::from_static(b"of the gateway")) },
        ];
        let letters = DeadLetters::new(self.producer.clone(), &self.letters, "validate", "validate");
        for payload in payloads {
            let record = ProducerRecord {
                topic: &self.raw,
                partition: Some(partition),
                key: Some(b"dev-1"),
                payload: Some(payload),
                ..ProducerRecord::default()
            };
            let stored = self.producer.send_behind(&headers, record).await.unwrap().await.unwrap();
            let mut block = RecordBlockBuilder::new(&*self.raw, partition);
            block.push(stored.offset, 0, Some(b"dev-1"), Some(payload), &headers);
            let source = TopicPartition::new(&*self.raw, partition);
            letters.send(&block.build().get(0), &source, code, "why").await.unwrap();
        }
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let place = ["--topic", &self.letters, "--raw-topic", &self.raw, "--validated-topic", &self.validated];
        [&["dlq"], arguments, &place].concat()
    }

    async fn dlq(&self, arguments: &[&str]) -> Run {
        meterway(&self.settings, &self.arguments(arguments)).await
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let run = self.dlq(&[arguments, &["--json"]].concat()).await;
        assert_eq!(run.code, 0, "{run:?}");
        run.json()
    }

    /// Letter → status.
    async fn statuses(&self) -> BTreeMap<String, String> {
        let letters = self.json(&["list"]).await;
        let one = |letter: &Value| {
            let name = format!("{}:{}", letter["partition"], letter["offset"]);
            (name, letter["status"].as_str().unwrap().to_owned())
        };
        letters.as_array().unwrap().iter().map(one).collect()
    }

    async fn records(&self, topic: &str, partition: i32) -> Vec<RecordBlock> {
        let at = TopicPartition::new(topic, partition);
        read_tail(&kafka(), &at, StartAt::Beginning).await.unwrap().collect().await.unwrap()
    }

    /// Letter → how many messages of the raw topic were replayed from it.
    async fn replayed(&self) -> BTreeMap<(i32, i64), usize> {
        let mut replayed = BTreeMap::new();
        for partition in 0..2 {
            for block in self.records(&self.raw, partition).await {
                for letter in block.iter().filter_map(|record| replay::letter_of(&record)) {
                    *replayed.entry(letter).or_default() += 1;
                }
            }
        }
        replayed
    }

    /// Says that the raw partition is decided up to an offset.
    async fn decide(&self, partition: i32, source_offset: i64) {
        let batch = ValidatedBatch {
            tenant_id: "northgrid",
            device_id: "dev-1",
            gateway_id: "",
            sequence: 1,
            received_at: None,
            source: Source::Kafka,
            customer_id: None,
            site_id: None,
            source_partition: partition,
            source_offset,
            decision_offset: -1,
            validated_at: 1,
            rules: &[],
            readings: &[],
            rejections: &[],
        };
        let id = registry().register(&format!("{}-value", self.validated), VALIDATED_BATCH.avsc).await.unwrap();
        let (mut datum, mut payload) = (Vec::new(), Vec::new());
        encode::validated_batch(&batch, &mut datum);
        frame(id, &datum, &mut payload);
        let record = ProducerRecord {
            topic: &self.validated,
            partition: Some(partition),
            payload: Some(&payload),
            ..ProducerRecord::default()
        };
        self.producer.send_all([record]).await.unwrap();
    }
}

fn payloads(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|number| vec![0xff, 0, number]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_go_back_unchanged_and_once() {
    let post = Post::new().await;
    post.set_aside(1, &payloads(3), "UNKNOWN_DEVICE").await;
    let dry = post.json(&["replay", "--reason", "unknown_device", "--dry-run"]).await;
    assert_eq!((dry["taken"].as_array().unwrap().len(), post.replayed().await.len()), (3, 0));

    let report = post.json(&["replay", "--reason", "UNKNOWN_DEVICE", "--device", "dev-1", "--from", "1h"]).await;
    assert_eq!(report["taken"][0]["to"], json!([1, 3]), "{report}");
    assert_eq!(post.replayed().await, (0..3).map(|offset| ((1, offset), 1)).collect());
    let raw = post.records(&post.raw, 1).await;
    let raw: Vec<_> = raw.iter().flat_map(|block| block.iter()).collect();
    for (first, again) in raw[..3].iter().zip(&raw[3..]) {
        assert_eq!((first.key, first.payload), (again.key, again.payload));
        let (kept, added) = again.headers.split_at(first.headers.len());
        assert_eq!(kept, first.headers, "with the null, and the one that is named as one of ours");
        assert_eq!(added.iter().map(|header| &*header.key).collect::<Vec<_>>(), ["x-replay-count", "x-replay-of"]);
        assert_eq!(again.header(replay::REPLAY_COUNT), Some(&b"1"[..]));
    }

    let again = post.json(&["replay", "--all"]).await;
    assert_eq!((&again["taken"], &again["left"]), (&json!([]), &json!({ "replayed": 3 })));
    assert!(post.statuses().await.values().all(|status| status == "replayed"), "not decided yet");
    post.decide(1, 5).await;
    assert!(post.statuses().await.values().all(|status| status == "resolved"));
    let everything = post.dlq(&["replay"]).await;
    assert_eq!(everything.code, 64, "nobody means that by mistake: {everything:?}");
    post.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_in_the_middle_is_continued_without_a_second_message() {
    let post = Post::new().await;
    post.set_aside(0, &payloads(30), "TRUNCATED").await;
    let mut doomed = tokio::process::Command::new(env!("CARGO_BIN_EXE_meterway"))
        .args(post.arguments(&["replay", "--all", "--rate", "8"]))
        .env_clear()
        .envs(&post.settings)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while post.replayed().await.len() < 5 {
        assert!(Instant::now() < deadline, "the run sends nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    doomed.kill().await.unwrap();
    let sent = post.replayed().await.len();
    assert!(sent < 30, "it was not killed in the middle");

    // As long as it may be at work, nobody interferes.
    let waits = post.dlq(&["replay", "--all", "--json"]).await;
    assert_eq!((waits.code, &waits.json()["left"]), (1, &json!({ "claimed": 30 })), "{waits:?}");
    let rest = post.json(&["replay", "--all", "--claim-timeout", "0s"]).await;
    let outcomes: Vec<_> =
        rest["taken"].as_array().unwrap().iter().map(|done| done["outcome"].as_str().unwrap()).collect();
    let found = outcomes.iter().filter(|outcome| **outcome == "was replayed by a run that stopped").count();
    assert_eq!((outcomes.len(), found), (30, sent));
    assert_eq!(post.replayed().await, (0..30).map(|offset| ((0, offset), 1)).collect(), "each once");
    assert!(post.statuses().await.values().all(|status| status == "replayed"));
    post.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_runs_that_compete_one_sends() {
    let post = Post::new().await;
    post.set_aside(0, &payloads(40), "TRUNCATED").await;
    post.set_aside(1, &payloads(20), "TRUNCATED").await;
    let run = || post.dlq(&["replay", "--all", "--json"]);
    let runs = tokio::join!(run(), run(), run());
    let taken: usize = [runs.0, runs.1, runs.2].iter().map(|run| run.json()["taken"].as_array().unwrap().len()).sum();
    let replayed = post.replayed().await;
    assert!(replayed.values().all(|times| *times == 1), "{replayed:?}");
    assert_eq!((replayed.len(), taken), (60, 60));
    post.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_set_aside_again_and_again_stops_going_round() {
    let post = Post::new().await;
    post.set_aside(0, &payloads(1), "TRUNCATED").await;
    let letters = DeadLetters::new(post.producer.clone(), &post.letters, "validate", "validate");
    for round in 1..=3u32 {
        let report = post.json(&["replay", "--status", "open"]).await;
        assert_eq!(report["taken"].as_array().unwrap().len(), 1, "round {round}: {report}");
        // As validate does with what is no better than before.
        let raw = post.records(&post.raw, 0).await;
        let last = raw.last().unwrap();
        let last = last.get(last.len() - 1);
        assert_eq!(replay::count(&last), round);
        letters.send(&last, &TopicPartition::new(&*post.raw, 0), "TRUNCATED", "why").await.unwrap();
    }
    let stopped = post.dlq(&["replay", "--status", "open", "--json"]).await;
    assert_eq!((stopped.code, &stopped.json()["left"]), (1, &json!({ "too_often": 1 })), "{stopped:?}");
    let table = post.dlq(&["list"]).await.stdout;
    assert!(table.contains("open, replayed 3×"), "{table}");
    let first = post.json(&["list", "0:0"]).await;
    assert_eq!((&first[0]["status"], &first[0]["became"]), (&json!("replayed"), &json!("0:3")), "{first}");
    post.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_letters_say_who_and_why_and_keep_their_bytes() {
    let post = Post::new().await;
    post.set_aside(0, &payloads(2), "TRUNCATED").await;
    post.set_aside(1, &payloads(1), "BAD_ENUM").await;
    let why = ["--because", "meters re-read by hand", "--by", "operator"];
    let dry = post.json(&[&["drop", "--reason", "TRUNCATED", "--dry-run"], &why[..]].concat()).await;
    assert_eq!(dry["taken"].as_array().unwrap().len(), 2);
    assert!(post.statuses().await.values().all(|status| status == "open"), "a dry run");
    let dropped = post.json(&[&["drop", "--reason", "TRUNCATED", "--limit", "1"], &why[..]].concat()).await;
    assert_eq!(dropped["taken"][0]["letter"], json!("0:0"), "the oldest");
    post.json(&[&["drop", "0:1"], &why[..]].concat()).await;

    let statuses = post.statuses().await;
    assert_eq!(statuses.values().collect::<Vec<_>>(), ["dropped", "dropped", "open"]);
    let shown = post.json(&["show", "0:0"]).await;
    assert_eq!((&shown["payload_hex"], &shown["by"]), (&json!("ff0000"), &json!("operator")));
    assert_eq!((&shown["because"], &shown["status"]), (&json!("meters re-read by hand"), &json!("dropped")));
    assert!(post.dlq(&["show", "0:0"]).await.stdout.contains("dropped by operator at "));
    let summary = post.json(&["list", "--summary"]).await;
    assert_eq!((&summary[0]["letters"], &summary[0]["open"]), (&json!(2), &json!(0)), "{summary}");

    let left = post.json(&["replay", "--all"]).await;
    assert_eq!((left["taken"].as_array().unwrap().len(), &left["left"]), (1, &json!({ "dropped": 2 })));
    let after_all = post.json(&["replay", "0:1", "--again"]).await;
    assert_eq!(after_all["taken"][0]["outcome"], json!("replayed"), "dropping is no deletion");
    assert_eq!(post.statuses().await["0:1"], "replayed");
    post.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_duplicates_and_copies_are_left_alone() {
    let post = Post::new().await;
    post.set_aside(0, &payloads(1), "DUPLICATE").await;
    post.set_aside(0, &payloads(1), "TRUNCATED").await;
    let letters = DeadLetters::new(post.producer.clone(), &post.letters, "parquet-sink", "readings");
    let again = |topic: &str, offset: i64| {
        let mut block = RecordBlockBuilder::new(topic, 0);
        block.push(offset, 0, Some(b"dev-1"), Some(b"\xff"), &[]);
        (block.build(), TopicPartition::new(topic, 0))
    };
    let (block, at) = again(&post.raw, 1);
    letters.send(&block.get(0), &at, "TRUNCATED", "written by a process that died").await.unwrap();
    let (block, at) = again(&post.validated, 7);
    letters.send(&block.get(0), &at, "TRUNCATED", "a decision").await.unwrap();
    let run = post.dlq(&["replay", "--all", "--json"]).await;
    assert_eq!(run.code, 1, "somebody has to see to the decision: {run:?}");
    assert_eq!(run.json()["taken"][0]["letter"], json!("0:1"));
    assert_eq!(run.json()["left"], json!({ "resolved": 1, "copy": 1, "decision": 1 }));
    let named = post.json(&["replay", "--reason", "DUPLICATE", "--stage", "validate"]).await;
    assert_eq!(named["taken"].as_array().unwrap().len(), 1, "whoever names them wants them");
    post.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_no_letters_are_no_danger() {
    let post = Post::new().await;
    let headers: [(&str, &[u8]); 2] = [("x-dlq-mark", b"burnt"), ("x-dlq-letter", b"x")];
    let stranger = ProducerRecord {
        topic: &post.letters,
        partition: Some(0),
        payload: Some(b"?"),
        headers: &headers,
        ..ProducerRecord::default()
    };
    post.producer.send_all([stranger, ProducerRecord { headers: &[], ..stranger }]).await.unwrap();
    let run = post.dlq(&["replay", "--all", "--json"]).await;
    assert_eq!((run.code, &run.json()["left"]), (1, &json!({ "no_source": 1 })), "{run:?}");
    assert_eq!(post.statuses().await.values().collect::<Vec<_>>(), ["open"]);
    let unused = unique("cli_no_such");
    let no_topic = meterway(&post.settings, &["dlq", "drop", "--all", "--because", "x", "--topic", &unused]).await;
    assert_eq!(no_topic.code, 70, "{no_topic:?}");
    post.remove().await;
}

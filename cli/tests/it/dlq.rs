//! `dlq`: letters as validate writes them, found, counted and shown.

use crate::support::{Run, Settings, kafka, meterway, registry, remove_topics, settings, topic};
use kafka_pipeline::{DeadLetters, Header, Producer, ProducerConfig, RecordBlockBuilder, TopicPartition, frame};
use meterway_schemas::READING_BATCH;
use serde_json::json;
use test_support::unique;

/// A batch of tenant northgrid and device northgrid-e-00001, without the frame.
fn golden() -> Vec<u8> {
    let digits: Vec<u8> =
        include_str!("../../../schemas/golden/reading_batch.v1.hex").bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A topic with three letters: `0:0` a good batch of a device nobody knows, `1:0` the same cut off, `1:1` no bytes.
struct DeadLetterBox {
    topic: String,
    settings: Settings,
    whole: Vec<u8>,
}

impl DeadLetterBox {
    async fn with_three_letters() -> Self {
        let id = registry().register(&format!("{}-value", unique("cli_dlq")), READING_BATCH.avsc).await.unwrap();
        let mut whole = Vec::new();
        frame(id, &golden(), &mut whole);
        let letters = Self { topic: topic("cli_dlq", 2).await, settings: settings(), whole };
        let cut = &letters.whole[..letters.whole.len() - 3];
        letters
            .send((0, 977), b"northgrid-e-00001", Some(&letters.whole), "UNKNOWN_DEVICE", "not in the register")
            .await;
        letters.send((1, 4), b"gateway\x1b[2J", Some(cut), "TRUNCATED", "ends inside a value").await;
        letters.send((1, 5), b"other", None, "NULL_PAYLOAD", "there is no payload").await;
        letters
    }

    async fn send(
        &self,
        (partition, offset): (i32, i64),
        key: &[u8],
        payload: Option<&[u8]>,
        code: &str,
        message: &str,
    ) {
        let producer = Producer::new(&kafka(), &ProducerConfig::default()).unwrap();
        let letters = DeadLetters::new(producer, &self.topic, "validate", "validate");
        let trace = Header { key: "traceparent".into(), value: Some(bytes::Bytes::from_static(b"00-abc-01")) };
        let mut block = RecordBlockBuilder::new("raw", partition);
        block.push(offset, 0, Some(key), payload, &[trace]);
        let block = block.build();
        letters.send(&block.get(0), &TopicPartition::new("raw", partition), code, message).await.unwrap();
    }

    async fn dlq(&self, arguments: &[&str]) -> Run {
        meterway(&self.settings, &[&["dlq"], arguments, &["--topic", &self.topic]].concat()).await
    }

    /// The letters that a list with these filters shows, as `partition:offset`.
    async fn listed(&self, filters: &[&str]) -> Vec<String> {
        let run = self.dlq(&[&["list", "--json"], filters].concat()).await;
        assert_eq!(run.code, 0, "{run:?}");
        let name = |letter: &serde_json::Value| format!("{}:{}", letter["partition"], letter["offset"]);
        run.json().as_array().unwrap().iter().map(name).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_found_by_what_is_asked_for() {
    let letters = DeadLetterBox::with_three_letters().await;
    assert_eq!(letters.listed(&[]).await, ["0:0", "1:0", "1:1"]);
    assert_eq!(letters.listed(&["--reason", "truncated", "--reason", "NULL_PAYLOAD"]).await, ["1:0", "1:1"]);
    assert_eq!(letters.listed(&["--limit", "1"]).await, ["1:1"], "the newest");
    assert_eq!(letters.listed(&["--tenant", "northgrid"]).await, ["0:0"], "the others tell no tenant");
    assert_eq!(letters.listed(&["--tenant", "lakeside"]).await, [""; 0]);
    assert_eq!(letters.listed(&["--device", "northgrid-e-00001"]).await, ["0:0"]);
    assert_eq!(letters.listed(&["--device", "other"]).await, ["1:1"], "a device by its key");
    assert_eq!(letters.listed(&["--since", "1h"]).await.len(), 3);
    assert_eq!(letters.listed(&["--since", "2999-01-01"]).await, [""; 0]);
    assert_eq!(letters.listed(&["--until", "1h"]).await, [""; 0]);
    remove_topics(&[&letters.topic]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_counts_are_for_people_and_for_programs() {
    let letters = DeadLetterBox::with_three_letters().await;
    let table = letters.dlq(&["list"]).await;
    assert!(table.stdout.contains("raw[0] offset 977") && table.stdout.contains("UNKNOWN_DEVICE"), "{table:?}");
    assert!(!table.stdout.contains('\u{1b}'), "keys of strangers must not reach the terminal as they are: {table:?}");
    assert_eq!(table.stderr, "3 of 3 letters\n");

    let summary = letters.dlq(&["list", "--summary", "--json"]).await.json();
    let codes: Vec<_> = summary.as_array().unwrap().iter().map(|count| count["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["NULL_PAYLOAD", "TRUNCATED", "UNKNOWN_DEVICE"]);
    assert_eq!((&summary[2]["letters"], &summary[2]["bytes"]), (&json!(1), &json!(letters.whole.len())));
    remove_topics(&[&letters.topic]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_shown_with_its_bytes_and_what_they_say() {
    let letters = DeadLetterBox::with_three_letters().await;
    let shown = letters.dlq(&["show", "0:0", "--json"]).await.json();
    assert_eq!(shown["payload_hex"], json!(hex(&letters.whole)));
    assert_eq!(shown["headers"][0], json!({ "key": "traceparent", "text": "00-abc-01", "hex": hex(b"00-abc-01") }));
    assert_eq!(shown["source"], json!({ "topic": "raw", "partition": 0, "offset": 977 }));
    assert_eq!(shown["content"]["name"], json!("meterway.v1.ReadingBatch"));
    assert_eq!(shown["content"]["value"]["readings"][0]["value"], json!("0.254000"));

    let text = letters.dlq(&["show", "1:0"]).await.stdout;
    assert!(text.contains("x-error-code") && text.contains("|northgrid"), "{text}");
    assert!(text.contains("cannot be read as meterway.v1.ReadingBatch"), "{text}");
    let nothing = letters.dlq(&["show", "1:1"]).await;
    assert!(nothing.code == 0 && nothing.stdout.contains("the message has no value"), "{nothing:?}");
    remove_topics(&[&letters.topic]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_saved_unchanged_and_no_file_is_overwritten() {
    let letters = DeadLetterBox::with_three_letters().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.bin");
    let saved = letters.dlq(&["show", "0:0", "--save", path.to_str().unwrap()]).await;
    assert_eq!(saved.code, 0, "{saved:?}");
    assert_eq!(std::fs::read(&path).unwrap(), letters.whole);
    let again = letters.dlq(&["show", "1:0", "--save", path.to_str().unwrap()]).await;
    assert_eq!(again.code, 64, "{again:?}");
    assert_eq!(std::fs::read(&path).unwrap(), letters.whole);
    remove_topics(&[&letters.topic]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_apart_by_the_exit_code() {
    let letters = DeadLetterBox::with_three_letters().await;
    for (letter, why) in [("9:0", "has 2 partitions"), ("0:7", "ends before offset 1")] {
        let run = letters.dlq(&["show", letter]).await;
        assert!(run.code == 1 && run.stdout.is_empty() && run.stderr.contains(why), "{letter}: {run:?}");
    }
    assert_eq!(letters.dlq(&["show", "0-7"]).await.code, 2);
    let no_topic = meterway(&letters.settings, &["dlq", "list", "--topic", &unique("cli_dlq")]).await;
    assert!(no_topic.code == 70 && no_topic.stderr.contains("does not exist"), "{no_topic:?}");
    let no_broker = meterway(&Settings::new(), &["dlq", "list"]).await;
    assert!(no_broker.code == 64 && no_broker.stderr.contains("KAFKA_BOOTSTRAP"), "{no_broker:?}");
    remove_topics(&[&letters.topic]).await;
}

//! `lake`: heads are shown and moved, and nothing that anybody needs is removed.

use crate::support::{Run, Settings, kafka, lake_config, meterway, remove_topics, settings};
use kafka_pipeline::{
    Admin, NextOffset, Producer, ProducerConfig, ProducerRecord, TopicPartition, TopicSpec, topic_id,
};
use lake::{Advance, CommitRequest, Head, HeadKey, Lake, LakeTable, tables};
use serde_json::json;
use std::collections::BTreeMap;
use test_support::unique;
use uuid::Uuid;

/// A topic of one partition, and a table that has taken in some of it.
struct Fixture {
    topic: String,
    settings: Settings,
    table: LakeTable,
}

impl Fixture {
    async fn new(table: &str, records: usize, head: i64) -> Self {
        let topic = unique("cli_lake");
        create(&topic).await;
        fill(&topic, records).await;
        let config = lake_config("cli_lake");
        let mut settings = settings();
        settings.insert("ICEBERG_CATALOG_NAME", config.catalog.name.clone());
        settings.insert("ICEBERG_NAMESPACE", config.namespace.clone());
        let lake = Lake::connect(&config).await.unwrap();
        let spec = tables::all().into_iter().find(|spec| spec.name == table).unwrap();
        let table = lake.open_or_create(&spec).await.unwrap();
        let key = HeadKey::new(&topic, &topic_id(&kafka(), &topic).await.unwrap().0, 0);
        let to = Head { next: head, watermark: if table.name().ends_with("readings") { head - 1 } else { -1 } };
        let base = table.heads().await.unwrap();
        let advances = vec![Advance { key, from: None, to }];
        table.commit(&CommitRequest { base, commit_id: Uuid::now_v7(), advances, files: vec![] }).await.unwrap();
        Self { topic, settings, table }
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        meterway(&self.settings, &[&["lake"], arguments].concat()).await
    }

    async fn reset(&self, to: &str, more: &[&str]) -> Run {
        let table = self.table.spec().name;
        let arguments =
            ["reset-head", "--json", "--table", table, "--topic", &self.topic, "--reason", "a test", "--to", to];
        self.run(&[&arguments, more].concat()).await
    }

    async fn state(&self) -> (i32, serde_json::Value) {
        let run = self.run(&["heads", "--json", "--table", self.table.spec().name]).await;
        (run.code, run.json()["heads"][0].clone())
    }

    async fn remove_before(&self, offset: i64) {
        let admin = Admin::connect(&kafka()).await.unwrap();
        admin.delete_records(&TopicPartition::new(self.topic.as_str(), 0), NextOffset(offset)).await.unwrap();
    }

    async fn next(&self) -> i64 {
        let heads = self.table.heads().await.unwrap().heads;
        let (_, head) = heads.iter().next().unwrap();
        assert_eq!(heads.len(), 1);
        head.next
    }
}

async fn create(topic: &str) {
    let spec = TopicSpec { name: topic.to_owned(), partitions: 1, replication: 1, configs: BTreeMap::new() };
    let admin = Admin::connect(&kafka()).await.unwrap();
    let mut patience = 100;
    while let Err(error) = admin.create_topic(&spec).await {
        patience -= 1;
        assert!(patience > 0, "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn fill(topic: &str, records: usize) {
    let record = ProducerRecord { topic, partition: Some(0), payload: Some(b"x"), ..ProducerRecord::default() };
    Producer::new(&kafka(), &ProducerConfig::default()).unwrap().send_all(vec![record; records]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_retention_overran_is_shown_and_moved() {
    let fixture = Fixture::new("landing", 20, 5).await;
    let (code, standing) = fixture.state().await;
    assert_eq!((code, &standing["state"], &standing["lag"]), (0, &json!("ok"), &json!(15)));
    fixture.remove_before(12).await;
    let (code, standing) = fixture.state().await;
    assert_eq!((code, &standing["state"], &standing["low"]), (1, &json!("expired"), &json!(12)));
    assert!(standing["detail"].as_str().unwrap().contains("docs/runbooks/retention-overrun.md"));

    let shown = fixture.reset("earliest", &["--dry-run"]).await;
    assert_eq!((shown.code, fixture.next().await), (1, 5), "{shown:?}");
    assert_eq!(shown.json()["gaps"][0]["lost"], json!({ "from": 5, "to": 12 }));
    assert_eq!(fixture.reset("earliest", &[]).await.code, 1, "without --yes nothing is done either");
    let done = fixture.reset("earliest", &["--yes"]).await;
    assert_eq!((done.code, fixture.next().await), (0, 12), "{done:?}");
    let reports = fixture.table.gap_reports().await.unwrap();
    assert_eq!((reports.len(), reports[0].reason.as_str()), (1, "a test"));
    assert_eq!(fixture.state().await.0, 0);
    let again = fixture.reset("earliest", &["--yes"]).await;
    assert_eq!((again.code, again.json()["done"].clone()), (0, json!(false)), "it stands there already");
    assert_eq!(fixture.table.gap_reports().await.unwrap().len(), 1);
    remove_topics(&[&fixture.topic]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_would_double_rows_is_refused_where_no_watermark_prevents_it() {
    let landing = Fixture::new("landing", 20, 15).await;
    let refused = landing.reset("3", &["--yes", "--partition", "0"]).await;
    assert_eq!((refused.code, landing.next().await), (64, 15), "{refused:?}");
    assert!(refused.stderr.contains("would double"), "{refused:?}");
    let outside = landing.reset("21", &["--yes", "--partition", "0"]).await;
    assert!(outside.code == 64 && outside.stderr.contains("is not in the log"), "{outside:?}");

    let readings = Fixture::new("readings", 20, 15).await;
    let forgotten = readings.reset("3", &["--yes", "--source-replaced"]).await;
    assert!(forgotten.code == 64 && forgotten.stderr.contains("watermark"), "{forgotten:?}");
    let moved = readings.reset("3", &["--yes", "--partition", "0"]).await;
    assert_eq!((moved.code, readings.next().await), (0, 3), "{moved:?}");
    assert_eq!(moved.json()["gaps"][0]["now"]["watermark"], json!(14), "the watermark stays");
    remove_topics(&[&landing.topic, &readings.topic]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_created_again_is_shown_and_its_old_heads_are_retired() {
    let fixture = Fixture::new("readings", 8, 8).await;
    remove_topics(&[&fixture.topic]).await;
    create(&fixture.topic).await;
    fill(&fixture.topic, 3).await;
    let (code, standing) = fixture.state().await;
    assert_eq!((code, &standing["state"]), (1, &json!("replaced")));
    let part = fixture.reset("earliest", &["--yes", "--partition", "0"]).await;
    assert!(part.code == 64 && part.stderr.contains("all together"), "{part:?}");
    let done = fixture.reset("earliest", &["--yes"]).await;
    assert_eq!((done.code, fixture.next().await), (0, 0), "{done:?}");
    assert_eq!(done.json()["gaps"][0]["lost_behind"], json!(8));
    let (code, standing) = fixture.state().await;
    assert_eq!(
        (code, &standing["state"], &standing["lag"], &standing["watermark"]),
        (0, &json!("ok"), &json!(3), &json!(7))
    );
    remove_topics(&[&fixture.topic]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_keeps_what_is_young_and_refuses_a_short_grace() {
    let fixture = Fixture::new("landing", 1, 1).await;
    fixture.table.write_companion("load-17.manifest", "{}").await.unwrap();
    let short = fixture.run(&["clean", "--older-than", "90m"]).await;
    assert!(short.code == 64 && short.stderr.contains("10800 s"), "{short:?}");
    let run = fixture.run(&["clean", "--json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let cleaned = &run.json()[0];
    assert_eq!(
        (&cleaned["table"], &cleaned["orphans"], &cleaned["removed"]),
        (&json!("landing"), &json!(0), &json!(0))
    );
    assert!(cleaned["listed"].as_u64().unwrap() >= 4 && cleaned["listed"] == cleaned["young"], "{cleaned}");
    remove_topics(&[&fixture.topic]).await;
}

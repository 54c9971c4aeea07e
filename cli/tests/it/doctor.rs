//! `doctor`: what is well passes, what is not fails with advice, and no secret is printed.

use crate::support::{Run, Settings, Warehouse, dynamodb, meterway, remove_topics, settings};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TimeToLiveSpecification,
};
use serde_json::json;
use test_support::{RacyStore, free_port, unique};

async fn doctor(settings: &Settings, arguments: &[&str]) -> Run {
    meterway(settings, &[&["doctor", "--json"], arguments].concat()).await
}

/// Verdict and check of every finding.
fn findings(run: &Run) -> Vec<(String, String)> {
    let report = run.json();
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
    report["findings"].as_array().unwrap().iter().map(|one| (text(one, "verdict"), text(one, "check"))).collect()
}

fn has(run: &Run, verdict: &str, check: &str) -> bool {
    findings(run).contains(&(verdict.to_owned(), check.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_of_the_stack_keeps_its_promise() {
    let run = doctor(&settings(), &["--only", "store", "--rounds", "1"]).await;
    let expected =
        ["write, read, delete", "conditional writes", "reading role"].map(|check| ("ok".into(), check.into()));
    assert_eq!(findings(&run), expected, "{run:?}");
    assert_eq!(run.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lets_several_writers_win_fails() {
    let (store, mut settings) = (RacyStore::start().await, settings());
    settings.insert("S3_ENDPOINT", store.endpoint());
    let run = doctor(&settings, &["--only", "store", "--rounds", "1"]).await;
    assert!(run.code == 1 && has(&run, "fail", "conditional writes"), "{run:?}");
    assert!(has(&run, "ok", "write, read, delete"), "a test of one writer at a time sees nothing: {run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_write_is_found_before_a_commit_is() {
    let mut settings = settings();
    settings.insert("S3_ACCESS_KEY", settings["S3_READER_ACCESS_KEY"].clone());
    settings.insert("S3_SECRET_KEY", settings["S3_READER_SECRET_KEY"].clone());
    let run = doctor(&settings, &["--only", "store", "--rounds", "1"]).await;
    assert!(run.code == 1 && has(&run, "fail", "write, read, delete"), "{run:?}");
    assert!(run.stdout.contains("s3:GetObject"), "{run:?}");
    assert!(!run.stdout.contains(&settings["S3_SECRET_KEY"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_contracts_fail_until_they_are_applied() {
    let folder = tempfile::tempdir().unwrap();
    let (file, name) = (folder.path().join("topics.toml"), unique("cli_doctor"));
    let text = format!(
        "compatibility = \"FULL_TRANSITIVE\"\n[defaults]\npartitions = 2\nreplication_factor = 1\n\
         min_insync_replicas = 1\ncleanup = \"delete\"\nmax_message = \"1MiB\"\n\
         [[topic]]\nname = \"{name}\"\nretention = \"1h\"\ncontract = \"meterway.v1.ReadingBatch\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let examine = async |more: &[&str]| {
        doctor(&settings(), &[&["--only", "kafka,registry", "--file", file], more].concat()).await
    };
    let before = examine(&[]).await;
    assert_eq!(before.code, 1, "{before:?}");
    assert!(has(&before, "fail", &format!("topic {name}")) && has(&before, "fail", &format!("subject {name}-value")));

    let applied = meterway(&settings(), &["topics", "apply", "--file", file]).await;
    assert_eq!(applied.code, 0, "{applied:?}");
    let after = examine(&[]).await;
    assert!(after.code == 0 && has(&after, "ok", "topics") && has(&after, "ok", "contracts"), "{after:?}");
    let planned = examine(&["--partitions", "48"]).await;
    assert!(planned.code == 1 && has(&planned, "fail", &format!("topic {name}")), "{planned:?}");
    remove_topics(&[&name]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_is_examined_with_its_roles() {
    let warehouse = Warehouse::create().await;
    let mut settings = settings();
    settings.insert("WAREHOUSE_READER_URL", warehouse.reader_url.clone());
    let good = doctor(&settings, &["--only", "warehouse", "--strict"]).await;
    assert!(good.code == 0 && has(&good, "ok", "schema raw"), "{good:?}");

    warehouse.execute("GRANT INSERT ON raw.readings TO reader").await;
    warehouse
        .execute("INSERT INTO raw.load_quarantine VALUES ('readings', 1, 'f', 10, 1, 'bad', now(), NULL, NULL)")
        .await;
    let loose = doctor(&settings, &["--only", "warehouse"]).await;
    assert!(loose.code == 0 && has(&loose, "warn", "reading role"), "{loose:?}");
    assert!(has(&loose, "warn", "files set aside"), "{loose:?}");
    assert_eq!(doctor(&settings, &["--only", "warehouse", "--strict"]).await.code, 1);

    warehouse.execute("REVOKE ALL ON raw.load_ledger FROM reader; DROP TABLE raw.alerts").await;
    let broken = doctor(&settings, &["--only", "warehouse"]).await;
    assert!(
        broken.code == 1 && has(&broken, "fail", "reading role") && has(&broken, "fail", "schema raw"),
        "{broken:?}"
    );
    warehouse.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_the_live_state_need_their_keys_and_indexes() {
    let (status, alerts) = (unique("cli_status"), unique("cli_alerts"));
    let mut settings = settings();
    settings.insert("METERWAY_STATUS_TABLE", status.clone());
    settings.insert("METERWAY_ALERTS_TABLE", alerts.clone());
    let before = doctor(&settings, &["--only", "dynamodb"]).await;
    assert!(before.code == 1 && has(&before, "fail", &format!("table {alerts}")), "{before:?}");

    // The status table gets the wrong key.
    create_table(&status, &["device"], &[]).await;
    create_table(&alerts, &["tenant_id", "alert_id"], &["open_by_tenant", "by_device"]).await;
    let half = doctor(&settings, &["--only", "dynamodb"]).await;
    assert!(half.code == 1 && has(&half, "fail", &format!("table {status}")), "{half:?}");
    assert!(has(&half, "ok", &format!("table {alerts}")) && has(&half, "warn", &format!("time to live of {alerts}")));

    dynamodb().delete_table().table_name(&status).send().await.unwrap();
    create_table(&status, &["pk"], &[]).await;
    let on = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires_at").build().unwrap();
    dynamodb().update_time_to_live().table_name(&alerts).time_to_live_specification(on).send().await.unwrap();
    let good = doctor(&settings, &["--only", "dynamodb", "--strict"]).await;
    assert_eq!(good.code, 0, "{good:?}");
    for table in [status, alerts] {
        dynamodb().delete_table().table_name(table).send().await.unwrap();
    }
}

/// A table whose key attributes, and those of its indexes, are texts.
pub(crate) async fn create_table(table: &str, key: &[&str], indexes: &[&str]) {
    let element = |name: &str, of| KeySchemaElement::builder().attribute_name(name).key_type(of).build().unwrap();
    let definition = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let index = |name: &&str| {
        let all = Projection::builder().projection_type(ProjectionType::All).build();
        let index = GlobalSecondaryIndex::builder().index_name(*name).projection(all);
        index.key_schema(element(&index_key(name), KeyType::Hash)).build().unwrap()
    };
    let kinds = [KeyType::Hash, KeyType::Range];
    let attributes = key.iter().map(|name| (*name).to_owned()).chain(indexes.iter().map(|name| index_key(name)));
    let indexes: Vec<_> = indexes.iter().map(index).collect();
    let request = dynamodb()
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes.map(|name| definition(&name)).collect()))
        .set_key_schema(Some(key.iter().zip(kinds).map(|(name, kind)| element(name, kind)).collect()))
        .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes));
    request.send().await.unwrap();
}

/// Attribute that an index is by.
fn index_key(index: &str) -> String {
    if index == "open_by_tenant" { "open_tenant".to_owned() } else { format!("{index}_key") }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_away_is_passed_over_and_no_secret_is_printed() {
    let away = format!("127.0.0.1:{}", free_port());
    let url = |database: &str| format!("postgresql://user:hush@{away}/{database}");
    let settings = Settings::from([
        ("KAFKA_BOOTSTRAP", away.clone()),
        ("KAFKA_PROPERTIES", "sasl.password=hush".to_owned()),
        ("SCHEMA_REGISTRY_URL", format!("http://key:hush@{away}/")),
        ("S3_ENDPOINT", format!("http://{away}")),
        ("S3_ACCESS_KEY", "hush-key".to_owned()),
        ("S3_SECRET_KEY", "hush".to_owned()),
        ("ICEBERG_CATALOG_URL", url("iceberg")),
        ("WAREHOUSE_READER_URL", url("warehouse")),
        ("DYNAMODB_ENDPOINT", format!("http://{away}")),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "hush-key".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "hush".to_owned()),
        ("METADATA_GRPC_URL", format!("http://{away}")),
        ("METADATA_TOKEN", "hush".to_owned()),
    ]);
    let run = doctor(&settings, &["--timeout", "8"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let report = run.json();
    assert_eq!((&report["ok"], &report["fail"]), (&json!(0), &json!(7)), "{run:?}");
    assert!(report["findings"].as_array().unwrap().iter().all(|finding| finding["do"].is_string()), "{run:?}");
    assert!(!run.stdout.contains("hush") && !run.stderr.contains("hush"), "{run:?}");

    let table = meterway(&settings, &["doctor", "--timeout", "8", "-v"]).await;
    assert!(table.stdout.contains("FAIL") && table.stderr.ends_with("7 checks: 0 ok, 0 to look at, 7 failed\n"));
    assert!(!table.stdout.contains("hush") && !table.stderr.contains("hush"), "{table:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_without_settings_are_warnings_unless_asked_for() {
    let nothing = Settings::new();
    let all = doctor(&nothing, &[]).await;
    assert!(all.code == 0 && all.json()["warn"] == json!(7), "{all:?}");
    let one = doctor(&nothing, &["--only", "registry"]).await;
    assert!(one.code == 1 && one.json()["fail"] == json!(1), "{one:?}");
    assert_eq!(
        doctor(&nothing, &["--skip", "kafka,registry,store,lake,warehouse,dynamodb,metadata"]).await.json()["ok"],
        json!(0)
    );
    assert_eq!(doctor(&nothing, &["--only", "nonsense"]).await.code, 2);
}

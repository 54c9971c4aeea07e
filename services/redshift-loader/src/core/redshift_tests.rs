use super::*;
use crate::core::devices::tests::device;
use crate::core::devices::{DeviceChange, DeviceRows};
use crate::core::job::tests::job;
use crate::core::redshift_devices::upsert_devices;

fn file(name: &str) -> LakeFile {
    LakeFile { path: format!("s3://lake/warehouse/{name}.parquet"), rows: 12, bytes: 3456 }
}

const TIME: &str = "2026-03-29 00:00:00.000001+00";

#[test]
fn the_manifest_names_each_file_with_its_length() {
    insta::assert_snapshot!(manifest(&[file("a"), file("b")]));
}

#[test]
fn a_manifest_is_named_by_its_content() {
    let [whole, half] = [manifest(&[file("a"), file("b")]), manifest(&[file("a")])];
    assert_eq!(manifest_name(77, &whole), manifest_name(77, &whole.clone()));
    assert_ne!(manifest_name(77, &whole), manifest_name(77, &half), "a part never replaces the whole");
}

#[test]
fn the_sql_of_a_load() {
    let job = job(77, Some(76), vec![file("a"), file("b")]);
    let table = LoadTable::named("readings").unwrap();
    let [create, empty] = stage(&table);
    let copy = copy(&table, "s3://lake/loads/77.manifest", "arn:aws:iam::123456789012:role/loader");
    let statements = [
        LOCK.to_owned(),
        next_time(&job.lake_table),
        claim(&job, 0, TIME),
        create,
        empty,
        copy,
        count(&table),
        insert(&table, 77, TIME),
    ];
    insta::assert_snapshot!(statements.join(";\n\n"));
}

#[test]
fn the_sql_of_the_tables() {
    insta::assert_snapshot!(create_tables().join(";\n\n"));
}

#[test]
fn readers_are_granted_by_quoted_names() {
    insta::assert_snapshot!(grants(&["dbt".to_owned(), "b\"i".to_owned()]).join(";\n"));
}

#[test]
fn a_text_cannot_end_its_literal() {
    assert_eq!(literal("a'b\\c\0d"), "'a''b\\\\c\\\\0d'");
}

#[test]
fn the_sql_of_a_quarantined_file() {
    insta::assert_snapshot!(quarantine(&job(77, None, vec![]), &file("a"), "it's broken at C:\\x"));
}

#[test]
fn the_sql_around_the_ledger() {
    let table = "meterway.readings";
    let [resolved, ledger] = resolve(table, 77, &file("a"), TIME);
    let statements = [
        newest(table),
        ledger_row(table, 77),
        quarantined(table),
        retry_requests(table),
        resolved,
        ledger,
        refused_again(table, 77, "s3://lake/a.parquet", "bad"),
        unannounced(10),
        announced(table, 77),
    ];
    insta::assert_snapshot!(statements.join(";\n\n"));
}

#[test]
fn the_sql_of_devices() {
    let changes = [DeviceChange::State(Box::new(device("d'1", 3))), DeviceChange::Erased { device_id: "gone".into() }];
    let statements = upsert_devices(&DeviceRows::from_changes(changes));
    let lines = statements.iter().map(|statement| {
        let counted = if statement.counts { "-- counted\n" } else { "" };
        format!("{counted}{}", statement.sql)
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join(";\n\n"));
}

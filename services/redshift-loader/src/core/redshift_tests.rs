use super::*;
use crate::core::devices::DeviceChange;
use crate::core::devices::tests::device;
use crate::core::job::tests::job;

fn file(name: &str) -> LakeFile {
    LakeFile { path: format!("s3://lake/warehouse/{name}.parquet"), rows: 12, bytes: 3456 }
}

fn script() -> LoadScript {
    let job = job(77, Some(76), vec![file("a"), file("b")]);
    let table = LoadTable::named("readings").unwrap();
    load_script(&table, &job, "s3://lake/loads/77.manifest", "arn:aws:iam::123456789012:role/loader", 0)
}

#[test]
fn the_manifest_names_each_file_with_its_length() {
    insta::assert_snapshot!(manifest(&[file("a"), file("b")]));
}

#[test]
fn the_sql_of_a_load() {
    let LoadScript { lock, claim, stage, copy, count, insert } = script();
    let [create, empty] = stage;
    let statements = [lock, &claim, &create, &empty, &copy, &count, &insert];
    insta::assert_snapshot!(statements.join(";\n\n"));
}

#[test]
fn the_sql_of_the_tables() {
    insta::assert_snapshot!(create_tables().join(";\n\n"));
}

#[test]
fn the_sql_of_a_quarantined_file() {
    insta::assert_snapshot!(quarantine(&job(77, None, vec![]), &file("a"), "it's broken at C:\\x"));
}

#[test]
fn the_sql_around_the_ledger() {
    let table = "meterway.readings";
    let [resolved, ledger] = resolve(table, 77, &file("a"));
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

//! A file that the warehouse refuses is set aside; the others of its snapshot are loaded.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use lake::{LakeFile, LakeTable};
use redshift_loader::core::job::LoadOutcome;
use redshift_loader::core::table::LoadTable;
use redshift_loader::edge::warehouse::Retried;

use crate::fixture::{REDSHIFT_DOUBLE, Target, Warehouses, commit, jobs, load, parquet_file, put_file, rows, table};

/// Rows whose texts PostgreSQL has no room for.
fn rows_with_nul(table: &LoadTable) -> RecordBatch {
    let good = rows(table, "bad", 3);
    let mut columns = good.columns().to_vec();
    let detail = Arc::new(StringArray::from(vec!["fine", "nul \0 inside", "fine"])) as ArrayRef;
    columns[table.spec().position("detail").unwrap()] = detail;
    RecordBatch::try_new(good.schema(), columns).unwrap()
}

#[tokio::test]
async fn a_bad_file_is_set_aside_and_the_others_are_loaded_on_postgres() {
    a_bad_file_is_set_aside_and_the_others_are_loaded(Target::Postgres, "22021").await;
}

#[tokio::test]
async fn a_bad_file_is_set_aside_and_the_others_are_loaded_on_the_redshift_double() {
    a_bad_file_is_set_aside_and_the_others_are_loaded(REDSHIFT_DOUBLE, "Load into table 'staged_rejected' failed")
        .await;
}

async fn a_bad_file_is_set_aside_and_the_others_are_loaded(target: Target, reason: &str) {
    let warehouses = Warehouses::create(target).await;
    let (table, lake) = table("rejected").await;
    let batches = [rows(&table, "a", 10), rows_with_nul(&table), rows(&table, "b", 20)];
    commit(&table, &lake, &batches).await;
    let job = &jobs(&lake).await[0];
    let mut warehouse = warehouses.session();
    let LoadOutcome::Loaded { rows, files, refused } = warehouse.load(&table, &lake, job).await.unwrap() else {
        panic!("the snapshot is new");
    };
    assert_eq!((rows, files, refused.len()), (30, 2, 1));
    assert!(refused[0].reason.starts_with(reason), "{}", refused[0].reason);
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 30);
    assert_eq!(warehouses.value("SELECT rows FROM raw.load_ledger").await, 30);
    assert_eq!(warehouses.value("SELECT quarantined_files::bigint FROM raw.load_ledger").await, 1);
    assert_eq!(warehouses.value("SELECT rows FROM raw.load_quarantine WHERE resolved_at IS NULL").await, 3);
    assert_eq!(warehouse.quarantined(lake.name()).await.unwrap(), 1);
    assert_eq!(warehouse.load(&table, &lake, job).await.unwrap(), LoadOutcome::AlreadyLoaded);
}

#[tokio::test]
async fn a_quarantined_file_is_loaded_once_when_its_obstacle_is_gone() {
    let warehouses = Warehouses::create(Target::Postgres).await;
    let (table, lake) = table("rejected").await;
    commit(&table, &lake, &[rows(&table, "a", 5), rows(&table, "b", 7)]).await;
    let client = warehouses.client().await;
    let obstacle = "ALTER TABLE raw.rejected ADD CONSTRAINT obstacle CHECK (device_id NOT LIKE 'device_id-b-%')";
    client.batch_execute(obstacle).await.unwrap();
    let job = &jobs(&lake).await[0];
    let mut warehouse = warehouses.session();
    warehouse.load(&table, &lake, job).await.unwrap();
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 5);
    assert!(warehouse.retry_requests(lake.name()).await.unwrap().is_empty(), "nobody asked yet");

    let ask = "UPDATE raw.load_quarantine SET retry_requested_at = now()";
    client.batch_execute(ask).await.unwrap();
    let request = warehouse.retry_requests(lake.name()).await.unwrap().pop().unwrap();
    assert_eq!(
        warehouse.retry(&table, &lake, &request).await.unwrap(),
        Retried::Refused,
        "the obstacle is still there"
    );
    assert!(warehouse.retry_requests(lake.name()).await.unwrap().is_empty(), "a request is for one try");

    client.batch_execute("ALTER TABLE raw.rejected DROP CONSTRAINT obstacle").await.unwrap();
    client.batch_execute(ask).await.unwrap();
    for retried in [Retried::Loaded, Retried::Gone] {
        assert_eq!(warehouse.retry(&table, &lake, &request).await.unwrap(), retried);
        assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 12);
    }
    assert_eq!(warehouses.value("SELECT rows FROM raw.load_ledger").await, 12);
    assert_eq!(warehouse.quarantined(lake.name()).await.unwrap(), 0);
    let late = "SELECT count(*) FROM raw.rejected WHERE loaded_at > (SELECT max(loaded_at) FROM raw.load_ledger)";
    assert_eq!(warehouses.value(late).await, 7, "rows that come late are seen by whoever reads what came after");
}

/// The content of a file that is bad in some way, and how many rows the lake says it has.
struct Bad {
    name: &'static str,
    content: Vec<u8>,
    rows: u64,
    /// Part of the reason that PostgreSQL's dialect gives, and Redshift's double.
    reasons: [&'static str; 2],
}

fn bad_files(table: &LoadTable) -> Vec<Bad> {
    let good = rows(table, "good", 10);
    let whole = parquet_file(&good);
    let fewer_columns = good.project(&(0..good.num_columns() - 1).collect::<Vec<_>>()).unwrap();
    let bad = |name, content, reasons| Bad { name, content, rows: 10, reasons };
    vec![
        bad("truncated.parquet", whole[..whole.len() / 2].to_vec(), ["", "code: 15001"]),
        bad("columns.parquet", parquet_file(&fewer_columns), ["columns", "Unmatched number of columns"]),
        bad("rows.parquet", parquet_file(&good.slice(0, 9)), ["9 rows", "9 rows, the lake's manifest says 10"]),
        bad("text.parquet", b"this is no Parquet file, but it is there".to_vec(), ["", "code: 15001"]),
    ]
}

#[tokio::test]
async fn four_kinds_of_bad_files_cost_no_other_file_and_come_in_when_repaired_on_postgres() {
    four_kinds_of_bad_files_cost_no_other_file_and_come_in_when_repaired(Target::Postgres, 0).await;
}

#[tokio::test]
async fn four_kinds_of_bad_files_cost_no_other_file_and_come_in_when_repaired_on_the_redshift_double() {
    four_kinds_of_bad_files_cost_no_other_file_and_come_in_when_repaired(REDSHIFT_DOUBLE, 1).await;
}

async fn four_kinds_of_bad_files_cost_no_other_file_and_come_in_when_repaired(target: Target, dialect: usize) {
    let warehouses = Warehouses::create(target).await;
    let (table, lake) = table("rejected").await;
    let good: Vec<_> = (0..7).map(|key| rows(&table, &key.to_string(), 10)).collect();
    commit(&table, &lake, &good).await;
    let mut job = jobs(&lake).await.remove(0);
    let bad = bad_files(&table);
    for (position, bad) in bad.iter().enumerate() {
        let file = put_file(&lake, bad.name, bad.content.clone(), bad.rows).await;
        job.files.insert(2 * position + 1, file);
    }
    let mut warehouse = warehouses.session();
    let LoadOutcome::Loaded { rows, files, refused } = warehouse.load(&table, &lake, &job).await.unwrap() else {
        panic!("the snapshot is new");
    };
    assert_eq!((rows, files, refused.len()), (70, 7, 4), "{refused:?}");
    for bad in &bad {
        let refused = refused.iter().find(|refused| refused.file.path.ends_with(bad.name)).unwrap();
        assert!(refused.reason.contains(bad.reasons[dialect]), "{}: {}", bad.name, refused.reason);
    }
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 70);
    assert_eq!(warehouse.load(&table, &lake, &job).await.unwrap(), LoadOutcome::AlreadyLoaded);
    repair_and_retry(&warehouses, (&table, &lake), &bad).await;
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 110);
    assert_eq!(warehouses.value("SELECT rows FROM raw.load_ledger").await, 110);
    assert_eq!(warehouses.value("SELECT files::bigint FROM raw.load_ledger").await, 11);
    assert_eq!(warehouse.quarantined(lake.name()).await.unwrap(), 0);
    let late = "SELECT count(*) FROM raw.rejected WHERE loaded_at > (SELECT max(loaded_at) FROM raw.load_ledger)";
    assert_eq!(warehouses.value(late).await, 40, "rows that come late are seen by whoever reads what came after");
}

/// Puts a whole file in the place of each bad one; three loaders try it at once, and one of them brings it in.
async fn repair_and_retry(warehouses: &Warehouses, (table, lake): (&LoadTable, &LakeTable), bad: &[Bad]) {
    let client = warehouses.client().await;
    for bad in bad {
        let repaired: LakeFile =
            put_file(lake, bad.name, parquet_file(&rows(table, &format!("repaired-{}", bad.name), 10)), 10).await;
        let ask = "UPDATE raw.load_quarantine SET bytes = $2, retry_requested_at = now() WHERE path = $1";
        assert_eq!(client.execute(ask, &[&repaired.path, &(repaired.bytes as i64)]).await.unwrap(), 1);
        let request = warehouses.session().retry_requests(lake.name()).await.unwrap().pop().unwrap();
        let mut sessions = [warehouses.session(), warehouses.session(), warehouses.session()];
        let [first, second, third] = &mut sessions;
        let retried = tokio::join!(
            first.retry(table, lake, &request),
            second.retry(table, lake, &request),
            third.retry(table, lake, &request)
        );
        let mut retried = [retried.0.unwrap(), retried.1.unwrap(), retried.2.unwrap()];
        retried.sort_by_key(|retried| *retried != Retried::Loaded);
        assert_eq!(retried, [Retried::Loaded, Retried::Gone, Retried::Gone], "{}", bad.name);
    }
}

/// A store that does not have the object, or refuses it, is not the file's fault: nothing is set aside, nothing is loaded.
#[tokio::test]
async fn a_missing_object_waits_on_postgres() {
    a_missing_object_waits(Target::Postgres).await;
}

#[tokio::test]
async fn a_missing_object_waits_on_the_redshift_double() {
    a_missing_object_waits(REDSHIFT_DOUBLE).await;
}

async fn a_missing_object_waits(target: Target) {
    let warehouses = Warehouses::create(target).await;
    let (table, lake) = table("rejected").await;
    commit(&table, &lake, &[rows(&table, "a", 5)]).await;
    let mut job = jobs(&lake).await.remove(0);
    let path = format!("{}-gone", job.files[0].path);
    job.files.push(LakeFile { path, rows: 5, bytes: 1 });
    let mut warehouse = warehouses.session();
    for _ in 0..2 {
        let error = warehouse.load(&table, &lake, &job).await.unwrap_err();
        assert!(matches!(error.kind(), "lake" | "failed"), "{error:?}");
    }
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.load_ledger").await, 0);
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.load_quarantine").await, 0);
    job.files.pop();
    assert_eq!(load(&mut *warehouse, &table, &lake, &job).await, 5, "the session is of use again");
}

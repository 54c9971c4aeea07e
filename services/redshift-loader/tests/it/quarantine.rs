//! A file that the warehouse refuses is set aside; the others of its snapshot are loaded.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use redshift_loader::core::job::LoadOutcome;
use redshift_loader::core::table::LoadTable;
use redshift_loader::edge::warehouse::Warehouse;

use crate::fixture::{Warehouses, commit, jobs, rows, table};

/// Rows whose texts PostgreSQL has no room for.
fn rows_with_nul(table: &LoadTable) -> RecordBatch {
    let good = rows(table, "bad", 3);
    let mut columns = good.columns().to_vec();
    let detail = Arc::new(StringArray::from(vec!["fine", "nul \0 inside", "fine"])) as ArrayRef;
    columns[table.spec().position("detail").unwrap()] = detail;
    RecordBatch::try_new(good.schema(), columns).unwrap()
}

#[tokio::test]
async fn a_bad_file_is_set_aside_and_the_others_are_loaded() {
    let warehouses = Warehouses::create().await;
    let (table, lake) = table("rejected").await;
    let batches = [rows(&table, "a", 10), rows_with_nul(&table), rows(&table, "b", 20)];
    commit(&table, &lake, &batches).await;
    let job = &jobs(&lake).await[0];
    let mut warehouse = warehouses.session();
    let LoadOutcome::Loaded { rows, files, refused } = warehouse.load(&table, &lake, job).await.unwrap() else {
        panic!("the snapshot is new");
    };
    assert_eq!((rows, files, refused.len()), (30, 2, 1));
    assert!(refused[0].reason.starts_with("22021"), "{}", refused[0].reason);
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 30);
    assert_eq!(warehouses.value("SELECT rows FROM raw.load_ledger").await, 30);
    assert_eq!(warehouses.value("SELECT quarantined_files::bigint FROM raw.load_ledger").await, 1);
    assert_eq!(warehouses.value("SELECT rows FROM raw.load_quarantine WHERE resolved_at IS NULL").await, 3);
    assert_eq!(warehouse.quarantined(lake.name()).await.unwrap(), 1);
    assert_eq!(warehouse.load(&table, &lake, job).await.unwrap(), LoadOutcome::AlreadyLoaded);
}

#[tokio::test]
async fn a_quarantined_file_is_loaded_once_when_its_obstacle_is_gone() {
    let warehouses = Warehouses::create().await;
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
    assert!(!warehouse.retry(&table, &lake, &request).await.unwrap(), "the obstacle is still there");
    assert!(warehouse.retry_requests(lake.name()).await.unwrap().is_empty(), "a request is for one try");

    client.batch_execute("ALTER TABLE raw.rejected DROP CONSTRAINT obstacle").await.unwrap();
    client.batch_execute(ask).await.unwrap();
    for _ in 0..2 {
        assert!(warehouse.retry(&table, &lake, &request).await.unwrap());
        assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 12);
    }
    assert_eq!(warehouses.value("SELECT rows FROM raw.load_ledger").await, 12);
    assert_eq!(warehouse.quarantined(lake.name()).await.unwrap(), 0);
    let late = "SELECT count(*) FROM raw.rejected WHERE loaded_at > (SELECT max(loaded_at) FROM raw.load_ledger)";
    assert_eq!(warehouses.value(late).await, 7, "rows that come late are seen by whoever reads what came after");
}

//! Loading twice, racing, and losing the answer to a COMMIT all end with every row once.

use redshift_double::{CutAt, Isolation};
use redshift_loader::core::job::LoadOutcome;
use redshift_loader::edge::postgres::PostgresWarehouse;
use redshift_loader::edge::warehouse::{Warehouse, WarehouseError};

use crate::fixture::{
    REDSHIFT_DOUBLE, Target, Warehouses, at_server, commit, jobs, load, rows, run_until_loaded, server_of, settings,
    table,
};
use crate::proxy::Proxy;

#[tokio::test]
async fn every_value_arrives_as_it_was_on_postgres() {
    every_value_arrives_as_it_was(Target::Postgres).await;
}

#[tokio::test]
async fn every_value_arrives_as_it_was_on_the_redshift_double() {
    every_value_arrives_as_it_was(REDSHIFT_DOUBLE).await;
}

async fn every_value_arrives_as_it_was(target: Target) {
    let warehouses = Warehouses::create(target).await;
    let (table, lake) = table("readings").await;
    let snapshot = commit(&table, &lake, &[rows(&table, "a", 8)]).await;
    let job = &jobs(&lake).await[0];
    assert_eq!(load(&mut *warehouses.session(), &table, &lake, job).await, 8);

    let query = "SELECT device_id, start::text, value::text, estimation_method, local_day::text, sequence, received_at::text, \
        reading_index, lake_snapshot_id, loaded_at = (SELECT loaded_at FROM raw.load_ledger) \
        FROM raw.readings ORDER BY reading_index";
    let client = warehouses.client().await;
    client.batch_execute("SET TimeZone = 'UTC'").await.unwrap();
    let loaded = client.query(query, &[]).await.unwrap();
    assert_eq!(loaded.len(), 8);
    let odd = &loaded[5];
    assert_eq!(odd.get::<_, &str>(0), "device_id-a-5");
    assert_eq!(odd.get::<_, &str>(1), "2026-03-29 00:00:00.000005+00");
    assert_eq!(odd.get::<_, &str>(2), "0.000005");
    assert_eq!(odd.get::<_, Option<&str>>(3), None);
    assert_eq!(odd.get::<_, &str>(4), "2026-03-29");
    assert_eq!(odd.get::<_, i64>(5), 5 << 33);
    assert_eq!(odd.get::<_, Option<&str>>(6), None);
    assert_eq!(odd.get::<_, i64>(8), snapshot);
    assert!(odd.get::<_, bool>(9), "rows carry the time of their ledger row");
    assert_eq!(loaded[0].get::<_, &str>(2), "-5.000000");
    assert_eq!(loaded[4].get::<_, Option<&str>>(3), Some("estimation_method-a-4"));
}

#[tokio::test]
async fn loading_a_snapshot_again_adds_nothing_on_postgres() {
    loading_a_snapshot_again_adds_nothing(Target::Postgres).await;
}

#[tokio::test]
async fn loading_a_snapshot_again_adds_nothing_on_the_redshift_double() {
    loading_a_snapshot_again_adds_nothing(REDSHIFT_DOUBLE).await;
}

async fn loading_a_snapshot_again_adds_nothing(target: Target) {
    let warehouses = Warehouses::create(target).await;
    let (table, lake) = table("rejected").await;
    commit(&table, &lake, &[rows(&table, "a", 100), rows(&table, "b", 50)]).await;
    let job = &jobs(&lake).await[0];
    let mut warehouse = warehouses.session();
    assert_eq!(load(&mut *warehouse, &table, &lake, job).await, 150);
    for _ in 0..3 {
        assert_eq!(warehouse.load(&table, &lake, job).await.unwrap(), LoadOutcome::AlreadyLoaded);
    }
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 150);
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.load_ledger").await, 1);
}

#[tokio::test]
async fn snapshots_are_loaded_in_order_and_times_rise_on_postgres() {
    snapshots_are_loaded_in_order_and_times_rise(Target::Postgres).await;
}

#[tokio::test]
async fn snapshots_are_loaded_in_order_and_times_rise_on_the_redshift_double() {
    snapshots_are_loaded_in_order_and_times_rise(REDSHIFT_DOUBLE).await;
}

async fn snapshots_are_loaded_in_order_and_times_rise(target: Target) {
    let warehouses = Warehouses::create(target).await;
    let (table, lake) = table("alerts").await;
    for key in ["a", "b", "c"] {
        commit(&table, &lake, &[rows(&table, key, 3)]).await;
    }
    // A snapshot without rows, as a commit that only moves heads makes it.
    commit(&table, &lake, &[]).await;
    let jobs = jobs(&lake).await;
    let mut warehouse = warehouses.session();
    assert_eq!(load(&mut *warehouse, &table, &lake, &jobs[0]).await, 3);
    let skipped = warehouse.load(&table, &lake, &jobs[2]).await.unwrap_err();
    assert!(matches!(skipped, WarehouseError::OutOfOrder { newest, .. } if newest == Some(jobs[0].snapshot_id)));
    for job in &jobs[1..] {
        load(&mut *warehouse, &table, &lake, job).await;
    }
    assert_eq!(warehouse.newest(lake.name()).await.unwrap(), Some(jobs[3].snapshot_id));
    let rising = "SELECT count(*) FROM (SELECT loaded_at > lag(loaded_at) OVER (ORDER BY load_number) AS rises \
        FROM raw.load_ledger) AS loads WHERE rises";
    assert_eq!(warehouses.value(rising).await, 3);
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.alerts").await, 9);
}

async fn three_racing_loaders_add_every_row_once(target: Target) {
    let warehouses = Warehouses::create(target).await;
    let source = table("readings").await;
    for key in 0..6 {
        commit(&source.0, &source.1, &[rows(&source.0, &key.to_string(), 500)]).await;
    }
    let sessions = (0..3).map(|_| warehouses.session()).collect();
    run_until_loaded(&warehouses, &source, sessions, 6).await;
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.readings").await, 3000);
    assert_eq!(warehouses.value("SELECT count(DISTINCT device_id) FROM raw.readings").await, 3000);
    assert_eq!(warehouses.value("SELECT max(load_number) FROM raw.load_ledger").await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_racing_loaders_add_every_row_once_on_postgres() {
    three_racing_loaders_add_every_row_once(Target::Postgres).await;
}

/// Nothing but the lock keeps the ledger's key unique here.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_racing_loaders_add_every_row_once_on_the_redshift_double() {
    three_racing_loaders_add_every_row_once(Target::RedshiftDouble(Isolation::Snapshot)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_racing_loaders_add_every_row_once_on_the_serializable_redshift_double() {
    three_racing_loaders_add_every_row_once(Target::RedshiftDouble(Isolation::Serializable)).await;
}

/// The session itself reports a lost answer as unknown, neither as done nor as undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_reported_as_unknown() {
    let warehouses = Warehouses::create(Target::Postgres).await;
    let (table, lake) = table("rejected").await;
    commit(&table, &lake, &[rows(&table, "a", 4)]).await;
    let job = &jobs(&lake).await[0];
    let proxy = Proxy::start(server_of(&warehouses.url), [CutAt::AfterCommit]).await;
    let mut warehouse = PostgresWarehouse::new(settings(&at_server(&warehouses.url, &proxy.address.to_string())));
    let error = warehouse.load(&table, &lake, job).await.unwrap_err();
    assert!(matches!(error, WarehouseError::OutcomeUnknown(_)), "{error:?}");
    assert!(warehouse.is_loaded(&job.lake_table, job.snapshot_id).await.unwrap());
    assert_eq!(warehouse.load(&table, &lake, job).await.unwrap(), LoadOutcome::AlreadyLoaded);
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 4);
}

#[tokio::test]
async fn a_snapshot_that_has_expired_is_named() {
    let warehouses = Warehouses::create(Target::Postgres).await;
    let (table, lake) = table("rejected").await;
    commit(&table, &lake, &[rows(&table, "a", 1)]).await;
    let statement = "INSERT INTO raw.load_ledger VALUES ($1, 4711, NULL, 1, 0, 0, 0, now(), now(), now(), NULL)";
    warehouses.client().await.execute(statement, &[&lake.name()]).await.unwrap();
    let newest = warehouses.session().newest(lake.name()).await.unwrap();
    let error = lake.snapshots_after(newest).await.unwrap_err();
    assert!(error.to_string().contains("4711"), "{error}");
    let refused = warehouses.session().load(&table, &lake, &jobs(&lake).await[0]).await.unwrap_err();
    assert!(refused.to_string().contains("4711"), "{refused}");
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 0);
}

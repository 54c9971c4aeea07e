//! Connections that end at every point around a COMMIT, and storms of conflicts: every row once, in both dialects.

use redshift_double::{ConflictAt, CutAt, Fault, Isolation};
use redshift_loader::core::job::LoadOutcome;
use redshift_loader::edge::postgres::PostgresWarehouse;
use redshift_loader::edge::warehouse::{Warehouse, WarehouseError};

use crate::fixture::{
    REDSHIFT_DOUBLE, Target, Warehouses, at_server, commit, jobs, load, rows, run_until_loaded, server_of, settings,
    table,
};
use crate::proxy::Proxy;

/// Each point twice, so that a second cut meets what the first left behind.
const CUTS: [CutAt; 8] = [
    CutAt::Copy,
    CutAt::BeforeCommit,
    CutAt::DuringCommit,
    CutAt::AfterCommit,
    CutAt::DuringCommit,
    CutAt::AfterCommit,
    CutAt::BeforeCommit,
    CutAt::Copy,
];
const SNAPSHOTS: usize = 6;
const ROWS: usize = 40;

/// The rows are there once, and offering every snapshot three times more changes nothing.
async fn every_row_is_there_once(
    warehouses: &Warehouses,
    source: &(redshift_loader::core::table::LoadTable, lake::LakeTable),
) {
    let expected = (SNAPSHOTS * ROWS) as i64;
    let mut session = warehouses.session();
    for round in 0..4 {
        assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, expected, "round {round}");
        assert_eq!(warehouses.value("SELECT count(DISTINCT device_id) FROM raw.rejected").await, expected);
        assert_eq!(warehouses.value("SELECT count(*) FROM raw.load_ledger").await, SNAPSHOTS as i64);
        assert_eq!(warehouses.value("SELECT sum(rows)::bigint FROM raw.load_ledger").await, expected);
        for job in jobs(&source.1).await {
            let again = session.load(&source.0, &source.1, &job).await.unwrap();
            assert_eq!(again, LoadOutcome::AlreadyLoaded);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cut_point_leaves_every_row_once_on_postgres() {
    let warehouses = Warehouses::create(Target::Postgres).await;
    let source = table("rejected").await;
    for key in 0..SNAPSHOTS {
        commit(&source.0, &source.1, &[rows(&source.0, &key.to_string(), ROWS)]).await;
    }
    let proxy = Proxy::start(server_of(&warehouses.url), CUTS).await;
    let session = PostgresWarehouse::new(settings(&at_server(&warehouses.url, &proxy.address.to_string())));
    run_until_loaded(&warehouses, &source, vec![Box::new(session)], SNAPSHOTS as i64).await;
    assert_eq!(proxy.pending(), 0, "every cut was made");
    every_row_is_there_once(&warehouses, &source).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cut_point_leaves_every_row_once_on_the_redshift_double() {
    let warehouses = Warehouses::create(REDSHIFT_DOUBLE).await;
    let source = table("rejected").await;
    for key in 0..SNAPSHOTS {
        commit(&source.0, &source.1, &[rows(&source.0, &key.to_string(), ROWS)]).await;
    }
    for at in CUTS {
        warehouses.double().plan(Fault::Cut(at), 1);
    }
    run_until_loaded(&warehouses, &source, vec![warehouses.session()], SNAPSHOTS as i64).await;
    assert_eq!(warehouses.double().pending(), 0, "every cut was made");
    every_row_is_there_once(&warehouses, &source).await;
}

/// The only snapshot's COMMIT never reached the server: the ledger says so, and it is made again at once. Whoever took silence
/// for success would wait for the next poll here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_did_not_happen_is_made_again_at_once_on_postgres() {
    let warehouses = Warehouses::create(Target::Postgres).await;
    let source = table("rejected").await;
    commit(&source.0, &source.1, &[rows(&source.0, "a", 4)]).await;
    let proxy = Proxy::start(server_of(&warehouses.url), [CutAt::BeforeCommit]).await;
    let session = PostgresWarehouse::new(settings(&at_server(&warehouses.url, &proxy.address.to_string())));
    run_until_loaded(&warehouses, &source, vec![Box::new(session)], 1).await;
    assert_eq!(proxy.pending(), 0);
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_did_not_happen_is_made_again_at_once_on_the_redshift_double() {
    let warehouses = Warehouses::create(REDSHIFT_DOUBLE).await;
    let source = table("rejected").await;
    commit(&source.0, &source.1, &[rows(&source.0, "a", 4)]).await;
    warehouses.double().plan(Fault::Cut(CutAt::BeforeCommit), 1);
    run_until_loaded(&warehouses, &source, vec![warehouses.session()], 1).await;
    assert_eq!(warehouses.double().pending(), 0);
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 4);
}

/// A session says what it knows: nothing was done, or nobody knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_around_the_commit_is_reported_as_unknown_on_the_redshift_double() {
    let warehouses = Warehouses::create(REDSHIFT_DOUBLE).await;
    let (table, lake) = table("rejected").await;
    commit(&table, &lake, &[rows(&table, "a", 4)]).await;
    let job = &jobs(&lake).await[0];
    let mut session = warehouses.session();
    for (at, unknown, loaded) in [
        (CutAt::Copy, false, false),
        (CutAt::BeforeCommit, true, false),
        (CutAt::DuringCommit, true, true),
        (CutAt::AfterCommit, true, true),
    ] {
        if at == CutAt::AfterCommit {
            let client = warehouses.client().await;
            client.batch_execute("DELETE FROM raw.load_ledger; DELETE FROM raw.rejected").await.unwrap();
        }
        warehouses.double().plan(Fault::Cut(at), 1);
        let error = session.load(&table, &lake, job).await.unwrap_err();
        assert_eq!(matches!(error, WarehouseError::OutcomeUnknown(_)), unknown, "{at:?}: {error:?}");
        assert_eq!(session.is_loaded(&job.lake_table, job.snapshot_id).await.unwrap(), loaded, "{at:?}");
        let rows = warehouses.value("SELECT count(*) FROM raw.rejected").await;
        assert_eq!(rows, if loaded { 4 } else { 0 }, "{at:?}");
    }
}

/// Error 1023 wherever a transaction can meet it: nothing was changed, and the next attempt succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn error_1023_is_a_conflict_that_changes_nothing_on_the_redshift_double() {
    let warehouses = Warehouses::create(REDSHIFT_DOUBLE).await;
    let (table, lake) = table("rejected").await;
    commit(&table, &lake, &[rows(&table, "a", 4)]).await;
    let job = &jobs(&lake).await[0];
    let mut session = warehouses.session();
    for at in [ConflictAt::Copy, ConflictAt::Write, ConflictAt::Commit] {
        warehouses.double().plan(Fault::Conflict(at), 1);
        let error = session.load(&table, &lake, job).await.unwrap_err();
        assert!(matches!(error, WarehouseError::Conflict { .. }), "{at:?}: {error:?}");
        assert_eq!(warehouses.value("SELECT count(*) FROM raw.load_ledger").await, 0, "{at:?}");
        assert_eq!(warehouses.value("SELECT count(*) FROM raw.rejected").await, 0, "{at:?}");
    }
    assert_eq!(load(&mut *session, &table, &lake, job).await, 4);
}

/// Three loaders, thirty conflicts and a cut after each kind of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_1023_over_three_loaders_leaves_every_row_once_on_the_redshift_double() {
    let warehouses = Warehouses::create(Target::RedshiftDouble(Isolation::Serializable)).await;
    let source = table("rejected").await;
    for key in 0..SNAPSHOTS {
        commit(&source.0, &source.1, &[rows(&source.0, &key.to_string(), ROWS)]).await;
    }
    for at in [ConflictAt::Commit, ConflictAt::Copy, ConflictAt::Write] {
        warehouses.double().plan(Fault::Conflict(at), 10);
        warehouses.double().plan(Fault::Cut(CutAt::AfterCommit), 1);
    }
    let sessions = (0..3).map(|_| warehouses.session()).collect();
    run_until_loaded(&warehouses, &source, sessions, SNAPSHOTS as i64).await;
    assert_eq!(warehouses.double().pending(), 0, "the whole storm came");
    assert_eq!(warehouses.double().count("conflict_write"), 10);
    every_row_is_there_once(&warehouses, &source).await;
}

/// Notices are read and noted in Redshift's words too.
#[tokio::test]
async fn loads_are_announced_once_on_the_redshift_double() {
    let warehouses = Warehouses::create(REDSHIFT_DOUBLE).await;
    let (table, lake) = table("alerts").await;
    commit(&table, &lake, &[rows(&table, "a", 3)]).await;
    let mut session: Box<dyn Warehouse> = warehouses.session();
    load(&mut *session, &table, &lake, &jobs(&lake).await[0]).await;
    let notices = session.unannounced(10).await.unwrap();
    let [notice] = notices.as_slice() else { panic!("one load, {} notices", notices.len()) };
    assert_eq!((notice.table.as_str(), notice.rows, notice.files), ("raw.alerts", 3, 1));
    assert!(notice.started_at <= notice.finished_at && notice.started_at > crate::fixture::START_MICROS, "{notice:?}");
    session.announced(notice).await.unwrap();
    assert!(session.unannounced(10).await.unwrap().is_empty());
}

//! What nobody needs goes, what anybody may need stays, while a writer is at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use lake::core::orphans::{MIN_GRACE, cutoff_ms};
use lake::{GAP_VERSION, GapReport, Lake, LakeTable, WrittenFile, tables};
use test_support::Stack;
use uuid::Uuid;

use crate::common::{config, count_rows, request, write_rejected};

/// Waits until the store's clock, which has seconds, has left everything written so far behind; an instant after that.
async fn next_instant(lake: &Lake) -> i64 {
    let written = lake.store_now_ms().await.unwrap();
    for _ in 0..100 {
        let now = lake.store_now_ms().await.unwrap();
        if now > written {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the store's clock stands still");
}

fn key(url: &str) -> String {
    url.strip_prefix(&format!("s3://{}/", Stack::from_env().s3_bucket())).unwrap().to_owned()
}

fn keys(files: &[WrittenFile]) -> Vec<String> {
    files.iter().map(|file| key(file.path())).collect()
}

async fn commit(table: &LakeTable, files: Vec<WrittenFile>) {
    let base = table.heads().await.unwrap();
    table.commit(&request(&base, 5, files)).await.unwrap();
}

/// Every row of every snapshot, read from the files as the loader does.
async fn read_everything(table: &LakeTable) -> usize {
    let mut rows = 0;
    for snapshot in table.snapshots_after(None).await.unwrap() {
        for file in snapshot.files {
            let batches: Vec<_> = table.read_file(&file.path).await.unwrap().try_collect().await.unwrap();
            rows += batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>();
        }
    }
    rows
}

#[tokio::test]
async fn orphans_go_and_what_is_needed_or_young_stays() {
    service_runtime::install_crypto_provider();
    let lake = Lake::connect(&config()).await.unwrap();
    let spec = tables::rejected();
    let table = lake.open_or_create(&spec).await.unwrap();
    commit(&table, write_rejected(&table, &[0, 1, 2, 3, 4]).await).await;
    let dead = write_rejected(&table, &[5, 6]).await;
    let snapshot = table.heads().await.unwrap().snapshot_id.unwrap();
    let kept = table.write_companion(&format!("load-{snapshot}.manifest"), "{}").await.unwrap();
    let expired = table.write_companion("load-17.manifest", "{}").await.unwrap();
    let unnamed = table.write_companion("gap-0.json", "{}").await.unwrap();
    let cutoff = next_instant(&lake).await;
    let fresh = write_rejected(&table, &[5, 6, 7, 8, 9]).await;

    let shown = lake.clean(&spec, cutoff, true).await.unwrap();
    let mut found: Vec<_> = shown.orphans.iter().map(|object| object.key.clone()).collect();
    let mut expected: Vec<_> = keys(&dead).into_iter().chain([key(&expired), key(&unnamed)]).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "what no snapshot needs, and nothing else");
    assert_eq!((shown.removed, shown.young), (0, fresh.len() as u64));
    assert!(!found.contains(&key(&kept)));

    let done = lake.clean(&spec, cutoff, false).await.unwrap();
    assert_eq!((done.removed, done.failed.len()), (3 + dead.len() as u64 - 1, 0));
    assert_eq!(lake.clean(&spec, cutoff, false).await.unwrap().orphans, [], "a second time there is nothing left");
    commit(&table, fresh).await;
    assert_eq!((count_rows(&table).await, read_everything(&table).await), (10, 10));
    assert!(table.read_file(dead[0].path()).await.is_err(), "the orphan is gone");
}

/// As it will be in a day: whatever a snapshot of the table leads to survives, however old.
#[tokio::test]
async fn an_old_table_keeps_everything_that_its_snapshots_lead_to() {
    service_runtime::install_crypto_provider();
    let lake = Lake::connect(&config()).await.unwrap();
    let spec = tables::rejected();
    let table = lake.open_or_create(&spec).await.unwrap();
    for _ in 0..4 {
        commit(&table, write_rejected(&table, &[0, 1, 2]).await).await;
    }
    let base = table.heads().await.unwrap();
    let (id, reason) = (Uuid::now_v7(), "a test".to_owned());
    let report =
        GapReport { v: GAP_VERSION, id, table: table.name().to_owned(), at_micros: 1, reason, gaps: Vec::new() };
    table.move_heads(&base, base.heads.clone(), &report).await.unwrap();
    commit(&table, write_rejected(&table, &[3]).await).await;

    let tomorrow = lake.store_now_ms().await.unwrap() + 86_400_000;
    let done = lake.clean(&spec, cutoff_ms(tomorrow, MIN_GRACE).unwrap(), false).await.unwrap();
    assert_eq!((done.orphans.len(), done.young), (0, 0), "{:?}", done.orphans);
    assert!(done.listed > 5 + 6 * 3, "files, manifests, lists and metadata were looked at: {}", done.listed);
    assert_eq!(read_everything(&table).await, 13);
    assert_eq!(table.gap_reports().await.unwrap(), [report]);
    let again = lake.open(&spec).await.unwrap();
    assert_eq!(again.heads().await.unwrap(), table.heads().await.unwrap());
}

/// A writer commits all the while; a clean-up whose cutoff is always as late as it may be takes nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_at_work_is_not_disturbed() {
    service_runtime::install_crypto_provider();
    let lake = Lake::connect(&config()).await.unwrap();
    let spec = tables::rejected();
    let table = lake.open_or_create(&spec).await.unwrap();
    // When the writer began what it has not committed yet.
    let begun = Arc::new(AtomicI64::new(0));
    let writing = tokio::spawn({
        let (lake, table, begun) = (lake.clone(), table.clone(), Arc::clone(&begun));
        async move {
            for _ in 0..12 {
                begun.store(lake.store_now_ms().await.unwrap(), Ordering::SeqCst);
                // An orphan beside every commit.
                write_rejected(&table, &[0]).await;
                commit(&table, write_rejected(&table, &[0, 1, 2, 3, 4]).await).await;
            }
        }
    });
    let mut removed = 0;
    while !writing.is_finished() {
        removed += lake.clean(&spec, begun.load(Ordering::SeqCst), false).await.unwrap().removed;
    }
    writing.await.unwrap();
    let cutoff = next_instant(&lake).await;
    removed += lake.clean(&spec, cutoff, false).await.unwrap().removed;
    assert_eq!(removed, 12, "every orphan and nothing else");
    assert_eq!(read_everything(&table).await, 60);
}

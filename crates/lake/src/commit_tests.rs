//! Commits against the library's in-process catalog, with answers that get lost on the way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use iceberg::memory::{MEMORY_CATALOG_WAREHOUSE, MemoryCatalogBuilder};
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::{
    Catalog, CatalogBuilder, Error, ErrorKind, Namespace, NamespaceIdent, Result, TableCommit, TableCreation,
    TableIdent,
};
use uuid::Uuid;

use crate::core::gap::{GAP_VERSION, GapReport};
use crate::core::heads::{Advance, Head, HeadKey};
use crate::core::orphans::MAX_UNCOMMITTED_AGE;
use crate::core::reset::{Feed, Log, Target, plan};
use crate::tables;
use crate::{CommitError, CommitRequest, LakeError, LakeTable, TableHeads, WrittenFile};

/// A catalog whose answer to a commit can be lost, after or before the commit took place.
#[derive(Debug)]
struct Unreliable {
    inner: Arc<dyn Catalog>,
    lose_answer: AtomicBool,
    lose_request: AtomicBool,
}

#[async_trait]
impl Catalog for Unreliable {
    async fn load_table(&self, table: &TableIdent) -> Result<Table> {
        self.inner.load_table(table).await
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        let lost = || Err(Error::new(ErrorKind::Unexpected, "connection reset"));
        if self.lose_request.swap(false, Ordering::Relaxed) {
            return lost();
        }
        let table = self.inner.update_table(commit).await?;
        if self.lose_answer.swap(false, Ordering::Relaxed) { lost() } else { Ok(table) }
    }

    async fn create_table(&self, namespace: &NamespaceIdent, creation: TableCreation) -> Result<Table> {
        self.inner.create_table(namespace, creation).await
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        self.inner.create_namespace(namespace, properties).await
    }

    async fn list_namespaces(&self, _: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        unreachable!("commits do not ask for this")
    }

    async fn get_namespace(&self, _: &NamespaceIdent) -> Result<Namespace> {
        unreachable!("commits do not ask for this")
    }

    async fn namespace_exists(&self, _: &NamespaceIdent) -> Result<bool> {
        unreachable!("commits do not ask for this")
    }

    async fn update_namespace(&self, _: &NamespaceIdent, _: HashMap<String, String>) -> Result<()> {
        unreachable!("commits do not ask for this")
    }

    async fn drop_namespace(&self, _: &NamespaceIdent) -> Result<()> {
        unreachable!("commits do not ask for this")
    }

    async fn list_tables(&self, _: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        unreachable!("commits do not ask for this")
    }

    async fn drop_table(&self, _: &TableIdent) -> Result<()> {
        unreachable!("commits do not ask for this")
    }

    async fn purge_table(&self, _: &TableIdent) -> Result<()> {
        unreachable!("commits do not ask for this")
    }

    async fn table_exists(&self, _: &TableIdent) -> Result<bool> {
        unreachable!("commits do not ask for this")
    }

    async fn rename_table(&self, _: &TableIdent, _: &TableIdent) -> Result<()> {
        unreachable!("commits do not ask for this")
    }

    async fn register_table(&self, _: &TableIdent, _: String) -> Result<Table> {
        unreachable!("commits do not ask for this")
    }
}

struct Fixture {
    catalog: Arc<Unreliable>,
    table: LakeTable,
}

async fn fixture() -> Fixture {
    let properties = HashMap::from([(MEMORY_CATALOG_WAREHOUSE.to_owned(), "memory:///lake".to_owned())]);
    let memory = MemoryCatalogBuilder::default().load("memory", properties).await.unwrap();
    let catalog = Arc::new(Unreliable {
        inner: Arc::new(memory),
        lose_answer: AtomicBool::new(false),
        lose_request: AtomicBool::new(false),
    });
    let namespace = NamespaceIdent::new("meterway".to_owned());
    catalog.create_namespace(&namespace, HashMap::new()).await.unwrap();
    let spec = tables::rejected();
    let creation = TableCreation::builder()
        .name(spec.name.to_owned())
        .schema(spec.iceberg_schema().as_ref().clone())
        .partition_spec(spec.partition_spec())
        .build();
    let opened = catalog.create_table(&namespace, creation).await.unwrap();
    let shared: Arc<dyn Catalog> = Arc::<Unreliable>::clone(&catalog);
    let table = LakeTable::new(shared, spec, opened).unwrap();
    Fixture { catalog, table }
}

fn key() -> HeadKey {
    HeadKey::new("meter.readings.validated.v1", "id-1", 0)
}

/// Moves the head of partition 0 by ten records; adds no files, which the outcome of a commit does not depend on.
fn ten_more(base: &TableHeads) -> CommitRequest {
    let from = base.heads.get(&key()).unwrap().map(|head| head.next);
    let next = from.unwrap_or(0) + 10;
    let advance = Advance { key: key(), from, to: Head { next, watermark: next - 1 } };
    CommitRequest { base: base.clone(), commit_id: Uuid::now_v7(), advances: vec![advance], files: vec![] }
}

fn position(heads: &TableHeads) -> Option<i64> {
    heads.heads.get(&key()).unwrap().map(|head| head.next)
}

#[tokio::test]
async fn heads_move_with_the_commits() {
    let Fixture { table, .. } = fixture().await;
    let mut base = table.heads().await.unwrap();
    assert_eq!((base.snapshot_id, position(&base)), (None, None));
    for expected in [10, 20, 30] {
        let request = ten_more(&base);
        let committed = table.commit(&request).await.unwrap();
        assert_eq!(committed.heads.commit_id, Some(request.commit_id));
        assert_eq!(committed.heads, table.heads().await.unwrap(), "what the commit says is what the table says");
        assert_eq!(position(&committed.heads), Some(expected));
        base = committed.heads;
    }
}

#[tokio::test]
async fn a_commit_on_an_older_snapshot_is_stale() {
    let Fixture { table, .. } = fixture().await;
    let base = table.heads().await.unwrap();
    let first = table.commit(&ten_more(&base)).await.unwrap();
    let error = table.commit(&ten_more(&base)).await.unwrap_err();
    assert!(
        matches!(error, CommitError::Stale { expected: None, current } if current == Some(first.snapshot_id)),
        "{error:?}"
    );
    assert_eq!(position(&table.heads().await.unwrap()), Some(10));
}

#[tokio::test]
async fn a_lost_answer_is_found_by_its_commit_id() {
    let Fixture { catalog, table } = fixture().await;
    let base = table.heads().await.unwrap();
    catalog.lose_answer.store(true, Ordering::Relaxed);
    let request = ten_more(&base);
    let committed = table.commit(&request).await.expect("the commit took place, only its answer was lost");
    assert_eq!(committed.heads, table.heads().await.unwrap());
    // A second attempt of the same request, as after a crash of the caller, is done as well and adds nothing.
    let again = table.commit(&request).await.unwrap();
    assert_eq!(again.snapshot_id, committed.snapshot_id);
    assert_eq!(table.snapshots_after(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lost_request_can_be_made_again() {
    let Fixture { catalog, table } = fixture().await;
    let base = table.heads().await.unwrap();
    catalog.lose_request.store(true, Ordering::Relaxed);
    let request = ten_more(&base);
    assert!(matches!(table.commit(&request).await, Err(CommitError::Unknown(_))));
    assert_eq!(position(&table.commit(&request).await.unwrap().heads), Some(10));
}

#[tokio::test]
async fn our_commit_is_found_behind_those_of_others() {
    let Fixture { catalog, table } = fixture().await;
    let base = table.heads().await.unwrap();
    let request = ten_more(&base);
    let ours = table.commit(&request).await.unwrap();
    append_without_heads(&catalog, &table).await;
    let found = table.commit(&request).await.expect("our commit is among the ancestors");
    assert_eq!(found.snapshot_id, ours.snapshot_id);
    assert_ne!(found.heads.snapshot_id, Some(ours.snapshot_id), "the next commit has to go on top of the others'");
    assert_eq!(position(&found.heads), Some(10));
}

#[tokio::test]
async fn a_request_that_contradicts_its_base_is_refused() {
    let Fixture { table, .. } = fixture().await;
    let base = table.heads().await.unwrap();
    let mut request = ten_more(&base);
    request.advances[0].from = Some(3);
    assert!(matches!(table.commit(&request).await, Err(CommitError::Refused(_))));
    assert!(table.snapshots_after(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn heads_are_found_behind_snapshots_without() {
    let Fixture { catalog, table } = fixture().await;
    let base = table.heads().await.unwrap();
    table.commit(&ten_more(&base)).await.unwrap();
    append_without_heads(&catalog, &table).await;
    append_without_heads(&catalog, &table).await;
    let heads = table.heads().await.unwrap();
    assert_eq!(position(&heads), Some(10));
    assert_eq!(position(&table.commit(&ten_more(&heads)).await.unwrap().heads), Some(20));
}

#[tokio::test]
async fn data_without_heads_is_refused() {
    let Fixture { catalog, table } = fixture().await;
    write_foreign_row(&catalog, &table).await;
    let error = table.heads().await.unwrap_err();
    assert!(matches!(error, LakeError::DataWithoutHeads { .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn snapshots_are_listed_from_where_one_stopped() {
    let Fixture { table, .. } = fixture().await;
    let mut base = table.heads().await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..4 {
        let committed = table.commit(&ten_more(&base)).await.unwrap();
        ids.push(committed.snapshot_id);
        base = committed.heads;
    }
    let listed = |snapshots: Vec<crate::SnapshotFiles>| snapshots.iter().map(|s| s.snapshot_id).collect::<Vec<_>>();
    assert_eq!(listed(table.snapshots_after(None).await.unwrap()), ids);
    assert_eq!(listed(table.snapshots_after(Some(ids[1])).await.unwrap()), ids[2..]);
    assert!(table.snapshots_after(Some(ids[3])).await.unwrap().is_empty());
    let unknown = table.snapshots_after(Some(-5)).await.unwrap_err();
    assert!(matches!(unknown, LakeError::UnknownSnapshot { snapshot_id: -5, .. }), "{unknown:?}");
}

#[tokio::test]
async fn a_file_that_may_have_been_cleaned_up_is_not_committed() {
    let Fixture { table, .. } = fixture().await;
    let base = table.heads().await.unwrap();
    let mut request = ten_more(&base);
    let aged = |files: Vec<WrittenFile>, by| files.into_iter().map(|file| file.aged(by)).collect();
    request.files = aged(one_row(&table).await, MAX_UNCOMMITTED_AGE + Duration::from_secs(1));
    assert!(matches!(table.commit(&request).await, Err(CommitError::TooOld)));
    assert_eq!(table.heads().await.unwrap(), base);
    request.files = aged(one_row(&table).await, MAX_UNCOMMITTED_AGE / 2);
    let committed = table.commit(&request).await.unwrap();
    request.files = aged(request.files, MAX_UNCOMMITTED_AGE);
    let again = table.commit(&request).await.expect("what was committed in time stays committed");
    assert_eq!(again.snapshot_id, committed.snapshot_id);
}

#[tokio::test]
async fn heads_moved_by_hand_leave_a_report_and_overtake_writers() {
    let Fixture { catalog, table } = fixture().await;
    let base = table.commit(&ten_more(&table.heads().await.unwrap())).await.unwrap().heads;
    let log = Log { key: key(), low: 25, high: 40, cut: None };
    let planned = plan(&base.heads, (&[log], true), Target::Earliest, Feed::Decisions { renewed: false }).unwrap();
    let report = GapReport {
        v: GAP_VERSION,
        id: Uuid::now_v7(),
        table: table.name().to_owned(),
        at_micros: 1,
        reason: "retention was shorter than the outage".to_owned(),
        gaps: planned.gaps,
    };
    catalog.lose_answer.store(true, Ordering::Relaxed);
    let (moved, url) = table.move_heads(&base, planned.heads.clone(), &report).await.expect("found by its id");
    assert!(url.ends_with(&format!("/metadata/companions/gap-{}.json", report.id)), "{url}");
    assert_eq!((position(&moved.heads), moved.heads.commit_id), (Some(25), Some(report.id)));
    assert!(matches!(table.commit(&ten_more(&base)).await, Err(CommitError::Stale { .. })), "the writer begins anew");
    let stale = table.move_heads(&base, planned.heads, &GapReport { id: Uuid::now_v7(), ..report.clone() }).await;
    assert!(matches!(stale, Err(CommitError::Stale { .. })), "{stale:?}");
    assert_eq!(table.gap_reports().await.unwrap(), [report], "of the two only the one that took effect counts");
    assert_eq!(position(&table.commit(&ten_more(&moved.heads)).await.unwrap().heads), Some(35));
    assert_eq!(table.gap_reports().await.unwrap().len(), 1, "and it stays");
}

/// What a compaction by another engine looks like to us: a snapshot that says nothing of heads.
async fn append_without_heads(catalog: &Arc<Unreliable>, table: &LakeTable) {
    let loaded = catalog.load_table(table.opened.identifier()).await.unwrap();
    let transaction = Transaction::new(&loaded);
    let properties = HashMap::from([("engine".to_owned(), "another".to_owned())]);
    let action = transaction.fast_append().set_snapshot_properties(properties);
    action.apply(transaction).unwrap().commit(catalog.as_ref()).await.unwrap();
}

async fn one_row(table: &LakeTable) -> Vec<WrittenFile> {
    use arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
    let text = || Arc::new(StringArray::from(vec!["x"]));
    let int = || Arc::new(Int32Array::from(vec![0]));
    let time = TimestampMicrosecondArray::from(vec![0]).with_timezone("+00:00");
    let columns: Vec<arrow::array::ArrayRef> =
        vec![text(), text(), text(), int(), Arc::new(Int64Array::from(vec![0])), int(), text(), text(), Arc::new(time)];
    let batch = RecordBatch::try_new(table.spec().arrow_schema(), columns).unwrap();
    let mut writer = table.file_writer(crate::PartitionValue::Day(0)).await.unwrap();
    writer.write(&batch).await.unwrap();
    writer.close().await.unwrap()
}

async fn write_foreign_row(catalog: &Arc<Unreliable>, table: &LakeTable) {
    let files = one_row(table).await;
    let loaded = catalog.load_table(table.opened.identifier()).await.unwrap();
    let transaction = Transaction::new(&loaded);
    let action = transaction.fast_append().add_data_files(files.iter().map(|file| file.data_file().clone()));
    action.apply(transaction).unwrap().commit(catalog.as_ref()).await.unwrap();
}

//! A lake of its own for every test, and rows for it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use lake::{
    Advance, CommitRequest, Head, HeadKey, Lake, LakeConfig, LakeTable, PartitionValue, TableHeads, WrittenFile,
};
use test_support::Stack;
use uuid::Uuid;

pub(crate) fn config() -> LakeConfig {
    serde_json::from_value(Stack::from_env().lake("laketest")).unwrap()
}

pub(crate) async fn lake() -> Lake {
    service_runtime::install_crypto_provider();
    Lake::connect(&config()).await.unwrap()
}

pub(crate) fn key(partition: i32) -> HeadKey {
    HeadKey::new("meter.readings.validated.v1", "topic-id-1", partition)
}

/// Rows of `rejected` whose source offsets are `offsets`.
pub(crate) fn rejected_rows(table: &LakeTable, offsets: &[i64]) -> RecordBatch {
    let n = offsets.len();
    let text = |value: &str| Arc::new(StringArray::from(vec![value; n])) as ArrayRef;
    let time = TimestampMicrosecondArray::from(vec![1_000_000; n]).with_timezone("+00:00");
    let columns: Vec<ArrayRef> = vec![
        text("northgrid"),
        text("device-1"),
        text("meter.readings.raw.v1"),
        Arc::new(Int32Array::from(vec![0; n])),
        Arc::new(Int64Array::from(offsets.to_vec())),
        Arc::new(Int32Array::from(vec![-1; n])),
        text("TRUNCATED"),
        text("ends inside a value"),
        Arc::new(time),
    ];
    RecordBatch::try_new(table.spec().arrow_schema(), columns).unwrap()
}

pub(crate) async fn write_rejected(table: &LakeTable, offsets: &[i64]) -> Vec<WrittenFile> {
    let mut writer = table.file_writer(PartitionValue::Day(0)).await.unwrap();
    writer.write(&rejected_rows(table, offsets)).await.unwrap();
    writer.close().await.unwrap()
}

/// A request that moves the head of partition 0 by `count` records and adds the files.
pub(crate) fn request(base: &TableHeads, count: i64, files: Vec<WrittenFile>) -> CommitRequest {
    let from = base.heads.get(&key(0)).unwrap().map(|head| head.next);
    let next = from.unwrap_or(0) + count;
    let advance = Advance { key: key(0), from, to: Head { next, watermark: next - 1 } };
    CommitRequest { base: base.clone(), commit_id: Uuid::now_v7(), advances: vec![advance], files }
}

/// All rows of all snapshots, as the loader would see them.
pub(crate) async fn count_rows(table: &LakeTable) -> u64 {
    let snapshots = table.snapshots_after(None).await.unwrap();
    snapshots.iter().flat_map(|snapshot| &snapshot.files).map(|file| file.rows).sum()
}

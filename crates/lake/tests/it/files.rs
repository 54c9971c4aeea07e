//! What was written comes back, by snapshot and file.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Decimal128Type, Field, Int32Type, Int64Type, Schema, TimestampMicrosecondType};
use futures::TryStreamExt;
use lake::{LakeError, LakeTable, PartitionValue, RowTest, tables, tenant_bucket};

use crate::common::{lake, rejected_rows, request, write_rejected};

#[tokio::test]
async fn added_files_are_listed_per_snapshot_and_read_back() {
    let table = lake().await.open_or_create(&tables::rejected()).await.unwrap();
    let mut base = table.heads().await.unwrap();
    for offsets in [&[0, 1, 2][..], &[3, 4][..]] {
        let files = write_rejected(&table, offsets).await;
        let count = i64::try_from(offsets.len()).unwrap();
        base = table.commit(&request(&base, count, files)).await.unwrap().heads;
    }
    let snapshots = table.snapshots_after(None).await.unwrap();
    assert_eq!(snapshots.iter().map(|s| s.files.len()).collect::<Vec<_>>(), [1, 1]);
    assert!(snapshots[0].sequence_number < snapshots[1].sequence_number);
    assert_eq!(snapshots[1].parent, Some(snapshots[0].snapshot_id));
    assert_eq!(snapshots[1].commit_id, base.commit_id);
    let file = &snapshots[1].files[0];
    assert_eq!(file.rows, 2);
    let batches: Vec<RecordBatch> = table.read_file(&file.path).await.unwrap().try_collect().await.unwrap();
    assert_eq!(batches[0].columns(), rejected_rows(&table, &[3, 4]).columns());
}

#[tokio::test]
async fn readings_keep_their_values_and_types() {
    let table = lake().await.open_or_create(&tables::readings()).await.unwrap();
    let bucket = tenant_bucket("northgrid", tables::TENANT_BUCKETS);
    let mut writer = table.file_writer(PartitionValue::DayBucket { day: 20_000, bucket }).await.unwrap();
    let batch = readings(&table);
    writer.write(&batch).await.unwrap();
    let files = writer.close().await.unwrap();
    assert_eq!((files.len(), files[0].rows()), (1, 3));
    assert!(files[0].path().contains(&format!("tenant_id_bucket={bucket}")), "{}", files[0].path());
    let committed = table.commit(&request(&table.heads().await.unwrap(), 3, files)).await.unwrap();
    let snapshots = table.snapshots_after(None).await.unwrap();
    assert_eq!(snapshots[0].snapshot_id, committed.snapshot_id);
    let path = &snapshots[0].files[0].path;
    let read: Vec<RecordBatch> = table.read_file(path).await.unwrap().try_collect().await.unwrap();
    let read = &read[0];
    assert_eq!(read.column(6).as_primitive::<Decimal128Type>().values(), &[1_250_000, -1, 999_999_999_999_999_999]);
    assert_eq!(read.column(4).as_primitive::<TimestampMicrosecondType>().value(2), START + 2);
    assert_eq!(read.column(25).as_primitive::<Int64Type>().value(0), 77);
    assert_eq!(read.column(1).as_string::<i32>().value(1), "device-b", "dictionaries come back as text");
    assert!(read.column(16).is_null(0) && !read.column(12).is_null(1));
}

#[tokio::test]
async fn several_processes_may_create_a_table_at_once() {
    let lake = lake().await;
    let spec = tables::alerts();
    let opened = futures::future::join_all((0..4).map(|_| lake.open_or_create(&spec))).await;
    for table in opened {
        assert!(table.unwrap().name().ends_with(".alerts"));
    }
}

#[tokio::test]
async fn a_table_of_an_older_release_gets_the_columns_it_lacks_and_its_rows_stay_readable() {
    let lake = lake().await;
    let (now, mut then) = (tables::readings(), tables::readings());
    then.columns = &now.columns[..now.columns.len() - 1];
    let old = lake.open_or_create(&then).await.unwrap();
    let bucket = tenant_bucket("northgrid", tables::TENANT_BUCKETS);
    let partition = PartitionValue::DayBucket { day: 20_000, bucket };
    let write = async |table: &LakeTable| {
        let mut writer = table.file_writer(partition).await.unwrap();
        writer.write(&readings(table)).await.unwrap();
        let files = writer.close().await.unwrap();
        table.commit(&request(&table.heads().await.unwrap(), 3, files)).await.unwrap();
    };
    write(&old).await;
    // Whoever only reads opens it as it is; whoever writes makes it whole, several at once too.
    lake.open(&now).await.unwrap();
    let opened = futures::future::join_all((0..3).map(|_| lake.open_or_create(&now))).await;
    let new = opened.into_iter().map(Result::unwrap).next_back().unwrap();
    write(&new).await;
    let live = new.live_files().await.unwrap();
    assert_eq!(live.files.iter().map(|file| (file.partition, file.file.rows)).collect::<Vec<_>>(), [(partition, 3); 2]);
    let mut revisions = Vec::new();
    for file in &live.files {
        let only = RowTest {
            columns: &["device_id"],
            test: Box::new(|batch| {
                let devices = batch.column(0).as_string::<i32>();
                Ok(devices.iter().map(|device| Some(device == Some("device-b"))).collect())
            }),
        };
        let rows = new.read_rows(&file.file.path, &["start", "revision"], Some(only)).await.unwrap();
        for batch in rows.try_collect::<Vec<RecordBatch>>().await.unwrap() {
            assert_eq!(batch.column_by_name("start").unwrap().len(), 1);
            let revision = batch.column_by_name("revision");
            revisions.push(revision.map(|column| column.as_primitive::<Int64Type>().value(0)));
        }
    }
    revisions.sort_unstable();
    assert_eq!(revisions, [None, Some(5)], "an old file has no such column");
}

#[tokio::test]
async fn a_table_with_other_columns_is_refused() {
    let lake = lake().await;
    lake.open_or_create(&tables::rejected()).await.unwrap();
    let mut other = tables::rejected();
    other.columns = &tables::rejected().columns[..8];
    other.partitioning = lake::Partitioning::Day("validated_at");
    let error = lake.open(&other).await.unwrap_err();
    assert!(matches!(error, LakeError::SchemaMismatch { .. }), "{error:?}");
}

#[tokio::test]
async fn a_value_of_another_partitioning_is_refused() {
    let table = lake().await.open_or_create(&tables::rejected()).await.unwrap();
    let error = table.file_writer(PartitionValue::DayBucket { day: 0, bucket: 0 }).await.unwrap_err();
    assert!(matches!(error, LakeError::Config(_)), "{error:?}");
}

const START: i64 = 20_000 * 86_400_000_000;

fn readings(table: &LakeTable) -> RecordBatch {
    let keys = Int32Array::from(vec![0, 1, 0]);
    let devices = DictionaryArray::new(keys, Arc::new(StringArray::from(vec!["device-a", "device-b"])));
    let time = |values: Vec<Option<i64>>| {
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone("+00:00")) as ArrayRef
    };
    let text = |value: &str| Arc::new(StringArray::from(vec![value; 3])) as ArrayRef;
    let int = || Arc::new(Int32Array::from(vec![1; 3])) as ArrayRef;
    let value = Decimal128Array::from(vec![1_250_000, -1, 999_999_999_999_999_999]).with_precision_and_scale(18, 6);
    let columns: Vec<ArrayRef> = vec![
        text("northgrid"),
        Arc::new(devices),
        text("1-0:1.8.0"),
        text("REGISTER"),
        time(vec![Some(START), Some(START + 1), Some(START + 2)]),
        int(),
        Arc::new(value.unwrap()),
        text("kWh"),
        text("VALID"),
        text(""),
        text(""),
        text(""),
        Arc::new(StringArray::from(vec![None, Some("linear"), None])),
        int(),
        Arc::new(Date32Array::from(vec![20_000; 3])),
        text("ELECTRICITY"),
        Arc::new(StringArray::from(vec![None::<&str>; 3])),
        text("site-1"),
        text("gateway-1"),
        Arc::new(Int64Array::from(vec![5; 3])),
        text("KAFKA"),
        time(vec![None; 3]),
        time(vec![Some(START); 3]),
        text("meter.readings.raw.v1"),
        int(),
        Arc::new(Int64Array::from(vec![77; 3])),
        int(),
        Arc::new(Int64Array::from(vec![None, Some(5), None])),
    ];
    let columns = columns[..table.spec().columns.len()].to_vec();
    let expected = table.spec().arrow_schema();
    let fields: Vec<Field> = expected
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()))
        .collect();
    let _: &DictionaryArray<Int32Type> = columns[1].as_dictionary();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

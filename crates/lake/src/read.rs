//! Reading a table as it stands: its live files by partition, and some columns of some rows of a file.

use arrow::array::BooleanArray;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use iceberg::arrow::ArrowFileReader;
use iceberg::spec::{DataFile, Literal, ManifestContentType, PrimitiveLiteral};
use parquet::arrow::arrow_reader::{ArrowPredicateFn, RowFilter};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};

use crate::core::partition::PartitionValue;
use crate::error::LakeError;
use crate::scan::{LakeFile, RecordBatchStream};
use crate::table::LakeTable;

/// Rows per batch: so many of `landing` are a few megabytes.
const BATCH_ROWS: usize = 4096;

/// A data file of the table as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFile {
    /// Path, rows and bytes.
    pub file: LakeFile,
    /// Partition that all its rows are of.
    pub partition: PartitionValue,
    /// Iceberg's sequence number of the commit that added it.
    pub sequence_number: i64,
}

/// The live files of a table at one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveFiles {
    /// The snapshot; `None` when there is none yet.
    pub snapshot_id: Option<i64>,
    /// Its files.
    pub files: Vec<LiveFile>,
}

/// Decides which rows of a file are read, by some of its columns.
pub struct RowTest {
    /// Columns that the test looks at.
    pub columns: &'static [&'static str],
    /// True for the rows to read.
    pub test: Box<dyn FnMut(RecordBatch) -> Result<BooleanArray, ArrowError> + Send>,
}

impl std::fmt::Debug for RowTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowTest").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl LakeTable {
    /// The live files of the current snapshot.
    ///
    /// # Errors
    /// [`LakeError::Iceberg`] when catalog or store do not answer, [`LakeError::Config`] when another engine has added
    /// deletes or other partitions.
    pub async fn live_files(&self) -> Result<LiveFiles, LakeError> {
        let table = self.reload().await?;
        let Some(snapshot) = table.metadata().current_snapshot() else { return Ok(LiveFiles::default()) };
        let manifests =
            table.manifest_list_reader(snapshot).load().await.map_err(LakeError::iceberg("read a manifest list"))?;
        let mut files = Vec::new();
        for manifest in manifests.entries() {
            if manifest.content != ManifestContentType::Data {
                return Err(LakeError::Config(format!("{} has delete files, which nobody here writes", self.name())));
            }
            let manifest =
                manifest.load_manifest(table.file_io()).await.map_err(LakeError::iceberg("read a manifest"))?;
            for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
                let file = LakeFile {
                    path: entry.file_path().to_owned(),
                    rows: entry.record_count(),
                    bytes: entry.file_size_in_bytes(),
                };
                let odd = || LakeError::Config(format!("{} has another division than {}", file.path, self.name()));
                let partition = partition_of(entry.data_file()).ok_or_else(odd)?;
                let sequence_number = entry.sequence_number().unwrap_or_default();
                files.push(LiveFile { file, partition, sequence_number });
            }
        }
        Ok(LiveFiles { snapshot_id: Some(snapshot.snapshot_id()), files })
    }

    /// Some columns of the rows of a file that pass a test. Columns that the file lacks are left out.
    ///
    /// # Errors
    /// As [`Self::read_file`].
    pub async fn read_rows(
        &self,
        path: &str,
        columns: &[&str],
        test: Option<RowTest>,
    ) -> Result<RecordBatchStream, LakeError> {
        let input = self.opened.file_io().new_input(path).map_err(LakeError::iceberg("open a file"))?;
        let meta = input.metadata().await.map_err(LakeError::iceberg("look up a file"))?;
        let reader = input.reader().await.map_err(LakeError::iceberg("open a file"))?;
        let owned = path.to_owned();
        let failed = move |source| LakeError::Parquet { path: owned.clone(), source };
        let mut builder =
            ParquetRecordBatchStreamBuilder::new(ArrowFileReader::new(meta, reader)).await.map_err(failed.clone())?;
        let schema = builder.metadata().file_metadata().schema_descr_ptr();
        if let Some(RowTest { columns, test }) = test {
            let mask = ProjectionMask::columns(&schema, columns.iter().copied());
            builder = builder.with_row_filter(RowFilter::new(vec![Box::new(ArrowPredicateFn::new(mask, test))]));
        }
        let mask = ProjectionMask::columns(&schema, columns.iter().copied());
        let stream = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(failed.clone())?;
        Ok(stream.map(move |batch| batch.map_err(&failed)).boxed())
    }
}

fn partition_of(file: &DataFile) -> Option<PartitionValue> {
    let int = |literal: &Option<Literal>| match literal {
        Some(Literal::Primitive(PrimitiveLiteral::Int(value))) => Some(*value),
        _ => None,
    };
    match file.partition().fields() {
        [day] => Some(PartitionValue::Day(int(day)?)),
        [day, bucket] => Some(PartitionValue::DayBucket { day: int(day)?, bucket: int(bucket)? }),
        _ => None,
    }
}

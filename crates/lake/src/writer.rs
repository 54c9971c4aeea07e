//! Parquet files of a table, each holding rows of one partition value.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use iceberg::arrow::FieldMatchMode;
use iceberg::spec::{DataFile, DataFileFormat, Literal, PartitionKey, Struct};
use iceberg::writer::base_writer::data_file_writer::{DataFileWriter, DataFileWriterBuilder};
use iceberg::writer::file_writer::ParquetWriterBuilder;
use iceberg::writer::file_writer::location_generator::{DefaultFileNameGenerator, DefaultLocationGenerator};
use iceberg::writer::file_writer::rolling_writer::RollingFileWriterBuilder;
use iceberg::writer::{IcebergWriter, IcebergWriterBuilder};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use uuid::Uuid;

use crate::core::partition::PartitionValue;
use crate::error::LakeError;
use crate::table::LakeTable;
use crate::tables::{Layout, TableSpec};

/// Rows per row group. Each group repeats the dictionaries: at an eighth of this, files grow by a third.
const ROW_GROUP_ROWS: usize = 1024 * 1024;
/// Bytes of a dictionary before the column falls back to plain, for columns with many long values.
const LARGE_DICTIONARY_BYTES: usize = 8 * 1024 * 1024;
/// Size at which a file is closed and another begun.
const TARGET_FILE_BYTES: usize = 256 * 1024 * 1024;

type Inner = DataFileWriter<ParquetWriterBuilder, DefaultLocationGenerator, DefaultFileNameGenerator>;

/// A file that was written and belongs to no snapshot yet.
#[derive(Debug, Clone)]
pub struct WrittenFile(DataFile);

impl WrittenFile {
    /// Object URL.
    pub fn path(&self) -> &str {
        self.0.file_path()
    }

    /// Rows in the file.
    pub fn rows(&self) -> u64 {
        self.0.record_count()
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.0.file_size_in_bytes()
    }

    pub(crate) fn data_file(&self) -> &DataFile {
        &self.0
    }
}

/// Writes rows of one partition value. Dropping it abandons what was written: nothing of it is visible to anybody.
pub struct FileWriter {
    inner: Inner,
    rows: u64,
}

impl std::fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWriter").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl LakeTable {
    /// A writer for rows of one partition value. The object is created with the first batch.
    ///
    /// # Errors
    /// [`LakeError::Config`] when the value does not have the form of the table's partitions.
    pub async fn file_writer(&self, partition: PartitionValue) -> Result<FileWriter, LakeError> {
        if !self.spec.partitioning.fits(partition) {
            return Err(LakeError::Config(format!("{partition} is no partition of {}", self.name())));
        }
        let metadata = self.opened.metadata();
        let key = PartitionKey::new(
            metadata.default_partition_spec().as_ref().clone(),
            Arc::clone(metadata.current_schema()),
            partition_struct(partition),
        );
        let parquet = ParquetWriterBuilder::new_with_match_mode(
            self.spec.writer_properties(),
            Arc::clone(metadata.current_schema()),
            FieldMatchMode::Name,
        );
        let files = RollingFileWriterBuilder::new(
            parquet,
            TARGET_FILE_BYTES,
            self.opened.file_io().clone(),
            DefaultLocationGenerator::new(metadata).map_err(LakeError::iceberg("choose a place for files"))?,
            // Version 7, so that names sort by time, which helps whoever looks for orphans.
            DefaultFileNameGenerator::new(Uuid::now_v7().to_string(), None, DataFileFormat::Parquet),
        );
        let inner =
            DataFileWriterBuilder::new(files).build(Some(key)).await.map_err(LakeError::iceberg("open a file"))?;
        Ok(FileWriter { inner, rows: 0 })
    }
}

impl FileWriter {
    /// Writes rows. Columns must be those of [`TableSpec::arrow_schema`], by name and order; strings may be dictionaries.
    ///
    /// # Errors
    /// [`LakeError::Iceberg`]; the file is lost then, and the writer of no further use.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.inner.write(batch.clone()).await.map_err(LakeError::iceberg("write to a file"))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Rows written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Finishes the objects. The list is empty when no row was written.
    ///
    /// # Errors
    /// [`LakeError::Iceberg`] when the store did not take the rest; the file is lost then.
    pub async fn close(mut self) -> Result<Vec<WrittenFile>, LakeError> {
        let files = self.inner.close().await.map_err(LakeError::iceberg("close a file"))?;
        Ok(files.into_iter().map(WrittenFile).collect())
    }
}

fn partition_struct(partition: PartitionValue) -> Struct {
    match partition {
        PartitionValue::Day(day) => Struct::from_iter([Some(Literal::date(day))]),
        PartitionValue::DayBucket { day, bucket } => {
            Struct::from_iter([Some(Literal::date(day)), Some(Literal::int(bucket))])
        }
    }
}

impl TableSpec {
    /// How files of the table are encoded.
    pub fn writer_properties(&self) -> WriterProperties {
        let mut builder = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a level of zstd")))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by(concat!("meterway ", env!("CARGO_PKG_VERSION")).to_owned());
        for column in self.columns {
            let path = ColumnPath::from(column.name);
            builder = match column.layout {
                Layout::Dictionary => builder,
                Layout::LargeDictionary => builder.set_column_dictionary_page_size_limit(path, LARGE_DICTIONARY_BYTES),
                Layout::Delta => builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
                Layout::Plain => builder.set_column_dictionary_enabled(path, false),
                Layout::Word => builder.set_column_statistics_enabled(path, EnabledStatistics::None),
                Layout::Opaque => builder
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_statistics_enabled(path, EnabledStatistics::None),
            };
        }
        builder.set_sorting_columns(self.sorting_columns()).build()
    }

    fn sorting_columns(&self) -> Option<Vec<SortingColumn>> {
        let columns: Vec<_> = self
            .sorted_by
            .iter()
            .filter_map(|name| self.position(name))
            .filter_map(|position| i32::try_from(position).ok())
            .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true })
            .collect();
        (!columns.is_empty()).then_some(columns)
    }
}

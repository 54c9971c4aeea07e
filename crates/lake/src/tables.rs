//! The tables of the lake: their columns, partitions and order. The order of the columns is a contract: the warehouse
//! loads by position.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{
    NestedField, NullOrder, PrimitiveType, Schema, SchemaRef, SortDirection, SortField, SortOrder, Transform, Type,
    UnboundPartitionSpec,
};

use crate::core::partition::PartitionValue;

/// Buckets of `readings` by tenant. More buckets make more and smaller files per day; readers of one tenant open one.
pub const TENANT_BUCKETS: u32 = 4;

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    Long,
    /// Calendar date.
    Date,
    /// Microseconds since 1970-01-01, UTC (`timestamptz`).
    Timestamp,
    /// Exact decimal with 18 digits, 6 of them behind the point.
    Decimal,
    /// Bytes.
    Binary,
}

impl ColumnType {
    pub(crate) fn iceberg(self) -> Type {
        Type::Primitive(match self {
            Self::String => PrimitiveType::String,
            Self::Int => PrimitiveType::Int,
            Self::Long => PrimitiveType::Long,
            Self::Date => PrimitiveType::Date,
            Self::Timestamp => PrimitiveType::Timestamptz,
            Self::Decimal => PrimitiveType::Decimal { precision: 18, scale: 6 },
            Self::Binary => PrimitiveType::Binary,
        })
    }
}

/// How the values of a column are laid out in a Parquet file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A dictionary as long as it pays, plain behind it.
    Dictionary,
    /// A dictionary of up to 8 MiB: at 1 MiB, the library's default, ids of 50,000 devices overflow it and double the file.
    LargeDictionary,
    /// Differences: times, offsets and counters.
    Delta,
    /// As they are; zstd does the rest. Best for values rounded to a few digits.
    Plain,
    /// As they are, and without minimum and maximum, which nobody asks of raw bytes.
    Opaque,
    /// A dictionary of a few words that nearly every file has: minimum and maximum would exclude no file, and comparing each
    /// value with them costs as much as writing it.
    Word,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub column_type: ColumnType,
    /// Whether every row has a value.
    pub required: bool,
    pub(crate) layout: Layout,
}

const fn column(name: &'static str, column_type: ColumnType, required: bool) -> Column {
    let layout = match column_type {
        ColumnType::Timestamp | ColumnType::Long => Layout::Delta,
        ColumnType::Decimal => Layout::Plain,
        ColumnType::Binary => Layout::Opaque,
        ColumnType::String | ColumnType::Int | ColumnType::Date => Layout::Dictionary,
    };
    Column { name, column_type, required, layout }
}

const fn required(name: &'static str, column_type: ColumnType) -> Column {
    column(name, column_type, true)
}

const fn optional(name: &'static str, column_type: ColumnType) -> Column {
    column(name, column_type, false)
}

const fn laid_out(column: Column, layout: Layout) -> Column {
    Column { layout, ..column }
}

/// How the rows of a table are divided into partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioning {
    /// `day(column)`.
    Day(
        /// A timestamp column.
        &'static str,
    ),
    /// `day(column), bucket(n, tenant)`.
    DayBucket {
        /// A timestamp column.
        time: &'static str,
        /// A string column.
        tenant: &'static str,
        /// Number of buckets.
        buckets: u32,
    },
}

impl Partitioning {
    /// Whether a value has the form of this partitioning.
    pub(crate) fn fits(self, value: PartitionValue) -> bool {
        matches!(
            (self, value),
            (Self::Day(_), PartitionValue::Day(_)) | (Self::DayBucket { .. }, PartitionValue::DayBucket { .. })
        )
    }
}

/// A table of the lake. Field ids are the positions of the columns, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSpec {
    /// Name, without namespace.
    pub name: &'static str,
    /// Columns in order.
    pub columns: &'static [Column],
    /// Division into partitions.
    pub partitioning: Partitioning,
    /// Columns by which the rows of a file are sorted; empty when they are not.
    pub sorted_by: &'static [&'static str],
}

use ColumnType::{Binary, Date, Decimal, Int, Long, String, Timestamp};

const READINGS: &[Column] = &[
    required("tenant_id", String),
    laid_out(required("device_id", String), Layout::LargeDictionary),
    required("channel", String),
    laid_out(required("kind", String), Layout::Word),
    required("start", Timestamp),
    required("duration_s", Int),
    required("value", Decimal),
    laid_out(required("unit", String), Layout::Word),
    laid_out(required("verdict", String), Layout::Word),
    laid_out(required("failed_rules", String), Layout::Word),
    laid_out(required("skipped_rules", String), Layout::Word),
    laid_out(required("flags", String), Layout::Word),
    laid_out(optional("estimation_method", String), Layout::Word),
    required("version", Int),
    required("local_day", Date),
    laid_out(required("commodity", String), Layout::Word),
    optional("customer_id", String),
    optional("site_id", String),
    required("gateway_id", String),
    required("sequence", Long),
    laid_out(required("source", String), Layout::Word),
    optional("received_at", Timestamp),
    required("validated_at", Timestamp),
    laid_out(required("source_topic", String), Layout::Word),
    required("source_partition", Int),
    required("source_offset", Long),
    laid_out(required("reading_index", Int), Layout::Delta),
    // Behind the first release: tables that were made before have no such column until a sink opens them.
    laid_out(optional("revision", Long), Layout::Dictionary),
];

const REJECTED: &[Column] = &[
    required("tenant_id", String),
    required("device_id", String),
    required("source_topic", String),
    required("source_partition", Int),
    required("source_offset", Long),
    required("reading_index", Int),
    required("code", String),
    required("detail", String),
    required("validated_at", Timestamp),
];

const LANDING: &[Column] = &[
    required("topic", String),
    required("partition", Int),
    required("offset", Long),
    required("timestamp", Timestamp),
    laid_out(optional("key", Binary), Layout::LargeDictionary),
    optional("payload", Binary),
    optional("headers", String),
    required("payload_bytes", Int),
];

const DEAD_LETTERS: &[Column] = &[
    required("topic", String),
    required("partition", Int),
    required("offset", Long),
    required("timestamp", Timestamp),
    required("kind", String),
    optional("source_topic", String),
    optional("source_partition", Int),
    optional("source_offset", Long),
    optional("stage", String),
    optional("code", String),
    optional("message", String),
    required("replays", Int),
    optional("replay_of", String),
    optional("mark_of", Long),
    optional("mark_by", String),
    optional("mark_reason", String),
    laid_out(optional("key", Binary), Layout::LargeDictionary),
    optional("payload", Binary),
    optional("headers", String),
];

const ALERTS: &[Column] = &[
    required("tenant_id", String),
    required("device_id", String),
    optional("customer_id", String),
    optional("site_id", String),
    required("alert_id", String),
    required("kind", String),
    required("severity", String),
    required("state", String),
    required("revision", Int),
    required("opened_at", Timestamp),
    required("updated_at", Timestamp),
    optional("closed_at", Timestamp),
    required("detail", String),
    required("source_partition", Int),
    required("source_offset", Long),
];

/// `readings`: one row per accepted reading and outcome. `reading_index` is the position among the accepted readings of the
/// decision. `revision` is null for rows of the live lane, else the number of the replay that judged the reading again:
/// among the rows of one natural key the newest is that with the highest (version, source offset, revision).
pub fn readings() -> TableSpec {
    TableSpec {
        name: "readings",
        columns: READINGS,
        partitioning: Partitioning::DayBucket { time: "start", tenant: "tenant_id", buckets: TENANT_BUCKETS },
        sorted_by: &["device_id", "channel", "start"],
    }
}

/// `rejected`: one row per rejection; its source coordinates point at the row of `landing` with the bytes.
/// `reading_index` is the position in the raw message, or -1 for the whole message.
pub fn rejected() -> TableSpec {
    TableSpec { name: "rejected", columns: REJECTED, partitioning: Partitioning::Day("validated_at"), sorted_by: &[] }
}

/// `landing`: every raw message as it was, with its coordinates and Kafka's timestamp.
pub fn landing() -> TableSpec {
    TableSpec { name: "landing", columns: LANDING, partitioning: Partitioning::Day("timestamp"), sorted_by: &[] }
}

/// `dead_letters`: every record of the dead-letter topic as it was, bytes included, with its coordinates. `kind` is
/// `letter`, or what a mark beside a letter says was done (`claimed`, `replayed`, `dropped`); `mark_of` is the offset of
/// that letter in the same partition. Source coordinates are those of the rows of `rejected` and `landing`.
pub fn dead_letters() -> TableSpec {
    TableSpec {
        name: "dead_letters",
        columns: DEAD_LETTERS,
        partitioning: Partitioning::Day("timestamp"),
        sorted_by: &[],
    }
}

/// `alerts`: every change of an alert. At least once: (alert_id, revision) identifies a change.
pub fn alerts() -> TableSpec {
    TableSpec { name: "alerts", columns: ALERTS, partitioning: Partitioning::Day("opened_at"), sorted_by: &[] }
}

/// Every table of the lake.
pub fn all() -> [TableSpec; 5] {
    [landing(), readings(), rejected(), dead_letters(), alerts()]
}

impl TableSpec {
    /// The Iceberg schema.
    pub fn iceberg_schema(&self) -> SchemaRef {
        let fields = self.columns.iter().zip(1..).map(|(column, id)| {
            Arc::new(NestedField::new(id, column.name, column.column_type.iceberg(), column.required))
        });
        Arc::new(Schema::builder().with_fields(fields).build().expect("the column lists have no duplicate names"))
    }

    /// The Arrow schema of the batches a [`crate::FileWriter`] takes. String columns may come as dictionaries.
    pub fn arrow_schema(&self) -> ArrowSchemaRef {
        let schema = schema_to_arrow_schema(&self.iceberg_schema()).expect("all column types exist in Arrow");
        Arc::new(schema)
    }

    /// Position of a column, counted from 0.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    fn field_id(&self, name: &str) -> i32 {
        let position = self.position(name).expect("specs name only columns they have");
        i32::try_from(position + 1).expect("a table has few columns")
    }

    /// The partition spec for a new table.
    pub(crate) fn partition_spec(&self) -> UnboundPartitionSpec {
        let builder = UnboundPartitionSpec::builder().with_spec_id(0);
        let (time, bucket) = match self.partitioning {
            Partitioning::Day(time) => (time, None),
            Partitioning::DayBucket { time, tenant, buckets } => (time, Some((tenant, buckets))),
        };
        let mut builder = builder
            .add_partition_field(self.field_id(time), format!("{time}_day"), Transform::Day)
            .expect("the first partition field has no rival");
        if let Some((tenant, buckets)) = bucket {
            builder = builder
                .add_partition_field(self.field_id(tenant), format!("{tenant}_bucket"), Transform::Bucket(buckets))
                .expect("the two partition fields have different names");
        }
        builder.build()
    }

    /// The sort order for a new table; engines that rewrite files keep it.
    pub(crate) fn sort_order(&self) -> SortOrder {
        let mut builder = SortOrder::builder();
        for name in self.sorted_by {
            builder.with_sort_field(
                SortField::builder()
                    .source_id(self.field_id(name))
                    .transform(Transform::Identity)
                    .direction(SortDirection::Ascending)
                    .null_order(NullOrder::First)
                    .build(),
            );
        }
        builder.build_unbound().expect("an order with fields gets an id, one without is unsorted")
    }

    /// Properties for a new table: what other engines that write to it should keep to.
    pub(crate) fn properties(&self) -> HashMap<std::string::String, std::string::String> {
        [
            ("write.format.default", "parquet"),
            ("write.parquet.compression-codec", "zstd"),
            ("write.parquet.compression-level", "1"),
            ("write.target-file-size-bytes", "268435456"),
            ("write.metadata.previous-versions-max", "100"),
            // Readers may be in the middle of a scan of older snapshots; cleaning up is a decision of the operator.
            ("write.metadata.delete-after-commit.enabled", "false"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_keep_their_order() {
        let names: Vec<_> = readings().columns.iter().map(|column| column.name).collect();
        assert_eq!(
            names.join(" "),
            "tenant_id device_id channel kind start duration_s value unit verdict failed_rules skipped_rules flags \
             estimation_method version local_day commodity customer_id site_id gateway_id sequence source received_at \
             validated_at source_topic source_partition source_offset reading_index revision"
        );
        let names: Vec<_> = rejected().columns.iter().map(|column| column.name).collect();
        assert_eq!(
            names.join(" "),
            "tenant_id device_id source_topic source_partition source_offset reading_index code detail validated_at"
        );
    }

    #[test]
    fn every_table_has_a_schema_a_partition_spec_and_an_order() {
        for spec in all() {
            let schema = spec.iceberg_schema();
            assert_eq!(schema.as_struct().fields().len(), spec.columns.len());
            let bound = spec.partition_spec().bind(Arc::clone(&schema)).unwrap();
            let fields = if spec.name == "readings" { 2 } else { 1 };
            assert_eq!(bound.fields().len(), fields, "{}", spec.name);
            assert_eq!(spec.sort_order().fields.len(), spec.sorted_by.len());
            assert_eq!(spec.arrow_schema().fields().len(), spec.columns.len());
        }
    }
}

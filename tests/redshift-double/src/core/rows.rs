//! Arrow rows as the text format of PostgreSQL's COPY, and which Parquet column fits which column of a table.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, BytesMut};

use super::error::RedshiftError;

/// A column of the table that is copied into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Name.
    pub name: String,
    /// Type as PostgreSQL writes it, such as `character varying(65535)`.
    pub sql_type: String,
}

/// Checks a file's columns against the table's: by position and number, as Redshift does. Names do not matter.
///
/// # Errors
/// Code 15007 with what does not fit.
pub fn check_columns(table: &[TableColumn], file: &Schema, url: &str) -> Result<(), RedshiftError> {
    let (expected, found) = (table.len(), file.fields().len());
    if expected != found {
        let context = format!(
            "Unmatched number of columns between table and file. Table columns: {expected}, Data columns: {found}, File name: {url}"
        );
        return Err(RedshiftError::spectrum(15007, context));
    }
    for (column, field) in table.iter().zip(file.fields()) {
        if !fits(&column.sql_type, field.data_type()) {
            let context = format!(
                "File '{url}' has an incompatible Parquet schema for column '{}'. Column type: {}, Parquet schema: {}",
                column.name,
                column.sql_type,
                field.data_type()
            );
            return Err(RedshiftError::spectrum(15007, context));
        }
    }
    Ok(())
}

fn fits(sql_type: &str, found: &DataType) -> bool {
    let plain = sql_type.split('(').next().unwrap_or_default();
    match plain {
        "character varying" | "text" => matches!(found, DataType::Utf8 | DataType::LargeUtf8),
        "smallint" | "integer" => matches!(found, DataType::Int16 | DataType::Int32),
        "bigint" => matches!(found, DataType::Int16 | DataType::Int32 | DataType::Int64),
        "boolean" => matches!(found, DataType::Boolean),
        "date" => matches!(found, DataType::Date32),
        // A columnar COPY does not load `timestamptz`.
        "timestamp without time zone" => matches!(found, DataType::Timestamp(..)),
        "numeric" => matches!(found, DataType::Decimal128(..)),
        "double precision" => matches!(found, DataType::Float64 | DataType::Float32),
        "bytea" => matches!(found, DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_)),
        _ => false,
    }
}

/// Appends a batch's rows.
///
/// # Errors
/// When a value cannot be written as text.
pub fn encode(batch: &RecordBatch, out: &mut BytesMut) -> Result<(), ArrowError> {
    let options = FormatOptions::new();
    let columns = batch.columns();
    let texts = columns.iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        for (number, (column, text)) in columns.iter().zip(&texts).enumerate() {
            if number > 0 {
                out.put_u8(b'\t');
            }
            if column.is_null(row) {
                out.put_slice(b"\\N");
            } else {
                let prefix: &[u8] = if is_binary(column.as_ref()) { b"\\\\x" } else { b"" };
                out.put_slice(prefix);
                escape(&text.value(row).try_to_string()?, out);
            }
        }
        out.put_u8(b'\n');
    }
    Ok(())
}

/// Arrow writes bytes as hexadecimal digits, PostgreSQL reads them so behind `\x`.
fn is_binary(column: &dyn Array) -> bool {
    matches!(column.data_type(), DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_))
}

fn escape(text: &str, out: &mut BytesMut) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.put_slice(b"\\\\"),
            b'\t' => out.put_slice(b"\\t"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            other => out.put_u8(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BinaryArray, Date32Array, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Field, TimeUnit};

    use super::*;

    fn column(name: &str, sql_type: &str) -> TableColumn {
        TableColumn { name: name.into(), sql_type: sql_type.into() }
    }

    #[test]
    fn values_are_written_as_postgres_reads_them() {
        let instant = TimestampMicrosecondArray::from(vec![Some(1_774_742_400_000_005), None]).with_timezone("+00:00");
        let decimal = Decimal128Array::from(vec![-5_000_001, 1]).with_precision_and_scale(18, 6).unwrap();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("text", Arc::new(StringArray::from(vec![Some("a\tb\\c\nd"), None]))),
            ("time", Arc::new(instant)),
            ("value", Arc::new(decimal)),
            ("day", Arc::new(Date32Array::from(vec![20_541, 20_542]))),
            ("long", Arc::new(Int64Array::from(vec![1 << 40, -1]))),
            ("bytes", Arc::new(BinaryArray::from(vec![&[0u8, 255][..], b""]))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let mut out = BytesMut::new();
        encode(&batch, &mut out).unwrap();
        let text = String::from_utf8(out.to_vec()).unwrap();
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("a\\tb\\\\c\\nd\t2026-03-29T00:00:00.000005Z\t-5.000001\t2026-03-29\t1099511627776\t\\\\x00ff")
        );
        assert_eq!(lines.next(), Some("\\N\t\\N\t0.000001\t2026-03-30\t-1\t\\\\x"));
    }

    #[test]
    fn columns_go_by_number_and_position_not_by_name() {
        let table = [column("a", "character varying(65535)"), column("b", "timestamp without time zone")];
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        let file = |types: Vec<DataType>| {
            Schema::new(types.into_iter().map(|t| Field::new("any", t, true)).collect::<Vec<_>>())
        };
        assert_eq!(check_columns(&table, &file(vec![DataType::Utf8, time.clone()]), "s3://a/b"), Ok(()));
        let fewer = check_columns(&table, &file(vec![DataType::Utf8]), "s3://a/b").unwrap_err().detail.unwrap();
        assert!(fewer.contains("Table columns: 2, Data columns: 1"), "{fewer}");
        let swapped = check_columns(&table, &file(vec![time, DataType::Utf8]), "s3://a/b").unwrap_err().detail.unwrap();
        assert!(swapped.contains("incompatible Parquet schema for column 'a'"), "{swapped}");
        let zoned = [column("a", "timestamp with time zone")];
        let time = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert!(check_columns(&zoned, &file(vec![time]), "s3://a/b").is_err(), "a columnar COPY knows no timestamptz");
    }
}

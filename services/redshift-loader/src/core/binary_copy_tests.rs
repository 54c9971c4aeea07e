use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema};
use bytes::Buf;
use proptest::prelude::*;

use super::*;
use crate::core::table::LoadTable;

/// An independent reading of the format: text of the decimal number.
fn numeric_text(mut bytes: &[u8]) -> String {
    let (count, weight, sign, scale) = (bytes.get_i16(), bytes.get_i16(), bytes.get_u16(), bytes.get_i16());
    assert_eq!(scale, 6);
    let group = |position: i16, digits: &[i16]| digits.get(usize::try_from(weight - position).unwrap_or(99)).copied();
    let digits: Vec<i16> = (0..count).map(|_| bytes.get_i16()).collect();
    assert!(bytes.is_empty(), "nothing follows the digits");
    let mut text = String::new();
    for position in (0..=weight.max(0)).rev() {
        text += &format!("{:04}", group(position, &digits).unwrap_or(0));
    }
    let fraction: String = [-1, -2].map(|position| format!("{:04}", group(position, &digits).unwrap_or(0))).concat();
    let whole = text.trim_start_matches('0');
    let sign = if sign == 0x4000 { "-" } else { "" };
    format!("{sign}{}.{}", if whole.is_empty() { "0" } else { whole }, &fraction[..6])
}

fn decimal_text(unscaled: i64) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", unscaled.unsigned_abs() / 1_000_000, unscaled.unsigned_abs() % 1_000_000)
}

fn numeric(unscaled: i128) -> BytesMut {
    let mut out = BytesMut::new();
    put_numeric(unscaled, &mut out);
    let length = out.get_i32();
    assert_eq!(length as usize, out.len(), "the length prefix tells the length");
    out
}

proptest! {
    #[test]
    fn decimals_are_exact(unscaled in -999_999_999_999_999_999_i64..=999_999_999_999_999_999) {
        prop_assert_eq!(numeric_text(&numeric(i128::from(unscaled))), decimal_text(unscaled));
    }

    #[test]
    fn decimals_with_few_digits_are_exact(digits in -2000_i64..2000, zeros in 0_u32..12) {
        let unscaled = digits * 10_i64.pow(zeros);
        prop_assert_eq!(numeric_text(&numeric(i128::from(unscaled))), decimal_text(unscaled));
    }
}

#[test]
fn decimals_have_no_superfluous_digits() {
    assert_eq!(&numeric(0)[..], [0, 0, 0, 0, 0, 0, 0, 6]);
    assert_eq!(&numeric(1_000_000)[..], [0, 1, 0, 0, 0, 0, 0, 6, 0, 1]);
    assert_eq!(&numeric(-1)[..], [0, 1, 0xff, 0xfe, 0x40, 0, 0, 6, 0, 100]);
    assert_eq!(numeric(i128::MAX / 100).len(), 8 + 2 * 10, "the largest decimal128 with room for two more digits");
}

fn one_row(table: &LoadTable) -> RecordBatch {
    let columns: Vec<ArrayRef> = table
        .columns()
        .iter()
        .map(|column| match column.column_type {
            ColumnType::String if !column.required => Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef,
            ColumnType::String => Arc::new(StringArray::from(vec![column.name])),
            ColumnType::Int => Arc::new(Int32Array::from(vec![-7])),
            ColumnType::Long => Arc::new(Int64Array::from(vec![1 << 40])),
            ColumnType::Date => Arc::new(Date32Array::from(vec![EPOCH_DAYS - 1])),
            ColumnType::Timestamp => {
                Arc::new(TimestampMicrosecondArray::from(vec![EPOCH_MICROS + 5]).with_timezone("+00:00"))
            }
            ColumnType::Decimal => {
                Arc::new(Decimal128Array::from(vec![12_500_000]).with_precision_and_scale(18, 6).unwrap())
            }
            ColumnType::Binary => Arc::new(BinaryArray::from(vec![&b"x"[..]])),
        })
        .collect();
    RecordBatch::try_new(table.spec().arrow_schema(), columns).unwrap()
}

#[test]
fn a_row_is_its_fields_by_position_each_with_its_length() {
    let table = LoadTable::named("readings").unwrap();
    let batch = one_row(&table);
    let rows = CopyRows::new(table.columns(), &batch).unwrap();
    let mut out = BytesMut::new();
    rows.encode(0..1, &mut out).unwrap();
    assert_eq!(out.get_i16() as usize, table.columns().len());
    for column in table.columns() {
        let length = out.get_i32();
        let field = if length < 0 { None } else { Some(out.split_to(length as usize)) };
        let expected: Option<&[u8]> = match column.column_type {
            ColumnType::String if !column.required => None,
            ColumnType::String => Some(column.name.as_bytes()),
            ColumnType::Int => Some(&[0xff, 0xff, 0xff, 0xf9]),
            ColumnType::Long => Some(&[0, 0, 1, 0, 0, 0, 0, 0]),
            ColumnType::Date => Some(&[0xff, 0xff, 0xff, 0xff]),
            ColumnType::Timestamp => Some(&[0, 0, 0, 0, 0, 0, 0, 5]),
            ColumnType::Decimal => Some(&[0, 2, 0, 0, 0, 0, 0, 6, 0, 12, 0x13, 0x88]),
            ColumnType::Binary => Some(b"x"),
        };
        assert_eq!(field.as_deref(), expected, "{}", column.name);
    }
    assert!(out.is_empty());
}

#[test]
fn a_file_of_another_shape_is_refused_with_the_column() {
    let table = LoadTable::named("rejected").unwrap();
    let batch = one_row(&table);
    let fewer = batch.project(&[0, 1]).unwrap();
    let error = CopyRows::new(table.columns(), &fewer).unwrap_err();
    assert_eq!(error, EncodeError::ColumnCount { expected: 9, found: 2 });

    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    fields[1] = Field::new("device", DataType::Utf8, false);
    let renamed = RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec()).unwrap();
    let error = CopyRows::new(table.columns(), &renamed).unwrap_err();
    assert_eq!(error.to_string(), "column 2 is device Utf8, the table has device_id String");
}

#[test]
fn a_time_before_postgres_begins_is_refused_with_its_row() {
    let table = LoadTable::named("alerts").unwrap();
    let batch = one_row(&table);
    let mut columns = batch.columns().to_vec();
    let position = table.spec().position("opened_at").unwrap();
    columns[position] = Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN]).with_timezone("+00:00"));
    let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let rows = CopyRows::new(table.columns(), &batch).unwrap();
    let error = rows.encode(0..1, &mut BytesMut::new()).unwrap_err();
    assert_eq!(error, EncodeError::OutOfRange { row: 0, column: "opened_at" });
}

#[test]
fn a_file_from_before_an_optional_column_is_null_there() {
    let columns = LoadTable::named("readings").unwrap().columns();
    let last = columns.len() - 1;
    assert!(!columns[last].required);
    let schema = LoadTable::named("readings").unwrap().spec().arrow_schema();
    let old = RecordBatch::new_empty(Arc::new(schema.project(&(0..last).collect::<Vec<_>>()).unwrap()));
    let rows = CopyRows::new(columns, &old).unwrap();
    assert!(matches!(rows.columns[last], ("revision", Values::Absent)));
    let mut field = BytesMut::new();
    assert_eq!(Values::Absent.put(0, &mut field), Some(()));
    assert_eq!(&field[..], (-1_i32).to_be_bytes());
    let older = RecordBatch::new_empty(Arc::new(schema.project(&(0..last - 1).collect::<Vec<_>>()).unwrap()));
    assert_eq!(
        CopyRows::new(columns, &older).unwrap_err(),
        EncodeError::ColumnCount { expected: columns.len(), found: last - 1 }
    );
}

//! Arrow rows in the binary format of PostgreSQL's `COPY`.
//!
//! A stream is [`HEADER`], any number of encoded rows, [`TRAILER`]. Rows are encoded by position, so the batch must have
//! the columns of the table in its order; names are compared to make a mistake loud.

use std::ops::Range;

use arrow::array::{
    Array, AsArray, BinaryArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use bytes::{BufMut, BytesMut};
use lake::{Column, ColumnType};

/// Signature, flags and length of the (absent) extension.
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// A field count of -1 ends the stream.
pub const TRAILER: &[u8] = &[0xff, 0xff];

/// 2000-01-01T00:00:00Z, PostgreSQL's epoch, in microseconds since 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// The same in days since 1970.
const EPOCH_DAYS: i32 = 10_957;
/// Decimal places of the lake's decimals.
const SCALE: i8 = 6;

/// A batch that does not have the table's columns, or a value that PostgreSQL has no room for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The file has more columns than the table, or lacks one that must have a value.
    #[error("file has {found} columns, the table {expected}")]
    ColumnCount {
        /// Columns of the table.
        expected: usize,
        /// Columns of the file.
        found: usize,
    },
    /// A column has another name or type than the table's column at its place.
    #[error("column {position} is {found}, the table has {expected}")]
    Column {
        /// Position, counted from 1.
        position: usize,
        /// Name and type of the table's column.
        expected: String,
        /// Name and type in the file.
        found: String,
    },
    /// A time or date before PostgreSQL's range.
    #[error("row {row}: {column} is out of range")]
    OutOfRange {
        /// Row within the batch, counted from 0.
        row: usize,
        /// The column.
        column: &'static str,
    },
}

/// A batch whose columns were checked against a table's.
#[derive(Debug)]
pub struct CopyRows<'a> {
    columns: Vec<(&'static str, Values<'a>)>,
    rows: usize,
}

#[derive(Debug)]
enum Values<'a> {
    Text(&'a StringArray),
    Int(&'a Int32Array),
    Long(&'a Int64Array),
    Date(&'a Date32Array),
    Timestamp(&'a TimestampMicrosecondArray),
    Decimal(&'a Decimal128Array),
    Binary(&'a BinaryArray),
    /// The file was written before the column was there.
    Absent,
}

impl<'a> CopyRows<'a> {
    /// Checks a batch.
    ///
    /// # Errors
    /// [`EncodeError::ColumnCount`] or [`EncodeError::Column`].
    pub fn new(columns: &[Column], batch: &'a RecordBatch) -> Result<Self, EncodeError> {
        let behind = columns.get(batch.num_columns()..).unwrap_or_default();
        if columns.len() < batch.num_columns() || behind.iter().any(|column| column.required) {
            return Err(EncodeError::ColumnCount { expected: columns.len(), found: batch.num_columns() });
        }
        let view = |(position, column): (usize, &Column)| {
            if position >= batch.num_columns() {
                return Ok((column.name, Values::Absent));
            }
            let schema = batch.schema_ref();
            let field = schema.field(position);
            let values = (field.name() == column.name).then(|| values(column, batch.column(position))).flatten();
            let named = values.map(|values| (column.name, values));
            named.ok_or_else(|| EncodeError::Column {
                position: position + 1,
                expected: format!("{} {:?}", column.name, column.column_type),
                found: format!("{} {}", field.name(), field.data_type()),
            })
        };
        let columns = columns.iter().enumerate().map(view).collect::<Result<_, _>>()?;
        Ok(Self { columns, rows: batch.num_rows() })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends some of the rows to a buffer.
    ///
    /// # Errors
    /// [`EncodeError::OutOfRange`]; the buffer then ends within a row.
    pub fn encode(&self, rows: Range<usize>, out: &mut BytesMut) -> Result<(), EncodeError> {
        for row in rows {
            out.put_i16(self.columns.len() as i16);
            for (column, values) in &self.columns {
                values.put(row, out).ok_or(EncodeError::OutOfRange { row, column })?;
            }
        }
        Ok(())
    }
}

fn values<'a>(column: &Column, array: &'a dyn Array) -> Option<Values<'a>> {
    Some(match (column.column_type, array.data_type()) {
        (ColumnType::String, DataType::Utf8) => Values::Text(array.as_string()),
        (ColumnType::Int, DataType::Int32) => Values::Int(array.as_primitive::<Int32Type>()),
        (ColumnType::Long, DataType::Int64) => Values::Long(array.as_primitive::<Int64Type>()),
        (ColumnType::Date, DataType::Date32) => Values::Date(array.as_primitive::<Date32Type>()),
        (ColumnType::Timestamp, DataType::Timestamp(TimeUnit::Microsecond, _)) => {
            Values::Timestamp(array.as_primitive::<TimestampMicrosecondType>())
        }
        (ColumnType::Decimal, DataType::Decimal128(18, SCALE)) => {
            Values::Decimal(array.as_primitive::<Decimal128Type>())
        }
        (ColumnType::Binary, DataType::Binary) => Values::Binary(array.as_binary()),
        _ => return None,
    })
}

impl Values<'_> {
    /// Appends the field; `None` when the value is out of PostgreSQL's range.
    fn put(&self, row: usize, out: &mut BytesMut) -> Option<()> {
        if self.array().is_none_or(|array| array.is_null(row)) {
            out.put_i32(-1);
            return Some(());
        }
        match self {
            Self::Text(array) => put_bytes(array.value(row).as_bytes(), out),
            Self::Binary(array) => put_bytes(array.value(row), out),
            Self::Int(array) => {
                out.put_i32(4);
                out.put_i32(array.value(row));
            }
            Self::Long(array) => {
                out.put_i32(8);
                out.put_i64(array.value(row));
            }
            Self::Date(array) => {
                let days = array.value(row).checked_sub(EPOCH_DAYS)?;
                out.put_i32(4);
                out.put_i32(days);
            }
            Self::Timestamp(array) => {
                let micros = array.value(row).checked_sub(EPOCH_MICROS)?;
                out.put_i32(8);
                out.put_i64(micros);
            }
            Self::Decimal(array) => put_numeric(array.value(row), out),
            Self::Absent => out.put_i32(-1),
        }
        Some(())
    }

    fn array(&self) -> Option<&dyn Array> {
        Some(match self {
            Self::Text(array) => array,
            Self::Int(array) => array,
            Self::Long(array) => array,
            Self::Date(array) => array,
            Self::Timestamp(array) => array,
            Self::Decimal(array) => array,
            Self::Binary(array) => array,
            Self::Absent => return None,
        })
    }
}

fn put_bytes(bytes: &[u8], out: &mut BytesMut) {
    // A Parquet page is far below 2 GiB, and with it every value.
    out.put_i32(bytes.len() as i32);
    out.put_slice(bytes);
}

/// Appends a decimal with six places as `numeric`: digits to the base 10,000, the weight of the first, sign, scale.
fn put_numeric(unscaled: i128, out: &mut BytesMut) {
    // Six decimal places are one and a half base-10,000 digits; times 100 makes it two.
    let mut rest = unscaled.unsigned_abs() * 100;
    // The largest decimal128 has 38 digits: eleven groups after the multiplication.
    let mut digits = [0_i16; 11];
    let mut count = 0;
    while rest > 0 {
        digits[count] = (rest % 10_000) as i16;
        rest /= 10_000;
        count += 1;
    }
    let trailing_zeros = digits[..count].iter().take_while(|digit| **digit == 0).count();
    let digits = &digits[trailing_zeros..count];
    let weight = if count == 0 { 0 } else { count as i16 - 3 };
    out.put_i32(8 + 2 * digits.len() as i32);
    out.put_i16(digits.len() as i16);
    out.put_i16(weight);
    out.put_u16(if unscaled < 0 { 0x4000 } else { 0 });
    out.put_i16(i16::from(SCALE));
    for digit in digits.iter().rev() {
        out.put_i16(*digit);
    }
}

#[cfg(test)]
#[path = "binary_copy_tests.rs"]
mod tests;

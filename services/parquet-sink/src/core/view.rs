//! Typed views of what the decoder yields: only the columns a table needs, checked once per batch.
//!
//! Each route decodes with a reader schema that lacks the fields its table does not need, so that the decoder skips over
//! them; see [`reader_schema`].

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, DictionaryArray, ListArray, PrimitiveArray, RecordBatch,
    StringArray, StructArray,
};
use arrow::datatypes::{Int32Type, Int64Type};
use serde_json::Value;

/// A decoded batch does not have the shape the contract promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} is missing or is no {expected}")]
pub struct WrongShape {
    /// Name of the column.
    pub column: &'static str,
    /// What it should be.
    pub expected: &'static str,
}

/// The contract without the named top-level fields.
///
/// # Errors
/// When the text is no Avro record schema.
pub fn reader_schema(avsc: &str, without: &[&str]) -> Result<String, serde_json::Error> {
    let mut schema: Value = serde_json::from_str(avsc)?;
    if let Some(fields) = schema.get_mut("fields").and_then(Value::as_array_mut) {
        fields.retain(|field| !without.iter().any(|name| field["name"] == **name));
    }
    serde_json::to_string(&schema)
}

/// Columns by name, of a batch or of the records in a list.
#[derive(Debug, Clone, Copy)]
pub enum Columns<'a> {
    /// Of a batch.
    Batch(&'a RecordBatch),
    /// Of records.
    Records(&'a StructArray),
}

/// An enum or, as arrow-avro gives it, a dictionary with few values.
#[derive(Debug, Clone, Copy)]
pub struct Symbols<'a> {
    array: &'a DictionaryArray<Int32Type>,
    names: &'a StringArray,
}

impl<'a> Symbols<'a> {
    /// Keys of the rows.
    pub fn keys(&self) -> &'a [i32] {
        self.array.keys().values()
    }

    /// What the keys stand for.
    pub fn names(&self) -> &'a StringArray {
        self.names
    }

    /// Name of a row.
    pub fn value(&self, row: usize) -> &'a str {
        self.names.value(self.keys()[row] as usize)
    }
}

/// A list of strings per row.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    offsets: &'a [i32],
    texts: &'a StringArray,
}

impl Texts<'_> {
    /// Writes the texts of a row into `out`, joined by commas; what was in there is lost.
    pub fn join(&self, row: usize, out: &mut String) {
        out.clear();
        for text in self.offsets[row] as usize..self.offsets[row + 1] as usize {
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(self.texts.value(text));
        }
    }

    /// Whether a row has no text.
    pub fn is_empty(&self, row: usize) -> bool {
        self.offsets[row] == self.offsets[row + 1]
    }
}

impl<'a> Columns<'a> {
    fn column(&self, name: &str) -> Option<&'a ArrayRef> {
        match self {
            Self::Batch(batch) => batch.column_by_name(name),
            Self::Records(records) => records.column_by_name(name),
        }
    }

    fn get<T>(
        &self,
        column: &'static str,
        expected: &'static str,
        cast: impl FnOnce(&'a ArrayRef) -> Option<T>,
    ) -> Result<T, WrongShape> {
        self.column(column).and_then(cast).ok_or(WrongShape { column, expected })
    }

    /// A column of strings.
    ///
    /// # Errors
    /// [`WrongShape`] when it is missing or something else, as with the other columns.
    pub fn string(&self, column: &'static str) -> Result<&'a StringArray, WrongShape> {
        self.get(column, "string", |array| array.as_string_opt::<i32>())
    }

    /// A column of numbers or times.
    ///
    /// # Errors
    /// [`WrongShape`].
    pub fn primitive<T: ArrowPrimitiveType>(&self, column: &'static str) -> Result<&'a PrimitiveArray<T>, WrongShape> {
        self.get(column, "number or time of the contract's type", |array| array.as_primitive_opt::<T>())
    }

    /// A column of truth values.
    ///
    /// # Errors
    /// [`WrongShape`].
    pub fn boolean(&self, column: &'static str) -> Result<&'a BooleanArray, WrongShape> {
        self.get(column, "boolean", |array| array.as_boolean_opt())
    }

    /// A column of an enum.
    ///
    /// # Errors
    /// [`WrongShape`].
    pub fn symbols(&self, column: &'static str) -> Result<Symbols<'a>, WrongShape> {
        self.get(column, "enum", |array| {
            let array = array.as_dictionary_opt::<Int32Type>()?;
            Some(Symbols { array, names: array.values().as_string_opt::<i32>()? })
        })
    }

    /// A column of lists of strings.
    ///
    /// # Errors
    /// [`WrongShape`].
    pub fn texts(&self, column: &'static str) -> Result<Texts<'a>, WrongShape> {
        self.get(column, "array of strings", |array| {
            let lists = array.as_list_opt::<i32>()?;
            Some(Texts { offsets: lists.value_offsets(), texts: lists.values().as_string_opt::<i32>()? })
        })
    }

    /// A column of lists of records: where the records of each row begin and end, and the records.
    ///
    /// # Errors
    /// [`WrongShape`].
    pub fn records(&self, column: &'static str) -> Result<(&'a [i32], Columns<'a>), WrongShape> {
        self.get(column, "array of records", |array| {
            let lists: &ListArray = array.as_list_opt::<i32>()?;
            Some((lists.value_offsets(), Columns::Records(lists.values().as_struct_opt()?)))
        })
    }
}

/// Where decisions say which raw message they are about.
#[derive(Debug, Clone, Copy)]
pub struct SourceColumns<'a> {
    /// Partition of the raw message.
    pub partition: &'a PrimitiveArray<Int32Type>,
    /// Offset of the raw message.
    pub offset: &'a PrimitiveArray<Int64Type>,
    /// Offset in the topic of decisions that the writer counted on.
    pub decision: &'a PrimitiveArray<Int64Type>,
}

impl<'a> SourceColumns<'a> {
    /// The columns of a batch of decisions.
    ///
    /// # Errors
    /// [`WrongShape`].
    pub fn of(batch: &'a RecordBatch) -> Result<Self, WrongShape> {
        let columns = Columns::Batch(batch);
        Ok(Self {
            partition: columns.primitive::<Int32Type>("source_partition")?,
            offset: columns.primitive::<Int64Type>("source_offset")?,
            decision: columns.primitive::<Int64Type>("decision_offset")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_schema_lacks_what_is_not_needed() {
        let text = reader_schema(meterway_schemas::VALIDATED_BATCH.avsc, &["rules", "rejections"]).unwrap();
        let schema: Value = serde_json::from_str(&text).unwrap();
        let names: Vec<_> = schema["fields"].as_array().unwrap().iter().map(|field| field["name"].clone()).collect();
        assert!(names.contains(&"readings".into()) && !names.contains(&"rules".into()));
        assert_eq!(schema["name"], "ValidatedBatch");
    }
}

//! One Arrow schema for all writers.
//!
//! The Arrow decoder notes on fields what it did to read them (such as a default that it filled in), so batches of the
//! same types differ in their schemas by the writer. Here the notes are replaced by the reader's; no value is touched.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

/// Whether two schemas have the same fields, notes aside.
pub(super) fn same_types(left: &Schema, right: &Schema) -> bool {
    same_fields(left.fields(), right.fields())
}

fn same_fields(left: &Fields, right: &Fields) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same_field(left, right))
}

fn same_field(left: &Field, right: &Field) -> bool {
    left.name() == right.name()
        && left.is_nullable() == right.is_nullable()
        && match (left.data_type(), right.data_type()) {
            (DataType::Struct(left), DataType::Struct(right)) => same_fields(left, right),
            (DataType::List(left), DataType::List(right)) => same_field(left, right),
            (DataType::Map(left, _), DataType::Map(right, _)) => same_field(left, right),
            (left, right) => left == right,
        }
}

/// The batch with the other schema; `None` when that one has other types.
pub(super) fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Option<RecordBatch> {
    if batch.schema_ref() == schema {
        return Some(batch.clone());
    }
    let columns =
        batch.columns().iter().zip(schema.fields()).map(|(column, field)| with_type(column, field.data_type()));
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Option<_>>()?).ok()
}

fn with_type(array: &ArrayRef, wanted: &DataType) -> Option<ArrayRef> {
    if array.data_type() == wanted {
        return Some(Arc::clone(array));
    }
    match wanted {
        DataType::Struct(fields) => Some(Arc::new(struct_of(array.as_struct_opt()?, fields)?)),
        DataType::List(item) => {
            let list = array.as_list_opt::<i32>()?;
            let values = with_type(list.values(), item.data_type())?;
            let list = ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, list.nulls().cloned());
            Some(Arc::new(list.ok()?))
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(fields) = entries.data_type() else { return None };
            let map = array.as_map_opt()?;
            let values = struct_of(map.entries(), fields)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Some(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, values, nulls, *sorted).ok()?))
        }
        _ => None,
    }
}

fn struct_of(array: &StructArray, fields: &Fields) -> Option<StructArray> {
    let columns = array.columns().iter().zip(fields).map(|(column, field)| with_type(column, field.data_type()));
    StructArray::try_new(fields.clone(), columns.collect::<Option<_>>()?, array.nulls().cloned()).ok()
}

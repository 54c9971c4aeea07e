//! Rows of `rejected`: one per rejection, pointing at the landing row of its message by source coordinates.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int32Builder, Int64Array, Int64Builder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use lake::{PartitionValue, day_of_micros, tables};

use super::rows::{FileRows, Gathered, Input, Parts, TableRows, timestamps};
use super::view::{Columns, WrongShape};

/// Fields of the contract that this table does not need.
pub const UNUSED_FIELDS: &[&str] =
    &["gateway_id", "sequence", "received_at", "source", "customer_id", "site_id", "rules", "readings"];

/// Bytes of a row besides its texts.
const FIXED_ROW_BYTES: usize = 4 + 8 + 4 + 8 + 5 * 4;

/// Rows of `rejected` that wait to be written.
#[derive(Debug)]
pub struct RejectedRows {
    parts: Parts<Part>,
    source_topic: String,
    schema: SchemaRef,
}

#[derive(Debug, Default)]
struct Part {
    rows: usize,
    text_bytes: usize,
    tenant_id: StringBuilder,
    device_id: StringBuilder,
    source_topic: StringBuilder,
    source_partition: Int32Builder,
    source_offset: Int64Builder,
    reading_index: Int32Builder,
    code: StringBuilder,
    detail: StringBuilder,
    validated_at: TimestampMicrosecondBuilder,
}

struct DecisionColumns<'a> {
    tenant_id: &'a StringArray,
    device_id: &'a StringArray,
    source_partition: &'a Int32Array,
    source_offset: &'a Int64Array,
    validated_at: &'a TimestampMicrosecondArray,
    lists: &'a [i32],
    index: &'a Int32Array,
    code: &'a StringArray,
    detail: &'a StringArray,
}

impl<'a> DecisionColumns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, WrongShape> {
        let columns = Columns::Batch(batch);
        let (lists, rejections) = columns.records("rejections")?;
        Ok(Self {
            tenant_id: columns.string("tenant_id")?,
            device_id: columns.string("device_id")?,
            source_partition: columns.primitive::<Int32Type>("source_partition")?,
            source_offset: columns.primitive::<Int64Type>("source_offset")?,
            validated_at: columns.primitive::<TimestampMicrosecondType>("validated_at")?,
            lists,
            index: rejections.primitive::<Int32Type>("index")?,
            code: rejections.string("code")?,
            detail: rejections.string("detail")?,
        })
    }
}

impl RejectedRows {
    /// No rows yet. `source_topic` is the raw topic that decisions are about.
    pub fn new(source_topic: impl Into<String>) -> Self {
        Self { parts: Parts::default(), source_topic: source_topic.into(), schema: tables::rejected().arrow_schema() }
    }
}

impl Part {
    fn append(&mut self, decisions: &DecisionColumns<'_>, row: usize, rejection: usize, source_topic: &str) {
        let (tenant, device) = (decisions.tenant_id.value(row), decisions.device_id.value(row));
        let (code, detail) = (decisions.code.value(rejection), decisions.detail.value(rejection));
        self.rows += 1;
        self.text_bytes += tenant.len() + device.len() + source_topic.len() + code.len() + detail.len();
        self.tenant_id.append_value(tenant);
        self.device_id.append_value(device);
        self.source_topic.append_value(source_topic);
        self.source_partition.append_value(decisions.source_partition.value(row));
        self.source_offset.append_value(decisions.source_offset.value(row));
        self.reading_index.append_value(decisions.index.value(rejection));
        self.code.append_value(code);
        self.detail.append_value(detail);
        self.validated_at.append_value(decisions.validated_at.value(row));
    }

    fn bytes(&self) -> usize {
        self.rows * FIXED_ROW_BYTES + self.text_bytes
    }

    fn columns(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.tenant_id.finish()),
            Arc::new(self.device_id.finish()),
            Arc::new(self.source_topic.finish()),
            Arc::new(self.source_partition.finish()),
            Arc::new(self.source_offset.finish()),
            Arc::new(self.reading_index.finish()),
            Arc::new(self.code.finish()),
            Arc::new(self.detail.finish()),
            timestamps(self.validated_at.finish()),
        ]
    }
}

impl TableRows for RejectedRows {
    fn append(&mut self, input: &Input<'_>) -> Result<usize, WrongShape> {
        let Input::Decoded { batch, rows, .. } = input else {
            return Err(WrongShape { column: "rejections", expected: "decoded message" });
        };
        let decisions = DecisionColumns::of(batch)?;
        let mut appended = 0;
        for row in rows.iter().map(|row| *row as usize) {
            for rejection in decisions.lists[row] as usize..decisions.lists[row + 1] as usize {
                let day = day_of_micros(decisions.validated_at.value(row));
                let part = self.parts.part(PartitionValue::Day(day));
                part.append(&decisions, row, rejection, &self.source_topic);
                appended += 1;
            }
        }
        Ok(appended)
    }

    fn gathered(&self) -> BTreeMap<PartitionValue, Gathered> {
        self.parts.sizes(|part| (part.rows, part.bytes()))
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(Part::bytes).sum()
    }

    fn take(&mut self, partition: PartitionValue) -> Result<Option<Box<dyn FileRows>>, ArrowError> {
        let Some(part) = self.parts.remove(partition) else { return Ok(None) };
        Ok(Some(Box::new(RecordBatch::try_new(Arc::clone(&self.schema), part.columns())?)))
    }

    fn clear(&mut self) {
        self.parts.clear();
    }

    fn fresh(&self) -> Box<dyn TableRows> {
        Box::new(Self::new(&*self.source_topic))
    }
}

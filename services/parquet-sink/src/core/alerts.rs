//! Rows of `alerts`: one per change of an alert, with the coordinates of its message.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Int32Array, Int32Builder, Int64Builder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Int32Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use lake::{PartitionValue, day_of_micros, tables};

use super::rows::{FileRows, Gathered, Input, Parts, TableRows, timestamps};
use super::view::{Columns, Symbols, WrongShape};

/// Bytes of a row, texts included: a few ids and a sentence.
const ROW_BYTES: usize = 400;

/// Rows of `alerts` that wait to be written.
#[derive(Debug)]
pub struct AlertRows {
    parts: Parts<Part>,
    schema: SchemaRef,
}

#[derive(Debug, Default)]
struct Part {
    rows: usize,
    tenant_id: StringBuilder,
    device_id: StringBuilder,
    customer_id: StringBuilder,
    site_id: StringBuilder,
    alert_id: StringBuilder,
    kind: StringBuilder,
    severity: StringBuilder,
    state: StringBuilder,
    revision: Int32Builder,
    opened_at: TimestampMicrosecondBuilder,
    updated_at: TimestampMicrosecondBuilder,
    closed_at: TimestampMicrosecondBuilder,
    detail: StringBuilder,
    source_partition: Int32Builder,
    source_offset: Int64Builder,
}

struct AlertColumns<'a> {
    tenant_id: &'a StringArray,
    device_id: &'a StringArray,
    customer_id: &'a StringArray,
    site_id: &'a StringArray,
    alert_id: &'a StringArray,
    kind: Symbols<'a>,
    severity: Symbols<'a>,
    state: Symbols<'a>,
    revision: &'a Int32Array,
    opened_at: &'a TimestampMicrosecondArray,
    updated_at: &'a TimestampMicrosecondArray,
    closed_at: &'a TimestampMicrosecondArray,
    detail: &'a StringArray,
}

impl<'a> AlertColumns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, WrongShape> {
        let columns = Columns::Batch(batch);
        Ok(Self {
            tenant_id: columns.string("tenant_id")?,
            device_id: columns.string("device_id")?,
            customer_id: columns.string("customer_id")?,
            site_id: columns.string("site_id")?,
            alert_id: columns.string("alert_id")?,
            kind: columns.symbols("kind")?,
            severity: columns.symbols("severity")?,
            state: columns.symbols("state")?,
            revision: columns.primitive::<Int32Type>("revision")?,
            opened_at: columns.primitive::<TimestampMicrosecondType>("opened_at")?,
            updated_at: columns.primitive::<TimestampMicrosecondType>("updated_at")?,
            closed_at: columns.primitive::<TimestampMicrosecondType>("closed_at")?,
            detail: columns.string("detail")?,
        })
    }
}

impl Default for AlertRows {
    fn default() -> Self {
        Self { parts: Parts::default(), schema: tables::alerts().arrow_schema() }
    }
}

impl Part {
    fn append(&mut self, alerts: &AlertColumns<'_>, row: usize, partition: i32, offset: i64) {
        let optional = |column: &StringArray| column.is_valid(row).then(|| column.value(row).to_owned());
        self.rows += 1;
        self.tenant_id.append_value(alerts.tenant_id.value(row));
        self.device_id.append_value(alerts.device_id.value(row));
        self.customer_id.append_option(optional(alerts.customer_id));
        self.site_id.append_option(optional(alerts.site_id));
        self.alert_id.append_value(alerts.alert_id.value(row));
        self.kind.append_value(alerts.kind.value(row));
        self.severity.append_value(alerts.severity.value(row));
        self.state.append_value(alerts.state.value(row));
        self.revision.append_value(alerts.revision.value(row));
        self.opened_at.append_value(alerts.opened_at.value(row));
        self.updated_at.append_value(alerts.updated_at.value(row));
        self.closed_at.append_option(alerts.closed_at.is_valid(row).then(|| alerts.closed_at.value(row)));
        self.detail.append_value(alerts.detail.value(row));
        self.source_partition.append_value(partition);
        self.source_offset.append_value(offset);
    }

    fn columns(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.tenant_id.finish()),
            Arc::new(self.device_id.finish()),
            Arc::new(self.customer_id.finish()),
            Arc::new(self.site_id.finish()),
            Arc::new(self.alert_id.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.severity.finish()),
            Arc::new(self.state.finish()),
            Arc::new(self.revision.finish()),
            timestamps(self.opened_at.finish()),
            timestamps(self.updated_at.finish()),
            timestamps(self.closed_at.finish()),
            Arc::new(self.detail.finish()),
            Arc::new(self.source_partition.finish()),
            Arc::new(self.source_offset.finish()),
        ]
    }
}

impl TableRows for AlertRows {
    fn append(&mut self, input: &Input<'_>) -> Result<usize, WrongShape> {
        let Input::Decoded { batch, rows, partition, offsets } = input else {
            return Err(WrongShape { column: "alert_id", expected: "decoded message" });
        };
        let alerts = AlertColumns::of(batch)?;
        for row in rows.iter().map(|row| *row as usize) {
            let part = self.parts.part(PartitionValue::Day(day_of_micros(alerts.opened_at.value(row))));
            part.append(&alerts, row, *partition, offsets[row]);
        }
        Ok(rows.len())
    }

    fn gathered(&self) -> BTreeMap<PartitionValue, Gathered> {
        self.parts.sizes(|part| (part.rows, part.rows * ROW_BYTES))
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.rows * ROW_BYTES).sum()
    }

    fn take(&mut self, partition: PartitionValue) -> Result<Option<Box<dyn FileRows>>, ArrowError> {
        let Some(part) = self.parts.remove(partition) else { return Ok(None) };
        Ok(Some(Box::new(RecordBatch::try_new(Arc::clone(&self.schema), part.columns())?)))
    }

    fn clear(&mut self) {
        self.parts.clear();
    }

    fn fresh(&self) -> Box<dyn TableRows> {
        Box::<Self>::default()
    }
}

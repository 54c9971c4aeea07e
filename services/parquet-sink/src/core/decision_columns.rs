//! The columns of decisions that make readings.

use arrow::array::{
    Array, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};

use super::interner::{Interner, NULL};
use super::view::{Columns, Symbols, Texts, WrongShape};

/// What a message says once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    pub(super) tenant: i32,
    pub(super) device: i32,
    pub(super) customer: i32,
    pub(super) site: i32,
    pub(super) gateway: i32,
    pub(super) source: i32,
    pub(super) source_partition: i32,
    pub(super) sequence: i64,
    pub(super) received_at: Option<i64>,
    pub(super) validated_at: i64,
    /// Offset of the raw message in the raw topic, on whichever lane it was decided.
    pub(super) source_offset: i64,
    /// Number of the replay; `None` on the live lane.
    pub(super) revision: Option<i64>,
}

pub(super) struct MessageColumns<'a> {
    tenant_id: &'a StringArray,
    device_id: &'a StringArray,
    customer_id: &'a StringArray,
    site_id: &'a StringArray,
    gateway_id: &'a StringArray,
    source: Words<'a>,
    sequence: &'a Int64Array,
    received_at: &'a TimestampMicrosecondArray,
    validated_at: &'a TimestampMicrosecondArray,
    source_partition: &'a Int32Array,
    source_offset: &'a Int64Array,
    origin_offset: &'a Int64Array,
    revision: &'a Int64Array,
}

pub(super) struct ReadingColumns<'a> {
    pub(super) channel: &'a StringArray,
    pub(super) kind: Words<'a>,
    pub(super) start: &'a TimestampMicrosecondArray,
    pub(super) duration_s: &'a Int32Array,
    pub(super) value: &'a Decimal128Array,
    pub(super) unit: &'a StringArray,
    pub(super) flags: Texts<'a>,
    pub(super) verdict: Words<'a>,
    pub(super) failed_rules: Texts<'a>,
    pub(super) skipped_rules: Texts<'a>,
    pub(super) estimation_method: &'a StringArray,
    pub(super) version: &'a Int32Array,
    pub(super) local_day: &'a Date32Array,
    pub(super) commodity: Words<'a>,
    /// The table holds this outcome already.
    pub(super) unchanged: &'a BooleanArray,
}

/// An enum column with the codes of its names.
pub(super) struct Words<'a> {
    keys: &'a [i32],
    codes: Vec<i32>,
}

impl<'a> Words<'a> {
    fn of(symbols: Symbols<'a>, words: &mut Interner) -> Self {
        let names = symbols.names();
        Self { keys: symbols.keys(), codes: (0..names.len()).map(|key| words.intern(names.value(key))).collect() }
    }

    pub(super) fn code(&self, row: usize) -> i32 {
        self.codes[self.keys[row] as usize]
    }
}

impl<'a> MessageColumns<'a> {
    pub(super) fn of(columns: &Columns<'a>, words: &mut Interner) -> Result<Self, WrongShape> {
        Ok(Self {
            tenant_id: columns.string("tenant_id")?,
            device_id: columns.string("device_id")?,
            customer_id: columns.string("customer_id")?,
            site_id: columns.string("site_id")?,
            gateway_id: columns.string("gateway_id")?,
            source: Words::of(columns.symbols("source")?, words),
            sequence: columns.primitive::<Int64Type>("sequence")?,
            received_at: columns.primitive::<TimestampMicrosecondType>("received_at")?,
            validated_at: columns.primitive::<TimestampMicrosecondType>("validated_at")?,
            source_partition: columns.primitive::<Int32Type>("source_partition")?,
            source_offset: columns.primitive::<Int64Type>("source_offset")?,
            origin_offset: columns.primitive::<Int64Type>("origin_offset")?,
            revision: columns.primitive::<Int64Type>("revision")?,
        })
    }

    /// What a message says once. Its tenant and gateway are most often those of the message before.
    pub(super) fn message(&self, row: usize, last: Option<Message>, ids: &mut Interner) -> Message {
        let (last_tenant, last_gateway) = last.map_or((NULL, NULL), |last| (last.tenant, last.gateway));
        let optional = |column: &'a StringArray| column.is_valid(row).then(|| column.value(row));
        let origin = self.origin_offset.is_valid(row).then(|| self.origin_offset.value(row));
        Message {
            tenant: ids.intern_after(last_tenant, self.tenant_id.value(row)),
            device: ids.intern(self.device_id.value(row)),
            customer: ids.intern_optional(optional(self.customer_id)),
            site: ids.intern_optional(optional(self.site_id)),
            gateway: ids.intern_after(last_gateway, self.gateway_id.value(row)),
            source: self.source.code(row),
            source_partition: self.source_partition.value(row),
            sequence: self.sequence.value(row),
            received_at: self.received_at.is_valid(row).then(|| self.received_at.value(row)),
            validated_at: self.validated_at.value(row),
            source_offset: origin.unwrap_or_else(|| self.source_offset.value(row)),
            revision: Some(self.revision.value(row)).filter(|revision| *revision != 0),
        }
    }
}

impl<'a> ReadingColumns<'a> {
    pub(super) fn of(columns: &Columns<'a>, words: &mut Interner) -> Result<Self, WrongShape> {
        Ok(Self {
            channel: columns.string("channel")?,
            kind: Words::of(columns.symbols("kind")?, words),
            start: columns.primitive::<TimestampMicrosecondType>("start")?,
            duration_s: columns.primitive::<Int32Type>("duration_s")?,
            value: columns.primitive::<Decimal128Type>("value")?,
            unit: columns.string("unit")?,
            flags: columns.texts("flags")?,
            verdict: Words::of(columns.symbols("verdict")?, words),
            failed_rules: columns.texts("failed_rules")?,
            skipped_rules: columns.texts("skipped_rules")?,
            estimation_method: columns.string("estimation_method")?,
            version: columns.primitive::<Int32Type>("version")?,
            local_day: columns.primitive::<Date32Type>("local_day")?,
            commodity: Words::of(columns.symbols("commodity")?, words),
            unchanged: columns.boolean("unchanged")?,
        })
    }
}

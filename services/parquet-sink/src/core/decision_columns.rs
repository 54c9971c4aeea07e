//! The columns of decisions that make readings.

use arrow::array::{
    Array, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};

use super::interner::{EMPTY, Interner, NULL};
use super::view::{Columns, Symbols, Texts, WrongShape};

/// What a message says once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    /// Code of its [`Origin`].
    pub(super) origin: u32,
    pub(super) sequence: i64,
    /// [`ABSENT`] when not known, as with `revision`: an `Option` would take twice the space, a million times.
    pub(super) received_at: i64,
    pub(super) validated_at: i64,
    /// Offset of the raw message in the raw topic, on whichever lane it was decided.
    pub(super) source_offset: i64,
    /// Number of the replay; [`ABSENT`] on the live lane.
    pub(super) revision: i64,
}

/// No value.
pub(super) const ABSENT: i64 = i64::MIN;

/// What all messages of a device say alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) tenant: i32,
    pub(super) device: i32,
    pub(super) customer: i32,
    pub(super) site: i32,
    pub(super) gateway: i32,
    pub(super) source: i32,
    pub(super) source_partition: i32,
}

/// What most readings of a channel say alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Attributes {
    pub(super) channel: i32,
    pub(super) kind: i32,
    pub(super) duration_s: i32,
    pub(super) unit: i32,
    pub(super) verdict: i32,
    pub(super) failed_rules: i32,
    pub(super) skipped_rules: i32,
    pub(super) flags: i32,
    pub(super) estimation_method: i32,
    pub(super) version: i32,
    pub(super) commodity: i32,
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
    channel: &'a StringArray,
    kind: Words<'a>,
    pub(super) start: &'a TimestampMicrosecondArray,
    duration_s: &'a Int32Array,
    pub(super) value: &'a Decimal128Array,
    unit: &'a StringArray,
    flags: Texts<'a>,
    verdict: Words<'a>,
    failed_rules: Texts<'a>,
    skipped_rules: Texts<'a>,
    estimation_method: &'a StringArray,
    version: &'a Int32Array,
    pub(super) local_day: &'a Date32Array,
    commodity: Words<'a>,
    /// The table holds this outcome already.
    pub(super) unchanged: &'a BooleanArray,
}

/// An enum column with the codes of its names.
struct Words<'a> {
    keys: &'a [i32],
    codes: Vec<i32>,
}

impl<'a> Words<'a> {
    fn of(symbols: Symbols<'a>, words: &mut Interner) -> Self {
        let names = symbols.names();
        Self { keys: symbols.keys(), codes: (0..names.len()).map(|key| words.intern(names.value(key))).collect() }
    }

    fn code(&self, row: usize) -> i32 {
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

    /// Where a message comes from. Its tenant and gateway are most often those of the message before.
    pub(super) fn origin(&self, row: usize, last: Option<Origin>, ids: &mut Interner) -> Origin {
        let (last_tenant, last_gateway) = last.map_or((NULL, NULL), |last| (last.tenant, last.gateway));
        let optional = |column: &'a StringArray| column.is_valid(row).then(|| column.value(row));
        Origin {
            tenant: ids.intern_after(last_tenant, self.tenant_id.value(row)),
            device: ids.intern(self.device_id.value(row)),
            customer: ids.intern_optional(optional(self.customer_id)),
            site: ids.intern_optional(optional(self.site_id)),
            gateway: ids.intern_after(last_gateway, self.gateway_id.value(row)),
            source: self.source.code(row),
            source_partition: self.source_partition.value(row),
        }
    }

    /// What a message says once.
    pub(super) fn message(&self, row: usize, origin: u32) -> Message {
        let origin_offset = self.origin_offset.is_valid(row).then(|| self.origin_offset.value(row));
        Message {
            origin,
            sequence: self.sequence.value(row),
            received_at: if self.received_at.is_valid(row) { self.received_at.value(row) } else { ABSENT },
            validated_at: self.validated_at.value(row),
            source_offset: origin_offset.unwrap_or_else(|| self.source_offset.value(row)),
            revision: Some(self.revision.value(row)).filter(|revision| *revision != 0).unwrap_or(ABSENT),
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

    /// What a reading says in words, given what the one before said. What `scratch` held is lost.
    pub(super) fn attributes(
        &self,
        row: usize,
        last: Option<Attributes>,
        words: &mut Interner,
        scratch: &mut String,
    ) -> Attributes {
        let last = last.unwrap_or(Attributes::NONE);
        let mut joined = |lists: Texts<'_>, last: i32, words: &mut Interner| {
            if lists.is_empty(row) {
                return EMPTY;
            }
            lists.join(row, scratch);
            words.intern_after(last, scratch)
        };
        Attributes {
            channel: words.intern_after(last.channel, self.channel.value(row)),
            kind: self.kind.code(row),
            duration_s: self.duration_s.value(row),
            unit: words.intern_after(last.unit, self.unit.value(row)),
            verdict: self.verdict.code(row),
            failed_rules: joined(self.failed_rules, last.failed_rules, words),
            skipped_rules: joined(self.skipped_rules, last.skipped_rules, words),
            flags: joined(self.flags, last.flags, words),
            estimation_method: if self.estimation_method.is_null(row) {
                NULL
            } else {
                words.intern_after(last.estimation_method, self.estimation_method.value(row))
            },
            version: self.version.value(row),
            commodity: self.commodity.code(row),
        }
    }
}

impl Attributes {
    /// Of no reading.
    const NONE: Self = Self {
        channel: NULL,
        kind: NULL,
        duration_s: 0,
        unit: NULL,
        verdict: NULL,
        failed_rules: NULL,
        skipped_rules: NULL,
        flags: NULL,
        estimation_method: NULL,
        version: 0,
        commodity: NULL,
    };
}

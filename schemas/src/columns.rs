//! Typed views of the two hot contracts as arrow-avro decodes them: nested record batches, one row a message.
//!
//! A view borrows the batch and checks the shape once, so that hot loops index plain arrays. Enums are dictionaries of
//! strings, decimals Decimal128(18, 6), times microseconds, as the Arrow schema of the contract says.

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType,
};

/// A batch that does not have the shape of the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column:?} is missing or not of type {expected}")]
pub struct WrongShape {
    /// The column.
    pub column: &'static str,
    /// The type it should have.
    pub expected: &'static str,
}

/// Columns of `ReadingBatch`; the readings of all rows lie behind one another, row `i` owning `readings_of(i)`.
#[derive(Debug, Clone)]
pub struct ReadingBatchColumns<'a> {
    /// Tenant claimed for the device.
    pub tenant_id: &'a StringArray,
    /// The device.
    pub device_id: &'a StringArray,
    /// The gateway.
    pub gateway_id: &'a StringArray,
    /// The gateway's delivery counter.
    pub sequence: &'a Int64Array,
    /// When our door received the delivery; nullable.
    pub received_at: &'a TimestampMicrosecondArray,
    /// Way into the raw topic.
    pub source: EnumColumn<'a>,
    /// Offsets of the readings of each row.
    pub lists: &'a ListArray,
    /// The readings of all rows.
    pub readings: ReadingColumns<'a>,
}

/// Columns of a reading, shared by both contracts.
#[derive(Debug, Clone)]
pub struct ReadingColumns<'a> {
    /// OBIS code or plain name.
    pub channel: &'a StringArray,
    /// INTERVAL, REGISTER or GAUGE.
    pub kind: EnumColumn<'a>,
    /// Start; UTC microseconds.
    pub start: &'a TimestampMicrosecondArray,
    /// Length in seconds.
    pub duration_s: &'a Int32Array,
    /// Decimal128(18, 6); the raw topic may hold up to nineteen digits.
    pub value: &'a Decimal128Array,
    /// Unit symbol.
    pub unit: &'a StringArray,
    /// Quality codes.
    pub flags: StringsColumn<'a>,
}

/// Columns of `ValidatedBatch`.
#[derive(Debug, Clone)]
pub struct ValidatedBatchColumns<'a> {
    /// Tenant.
    pub tenant_id: &'a StringArray,
    /// Device.
    pub device_id: &'a StringArray,
    /// Gateway.
    pub gateway_id: &'a StringArray,
    /// The gateway's delivery counter.
    pub sequence: &'a Int64Array,
    /// When our door received the delivery; nullable.
    pub received_at: &'a TimestampMicrosecondArray,
    /// Way into the raw topic.
    pub source: EnumColumn<'a>,
    /// Customer; nullable.
    pub customer_id: &'a StringArray,
    /// Site; nullable.
    pub site_id: &'a StringArray,
    /// Partition of the raw message.
    pub source_partition: &'a Int32Array,
    /// Offset of the raw message.
    pub source_offset: &'a Int64Array,
    /// When the decision was made.
    pub validated_at: &'a TimestampMicrosecondArray,
    /// Names of the rules of the rule set.
    pub rules: StringsColumn<'a>,
    /// Offsets of the accepted readings of each row.
    pub lists: &'a ListArray,
    /// The accepted readings of all rows.
    pub readings: ValidatedReadingColumns<'a>,
    /// Offsets of the rejections of each row.
    pub rejection_lists: &'a ListArray,
    /// The rejections of all rows.
    pub rejections: RejectionColumns<'a>,
    /// Number of the replay; 0 on the live lane.
    pub revision: &'a Int64Array,
    /// Offset of the raw message in the raw topic; null on the live lane.
    pub origin_offset: &'a Int64Array,
    /// Offset that the writer counted on; see [`counts`](crate::counts).
    pub decision_offset: &'a Int64Array,
    /// For each accepted reading, whether the lake holds this outcome already.
    pub unchanged: &'a BooleanArray,
    /// For each rejection, whether the reading has a row.
    pub had_row: &'a BooleanArray,
}

/// Columns of an accepted reading.
#[derive(Debug, Clone)]
pub struct ValidatedReadingColumns<'a> {
    /// The reading as delivered.
    pub reading: ReadingColumns<'a>,
    /// VALID, SUSPECT or ESTIMATED.
    pub verdict: EnumColumn<'a>,
    /// Names of the failed rules.
    pub failed_rules: StringsColumn<'a>,
    /// Names of the rules that could not be applied.
    pub skipped_rules: StringsColumn<'a>,
    /// Method that made the value; nullable.
    pub estimation_method: &'a StringArray,
    /// 1, or more for a correction.
    pub version: &'a Int32Array,
    /// Days since 1970-01-01.
    pub local_day: &'a Date32Array,
    /// Commodity of the device.
    pub commodity: EnumColumn<'a>,
}

/// Columns of a rejection.
#[derive(Debug, Clone)]
pub struct RejectionColumns<'a> {
    /// Position in the raw message, or -1.
    pub index: &'a Int32Array,
    /// Reason.
    pub code: &'a StringArray,
    /// What was found and expected.
    pub detail: &'a StringArray,
}

/// An enum column: keys into a handful of names.
#[derive(Debug, Clone, Copy)]
pub struct EnumColumn<'a> {
    /// The column itself.
    pub array: &'a DictionaryArray<Int32Type>,
    names: &'a StringArray,
}

impl<'a> EnumColumn<'a> {
    /// Name in a row.
    pub fn value(&self, row: usize) -> &'a str {
        self.names.value(self.key(row))
    }

    /// Position of the row's name in [`Self::names`]; the order is the reader schema's.
    pub fn key(&self, row: usize) -> usize {
        self.array.keys().value(row) as usize
    }

    /// The names that keys point to.
    pub fn names(&self) -> &'a StringArray {
        self.names
    }
}

/// A column of lists of strings.
#[derive(Debug, Clone, Copy)]
pub struct StringsColumn<'a> {
    /// Offsets of each row's strings.
    pub lists: &'a ListArray,
    /// The strings of all rows.
    pub texts: &'a StringArray,
}

impl<'a> StringsColumn<'a> {
    /// The strings of a row.
    pub fn value(&self, row: usize) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        let texts = self.texts;
        range(self.lists, row).map(move |i| texts.value(i))
    }
}

/// The positions in the child array that belong to a row of a list column.
pub fn range(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = lists.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

impl<'a> TryFrom<&'a RecordBatch> for ReadingBatchColumns<'a> {
    type Error = WrongShape;

    fn try_from(batch: &'a RecordBatch) -> Result<Self, WrongShape> {
        let of = Fields::Batch(batch);
        let lists = of.list("readings")?;
        Ok(Self {
            tenant_id: of.string("tenant_id")?,
            device_id: of.string("device_id")?,
            gateway_id: of.string("gateway_id")?,
            sequence: of.primitive::<Int64Type>("sequence", "long")?,
            received_at: of.primitive::<TimestampMicrosecondType>("received_at", "timestamp")?,
            source: of.enumeration("source")?,
            lists,
            readings: ReadingColumns::of(&Fields::child(lists, "readings")?)?,
        })
    }
}

impl<'a> TryFrom<&'a RecordBatch> for ValidatedBatchColumns<'a> {
    type Error = WrongShape;

    fn try_from(batch: &'a RecordBatch) -> Result<Self, WrongShape> {
        let of = Fields::Batch(batch);
        let (lists, rejection_lists) = (of.list("readings")?, of.list("rejections")?);
        Ok(Self {
            tenant_id: of.string("tenant_id")?,
            device_id: of.string("device_id")?,
            gateway_id: of.string("gateway_id")?,
            sequence: of.primitive::<Int64Type>("sequence", "long")?,
            received_at: of.primitive::<TimestampMicrosecondType>("received_at", "timestamp")?,
            source: of.enumeration("source")?,
            customer_id: of.string("customer_id")?,
            site_id: of.string("site_id")?,
            source_partition: of.primitive::<Int32Type>("source_partition", "int")?,
            source_offset: of.primitive::<Int64Type>("source_offset", "long")?,
            validated_at: of.primitive::<TimestampMicrosecondType>("validated_at", "timestamp")?,
            rules: of.strings("rules")?,
            lists,
            readings: ValidatedReadingColumns::of(&Fields::child(lists, "readings")?)?,
            rejection_lists,
            rejections: RejectionColumns::of(&Fields::child(rejection_lists, "rejections")?)?,
            revision: of.primitive::<Int64Type>("revision", "long")?,
            origin_offset: of.primitive::<Int64Type>("origin_offset", "long")?,
            decision_offset: of.primitive::<Int64Type>("decision_offset", "long")?,
            unchanged: Fields::child(lists, "readings")?.boolean("unchanged")?,
            had_row: Fields::child(rejection_lists, "rejections")?.boolean("had_row")?,
        })
    }
}

impl<'a> ReadingColumns<'a> {
    fn of(of: &Fields<'a>) -> Result<Self, WrongShape> {
        Ok(Self {
            channel: of.string("channel")?,
            kind: of.enumeration("kind")?,
            start: of.primitive::<TimestampMicrosecondType>("start", "timestamp")?,
            duration_s: of.primitive::<Int32Type>("duration_s", "int")?,
            value: of.primitive::<Decimal128Type>("value", "decimal")?,
            unit: of.string("unit")?,
            flags: of.strings("flags")?,
        })
    }
}

impl<'a> ValidatedReadingColumns<'a> {
    fn of(of: &Fields<'a>) -> Result<Self, WrongShape> {
        Ok(Self {
            reading: ReadingColumns::of(of)?,
            verdict: of.enumeration("verdict")?,
            failed_rules: of.strings("failed_rules")?,
            skipped_rules: of.strings("skipped_rules")?,
            estimation_method: of.string("estimation_method")?,
            version: of.primitive::<Int32Type>("version", "int")?,
            local_day: of.primitive::<Date32Type>("local_day", "date")?,
            commodity: of.enumeration("commodity")?,
        })
    }
}

impl<'a> RejectionColumns<'a> {
    fn of(of: &Fields<'a>) -> Result<Self, WrongShape> {
        Ok(Self {
            index: of.primitive::<Int32Type>("index", "int")?,
            code: of.string("code")?,
            detail: of.string("detail")?,
        })
    }
}

/// Where named columns come from: a batch, or the structs inside a list.
enum Fields<'a> {
    Batch(&'a RecordBatch),
    Struct(&'a StructArray),
}

impl<'a> Fields<'a> {
    fn child(lists: &'a ListArray, column: &'static str) -> Result<Self, WrongShape> {
        lists.values().as_struct_opt().map(Self::Struct).ok_or(WrongShape { column, expected: "list of records" })
    }

    fn column(&self, name: &str) -> Option<&'a ArrayRef> {
        match self {
            Self::Batch(batch) => batch.column_by_name(name),
            Self::Struct(structs) => structs.column_by_name(name),
        }
    }

    fn get<T>(
        &self,
        column: &'static str,
        expected: &'static str,
        cast: impl Fn(&'a ArrayRef) -> Option<&'a T>,
    ) -> Result<&'a T, WrongShape> {
        self.column(column).and_then(cast).ok_or(WrongShape { column, expected })
    }

    fn string(&self, column: &'static str) -> Result<&'a StringArray, WrongShape> {
        self.get(column, "string", |array| array.as_string_opt::<i32>())
    }

    fn boolean(&self, column: &'static str) -> Result<&'a BooleanArray, WrongShape> {
        self.get(column, "boolean", |array| array.as_boolean_opt())
    }

    fn list(&self, column: &'static str) -> Result<&'a ListArray, WrongShape> {
        self.get(column, "array", |array| array.as_list_opt::<i32>())
    }

    fn primitive<T: ArrowPrimitiveType>(
        &self,
        column: &'static str,
        expected: &'static str,
    ) -> Result<&'a arrow::array::PrimitiveArray<T>, WrongShape> {
        self.get(column, expected, |array| array.as_primitive_opt::<T>())
    }

    fn enumeration(&self, column: &'static str) -> Result<EnumColumn<'a>, WrongShape> {
        let array = self.get(column, "enum", |array| array.as_dictionary_opt::<Int32Type>())?;
        let names = array.values().as_string_opt::<i32>().ok_or(WrongShape { column, expected: "enum" })?;
        Ok(EnumColumn { array, names })
    }

    fn strings(&self, column: &'static str) -> Result<StringsColumn<'a>, WrongShape> {
        let lists = self.list(column)?;
        let texts = lists.values().as_string_opt::<i32>().ok_or(WrongShape { column, expected: "array of strings" })?;
        Ok(StringsColumn { lists, texts })
    }
}

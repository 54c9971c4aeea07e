//! Rows of one table, gathered in memory by partition until they are written as files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow::error::ArrowError;
use kafka_pipeline::RecordBlock;
use lake::PartitionValue;

use super::view::WrongShape;

/// Rows per batch that goes to the Parquet writer: large enough to amortise its per-call work, small enough to stay in
/// the cache.
pub const BATCH_ROWS: usize = 8 * 1024;

/// Time zone of all timestamps, as the lake writes it.
const UTC: &str = "+00:00";

/// A column of timestamps as the lake writes them.
pub(super) fn timestamps(array: TimestampMicrosecondArray) -> ArrayRef {
    Arc::new(array.with_timezone(UTC))
}

/// What a route consumed, on its way into rows.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Decoded messages of one partition.
    Decoded {
        /// One row per message.
        batch: &'a RecordBatch,
        /// The rows to take, ascending.
        rows: &'a [u32],
        /// Partition of the topic.
        partition: i32,
        /// Offset of the message of each row of the batch.
        offsets: &'a [i64],
    },
    /// Messages as they are.
    Raw(&'a RecordBlock),
}

/// Batches of a file, made as they are asked for.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'a>;

/// Rows of one file.
pub trait FileRows: Send + Sync {
    /// The rows in the order in which the file is to hold them. Can be asked for again when a write has failed. An error
    /// means rows that do not fit their columns, which is a defect.
    fn batches(&self) -> Batches<'_>;
}

impl FileRows for RecordBatch {
    fn batches(&self) -> Batches<'_> {
        Box::new(std::iter::once(Ok(self.clone())))
    }
}

/// What waits in memory for one partition of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gathered {
    /// Rows.
    pub rows: usize,
    /// Memory, estimated.
    pub bytes: usize,
    /// Rises with every partition that is begun: the smallest is the oldest.
    pub order: u64,
}

/// Gathers rows of one table.
pub trait TableRows: Send + Sync + std::fmt::Debug {
    /// Adds the rows that the messages make; returns their number.
    ///
    /// # Errors
    /// [`WrongShape`] when the batch is not what the contract promises; nothing was added then.
    fn append(&mut self, input: &Input<'_>) -> Result<usize, WrongShape>;

    /// What waits, by partition.
    fn gathered(&self) -> BTreeMap<PartitionValue, Gathered>;

    /// Memory of everything that waits, estimated.
    fn bytes(&self) -> usize;

    /// Takes the rows of a partition out; `None` when none wait.
    ///
    /// # Errors
    /// [`ArrowError`] for rows that do not fit their columns, which is a defect.
    fn take(&mut self, partition: PartitionValue) -> Result<Option<Box<dyn FileRows>>, ArrowError>;

    /// Forgets everything that waits.
    fn clear(&mut self);

    /// An empty one of the same table.
    fn fresh(&self) -> Box<dyn TableRows>;
}

/// The parts of a table by partition value, with the order in which they were begun.
#[derive(Debug)]
pub struct Parts<P> {
    parts: BTreeMap<PartitionValue, (u64, P)>,
    begun: u64,
}

impl<P> Default for Parts<P> {
    fn default() -> Self {
        Self { parts: BTreeMap::new(), begun: 0 }
    }
}

impl<P: Default> Parts<P> {
    /// The part of a partition, begun when there is none.
    pub fn part(&mut self, partition: PartitionValue) -> &mut P {
        let begun = &mut self.begun;
        let (_, part) = self.parts.entry(partition).or_insert_with(|| {
            *begun += 1;
            (*begun, P::default())
        });
        part
    }

    /// Takes a part out.
    pub fn remove(&mut self, partition: PartitionValue) -> Option<P> {
        self.parts.remove(&partition).map(|(_, part)| part)
    }

    /// Whether no part is left.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Forgets all parts.
    pub fn clear(&mut self) {
        self.parts.clear();
    }

    /// All parts.
    pub fn iter(&self) -> impl Iterator<Item = &P> {
        self.parts.values().map(|(_, part)| part)
    }

    /// Sizes of all parts, given the rows and bytes of one.
    pub fn sizes(&self, size: impl Fn(&P) -> (usize, usize)) -> BTreeMap<PartitionValue, Gathered> {
        let sized = self.parts.iter().map(|(partition, (order, part))| {
            let (rows, bytes) = size(part);
            (*partition, Gathered { rows, bytes, order: *order })
        });
        sized.collect()
    }
}

//! From a block of raw messages to the decisions about them, encoded and in order.

use crate::core::columns;
use crate::core::decide::{Message, Validator};
use crate::core::decision::{Decision, DecisionWriter, Position, Rejected, WHOLE_MESSAGE};
use crate::core::devices::DeviceTable;
use crate::core::replay::{self, Marks, Outcomes, Standing, Turn, Turns};
use crate::core::tally::Tally;
use kafka_pipeline::dead_letter::replay as redrive;
use kafka_pipeline::{Decoded, Poison, RecordBlock, RecordRef, frame};
use meter_model::{RejectCode, UnknownName};
use meterway_schemas::Source;
use meterway_schemas::columns::{ReadingBatchColumns, ValidatedBatchColumns, WrongShape};
use meterway_schemas::encode::ReadingBatch;
use meterway_schemas::replay::{REPLAY_HEADER, ReplayNote};
use std::ops::Range;

/// A decoded batch is not what the contract says. A mistake of the program: the decoder gives the reader's schema.
#[derive(Debug, thiserror::Error)]
pub enum NotTheContract {
    /// A column is missing or of another type.
    #[error(transparent)]
    Shape(#[from] WrongShape),
    /// An enum has a symbol that this version does not know.
    #[error(transparent)]
    Symbol(#[from] UnknownName),
}

/// What a message of a block became.
#[derive(Debug, Clone, Copy)]
pub enum Slot<'a> {
    /// A row of a batch.
    Row {
        /// Index of the batch.
        batch: usize,
        /// Row in it.
        row: usize,
    },
    /// Not decodable.
    Poison(&'a Poison),
}

/// The messages of a decoded block in the order of their offsets, each with its index in the block.
pub fn in_order(decoded: &Decoded) -> Vec<(usize, Slot<'_>)> {
    let rows = decoded.batches.iter().enumerate().flat_map(|(batch, decoded)| {
        decoded.rows.iter().enumerate().map(move |(row, index)| (*index as usize, Slot::Row { batch, row }))
    });
    let poison = decoded.poison.iter().map(|(index, poison)| (*index as usize, Slot::Poison(poison)));
    let mut slots: Vec<_> = rows.chain(poison).collect();
    slots.sort_unstable_by_key(|(index, _)| *index);
    slots
}

/// Whether some message of the block names a device that the table does not hold.
///
/// # Errors
/// [`NotTheContract`].
pub fn has_unknown_device(decoded: &Decoded, devices: &DeviceTable) -> Result<bool, NotTheContract> {
    for decoded in &decoded.batches {
        let columns = ReadingBatchColumns::try_from(&decoded.batch)?;
        if columns.device_id.iter().flatten().any(|device| devices.get(device).is_none()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A message that was rejected in part or as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Index of the message in its block.
    pub record: usize,
    /// Reason of the first rejection that is not `DUPLICATE`; `DUPLICATE` when there is no other, and then everything
    /// that the message holds is stored.
    pub code: RejectCode,
    /// What was found and expected, for people.
    pub message: String,
}

/// The decisions about the messages of a block. Reused from block to block.
#[derive(Debug, Default)]
pub struct DecidedBlock {
    bytes: Vec<u8>,
    ends: Vec<(usize, usize)>,
    /// What must lie in the dead-letter topic before the decisions are written.
    pub dead_letters: Vec<DeadLetter>,
    /// Counts of what the decisions say.
    pub tally: Tally,
    /// Counts of what became of readings, on the replay lane.
    pub outcomes: Outcomes,
}

impl DecidedBlock {
    /// The decisions in order: index of the message in its block, and the framed bytes.
    pub fn decisions(&self) -> impl ExactSizeIterator<Item = (usize, &[u8])> {
        self.ends.iter().enumerate().map(|(number, (record, end))| {
            let start = number.checked_sub(1).map_or(0, |before| self.ends[before].1);
            (*record, &self.bytes[Range { start, end: *end }])
        })
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.dead_letters.clear();
        self.tally = Tally::default();
        self.outcomes = Outcomes::default();
    }
}

/// Decides about whole blocks of one partition.
#[derive(Debug)]
pub struct BlockDecider {
    validator: Validator,
    writer: DecisionWriter,
    schema_id: u32,
    /// Offset of the output that the next decision counts on.
    next: i64,
    /// On the replay lane, which of its messages were judged.
    lane: Option<Turns>,
}

impl BlockDecider {
    /// Decisions of a validator, framed with the id of their schema, for an output that is to hold them from `next` on:
    /// behind the decisions that the validator has learned from.
    pub fn new(validator: Validator, schema_id: u32, next: i64) -> Self {
        let writer = DecisionWriter::new(validator.rules());
        Self { validator, writer, schema_id, next, lane: None }
    }

    /// Decides on the replay lane, behind the message that was judged last.
    #[must_use]
    pub fn on_the_replay_lane(self, newest: Option<Turn>) -> Self {
        Self { lane: Some(Turns::behind(newest)), ..self }
    }

    /// What may take so much memory from now on; bytes.
    pub fn limit_memory(&mut self, bytes: usize) {
        self.validator.limit_memory(bytes);
    }

    /// What decides.
    pub fn validator(&self) -> &Validator {
        &self.validator
    }

    /// Decides about every message of a block at a time (UTC microseconds).
    ///
    /// # Errors
    /// [`NotTheContract`].
    pub fn decide(
        &mut self,
        devices: &DeviceTable,
        now: i64,
        (block, decoded): (&RecordBlock, &Decoded),
        out: &mut DecidedBlock,
    ) -> Result<(), NotTheContract> {
        out.clear();
        let batches: Vec<ReadingBatchColumns<'_>> = decoded
            .batches
            .iter()
            .map(|decoded| ReadingBatchColumns::try_from(&decoded.batch))
            .collect::<Result<_, _>>()?;
        let flags: Vec<_> = batches.iter().map(columns::flags).collect();
        let readings: Vec<_> = batches
            .iter()
            .zip(&flags)
            .map(|(batch, flags)| columns::readings(batch, flags))
            .collect::<Result<_, _>>()?;
        for (record, slot) in in_order(decoded) {
            let raw = block.get(record);
            let note = self.lane.as_ref().and_then(|_| note_of(&raw));
            let decision = match slot {
                Slot::Poison(poison) => Decision::poison(raw.key, code_of(poison), poison.to_string()),
                Slot::Row { batch, row } => {
                    let content = by_its_way(columns::batch(&batches[batch], &readings[batch], row)?, &raw);
                    let payload_bytes = raw.payload.map_or(0, <[u8]>::len);
                    let note = note.as_ref();
                    self.judge(devices, now, &Message { key: raw.key, payload_bytes, batch: content, note })
                }
            };
            let at = Position { partition: block.partition(), source: raw.offset, decision: self.next };
            self.next += 1;
            self.write((note.as_ref(), &decision), at, now, out);
            out.ends.push((record, out.bytes.len()));
            if self.lane.is_none() {
                out.dead_letters.extend(dead_letter(record, &decision));
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        (note, decision): (Option<&ReplayNote>, &Decision<'_>),
        at: Position,
        now: i64,
        out: &mut DecidedBlock,
    ) {
        frame(self.schema_id, &[], &mut out.bytes);
        let marks = note.map(|note| (note, Marks::of(note, decision, &mut out.outcomes)));
        let replayed = marks.as_ref().map(|(note, marks)| (*note, marks));
        self.writer.write_on(replayed, decision, at, now, &mut out.bytes);
        out.tally.add(decision);
    }

    fn judge<'a>(&mut self, devices: &'a DeviceTable, now: i64, message: &Message<'a>) -> Decision<'a> {
        let Some(turns) = &mut self.lane else { return self.validator.decide(devices, now, message) };
        match message.note.map(|note| turns.take((note.revision, note.origin_offset))) {
            None => return replay::without_origin(message),
            Some(Standing::Past) => return replay::out_of_turn(message),
            Some(Standing::FirstOfReplay) => self.validator.forget_everything(),
            Some(Standing::Next) => {}
        }
        self.validator.decide(devices, now, message)
    }
}

/// What the planner said of a message; `None` when it said nothing that can be read.
fn note_of(raw: &RecordRef<'_>) -> Option<ReplayNote> {
    ReplayNote::parse(raw.header(REPLAY_HEADER)?).ok()
}

/// A dead letter that was sent back has the bytes of its first delivery: that it is a replay stands in its headers.
fn by_its_way<'a>(content: ReadingBatch<'a>, raw: &RecordRef<'_>) -> ReadingBatch<'a> {
    if redrive::is_replay(raw) { ReadingBatch { source: Source::Replay, ..content } } else { content }
}

fn code_of(poison: &Poison) -> RejectCode {
    poison.code().parse().unwrap_or(RejectCode::InternalError)
}

fn dead_letter(record: usize, decision: &Decision<'_>) -> Option<DeadLetter> {
    let worth_a_look = |rejected: &&Rejected| rejected.code != RejectCode::Duplicate;
    let first = decision.rejected.iter().find(worth_a_look).or(decision.rejected.first())?;
    let message = if first.index == WHOLE_MESSAGE {
        first.detail.to_string()
    } else {
        let (rejected, all) = (decision.rejected.len(), decision.batch.readings.len());
        format!("{rejected} of {all} readings rejected, first reading {}: {}", first.index, first.detail)
    };
    Some(DeadLetter { record, code: first.code, message })
}

/// What a message of the output says of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Index of the message in its block.
    pub record: usize,
    /// Offset that its writer counted on.
    pub decision_offset: i64,
    /// Offset of the raw message that it is about.
    pub source_offset: i64,
}

/// Takes earlier decisions of a partition back into a validator; of the replay lane's, those of the newest replay.
///
/// # Errors
/// [`NotTheContract`].
pub fn learn(
    validator: &mut Validator,
    decoded: &Decoded,
    partition: i32,
    turns: &mut Turns,
    mut holds: impl FnMut(Claim) -> bool,
) -> Result<Learning, NotTheContract> {
    let mut learning = Learning::default();
    let batches: Vec<ValidatedBatchColumns<'_>> = decoded
        .batches
        .iter()
        .map(|decoded| ValidatedBatchColumns::try_from(&decoded.batch))
        .collect::<Result<_, _>>()?;
    for (record, slot) in in_order(decoded) {
        let Slot::Row { batch, row } = slot else {
            learning.unreadable += 1;
            continue;
        };
        let columns = &batches[batch];
        let (decision_offset, source_offset) = (columns.decision_offset.value(row), columns.source_offset.value(row));
        if columns.source_partition.value(row) != partition {
            learning.unreadable += 1;
        } else if holds(Claim { record, decision_offset, source_offset }) {
            learning.decisions += 1;
            if arrow::array::Array::is_valid(columns.origin_offset, row) {
                match turns.take((columns.revision.value(row), columns.origin_offset.value(row))) {
                    Standing::Past => continue,
                    Standing::FirstOfReplay => validator.forget_everything(),
                    Standing::Next => {}
                }
            }
            validator.learn(
                columns.tenant_id.value(row),
                columns.device_id.value(row),
                columns::learned(columns, row)?,
            );
        } else {
            learning.repeated += 1;
        }
    }
    Ok(learning)
}

/// What was taken from earlier decisions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Learning {
    /// Decisions that hold.
    pub decisions: u64,
    /// Messages that count for nothing: out of their place, or about an offset that was decided before.
    pub repeated: u64,
    /// Messages that are no decisions of this partition.
    pub unreadable: u64,
}

#[cfg(test)]
mod tests;

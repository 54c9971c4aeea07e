//! Blocks of messages to Arrow record batches.
//!
//! Guarantees: a message that is not well formed is reported as [`Poison`] and never costs a neighbour; every other
//! message is one row of one batch; the batches have the reader's schema whatever schema a message was written with. A
//! message on which the decoding library panics is singled out like one that it refuses.
//! A registry that is away is an error of the whole call, which may be repeated, and never poison.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use apache_avro::Schema;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow_avro::reader::{Decoder, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};

use super::prewalk::Program;
use super::{Poison, conform, unframe};
use crate::record::RecordBlock;
use crate::registry::{Registry, RegistryError};

/// More rows than a block can have: a batch is finished by us, never by the decoder.
const BATCH_ROWS: usize = u32::MAX as usize;

/// Why a block could not be decoded at all.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DecodeError {
    /// The registry gave no answer about a writer's schema. Transient unless it refuses.
    #[error("look up a writer's schema")]
    Registry(#[from] RegistryError),
    /// The reader's schema cannot be used. A mistake of the program.
    #[error("reader schema cannot be used: {0}")]
    ReaderSchema(String),
}

/// Rows of one writer's schema.
#[derive(Debug, Clone)]
pub struct DecodedBatch {
    /// The rows, in the reader's schema.
    pub batch: RecordBatch,
    /// Index in the block of the message of each row, rising.
    pub rows: Vec<u32>,
}

/// What became of the messages of a block: each is a row or poison.
#[derive(Debug, Clone, Default)]
pub struct Decoded {
    /// The rows. One batch when all messages have the same writer's schema, so usually one.
    pub batches: Vec<DecodedBatch>,
    /// Messages that cannot be decoded, by index in the block, rising.
    pub poison: Vec<(u32, Poison)>,
}

/// A writer's schema, ready to decode.
struct Plan {
    id: u32,
    program: Program,
    writer: AvroSchema,
    decoder: Decoder,
    /// Rows of the block at hand that wait in the decoder.
    rows: Vec<u32>,
    broken: bool,
}

enum Known {
    Readable(Box<Plan>),
    /// This schema can never be read as the reader's.
    Wrong(String),
}

/// Decodes blocks with one reader's schema; remembers a plan per writer's schema.
pub struct BatchDecoder {
    registry: Registry,
    reader: AvroSchema,
    schema: SchemaRef,
    plans: HashMap<u32, Known>,
}

impl std::fmt::Debug for BatchDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchDecoder").field("writers", &self.plans.keys()).finish_non_exhaustive()
    }
}

impl BatchDecoder {
    /// A decoder to the given reader's schema (Avro JSON).
    ///
    /// # Errors
    /// [`DecodeError::ReaderSchema`].
    pub fn new(registry: Registry, reader_schema: &str) -> Result<Self, DecodeError> {
        let reader = AvroSchema::new(reader_schema.to_owned());
        let own = build_decoder(0, &reader, &reader).map_err(DecodeError::ReaderSchema)?;
        Ok(Self { registry, reader, schema: own.schema(), plans: HashMap::new() })
    }

    /// Arrow schema of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Decodes a block: [`prepare`](Self::prepare), then [`decode_prepared`](Self::decode_prepared).
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    ///
    /// # Cancel safety
    /// Safe; nothing was decoded then.
    pub async fn decode(&mut self, block: &RecordBlock) -> Result<Decoded, DecodeError> {
        self.prepare(block).await?;
        Ok(self.decode_prepared(block))
    }

    /// Looks up the writers' schemas of a block that are not known yet. The only part that waits.
    ///
    /// # Errors
    /// [`DecodeError::Registry`] when the registry gives no answer; ask again.
    pub async fn prepare(&mut self, block: &RecordBlock) -> Result<(), DecodeError> {
        let mut last = None;
        for record in block.iter() {
            let Ok((id, _)) = unframe(record.payload) else { continue };
            if last.replace(id) == Some(id) || self.plans.contains_key(&id) {
                continue;
            }
            match self.registry.schema_by_id(id).await {
                Ok(writer) => self.learn(id, &writer),
                // Not remembered here: the registry client does, and forgets again, in case the schema comes later.
                Err(RegistryError::NotFound(_)) => {}
                Err(RegistryError::Refused { status: 200, reason, .. }) => {
                    self.plans.insert(id, Known::Wrong(reason));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Makes a writer's schema known without asking the registry; for tools and benches that have it.
    pub fn learn(&mut self, id: u32, writer_schema: &str) {
        let plan = Plan::new(id, writer_schema, &self.reader).and_then(|plan| {
            let fits = conform::same_types(&plan.decoder.schema(), &self.schema);
            if fits { Ok(plan) } else { Err("its values have other types".to_owned()) }
        });
        let known = match plan {
            Ok(plan) => Known::Readable(Box::new(plan)),
            Err(reason) => {
                tracing::warn!(schema.id = id, reason, "writer schema cannot be read");
                Known::Wrong(reason)
            }
        };
        self.plans.insert(id, known);
    }

    /// Decodes a block whose writers' schemas are known; an unknown one is [`Poison::UnknownSchemaId`]. Pure computing.
    ///
    /// # Panics
    /// When the block has 2^32 records, which no consumer makes.
    pub fn decode_prepared(&mut self, block: &RecordBlock) -> Decoded {
        let mut decoded = Decoded::default();
        for (index, record) in (0_u32..).zip(block.iter()) {
            if let Err(poison) = self.take(index, record.payload) {
                decoded.poison.push((index, poison));
            }
        }
        for known in self.plans.values_mut() {
            if let Known::Readable(plan) = known
                && !plan.rows.is_empty()
            {
                plan.finish(block, &self.reader, &mut decoded);
            }
        }
        for DecodedBatch { batch, .. } in &mut decoded.batches {
            // The types are the same, which was checked when the writer's schema was learned.
            *batch = conform::with_schema(batch, &self.schema).unwrap_or_else(|| batch.clone());
        }
        decoded.batches.sort_by_key(|batch| batch.rows.first().copied());
        decoded.poison.sort_by_key(|(index, _)| *index);
        decoded
    }

    fn take(&mut self, index: u32, payload: Option<&[u8]>) -> Result<(), Poison> {
        let (id, datum) = unframe(payload)?;
        let plan = match self.plans.get_mut(&id) {
            Some(Known::Readable(plan)) => plan,
            Some(Known::Wrong(reason)) => return Err(Poison::WrongSchema { id, reason: reason.clone() }),
            None => return Err(Poison::UnknownSchemaId(id)),
        };
        plan.program.check(datum)?;
        plan.rows.push(index);
        // Once broken, the decoder is thrown away with all its rows; they are decoded again when the block is finished.
        plan.broken = plan.broken || decode_one(&mut plan.decoder, payload.unwrap_or_default()).is_err();
        Ok(())
    }
}

impl Plan {
    fn new(id: u32, writer_schema: &str, reader: &AvroSchema) -> Result<Self, String> {
        let parsed = Schema::parse_str(writer_schema).map_err(|error| error.to_string())?;
        let program = Program::compile(&parsed).map_err(|error| error.to_string())?;
        let writer = AvroSchema::new(writer_schema.to_owned());
        let decoder = build_decoder(id, &writer, reader)?;
        Ok(Self { id, program, writer, decoder, rows: Vec::new(), broken: false })
    }

    fn finish(&mut self, block: &RecordBlock, reader: &AvroSchema, decoded: &mut Decoded) {
        let rows = std::mem::take(&mut self.rows);
        let flushed = if self.broken { None } else { flush(&mut self.decoder, rows.len()) };
        match flushed {
            Some(batch) => decoded.batches.push(DecodedBatch { batch, rows }),
            None => {
                tracing::warn!(schema.id = self.id, messages = rows.len(), "decoder refused clean messages, bisecting");
                self.bisect(block, reader, rows, decoded);
                self.broken = false;
            }
        }
    }

    /// Decodes rows with a fresh decoder, halves them when that fails, and calls the single ones that fail poison.
    fn bisect(&mut self, block: &RecordBlock, reader: &AvroSchema, rows: Vec<u32>, decoded: &mut Decoded) {
        let reason = match self.decode_afresh(block, reader, &rows) {
            Ok(batch) => return decoded.batches.push(DecodedBatch { batch, rows }),
            Err(reason) => reason,
        };
        if let [row] = rows[..] {
            decoded.poison.push((row, Poison::Undecodable(reason)));
            // What the failed attempt left behind must not stay in the decoder.
            if let Ok(decoder) = build_decoder(self.id, &self.writer, reader) {
                self.decoder = decoder;
            }
            return;
        }
        let (first, second) = rows.split_at(rows.len() / 2);
        self.bisect(block, reader, first.to_vec(), decoded);
        self.bisect(block, reader, second.to_vec(), decoded);
    }

    fn decode_afresh(&mut self, block: &RecordBlock, reader: &AvroSchema, rows: &[u32]) -> Result<RecordBatch, String> {
        self.decoder = build_decoder(self.id, &self.writer, reader)?;
        for row in rows {
            decode_one(&mut self.decoder, block.get(*row as usize).payload.unwrap_or_default())?;
        }
        flush(&mut self.decoder, rows.len()).ok_or_else(|| "rows could not be finished".to_owned())
    }
}

/// Hands a message to a decoder. After an error the decoder is of no further use.
fn decode_one(decoder: &mut Decoder, payload: &[u8]) -> Result<(), String> {
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(test)]
        tests::panic_if_planted(payload);
        decoder.decode(payload)
    }));
    match decoded {
        Ok(Ok(consumed)) if consumed == payload.len() => Ok(()),
        Ok(Ok(consumed)) => Err(format!("{consumed} of {} bytes were taken", payload.len())),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_panic) => Err("the decoder panicked".to_owned()),
    }
}

/// The rows of a decoder, if it has exactly so many.
fn flush(decoder: &mut Decoder, rows: usize) -> Option<RecordBatch> {
    let flushed = catch_unwind(AssertUnwindSafe(|| decoder.flush())).ok()?;
    flushed.ok().flatten().filter(|batch| batch.num_rows() == rows)
}

fn build_decoder(id: u32, writer: &AvroSchema, reader: &AvroSchema) -> Result<Decoder, String> {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(id), writer.clone()).map_err(|error| error.to_string())?;
    ReaderBuilder::new()
        .with_batch_size(BATCH_ROWS)
        .with_reader_schema(reader.clone())
        .with_writer_schema_store(store)
        .build_decoder()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;

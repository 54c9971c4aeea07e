//! Values of small topics: devices, alerts, commits. One value at a time through serde; hot paths use
//! [`BatchDecoder`](super::BatchDecoder).

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::prewalk::Program;
use super::{Poison, frame, unframe};
use crate::registry::{Registry, RegistryError};

/// Why a value could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CodecError {
    /// The message is bad and stays so.
    #[error(transparent)]
    Poison(#[from] Poison),
    /// The registry gave no answer about a schema. Transient unless it refuses.
    #[error("look up a schema")]
    Registry(#[from] RegistryError),
    /// The program's own schema cannot be used. A mistake of the program.
    #[error("schema cannot be used: {0}")]
    Schema(String),
    /// The value does not fit its schema. A mistake of the program.
    #[error("value does not fit its schema: {0}")]
    Encode(String),
}

impl CodecError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_transient())
    }
}

fn parse(schema: &str) -> Result<Schema, CodecError> {
    Schema::parse_str(schema).map_err(|error| CodecError::Schema(error.to_string()))
}

/// Writes values of one type in Confluent framing.
#[derive(Debug, Clone)]
pub struct AvroWriter<T> {
    id: u32,
    schema: Arc<Schema>,
    value: PhantomData<fn(&T)>,
}

impl<T: Serialize> AvroWriter<T> {
    /// Registers the schema under the subject (`<topic>-value`), or finds it there, and makes a writer for it.
    ///
    /// # Errors
    /// [`CodecError::Schema`] or [`CodecError::Registry`].
    pub async fn new(registry: &Registry, subject: &str, schema: &str) -> Result<Self, CodecError> {
        parse(schema)?;
        Self::with_id(registry.register(subject, schema).await?, schema)
    }

    /// A writer for a schema whose id is known.
    ///
    /// # Errors
    /// [`CodecError::Schema`].
    pub fn with_id(id: u32, schema: &str) -> Result<Self, CodecError> {
        Ok(Self { id, schema: Arc::new(parse(schema)?), value: PhantomData })
    }

    /// The schema's id.
    #[must_use]
    pub fn schema_id(&self) -> u32 {
        self.id
    }

    /// The framed bytes of a value.
    ///
    /// # Errors
    /// [`CodecError::Encode`].
    pub fn write(&self, value: &T) -> Result<Vec<u8>, CodecError> {
        let encode = |error: apache_avro::Error| CodecError::Encode(error.to_string());
        let writer = GenericDatumWriter::builder(&self.schema).human_readable(true).build().map_err(encode)?;
        let mut framed = Vec::with_capacity(256);
        frame(self.id, &[], &mut framed);
        writer.write_ser(&mut framed, value).map_err(encode)?;
        Ok(framed)
    }
}

#[derive(Debug)]
struct WriterSchema {
    schema: Schema,
    program: Program,
}

#[derive(Debug, Clone)]
enum Known {
    Readable(Arc<WriterSchema>),
    Wrong(String),
}

/// Reads framed values of one type, whatever compatible schema they were written with.
#[derive(Debug, Clone)]
pub struct AvroReader<T> {
    registry: Registry,
    reader: Arc<Schema>,
    writers: Arc<Mutex<HashMap<u32, Known>>>,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> AvroReader<T> {
    /// A reader to the given schema (Avro JSON).
    ///
    /// # Errors
    /// [`CodecError::Schema`].
    pub fn new(registry: Registry, reader_schema: &str) -> Result<Self, CodecError> {
        Ok(Self { registry, reader: Arc::new(parse(reader_schema)?), writers: Arc::default(), value: PhantomData })
    }

    /// Reads the value of a payload. Waits only when the writer's schema is not known yet.
    ///
    /// # Errors
    /// [`CodecError::Poison`] when the message is bad, [`CodecError::Registry`] when the registry gives no answer.
    pub async fn read(&self, payload: &[u8]) -> Result<T, CodecError> {
        let (id, datum) = unframe(Some(payload))?;
        let writer = match self.writer(id).await? {
            Known::Readable(writer) => writer,
            Known::Wrong(reason) => return Err(Poison::WrongSchema { id, reason }.into()),
        };
        writer.program.check(datum)?;
        let undecodable = |error: apache_avro::Error| Poison::Undecodable(error.to_string());
        let mut reader = GenericDatumReader::builder(&writer.schema).reader_schema(&self.reader).build();
        let value = reader.as_mut().map_err(|error| Poison::WrongSchema { id, reason: error.to_string() })?;
        let value = value.read_value(&mut { datum }).map_err(undecodable)?;
        Ok(apache_avro::from_value(&value).map_err(undecodable)?)
    }

    async fn writer(&self, id: u32) -> Result<Known, CodecError> {
        let known = self.writers.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let text = match self.registry.schema_by_id(id).await {
            Ok(text) => text,
            Err(RegistryError::NotFound(_)) => return Err(Poison::UnknownSchemaId(id).into()),
            Err(RegistryError::Refused { status: 200, reason, .. }) => return Ok(Known::Wrong(reason)),
            Err(error) => return Err(error.into()),
        };
        let known = match compile(&text) {
            Ok(writer) => Known::Readable(Arc::new(writer)),
            Err(reason) => Known::Wrong(reason),
        };
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).insert(id, known.clone());
        Ok(known)
    }
}

fn compile(text: &str) -> Result<WriterSchema, String> {
    let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
    let program = Program::compile(&schema).map_err(|error| error.to_string())?;
    Ok(WriterSchema { schema, program })
}

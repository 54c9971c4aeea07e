//! Serde structs of the small topics. Field names and order are the schema's; times are UTC microseconds.

pub(crate) mod alert;
pub(crate) mod device;
pub(crate) mod event;
pub(crate) mod lake_commit;
pub(crate) mod quantity_bytes;
pub(crate) mod warehouse_load;

use apache_avro::{
    AvroResult, Schema, from_value, reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// How a delivery reached the raw topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Source {
    /// Straight from a gateway's Kafka client.
    Kafka,
    /// Through the HTTP door.
    Http,
    /// Replayed from the landing table.
    Replay,
}

impl Source {
    /// The name as contracts and tables write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kafka => "KAFKA",
            Self::Http => "HTTP",
            Self::Replay => "REPLAY",
        }
    }
}

/// Encodes a record of a small topic as a bare datum, without framing.
///
/// # Errors
/// When the value does not fit the schema; for the structs of this crate and their own contract that is a defect.
pub fn encode_record<T: Serialize>(schema: &Schema, value: &T) -> AvroResult<Vec<u8>> {
    GenericDatumWriter::builder(schema).build()?.write_ser_to_vec(value)
}

/// Decodes a bare datum that was written with `writer` into a record of the `reader` contract.
///
/// # Errors
/// When the bytes are no such datum, or the two schemas do not match.
pub fn decode<T: DeserializeOwned>(writer: &Schema, reader: &Schema, mut datum: &[u8]) -> AvroResult<T> {
    let value = GenericDatumReader::builder(writer).reader_schema(reader).build()?.read_value(&mut datum)?;
    from_value(&value)
}

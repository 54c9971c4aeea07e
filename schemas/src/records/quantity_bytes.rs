//! Serde form of a [`Quantity`] as Avro `decimal` on `fixed(8)`: the big-endian unscaled value.

use meter_model::Quantity;
use serde::{Deserializer, Serializer, de};
use std::fmt;

pub(crate) fn serialize<S: Serializer>(value: &Quantity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(&value.micros().to_be_bytes())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Quantity, D::Error> {
    deserializer.deserialize_bytes(QuantityVisitor)
}

struct QuantityVisitor;

impl de::Visitor<'_> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal(18,6) of at most 8 bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Quantity, E> {
        unscaled(bytes).and_then(Quantity::from_micros).ok_or_else(|| E::invalid_length(bytes.len(), &self))
    }
}

/// Sign-extends the two's complement bytes; a reader may hand over fewer than eight.
fn unscaled(bytes: &[u8]) -> Option<i64> {
    let start = 8usize.checked_sub(bytes.len())?;
    let fill = if bytes.first().is_some_and(|b| *b >= 0x80) { 0xff } else { 0 };
    let mut padded = [fill; 8];
    padded[start..].copy_from_slice(bytes);
    Some(i64::from_be_bytes(padded))
}

pub(crate) mod option {
    //! The same for an optional value.

    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(transparent)]
    struct Wrapped(#[serde(with = "super")] Quantity);

    pub(crate) fn serialize<S: Serializer>(value: &Option<Quantity>, serializer: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&value.map(Wrapped), serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Quantity>, D::Error> {
        <Option<Wrapped> as serde::Deserialize>::deserialize(deserializer).map(|v| v.map(|w| w.0))
    }
}

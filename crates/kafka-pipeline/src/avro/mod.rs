//! Avro in Confluent framing: one zero byte, the writer's schema id in four bytes (big endian), the datum.
//!
//! [`BatchDecoder`] turns whole blocks into Arrow record batches and singles out every message that is not well formed;
//! [`AvroWriter`] and [`AvroReader`] serve small topics, a value at a time.

mod batch;
mod conform;
mod poison;
mod prewalk;
mod typed;

pub use self::{
    batch::{BatchDecoder, DecodeError, Decoded, DecodedBatch},
    poison::Poison,
    typed::{AvroReader, AvroWriter, CodecError},
};

/// Bytes before the datum.
pub const FRAME_BYTES: usize = 5;

/// Appends a datum with its frame to a buffer.
pub fn frame(schema_id: u32, datum: &[u8], out: &mut Vec<u8>) {
    out.reserve(FRAME_BYTES + datum.len());
    out.push(0);
    out.extend_from_slice(&schema_id.to_be_bytes());
    out.extend_from_slice(datum);
}

/// Splits a payload into the writer's schema id and the datum.
///
/// # Errors
/// [`Poison::Empty`], [`Poison::TooShort`] or [`Poison::WrongMagic`].
pub fn unframe(payload: Option<&[u8]>) -> Result<(u32, &[u8]), Poison> {
    let payload = payload.ok_or(Poison::Empty)?;
    let Some((head, datum)) = payload.split_first_chunk::<FRAME_BYTES>() else {
        return Err(Poison::TooShort(payload.len()));
    };
    let [magic, id @ ..] = *head;
    if magic != 0 {
        return Err(Poison::WrongMagic(magic));
    }
    Ok((u32::from_be_bytes(id), datum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_round_trip() {
        let mut out = Vec::new();
        frame(0x0102_0304, b"datum", &mut out);
        assert_eq!(out, b"\0\x01\x02\x03\x04datum");
        assert_eq!(unframe(Some(&out)), Ok((0x0102_0304, &b"datum"[..])));
    }

    #[test]
    fn bad_frames_are_told_apart() {
        assert_eq!(unframe(None), Err(Poison::Empty));
        assert_eq!(unframe(Some(b"")), Err(Poison::TooShort(0)));
        assert_eq!(unframe(Some(b"\0\0\0\x01")), Err(Poison::TooShort(4)));
        assert_eq!(unframe(Some(b"\x01\0\0\0\x01")), Err(Poison::WrongMagic(1)));
        assert_eq!(unframe(Some(b"\0\0\0\0\x01")), Ok((1, &b""[..])));
    }
}

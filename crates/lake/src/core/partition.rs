//! Which partition of a table a row belongs to, computed per run of rows instead of per row.

use std::fmt;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The partition value that all rows of a data file share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartitionValue {
    /// `day(time)`.
    Day(
        /// Days since 1970-01-01, UTC.
        i32,
    ),
    /// `day(time), bucket(n, tenant_id)`.
    DayBucket {
        /// Days since 1970-01-01, UTC.
        day: i32,
        /// Bucket of the tenant, see [`tenant_bucket`].
        bucket: i32,
    },
}

impl PartitionValue {
    /// Days since 1970-01-01, UTC.
    pub fn day(self) -> i32 {
        match self {
            Self::Day(day) | Self::DayBucket { day, .. } => day,
        }
    }
}

impl fmt::Display for PartitionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(f, "day={day}"),
            Self::DayBucket { day, bucket } => write!(f, "day={day}/bucket={bucket}"),
        }
    }
}

/// Iceberg's `day` transform of microseconds since 1970-01-01: rounds towards the past, also before 1970.
///
/// Saturates at the days that fit an `i32`, which no timestamp of a meter reaches.
pub fn day_of_micros(micros: i64) -> i32 {
    let day = micros.div_euclid(MICROS_PER_DAY);
    i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
}

/// Iceberg's `bucket(n, tenant_id)`: MurmurHash3 (x86, 32 bit, seed 0) of the UTF-8 bytes, sign bit cleared, modulo `n`.
///
/// # Panics
/// When `buckets` is 0.
pub fn tenant_bucket(tenant_id: &str, buckets: u32) -> i32 {
    let positive = murmur3_x86_32(tenant_id.as_bytes()) & 0x7fff_ffff;
    i32::try_from(positive % buckets).expect("a number without the sign bit fits i32")
}

fn murmur3_x86_32(bytes: &[u8]) -> u32 {
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = 0u32;
    for block in blocks {
        hash ^= scramble(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let mut last = [0u8; 4];
        last[..tail.len()].copy_from_slice(tail);
        hash ^= scramble(u32::from_le_bytes(last));
    }
    // The algorithm is defined on the length modulo 2^32.
    hash ^= bytes.len() as u32;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

fn scramble(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{Datum, PrimitiveLiteral, Transform};
    use iceberg::transform::create_transform_function;
    use proptest::prelude::*;

    use super::*;

    fn transformed(transform: Transform, datum: &Datum) -> i32 {
        let function = create_transform_function(&transform).unwrap();
        match function.transform_literal_result(datum).unwrap().literal() {
            PrimitiveLiteral::Int(value) => *value,
            other => panic!("unexpected literal {other:?}"),
        }
    }

    /// From appendix B of the table specification.
    #[test]
    fn hashes_the_word_of_the_specification() {
        assert_eq!(murmur3_x86_32(b"iceberg"), 1_210_000_089);
    }

    #[test]
    fn days_round_towards_the_past() {
        assert_eq!(day_of_micros(-1), -1);
        assert_eq!(day_of_micros(0), 0);
        assert_eq!(day_of_micros(MICROS_PER_DAY - 1), 0);
        assert_eq!(day_of_micros(MICROS_PER_DAY), 1);
    }

    proptest! {
        #[test]
        fn buckets_agree_with_the_library(tenant in "[a-zäé0-9-]{0,24}", buckets in 1..64u32) {
            let expected = transformed(Transform::Bucket(buckets), &Datum::string(&tenant));
            prop_assert_eq!(tenant_bucket(&tenant, buckets), expected);
        }

        #[test]
        fn days_agree_with_the_library(micros in -4_000_000_000_000_000i64..8_000_000_000_000_000) {
            prop_assert_eq!(day_of_micros(micros), transformed(Transform::Day, &Datum::timestamptz_micros(micros)));
        }
    }
}

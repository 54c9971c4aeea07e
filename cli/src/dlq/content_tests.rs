use super::*;
use meterway_schemas::READING_BATCH;
use proptest::prelude::*;

/// The bytes that the contract's first version wrote, kept for ever; without the frame.
fn golden() -> Vec<u8> {
    let text = include_str!("../../../schemas/golden/reading_batch.v1.hex");
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn decimal_of(bytes: &[u8], scale: usize) -> String {
    decimal(&Decimal::from(bytes), scale)
}

#[test]
fn a_batch_reads_as_people_would_write_it() {
    let content = read(7, &READING_BATCH.schema(), &golden());
    insta::assert_json_snapshot!(content);
    let sender = content.sender();
    assert!(sender.tenant_id.is_some() && sender.device_id.is_some());
}

#[test]
fn bytes_behind_the_record_are_counted() {
    let mut bytes = golden();
    bytes.extend_from_slice(b"xyz");
    let Content::Yes { trailing_bytes, .. } = read(7, &READING_BATCH.schema(), &bytes) else { panic!("is readable") };
    assert_eq!(trailing_bytes, 3);
}

#[test]
fn a_record_that_ends_early_says_where() {
    let bytes = golden();
    let Content::No { because } = read(7, &READING_BATCH.schema(), &bytes[..bytes.len() - 1]) else {
        panic!("is not readable")
    };
    assert!(because.starts_with("cannot be read as meterway.v1.ReadingBatch (schema 7) beyond byte "), "{because}");
}

#[test]
fn decimals_are_exact() {
    assert_eq!(decimal_of(&1_500_000_i64.to_be_bytes(), 6), "1.500000");
    assert_eq!(decimal_of(&(-1_i64).to_be_bytes(), 6), "-0.000001");
    assert_eq!(decimal_of(&i64::MIN.to_be_bytes(), 6), "-9223372036854.775808");
    assert_eq!(decimal_of(&[5], 0), "5");
    assert!(decimal_of(&[0x7f; 17], 6).starts_with("0x7f"));
}

#[test]
fn times_beyond_the_calendar_are_numbers() {
    assert_eq!(scalar(&Value::TimestampMicros(i64::MAX)), json!(i64::MAX));
    assert_eq!(scalar(&Value::TimestampMicros(1_500_000)), json!("1970-01-01T00:00:01.500Z"));
    assert_eq!(scalar(&Value::Date(20_000)), json!("2024-10-04"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn broken_bytes_are_an_answer_and_no_panic(at in 0..200_usize, byte: u8, cut in 0..200_usize) {
        apache_avro::util::max_allocation_bytes(1 << 20);
        let mut bytes = golden();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut % bytes.len());
        match read(7, &READING_BATCH.schema(), &bytes) {
            Content::Yes { trailing_bytes, .. } => prop_assert!(trailing_bytes < bytes.len()),
            Content::No { because } => prop_assert!(!because.is_empty()),
        }
    }

    #[test]
    fn decimals_say_what_the_number_is(number: i64) {
        let text = decimal_of(&number.to_be_bytes(), 6);
        prop_assert_eq!(text.replace('.', "").parse::<i64>().unwrap(), number);
        prop_assert_eq!(text.split_once('.').unwrap().1.len(), 6);
    }
}

use super::*;
use bytes::Bytes;
use kafka_pipeline::{Header, RecordBlock, RecordBlockBuilder};
use proptest::prelude::*;

fn header(key: &str, value: &str) -> Header {
    Header { key: key.to_owned(), value: Some(Bytes::copy_from_slice(value.as_bytes())) }
}

fn block(headers: &[Header]) -> RecordBlock {
    let mut builder = RecordBlockBuilder::new("rejected", 3);
    builder.push(17, 1_700_000_000_000, Some(b"dev-1"), Some(b"\x00\x01"), headers);
    builder.build()
}

fn letter(code: Option<&str>, seconds: i64, offset: i64) -> Letter {
    let mut letter = Letter::of(0, &block(&[]).get(0));
    letter.code = code.map(str::to_owned);
    letter.at = DateTime::from_timestamp(seconds, 0);
    letter.offset = offset;
    letter
}

#[test]
fn headers_describe_the_letter() {
    let headers = [
        header("__dlq.errors.topic", "raw"),
        header("__dlq.errors.partition", "3"),
        header("__dlq.errors.offset", "977"),
        header("__dlq.errors.message", "ends\u{1b}[31m inside a value"),
        header("x-error-code", "TRUNCATED"),
        header("x-stage", "validate"),
    ];
    let letter = Letter::of(3, &block(&headers).get(0));
    insta::assert_json_snapshot!(letter, @r#"
    {
      "at": "2023-11-14T22:13:20Z",
      "partition": 3,
      "offset": 17,
      "source": {
        "topic": "raw",
        "partition": 3,
        "offset": 977
      },
      "code": "TRUNCATED",
      "message": "ends\\u{1b}[31m inside a value",
      "stage": "validate",
      "key": "dev-1",
      "size": 2
    }
    "#);
}

#[test]
fn a_record_that_is_no_letter_of_ours_is_shown_as_far_as_it_goes() {
    let letter =
        Letter::of(3, &block(&[header("__dlq.errors.topic", "raw"), header("__dlq.errors.offset", "x")]).get(0));
    assert_eq!((letter.source, letter.code, letter.size), (None, None, Some(2)));
}

#[test]
fn code_and_time_are_asked_first() {
    let filter = Filter {
        reasons: vec!["TRUNCATED".into(), "TOO_SHORT".into()],
        since: DateTime::from_timestamp(100, 0),
        until: DateTime::from_timestamp(200, 0),
        ..Filter::default()
    };
    assert!(filter.admits(&letter(Some("TRUNCATED"), 100, 0)));
    assert!(filter.admits(&letter(Some("TOO_SHORT"), 199, 0)));
    assert!(!filter.admits(&letter(Some("TRUNCATED"), 99, 0)));
    assert!(!filter.admits(&letter(Some("TRUNCATED"), 200, 0)), "until is not included");
    assert!(!filter.admits(&letter(Some("WRONG_MAGIC"), 150, 0)));
    assert!(!filter.admits(&letter(None, 150, 0)));
}

#[test]
fn device_is_the_key_or_stands_in_the_content() {
    let filter = Filter { device: Some("dev-1".into()), ..Filter::default() };
    let by_key = letter(None, 0, 0);
    assert!(!filter.needs_content(&by_key) && filter.admits_sender(&by_key, &Sender::default()));
    let other = Letter { key: Some("gateway".into()), ..by_key };
    let sender = Sender { tenant_id: None, device_id: Some("dev-1".into()) };
    assert!(filter.needs_content(&other) && filter.admits_sender(&other, &sender));
    assert!(!filter.admits_sender(&other, &Sender::default()));
}

#[test]
fn bytes_that_tell_no_tenant_belong_to_none() {
    let filter = Filter { tenant: Some("acme".into()), ..Filter::default() };
    let acme = Sender { tenant_id: Some("acme".into()), device_id: None };
    let any = letter(None, 0, 0);
    assert!(filter.needs_content(&any) && filter.admits_sender(&any, &acme));
    assert!(!filter.admits_sender(&any, &Sender::default()));
}

#[test]
fn counts_are_by_code_with_the_most_frequent_first() {
    let mut counts = Counts::default();
    for letter in [letter(Some("A"), 5, 0), letter(Some("B"), 9, 1), letter(Some("B"), 7, 2), letter(None, 1, 3)] {
        counts.push(&letter);
    }
    let counts = counts.into_counts();
    let brief: Vec<_> = counts.iter().map(|count| (count.code.as_deref(), count.letters, count.keys)).collect();
    assert_eq!(brief, [(Some("B"), 2, 1), (None, 1, 1), (Some("A"), 1, 1)]);
    assert_eq!((counts[0].bytes, counts[0].first), (4, DateTime::from_timestamp(7, 0)));
    assert_eq!(counts[0].last, DateTime::from_timestamp(9, 0));
}

proptest! {
    #[test]
    fn nothing_printable_can_command_a_terminal(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(!printable(&bytes).chars().any(|character| character.is_control() || is_directional(character)));
    }

    #[test]
    fn the_newest_are_kept_whatever_the_order_of_arrival(
        seconds in proptest::collection::vec(0..50_i64, 0..60),
        limit in 1..20_usize,
    ) {
        let mut newest = Newest::new(limit);
        for (offset, second) in (0..).zip(&seconds) {
            newest.push(letter(None, *second, offset));
        }
        prop_assert_eq!(newest.matching, seconds.len() as u64);
        let mut expected: Vec<_> = seconds.iter().zip(0..).map(|(second, offset)| (*second, offset)).collect();
        expected.sort_unstable();
        let kept: Vec<_> = newest.into_letters().iter()
            .map(|letter| (letter.at.unwrap().timestamp(), letter.offset)).collect();
        prop_assert_eq!(&kept[..], &expected[expected.len().saturating_sub(limit)..]);
    }
}

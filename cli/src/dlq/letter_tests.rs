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
      "size": 2,
      "replays": 0,
      "replay_of": null
    }
    "#);
}

#[test]
fn a_record_that_is_no_letter_of_ours_is_shown_as_far_as_it_goes() {
    let letter =
        Letter::of(3, &block(&[header("__dlq.errors.topic", "raw"), header("__dlq.errors.offset", "x")]).get(0));
    assert_eq!((letter.source, letter.code, letter.size), (None, None, Some(2)));
}

proptest! {
    #[test]
    fn nothing_printable_can_command_a_terminal(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(!printable(&bytes).chars().any(|character| character.is_control() || is_directional(character)));
    }
}

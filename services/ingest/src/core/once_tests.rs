use super::*;
use proptest::prelude::*;

fn key(value: &str) -> Result<IdempotencyKey, BadKey> {
    IdempotencyKey::parse(value)
}

fn record(fingerprint: Fingerprint, state: State) -> Record {
    Record { fingerprint, request: "r".into(), claimed_at_ms: 0, state }
}

#[test]
fn a_key_is_read_with_quotes_and_without() {
    assert_eq!(key("\"8e03-ab\""), key(" 8e03-ab "));
    assert_eq!(key(r#""a\"b\\c""#).unwrap().0, r#"a"b\c"#);
    for bad in ["", "\"\"", "\"a", "a b", "\"a b\"", "ä", r#""a\b""#, r#""a"b""#, &"x".repeat(256)] {
        assert_eq!(key(bad), Err(BadKey), "{bad:?}");
    }
    assert!(key(&"x".repeat(255)).is_ok());
}

#[test]
fn tenants_and_api_keys_do_not_share_records() {
    let id = |tenant, api| key("k").unwrap().record_id(tenant, api);
    assert_eq!(id("a", "b"), id("a", "b"));
    assert!(id("a", "b") != id("b", "a") && id("ab", "") != id("a", "b"));
}

#[test]
fn the_same_words_at_another_door_are_another_request() {
    let of = Fingerprint::of;
    assert_eq!(of("/r", "json", "{}"), of("/r", "json", "{}"));
    assert!(of("/r", "json", "{}") != of("/e", "json", "{}") && of("/r", "json", "{}") != of("/r", "ndjson", "{}"));
}

#[test]
fn a_record_replays_refuses_or_is_open() {
    let (same, other) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
    let answered = || record(same, State::Answered(b"a".to_vec()));
    let claimed = || record(same, State::Claimed { owner: "o".into(), claim: "c".into() });
    assert_eq!(judge(answered(), same), Verdict::Replay(b"a".to_vec()));
    assert_eq!(judge(claimed(), same), Verdict::Open { owner: "o".into(), claim: "c".into() });
    for record in [answered(), claimed()] {
        assert_eq!(judge(record, other), Verdict::OtherRequest);
    }
}

#[test]
fn an_owner_is_waited_for_until_its_lease_is_surely_over() {
    assert_eq!(Holder::Here.busy_for_s(0), Some(1));
    assert_eq!(Holder::HereNoMore.busy_for_s(0), None);
    assert_eq!(Holder::Other(None).busy_for_s(0), None);
    let other = Holder::Other(Some(10_000));
    assert_eq!(other.busy_for_s(10_000 + CLOCK_SKEW_MS - 1), Some(1));
    assert_eq!(other.busy_for_s(10_000 + CLOCK_SKEW_MS), None);
    assert_eq!(other.busy_for_s(0), Some(5), "the lease may be given back before its end");
    assert_eq!(Holder::Other(Some(i64::MAX)).busy_for_s(i64::MIN), Some(5));
}

#[test]
fn another_cut_of_the_request_means_that_everything_is_sent() {
    let mut found = Found::new("r", 2);
    found.observe(b"r/0/2");
    found.observe(b"r/1/3");
    assert!(!found.is_complete() && found.is_missing(0) && found.is_missing(1));
}

proptest! {
    #[test]
    fn found_and_missing_are_the_whole(total in 1usize..40, stored in prop::collection::vec(any::<prop::sample::Index>(), 0..60)) {
        let stored: std::collections::BTreeSet<usize> = stored.iter().map(|index| index.index(total)).collect();
        let mut found = Found::new("3f", total);
        for index in &stored {
            found.observe(tag("3f", *index, total).as_bytes());
            found.observe(tag("3", *index, total).as_bytes());
            found.observe(tag("3ff", *index, total).as_bytes());
        }
        for index in 0..total {
            prop_assert_eq!(found.is_missing(index), !stored.contains(&index));
        }
        prop_assert_eq!(found.is_complete(), stored.len() == total);
    }

    #[test]
    fn tags_of_others_change_nothing(bytes in prop::collection::vec(any::<u8>(), 0..40), total in 0usize..5) {
        let mut found = Found::new("no such request", total);
        found.observe(&bytes);
        prop_assert_eq!(found, Found::new("no such request", total));
    }

    #[test]
    fn quoting_loses_nothing(text in "[!-~]{1,255}") {
        let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        prop_assert_eq!(key(&quoted).unwrap().0, text.as_str());
    }
}

use std::time::Duration;

use proptest::collection::{hash_set, vec};
use proptest::prelude::*;

use super::orphans::{
    GraceTooShort, Listed, MAX_UNCOMMITTED_AGE, MIN_GRACE, Referenced, cutoff_ms, key_in_bucket, orphans,
};

fn listed(key: &str, modified_ms: i64) -> Listed {
    Listed { key: key.to_owned(), bytes: 1, modified_ms }
}

#[test]
fn the_grace_has_a_floor_above_the_age_that_writers_keep_to() {
    assert!(MIN_GRACE >= MAX_UNCOMMITTED_AGE * 3);
    let short = MIN_GRACE - Duration::from_secs(1);
    assert_eq!(cutoff_ms(0, short), Err(GraceTooShort(short)));
    assert_eq!(cutoff_ms(100_000_000, MIN_GRACE), Ok(100_000_000 - 3 * 3_600_000));
    assert_eq!(cutoff_ms(0, Duration::MAX), Ok(-i64::MAX), "an endless grace keeps everything");
}

#[test]
fn companions_stay_with_their_snapshot() {
    let referenced =
        Referenced { keys: ["w/t/metadata/companions/gap-1.json".to_owned()].into(), snapshots: [77].into() };
    let needs = |name: &str| referenced.needs(&format!("w/t/metadata/companions/{name}"));
    assert!(needs("load-77.manifest") && needs("load-77-2.manifest"));
    assert!(!needs("load-78.manifest"), "its snapshot has expired");
    assert!(needs("gap-1.json") && !needs("gap-2.json"), "a report whose commit did not happen is nobody's");
    assert!(needs("something-else"), "what is not known is not touched");
}

#[test]
fn urls_of_all_engines_are_keys_of_the_bucket_and_others_are_not() {
    assert_eq!(key_in_bucket("s3://lake/w/t/data/a=1/f.parquet", "lake"), Some("w/t/data/a=1/f.parquet"));
    assert_eq!(key_in_bucket("s3a://lake/x", "lake"), Some("x"));
    for elsewhere in ["s3://lake2/x", "s3://lak/x", "gs://lake/x", "lake/x", "s3://lake"] {
        assert_eq!(key_in_bucket(elsewhere, "lake"), None, "{elsewhere}");
    }
}

proptest! {
    /// Whatever is listed: nothing that is referenced goes, nothing young goes, and everything else does.
    #[test]
    fn exactly_the_old_and_unreferenced_go(
        objects in vec(("[a-c]{1,3}", 0..100i64), 0..60),
        referenced in hash_set("[a-c]{1,3}", 0..20),
        cutoff in 0..100i64,
    ) {
        let all: Vec<Listed> = objects.iter().map(|(key, modified)| listed(key, *modified)).collect();
        let referenced = Referenced { keys: referenced, ..Referenced::default() };
        let gone = orphans(all.clone(), &referenced, cutoff);
        for object in &all {
            let expected = object.modified_ms < cutoff && !referenced.keys.contains(&object.key);
            prop_assert_eq!(gone.contains(object), expected, "{:?}", object);
        }
        prop_assert!(gone.windows(2).all(|pair| pair[0].modified_ms <= pair[1].modified_ms), "oldest first");
    }

    /// A writer that keeps to its side never commits a file that a clean-up may have taken, whenever the two happen.
    #[test]
    fn no_file_is_committed_after_it_could_be_removed(
        written in 0..10_000_000i64,
        waits in 0..10_000_000i64,
        cleaned in 0..100_000_000i64,
        grace_s in 0..200_000u64,
    ) {
        let committed = written + waits;
        prop_assume!(Duration::from_millis(waits.unsigned_abs()) <= MAX_UNCOMMITTED_AGE);
        let Ok(cutoff) = cutoff_ms(cleaned, Duration::from_secs(grace_s)) else { return Ok(()) };
        let removed = !orphans([listed("f", written)], &Referenced::default(), cutoff).is_empty();
        prop_assert!(!removed || cleaned > committed, "removed at {cleaned}, committed at {committed}");
    }
}

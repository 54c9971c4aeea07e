use std::collections::BTreeMap;

use lake::{Advance, Head, HeadKey, HeadSet, Refusal};
use proptest::prelude::*;

use super::progress::{Admission, AfterRefusal, Owned};

fn key(partition: i32) -> HeadKey {
    HeadKey::new("meter.readings.validated.v1", "id-1", partition)
}

fn heads(entries: &[(i32, i64, i64)]) -> HeadSet {
    entries.iter().map(|&(partition, next, watermark)| (key(partition), Head { next, watermark })).collect()
}

#[test]
fn reading_begins_at_the_head_or_at_the_oldest_record() {
    let mut owned = Owned::default();
    let table = heads(&[(0, 17, 12)]);
    assert_eq!(owned.begin(key(0), &table, (3, 20)), Ok(17));
    assert_eq!(owned.begin(key(1), &table, (3, 20)), Ok(3));
    assert!(owned.advances().is_empty(), "nothing was taken in yet");
    owned.get_mut(1).unwrap().head.next = 5;
    let expected = Advance { key: key(1), from: None, to: Head { next: 5, watermark: -1 } };
    assert_eq!(owned.advances(), [expected]);
    let after = owned.committed(&heads(&[(0, 17, 12), (1, 5, -1)]));
    assert_eq!((after.positions, after.restart), (vec![(1, 5)], false));
    assert!(owned.advances().is_empty());
}

#[test]
fn lost_and_truncated_records_are_refused() {
    let mut owned = Owned::default();
    let table = heads(&[(0, 17, 12)]);
    assert_eq!(owned.begin(key(0), &table, (18, 20)), Err(Refusal::Expired { key: key(0), next: 17, low: 18 }));
    assert_eq!(owned.begin(key(0), &table, (0, 16)), Err(Refusal::Truncated { key: key(0), next: 17, high: 16 }));
    let replaced = owned.begin(HeadKey::new(&key(0).topic, "id-2", 0), &table, (0, 20));
    assert!(matches!(replaced, Err(Refusal::Replaced(_))));
    assert!(owned.is_empty());
}

#[test]
fn a_restart_that_is_cut_short_forgets_no_partition() {
    let table = heads(&[(0, 17, 12), (1, 4, 3)]);
    let mut owned = Owned::default();
    assert_eq!(owned.adopt(&[0, 1], &table).begin, [0, 1]);
    for partition in [0, 1] {
        owned.begin(key(partition), &table, (0, 20)).unwrap();
    }
    owned.abandon();
    owned.begin(key(0), &table, (0, 20)).unwrap();
    // Cut here, as by the time limit of a revocation: partition 1 is ours and not begun.
    assert_eq!(owned.waiting(), [1]);
    assert_eq!(owned.admit(1, 4), Admission::NotOurs);
    owned.release(0);
    owned.abandon();
    assert_eq!(owned.waiting(), [1]);
}

#[test]
fn new_partitions_void_what_was_gathered_when_others_moved_our_heads() {
    let mut owned = Owned::default();
    owned.adopt(&[0], &heads(&[(0, 17, 12)]));
    owned.begin(key(0), &heads(&[(0, 17, 12)]), (0, 20)).unwrap();
    assert_eq!(
        (owned.admit(0, 16), owned.admit(0, 17)),
        (Admission::Again, Admission::Take(Head { next: 17, watermark: 12 }))
    );
    let calm = owned.clone().adopt(&[1], &heads(&[(0, 17, 12), (2, 9, 9)]));
    assert_eq!((calm.begin, calm.void), (vec![1], false));
    let moved = owned.adopt(&[1], &heads(&[(0, 18, 13)]));
    assert_eq!((moved.begin, moved.void), (vec![0, 1], true));
}

/// Several sinks over one table and one partition, of which any may be a zombie: model of the whole protocol.
///
/// Each sink reads on, commits on the heads it knows, and on refusal either goes on (when only others' partitions moved)
/// or drops what it gathered. Whatever the schedule, the table ends up with each record once.
#[derive(Debug, Clone, Copy)]
enum Step {
    Read { sink: usize, partition: i32, count: i64 },
    Commit { sink: usize },
    Crash { sink: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3usize, 0..2i32, 1..5i64).prop_map(|(sink, partition, count)| Step::Read { sink, partition, count }),
        (0..3usize).prop_map(|sink| Step::Commit { sink }),
        (0..3usize).prop_map(|sink| Step::Crash { sink }),
    ]
}

#[derive(Default)]
struct Table {
    version: u64,
    heads: HeadSet,
    rows: BTreeMap<i32, Vec<i64>>,
}

struct Sink {
    base: (u64, HeadSet),
    owned: Owned,
    gathered: Vec<(i32, i64)>,
}

impl Sink {
    fn start(table: &Table) -> Self {
        let mut owned = Owned::default();
        for partition in 0..2 {
            owned.begin(key(partition), &table.heads, (0, i64::MAX)).unwrap();
        }
        Self { base: (table.version, table.heads.clone()), owned, gathered: Vec::new() }
    }

    fn commit(&mut self, table: &mut Table) {
        if self.base.0 != table.version {
            // Refused: read the heads again and decide.
            if self.owned.after_refusal(&table.heads) == AfterRefusal::Restart {
                *self = Self::start(table);
                return;
            }
            self.base = (table.version, table.heads.clone());
        }
        table.heads = self.base.1.advance(&self.owned.advances()).expect("the base was compared just now");
        table.version += 1;
        for (partition, offset) in self.gathered.drain(..) {
            table.rows.entry(partition).or_default().push(offset);
        }
        assert!(!self.owned.committed(&table.heads).restart, "nobody was in between");
        self.base = (table.version, table.heads.clone());
    }
}

proptest! {
    #[test]
    fn every_record_is_in_the_table_once(steps in proptest::collection::vec(step(), 1..120)) {
        let mut table = Table::default();
        let mut sinks: Vec<Sink> = (0..3).map(|_| Sink::start(&table)).collect();
        for step in steps {
            match step {
                Step::Read { sink, partition, count } => {
                    let sink = &mut sinks[sink];
                    let head = &mut sink.owned.get_mut(partition).unwrap().head;
                    sink.gathered.extend((head.next..head.next + count).map(|offset| (partition, offset)));
                    head.next += count;
                }
                Step::Commit { sink } => sinks[sink].commit(&mut table),
                Step::Crash { sink } => sinks[sink] = Sink::start(&table),
            }
            for (partition, rows) in &table.rows {
                let next = table.heads.get(&key(*partition)).unwrap().map_or(0, |head| head.next);
                prop_assert!(rows.iter().copied().eq(0..next), "{rows:?} with the head at {next}");
            }
        }
    }
}

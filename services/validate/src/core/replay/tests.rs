use super::*;
use crate::core::decide::{Settings, Validator};
use crate::core::devices::DeviceTable;
use crate::core::testing::{HALF_HOUR, LOAD, NOW, codes, day, electricity_meter, interval, marks, message, table};
use meter_model::Kind;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A row of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    version: i32,
    origin: i64,
    revision: i64,
    value: i64,
    failed: RuleSet,
}

impl Row {
    /// What the warehouse chooses the newest row of a natural key by.
    fn place(&self) -> (i32, i64, i64) {
        (self.version, self.origin, self.revision)
    }
}

/// The rows of a model lake by start, of one device and channel.
type Rows = BTreeMap<i64, Vec<Row>>;

/// The note that the planner would write about a message.
fn note(rows: &Rows, revision: i64, origin: i64, readings: &[Reading<'_>]) -> ReplayNote {
    let mut note = ReplayNote { revision, origin_offset: origin, timestamp_ms: NOW / 1_000, ..ReplayNote::default() };
    let none = Vec::new();
    for (index, reading) in (0..).zip(readings) {
        let of_key = rows.get(&reading.start).unwrap_or(&none);
        let own = of_key.iter().filter(|row| row.origin == origin).max_by_key(|row| row.revision);
        if let Some(own) = own {
            let failed_rules = own.failed.iter().map(|rule| rule.name().to_owned()).collect();
            note.rows.push(KnownRow {
                index,
                version: own.version,
                failed_rules,
                local_day: 20_514,
                commodity: "ELECTRICITY".into(),
            });
        } else {
            let earlier = || of_key.iter().filter(|row| row.origin < origin);
            let same = earlier().max_by_key(|row| row.place()).map(|row| RowAt {
                start: reading.start,
                duration_s: 1_800,
                value: row.value,
                version: row.version,
            });
            let live_version = earlier().filter(|row| row.revision == 0).map(|row| row.version).max().unwrap_or(0);
            note.around.push(Around { index, same, live_version, before: None, after: None });
        }
    }
    note
}

/// A message: offset in the raw topic, and its one reading.
type Sent = (i64, [Reading<'static>; 1]);

/// Judges messages on the replay lane and adds the rows they make. Returns how many.
fn replay(rows: &mut Rows, devices: &DeviceTable, revision: i64, messages: &[Sent]) -> usize {
    let mut validator = Validator::new(Settings::default());
    let mut added = Vec::new();
    for (origin, readings) in messages {
        let note = note(rows, revision, *origin, readings);
        let decision = validator.decide(devices, NOW, &Message { note: Some(&note), ..message("d", readings) });
        let marks = Marks::of(&note, &decision, &mut Outcomes::default());
        let new = decision.accepted.iter().zip(&marks.unchanged).filter(|(_, unchanged)| !**unchanged);
        added.extend(new.map(|(accepted, _)| row(*origin, revision, readings, accepted)));
    }
    let count = added.len();
    added.into_iter().for_each(|(start, row)| rows.entry(start).or_default().push(row));
    count
}

fn row(origin: i64, revision: i64, readings: &[Reading<'_>], accepted: &Accepted) -> (i64, Row) {
    let reading = &readings[accepted.index];
    let Accepted { version, failed, .. } = *accepted;
    (reading.start, Row { version, origin, revision, value: reading.value, failed })
}

/// Judges messages on the live lane: those before `split` by some devices, the others by others.
fn live(before: &DeviceTable, behind: &DeviceTable, split: usize, messages: &[Sent]) -> (Rows, Rows) {
    let mut validator = Validator::new(Settings::default());
    let (mut early, mut late) = (Rows::new(), Rows::new());
    for (number, (origin, readings)) in messages.iter().enumerate() {
        let (devices, rows) = if number < split { (before, &mut early) } else { (behind, &mut late) };
        for accepted in &validator.decide(devices, NOW, &message("d", readings)).accepted {
            let (start, row) = row(*origin, 0, readings, accepted);
            rows.entry(start).or_default().push(row);
        }
    }
    (early, late)
}

/// The row of each key that the warehouse would choose.
fn newest(rows: &Rows) -> BTreeMap<i64, Row> {
    rows.iter().filter_map(|(start, rows)| Some((*start, *rows.iter().max_by_key(|row| row.place())?))).collect()
}

fn values(rows: &BTreeMap<i64, Row>) -> BTreeMap<i64, i64> {
    rows.iter().map(|(start, row)| (*start, row.value)).collect()
}

/// A meter whose service carries so little that values above a limit are refused.
fn narrow_meter(thousandths_per_half_hour: i64) -> DeviceTable {
    let mut device = electricity_meter("d");
    device.channels[0].capacity_per_hour = meter_model::Quantity::from_micros(thousandths_per_half_hour * 2_000);
    table([device])
}

fn messages() -> impl Strategy<Value = Vec<Sent>> {
    // Few keys and values, so that corrections, repetitions and refusals meet.
    prop::collection::vec((0i64..4, 1i64..12), 1..24).prop_map(|readings| {
        (0i64..).zip(readings).map(|(number, (slot, value))| (number * 2, [interval(slot, value)])).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The live lane judges by a wrong limit until `split`; then it is mended, what came before is replayed, and the rest
    /// comes at the same time on the live lane, which does not know what the replay accepts.
    #[test]
    fn a_replay_ends_where_the_log_does(messages in messages(), split in 0usize..24, limit in 1i64..12) {
        let (wrong, right) = (narrow_meter(limit), narrow_meter(1_000));
        let split = split.min(messages.len());
        let (early, late) = live(&wrong, &right, split, &messages);

        let mut same = early.clone();
        prop_assert_eq!(replay(&mut same, &wrong, 1, &messages[..split]), 0, "nothing has changed");

        let mut rows = early.clone();
        replay(&mut rows, &right, 1, &messages[..split]);
        let last = |messages: &[Sent]| -> BTreeMap<i64, i64> {
            messages.iter().map(|(_, readings)| (readings[0].start, readings[0].value)).collect()
        };
        prop_assert_eq!(values(&newest(&rows)), last(&messages[..split]), "as if they had been right from the start");

        let mut twice = rows.clone();
        prop_assert_eq!(replay(&mut twice, &right, 2, &messages[..split]), 0, "the second time adds nothing");

        for (start, of_key) in &late {
            rows.entry(*start).or_default().extend(of_key);
        }
        for (start, held) in newest(&late) {
            prop_assert_eq!(newest(&rows)[&start], held, "what came later on the live lane stays above");
        }
        replay(&mut rows, &right, 3, &messages);
        prop_assert_eq!(values(&newest(&rows)), last(&messages), "a replay of everything ends where the log ends");
        prop_assert_eq!(replay(&mut rows, &right, 4, &messages), 0);
        for of_key in rows.values() {
            let identities: BTreeSet<_> = of_key.iter().map(Row::place).collect();
            prop_assert_eq!(identities.len(), of_key.len(), "no second row of one reading in one revision");
        }
    }

    #[test]
    fn each_message_of_a_replay_is_judged_once_whatever_is_sent_again(turns in prop::collection::vec((1i64..4, 0i64..6), 0..40)) {
        let (mut state, mut judged) = (Turns::default(), Vec::new());
        for (revision, origin_offset) in turns {
            if state.take((revision, origin_offset)) != Standing::Past {
                judged.push((revision, origin_offset));
            }
        }
        prop_assert!(judged.windows(2).all(|pair| pair[0] < pair[1]));
        // A restart finds the last one in the output and goes on alike.
        prop_assert_eq!(Turns::behind(judged.last().copied()), state);
    }
}

#[test]
fn an_old_reading_is_accepted_and_one_ahead_of_its_time_stays_refused() {
    let (devices, mut validator) = (table([electricity_meter("d")]), Validator::new(Settings::default()));
    let readings = [interval(-4_000 * 48, 100), interval(10 * 48 + 2, 100)];
    let note = ReplayNote { revision: 1, timestamp_ms: NOW / 1_000, ..ReplayNote::default() };
    let later = NOW + 300 * 48 * HALF_HOUR;
    let decision = validator.decide(&devices, later, &Message { note: Some(&note), ..message("d", &readings) });
    assert_eq!(codes(&decision), [(1, RejectCode::FutureTime)]);
    assert_eq!(decision.accepted[0].index, 0);
}

#[test]
fn what_today_refuses_is_reported_and_what_cannot_be_judged_any_more_is_no_change() {
    let (devices, mut validator) = (table([electricity_meter("d")]), Validator::new(Settings::default()));
    let readings = [interval(0, 100), Reading { value: -1, ..interval(1, 1) }];
    let row = |index, failed: &[&str]| KnownRow {
        index,
        version: 1,
        failed_rules: failed.iter().map(|rule| (*rule).to_owned()).collect(),
        local_day: 20_514,
        commodity: "ELECTRICITY".into(),
    };
    // Without a past `gap` is skipped: that it failed once is not contradicted.
    let rows = vec![row(0, &["gap"]), row(1, &[])];
    let note = ReplayNote { revision: 1, timestamp_ms: NOW / 1_000, rows, ..ReplayNote::default() };
    let decision = validator.decide(&devices, NOW, &Message { note: Some(&note), ..message("d", &readings) });
    let mut outcomes = Outcomes::default();
    let marks = Marks::of(&note, &decision, &mut outcomes);
    assert_eq!((marks.unchanged, marks.had_row), (vec![true], vec![true]));
    assert_eq!((outcomes.unchanged, outcomes.refused), (1, 1));
}

#[test]
fn another_zone_or_another_mark_is_a_change() {
    let (devices, mut validator) = (table([electricity_meter("d")]), Validator::new(Settings::default()));
    let readings = day(0);
    let row = |index: usize, local_day| KnownRow {
        index: u32::try_from(index).unwrap(),
        version: 3,
        failed_rules: if index == 2 { vec!["clock_drift".into()] } else { vec![] },
        local_day,
        commodity: "ELECTRICITY".into(),
    };
    let rows = (0..48).map(|index| row(index, if index == 1 { 20_513 } else { 20_514 })).collect();
    let note = ReplayNote { revision: 1, timestamp_ms: NOW / 1_000, rows, ..ReplayNote::default() };
    let decision = validator.decide(&devices, NOW, &Message { note: Some(&note), ..message("d", &readings) });
    assert_eq!(self::marks(&decision), vec![]);
    assert!(decision.accepted.iter().all(|accepted| accepted.version == 3), "revisions keep the version");
    let marks = Marks::of(&note, &decision, &mut Outcomes::default());
    let changed: Vec<_> = (0..48).filter(|index| !marks.unchanged[*index]).collect();
    assert_eq!(changed, [1, 2]);
    let lead = ReplayNote { lead: true, ..note.clone() };
    assert!(Marks::of(&lead, &decision, &mut Outcomes::default()).unchanged.iter().all(|unchanged| *unchanged));
}

#[test]
fn rows_of_the_lake_are_duplicates_and_neighbours_where_the_lane_remembers_nothing() {
    let (devices, mut validator) = (table([electricity_meter("d")]), Validator::new(Settings::default()));
    let readings = [interval(0, 100), interval(4, 100), interval(8, 100)];
    let at = |slot: i64, value: i64, shift| RowAt {
        start: readings[0].start + slot * HALF_HOUR + shift,
        duration_s: 1_800,
        value: value * 1_000,
        version: 1,
    };
    let around = vec![
        Around { index: 0, same: Some(at(0, 100, 0)), live_version: 1, ..Around::default() },
        Around { index: 1, before: Some(at(3, 7, HALF_HOUR / 2)), ..Around::default() },
        Around { index: 2, same: Some(at(8, 9, 0)), live_version: 2, ..Around::default() },
    ];
    let note = ReplayNote { revision: 1, timestamp_ms: NOW / 1_000, around, ..ReplayNote::default() };
    let decision = validator.decide(&devices, NOW, &Message { note: Some(&note), ..message("d", &readings) });
    assert_eq!(codes(&decision), [(0, RejectCode::Duplicate), (1, RejectCode::Overlap)]);
    assert_eq!((decision.accepted[0].index, decision.accepted[0].version), (2, 3));
}

#[test]
fn a_key_that_its_message_names_twice_gets_no_first_row() {
    let (devices, mut validator) = (table([electricity_meter("d")]), Validator::new(Settings::default()));
    let readings = [interval(0, 100), interval(1, 100), interval(0, 101)];
    assert_eq!(named_twice(&readings), [true, false, true]);
    let note = ReplayNote { revision: 1, timestamp_ms: NOW / 1_000, ..ReplayNote::default() };
    let decision = validator.decide(&devices, NOW, &Message { note: Some(&note), ..message("d", &readings) });
    assert_eq!(codes(&decision), [(0, RejectCode::KeyRepeated), (2, RejectCode::KeyRepeated)]);
    assert_eq!((LOAD, Kind::Interval), (readings[0].channel, readings[0].kind));
}

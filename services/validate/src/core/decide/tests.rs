use super::*;
use crate::core::decision::WHOLE_MESSAGE;
use crate::core::history::Past;
use crate::core::rules::{Outcome, RuleId};
use crate::core::testing::{
    DAY, HALF_HOUR, LOAD, NOW, batch, codes, day, dial, electricity_meter, interval, marks, message, table,
};
use meter_model::LocalDay;
use meterway_schemas as schemas;
use meterway_schemas::DeviceStatus;
use proptest::prelude::*;

fn decide<'a>(validator: &mut Validator, devices: &'a DeviceTable, readings: &'a [Reading<'a>]) -> Decision<'a> {
    validator.decide(devices, NOW, &message("d", readings))
}

fn one_meter() -> DeviceTable {
    table([electricity_meter("d")])
}

fn learn(validator: &mut Validator, decision: &Decision<'_>) {
    let readings = decision.accepted.iter().map(|accepted| {
        let reading = &decision.batch.readings[accepted.index];
        Learned {
            channel: reading.channel,
            kind: reading.kind,
            known: Known {
                start: reading.start,
                value: reading.value,
                duration_s: reading.duration_s,
                version: accepted.version,
            },
            failed: accepted.failed,
        }
    });
    validator.learn(decision.batch.tenant_id, decision.batch.device_id, readings);
}

#[test]
fn first_delivery_is_valid_and_names_what_needs_a_past() {
    let (devices, mut validator) = (one_meter(), Validator::new(Settings::default()));
    let readings = [interval(0, 100), interval(1, 101), dial(0, 5)];
    let decision = decide(&mut validator, &devices, &readings);
    assert_eq!((codes(&decision), marks(&decision)), (vec![], vec![]));
    let skipped = |index: usize| decision.accepted[index].skipped.iter().collect::<Vec<_>>();
    assert_eq!(skipped(0), [RuleId::Duplicate, RuleId::Overlap, RuleId::OutOfOrder, RuleId::Gap]);
    assert_eq!(skipped(1), []);
    let dials = [RuleId::Duplicate, RuleId::RegisterBackward, RuleId::RegisterRollover, RuleId::MeterExchange];
    assert_eq!(skipped(2), dials);
    assert_eq!(decision.accepted[0].local_day, LocalDay(20_514));
    assert_eq!(decision.device.unwrap().customer.as_deref(), Some("c-1"));
}

#[test]
fn three_weeks_of_clean_days_are_quiet() {
    let (devices, mut validator) = (one_meter(), Validator::new(Settings::default()));
    for number in 0..10 {
        let mut readings = day(number);
        readings.push(dial(number, 100 + number * 11));
        let decision = decide(&mut validator, &devices, &readings);
        assert_eq!((codes(&decision), marks(&decision)), (vec![], vec![]), "day {number}");
        assert_eq!(decision.accepted.len(), 49);
        assert!(number == 0 || decision.accepted.iter().all(|accepted| accepted.skipped.is_empty()));
    }
}

#[test]
fn delivery_sent_twice_is_rejected_and_a_changed_value_is_version_two() {
    let (devices, mut validator) = (one_meter(), Validator::new(Settings::default()));
    let first = day(0);
    decide(&mut validator, &devices, &first);
    let mut second = first.clone();
    second[7].value += 5_000;
    let decision = decide(&mut validator, &devices, &second);
    assert_eq!(decision.rejected.len(), 47);
    assert!(decision.rejected.iter().all(|r| r.code == RejectCode::Duplicate && r.index != 7));
    assert_eq!((decision.accepted[0].index, decision.accepted[0].version, marks(&decision)), (7, 2, vec![]));
    let third = decide(&mut validator, &devices, &second);
    assert_eq!(third.rejected.len(), 48, "the correction again is a duplicate of the correction");
    let back = decide(&mut validator, &devices, &first);
    assert_eq!((back.accepted[0].index, back.accepted[0].version), (7, 3));
}

#[test]
fn day_that_comes_late_is_accepted_out_of_order() {
    let (devices, mut validator) = (one_meter(), Validator::new(Settings::default()));
    let days: Vec<_> = (0..4).map(day).collect();
    let mut seen = Vec::new();
    for number in [0, 2, 1, 3] {
        seen.push(marks(&decide(&mut validator, &devices, &days[number])));
    }
    assert_eq!(seen[0], []);
    assert_eq!(seen[1], [(0, vec![RuleId::Gap])]);
    assert_eq!(seen[2], (0..48).map(|index| (index, vec![RuleId::OutOfOrder])).collect::<Vec<_>>());
    assert_eq!(seen[3], []);
}

#[test]
fn interval_rejected_for_its_value_leaves_no_gap_in_its_message() {
    let (devices, mut validator) = (one_meter(), Validator::new(Settings::default()));
    let mut readings = day(0);
    readings[3].value = -1;
    readings[9].unit = "Wh";
    readings[20].value = 75_000_000;
    readings[30].duration_s = 900;
    readings[40].value = i64::MAX;
    let decision = decide(&mut validator, &devices, &readings);
    let expected = [
        (3, RejectCode::Negative),
        (9, RejectCode::WrongUnit),
        (20, RejectCode::OverCapacity),
        (30, RejectCode::WrongInterval),
        (40, RejectCode::ValueOutOfRange),
    ];
    assert_eq!((codes(&decision), marks(&decision)), (expected.to_vec(), vec![]));
}

#[test]
fn overlapping_extra_and_foreign_channel_harm_no_neighbour() {
    let (devices, mut validator) = (one_meter(), Validator::new(Settings::default()));
    let mut readings = day(0);
    readings.insert(10, Reading { start: readings[9].start + HALF_HOUR / 2, ..interval(9, 7) });
    readings.insert(20, Reading { channel: "9-9:9.9.9", ..interval(20, 7) });
    readings.insert(30, Reading { kind: Kind::Gauge, duration_s: 0, ..interval(30, 7) });
    let decision = decide(&mut validator, &devices, &readings);
    let expected = [(10, RejectCode::Overlap), (20, RejectCode::UnknownChannel), (30, RejectCode::WrongKind)];
    assert_eq!((codes(&decision), marks(&decision)), (expected.to_vec(), vec![]));
    assert_eq!(decision.accepted.len(), 48);
}

#[test]
fn message_that_cannot_be_attributed_is_rejected_as_a_whole() {
    let mut inactive = electricity_meter("inactive");
    inactive.status = DeviceStatus::Inactive;
    let mut foreign = electricity_meter("foreign");
    foreign.tenant_id = "other".into();
    let devices = table([electricity_meter("d"), inactive, foreign]);
    let mut validator = Validator::new(Settings::default());
    let readings = day(0);
    let mut code = |key: Option<&[u8]>, batch| {
        let decision = validator.decide(&devices, NOW, &Message { key, payload_bytes: 100, batch, note: None });
        assert!(decision.accepted.is_empty() && decision.device.is_none());
        assert_eq!(decision.rejected[0].index, WHOLE_MESSAGE);
        (decision.rejected[0].code, decision.batch.tenant_id.to_owned(), decision.batch.device_id.to_owned())
    };
    let named = |code, device: &str| (code, "t".to_owned(), device.to_owned());
    assert_eq!(code(Some(b"x"), batch("x", &readings)), named(RejectCode::UnknownDevice, "x"));
    assert_eq!(code(Some(b"inactive"), batch("inactive", &readings)), named(RejectCode::InactiveDevice, "inactive"));
    assert_eq!(code(Some(b"foreign"), batch("foreign", &readings)), named(RejectCode::TenantMismatch, "foreign"));
    assert_eq!(code(Some(b"d"), batch("d", &[])), named(RejectCode::EmptyBatch, "d"));
    assert_eq!(code(Some(b"e"), batch("d", &readings)), named(RejectCode::KeyMismatch, "d"));
    assert_eq!(code(None, batch("d", &readings)), named(RejectCode::KeyMismatch, "d"));
    assert_eq!(code(Some(b"d 1"), batch("d 1", &readings)), named(RejectCode::BadIdentifier, ""));
    let gateway = ReadingBatch { gateway_id: "g\n", ..batch("d", &readings) };
    assert_eq!(code(Some(b"d"), gateway), named(RejectCode::BadIdentifier, "d"));
}

#[test]
fn message_whose_decision_might_not_fit_is_rejected_before_it_changes_anything() {
    let devices = one_meter();
    let mut validator = Validator::new(Settings { max_decision_bytes: 12_000, ..Settings::default() });
    let readings = day(0);
    assert_eq!(codes(&decide(&mut validator, &devices, &readings)), [(WHOLE_MESSAGE, RejectCode::TooLarge)]);
    let decision = decide(&mut validator, &devices, &readings[..10]);
    assert_eq!((codes(&decision), decision.accepted.len()), (vec![], 10));
}

fn panics_at_noon(_: &Context<'_>, reading: &Reading<'_>, _: &Past<'_>) -> Outcome {
    assert!(reading.start != DAY + 24 * HALF_HOUR, "planted");
    Outcome::Pass
}

#[test]
fn panicking_rule_costs_the_reading_it_was_asked_about() {
    const PLANTED: &[Rule] =
        &[RULES[5], Rule { id: RuleId::Spike, kinds: &[Kind::Interval], check: panics_at_noon }, RULES[8]];
    let devices = one_meter();
    let mut validator = Validator::with_rules(Settings::default(), PLANTED);
    let readings = day(0);
    let decision = decide(&mut validator, &devices, &readings);
    assert_eq!((codes(&decision), marks(&decision)), (vec![(24, RejectCode::InternalError)], vec![]));
    assert_eq!(decision.accepted.len(), 47);
    let again = decide(&mut validator, &devices, &readings);
    assert_eq!(again.rejected.len(), 48, "the line goes on and remembers what it accepted");
}

#[test]
fn start_outside_the_calendar_is_rejected() {
    let devices = one_meter();
    let thresholds = Thresholds { future_tolerance_us: i64::MAX, max_age_us: i64::MAX, ..Thresholds::default() };
    let mut validator = Validator::new(Settings { thresholds, ..Settings::default() });
    let readings = [Reading { start: i64::MAX - 7_000_000_000, ..interval(0, 1) }];
    assert_eq!(codes(&decide(&mut validator, &devices, &readings)), [(0, RejectCode::FutureTime)]);
}

/// A delivery of a model fleet: which meter, and its readings.
type Delivery = (usize, Vec<Reading<'static>>);

const FLEET: [&str; 3] = ["d-0", "d-1", "d-2"];

fn delivery() -> impl Strategy<Value = Delivery> {
    let reading = prop_oneof![
        12 => (0i64..60, 1i64..4).prop_map(|(slot, value)| interval(slot, value)),
        1 => (0i64..60, prop_oneof![Just(3_700i64), Just(90_000), Just(-1)]).prop_map(|(s, v)| interval(s, v)),
        1 => (0i64..60, 1i64..1_800).prop_map(|(slot, late)| {
            Reading { start: interval(slot, 0).start + late * 1_000_000, ..interval(slot, 2) }
        }),
        2 => (0i64..5, 0i64..999_999).prop_map(|(day, units)| dial(day, units)),
        1 => Just(Reading { channel: "unknown", ..interval(0, 1) }),
    ];
    let run = (0i64..40, 1i64..20, 1i64..3)
        .prop_map(|(from, count, value)| (from..from + count).map(|slot| interval(slot, value)).collect::<Vec<_>>());
    let readings = prop_oneof![prop::collection::vec(reading, 1..8), run];
    (0..FLEET.len(), readings)
}

fn fleet() -> DeviceTable {
    let exchange = schemas::MeterExchange {
        at: DAY + 60 * HALF_HOUR,
        channel: "1-0:1.8.0".into(),
        closing_value: "5020".parse().unwrap(),
        opening_value: "0".parse().unwrap(),
    };
    let exchanged = schemas::Device { exchanges: vec![exchange], ..electricity_meter(FLEET[2]) };
    table([electricity_meter(FLEET[0]), electricity_meter(FLEET[1]), exchanged])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn restart_anywhere_changes_no_decision(deliveries in prop::collection::vec(delivery(), 1..30), crash in 0usize..30) {
        let devices = fleet();
        let settings = Settings::default();
        let (mut steady, mut restarted) = (Validator::new(settings), Validator::new(settings));
        let mut log = Vec::new();
        for (number, (meter, readings)) in deliveries.iter().enumerate() {
            if number == crash {
                restarted = Validator::new(settings);
                log.iter().for_each(|decision| learn(&mut restarted, decision));
            }
            let message = message(FLEET[*meter], readings);
            let decision = steady.decide(&devices, NOW, &message);
            prop_assert_eq!(&restarted.decide(&devices, NOW, &message), &decision);
            log.push(decision);
        }
    }

    #[test]
    fn every_reading_is_accepted_or_rejected_once(deliveries in prop::collection::vec(delivery(), 1..12)) {
        let devices = fleet();
        let mut validator = Validator::new(Settings::default());
        let mut accepted = std::collections::HashMap::new();
        for (meter, readings) in &deliveries {
            let decision = validator.decide(&devices, NOW, &message(FLEET[*meter], readings));
            let mut indexes: Vec<usize> = decision.accepted.iter().map(|accepted| accepted.index).collect();
            indexes.extend(decision.rejected.iter().map(|rejected| rejected.index as usize));
            indexes.sort_unstable();
            prop_assert_eq!(indexes, (0..readings.len()).collect::<Vec<_>>());
            for one in &decision.accepted {
                let reading = &readings[one.index];
                let key = (*meter, reading.channel, reading.start);
                let before = accepted.insert(key, (one.version, reading.value));
                prop_assert_eq!(one.version, before.map_or(1, |(version, _)| version + 1));
                prop_assert!(before.is_none_or(|(_, value)| value != reading.value), "a duplicate was accepted");
            }
        }
    }

    #[test]
    fn no_delivery_brings_the_validator_down(
        start in any::<i64>(), value in any::<i64>(), duration_s in any::<i32>(), kind in 0usize..3, now in any::<i64>(),
    ) {
        let thresholds = Thresholds { future_tolerance_us: i64::MAX, max_age_us: i64::MAX, ..Thresholds::default() };
        let mut state = electricity_meter("d");
        state.channels[0].interval_s = None;
        let devices = table([state]);
        let mut validator = Validator::new(Settings { thresholds, ..Settings::default() });
        let odd = Reading { start, value, duration_s, kind: Kind::ALL[kind], ..interval(0, 1) };
        let readings = [interval(0, 1), odd, Reading { start: start.wrapping_add(1), ..odd }, odd, interval(1, 1)];
        let decision = validator.decide(&devices, now, &message("d", &readings));
        prop_assert!(decision.rejected.iter().all(|rejected| rejected.code != RejectCode::InternalError));
        prop_assert_eq!(LOAD, readings[0].channel);
    }
}

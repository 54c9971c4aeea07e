use super::*;
use crate::core::devices::Device;
use crate::core::history::{ChannelState, Known};
use crate::core::testing::{DAY, DIAL as DIAL_CHANNEL, HALF_HOUR, LOAD, NOW, dial, electricity_meter, interval, table};
use meterway_schemas as schemas;

/// One channel, its past and its limits: what a rule sees.
struct Given {
    device: Device,
    channel: usize,
    state: ChannelState,
    thresholds: Thresholds,
    source: Source,
    block: Block,
    delivered_end: Option<i64>,
}

impl Given {
    fn meter(change: impl FnOnce(&mut schemas::Device)) -> Self {
        let mut state = electricity_meter("d");
        change(&mut state);
        let device = table([state]).get("d").unwrap().clone();
        Self {
            device,
            channel: 0,
            state: ChannelState::new(),
            thresholds: Thresholds::default(),
            source: Source::Kafka,
            block: Block::default(),
            delivered_end: None,
        }
    }

    fn usual() -> Self {
        Self::meter(|_| {})
    }

    /// With these readings accepted before; they pass no rules, so that each test says itself what was marked.
    fn after(mut self, readings: impl IntoIterator<Item = Reading<'static>>) -> Self {
        for reading in readings {
            self.accept(&reading, RuleSet::EMPTY);
        }
        self
    }

    fn accept(&mut self, reading: &Reading<'_>, failed: RuleSet) {
        self.channel = usize::from(reading.channel == DIAL_CHANNEL);
        let version = self.state.past(reading.start, None).next_version();
        let known = Known { start: reading.start, value: reading.value, duration_s: reading.duration_s, version };
        self.state.record(reading.kind, known, failed, 512);
    }

    fn ask(&self, rule: RuleId, reading: Reading<'_>) -> Outcome {
        let rule = RULES.iter().find(|entry| entry.id == rule).unwrap();
        assert!(rule.kinds.contains(&reading.kind), "the rule is not about such a reading");
        let context = Context {
            now: NOW,
            thresholds: &self.thresholds,
            channel: &self.device.channels[usize::from(reading.channel == DIAL_CHANNEL)],
            source: self.source,
            block: self.block,
        };
        (rule.check)(&context, &reading, &self.state.past(reading.start, self.delivered_end))
    }

    fn code(&self, rule: RuleId, reading: Reading<'_>) -> Option<RejectCode> {
        match self.ask(rule, reading) {
            Outcome::Pass => None,
            Outcome::Reject(code, detail) => {
                assert!(detail.len() <= crate::core::decision::MAX_DETAIL_BYTES, "{detail}");
                Some(code)
            }
            other => panic!("{other:?}"),
        }
    }
}

fn day_of(value: i64) -> impl Iterator<Item = Reading<'static>> {
    (0..48).map(move |slot| interval(slot, value + slot % 5))
}

#[test]
fn table_is_complete_and_in_the_order_of_the_names() {
    let ids: Vec<RuleId> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids, RuleId::ALL[3..], "the first three are admission's");
    for id in RuleId::ALL {
        assert_eq!(RuleId::parse(id.name()), Some(*id));
    }
    assert_eq!(RuleId::parse("rule_of_tomorrow"), None);
}

#[test]
fn rule_set_keeps_the_order_of_application() {
    let set: RuleSet = [RuleId::Stuck, RuleId::Gap, RuleId::Stuck].into_iter().collect();
    assert_eq!(set.iter().collect::<Vec<_>>(), [RuleId::Gap, RuleId::Stuck]);
    assert!(RuleSet::EMPTY.is_empty() && !set.is_empty());
}

#[test]
fn unit_must_be_the_channels() {
    let given = Given::usual();
    assert_eq!(given.code(RuleId::Unit, interval(0, 1)), None);
    for unit in ["Wh", "KWH", "", &"\u{10ffff}".repeat(400)] {
        assert_eq!(given.code(RuleId::Unit, Reading { unit, ..interval(0, 1) }), Some(RejectCode::WrongUnit));
    }
}

#[test]
fn length_must_be_the_channels_and_an_instant_has_none() {
    let given = Given::usual();
    let lasting = |duration_s, reading| Reading { duration_s, ..reading };
    for (reading, expected) in [
        (interval(0, 1), None),
        (lasting(900, interval(0, 1)), Some(RejectCode::WrongInterval)),
        (lasting(0, interval(0, 1)), Some(RejectCode::WrongInterval)),
        (dial(0, 1), None),
        (lasting(1_800, dial(0, 1)), Some(RejectCode::WrongInterval)),
    ] {
        assert_eq!(given.code(RuleId::IntervalLength, reading), expected, "{} s", reading.duration_s);
    }
    let free = Given::meter(|device| device.channels[0].interval_s = None);
    assert_eq!(free.code(RuleId::IntervalLength, lasting(900, interval(0, 1))), None);
    assert_eq!(free.code(RuleId::IntervalLength, lasting(-1, interval(0, 1))), Some(RejectCode::WrongInterval));
}

#[test]
fn start_must_lie_between_long_ago_and_soon() {
    let mut given = Given::usual();
    let at = |start| Reading { start, ..interval(0, 1) };
    let Thresholds { future_tolerance_us, max_age_us, .. } = given.thresholds;
    for (start, expected) in [
        (NOW + future_tolerance_us, None),
        (NOW + future_tolerance_us + 1, Some(RejectCode::FutureTime)),
        (NOW - max_age_us, None),
        (NOW - max_age_us - 1, Some(RejectCode::TooOld)),
        (i64::MAX, Some(RejectCode::FutureTime)),
        (i64::MIN, Some(RejectCode::TooOld)),
    ] {
        assert_eq!(given.code(RuleId::TimeBounds, at(start)), expected, "{start}");
    }
    given.source = Source::Replay;
    assert_eq!(given.code(RuleId::TimeBounds, at(NOW - max_age_us - 1)), None);
    assert_eq!(given.code(RuleId::TimeBounds, at(i64::MAX)), Some(RejectCode::FutureTime));
}

#[test]
fn below_zero_only_where_it_is_legitimate() {
    assert_eq!(Given::usual().code(RuleId::Negative, interval(0, -1)), Some(RejectCode::Negative));
    assert_eq!(Given::usual().code(RuleId::Negative, interval(0, 0)), None);
    let net = Given::meter(|device| device.channels[0].allow_negative = true);
    assert_eq!(net.code(RuleId::Negative, interval(0, -1)), None);
}

#[test]
fn capacity_scales_with_length_and_multiplier_and_holds_in_both_directions() {
    let given = Given::usual();
    assert_eq!(given.code(RuleId::Capacity, interval(0, 12_500)), None);
    assert_eq!(given.code(RuleId::Capacity, interval(0, 12_501)), Some(RejectCode::OverCapacity));
    assert_eq!(given.code(RuleId::Capacity, interval(0, -12_501)), Some(RejectCode::OverCapacity));
    let transformer = Given::meter(|device| device.channels[0].multiplier = "40".parse().unwrap());
    assert_eq!(transformer.code(RuleId::Capacity, interval(0, 313)), Some(RejectCode::OverCapacity));
    let unlimited = Given::meter(|device| device.channels[0].capacity_per_hour = None);
    assert_eq!(unlimited.ask(RuleId::Capacity, interval(0, 99_999)), Outcome::Skip);
}

#[test]
fn same_key_and_value_is_a_duplicate_and_another_value_is_not() {
    let given = Given::usual().after([interval(3, 5), interval(4, 6)]);
    assert_eq!(given.code(RuleId::Duplicate, interval(4, 6)), Some(RejectCode::Duplicate));
    assert_eq!(given.code(RuleId::Duplicate, interval(4, 7)), None);
    assert_eq!(given.code(RuleId::Duplicate, interval(5, 6)), None);
}

#[test]
fn what_lies_before_everything_remembered_cannot_be_told() {
    let given = Given::usual().after([interval(3, 5)]);
    assert_eq!(given.ask(RuleId::Duplicate, interval(2, 6)), Outcome::Skip);
    assert_eq!(given.ask(RuleId::Overlap, interval(1, 6)), Outcome::Skip);
    assert_eq!(Given::usual().ask(RuleId::Duplicate, interval(2, 6)), Outcome::Skip);
}

#[test]
fn interval_must_not_share_time_with_another() {
    let given = Given::usual().after([interval(0, 1), interval(1, 1), interval(4, 1)]);
    let shifted = |slot: i64, by: i64| Reading { start: DAY + slot * HALF_HOUR + by, ..interval(0, 9) };
    for (reading, expected) in [
        (shifted(2, 0), None),
        (shifted(3, 0), None),
        (shifted(1, HALF_HOUR / 2), Some(RejectCode::Overlap)),
        (shifted(3, 1), Some(RejectCode::Overlap)),
        (shifted(4, 0), None), // the same key: a correction
        (shifted(4, -1), Some(RejectCode::Overlap)),
    ] {
        assert_eq!(given.code(RuleId::Overlap, reading), expected, "{}", reading.start);
    }
}

#[test]
fn interval_that_starts_before_the_latest_end_is_out_of_order() {
    let given = Given::usual().after([interval(0, 1), interval(5, 1)]);
    assert_eq!(given.ask(RuleId::OutOfOrder, interval(4, 2)), Outcome::Suspect);
    assert_eq!(given.ask(RuleId::OutOfOrder, interval(6, 2)), Outcome::Pass);
    assert_eq!(given.ask(RuleId::OutOfOrder, interval(0, 2)), Outcome::Pass, "a correction has its place");
    assert_eq!(Given::usual().ask(RuleId::OutOfOrder, interval(4, 2)), Outcome::Skip);
}

#[test]
fn gap_is_a_missing_interval_and_not_a_clock_that_was_set() {
    let mut given = Given::usual().after([interval(0, 1)]);
    assert_eq!(given.ask(RuleId::Gap, interval(1, 1)), Outcome::Pass);
    assert_eq!(given.ask(RuleId::Gap, interval(2, 1)), Outcome::Suspect);
    let late = Reading { start: interval(1, 1).start + 400_000_000, ..interval(1, 1) };
    assert_eq!(given.ask(RuleId::Gap, late), Outcome::Pass);
    assert_eq!(Given::usual().ask(RuleId::Gap, interval(2, 1)), Outcome::Skip);
    given.delivered_end = Some(interval(2, 0).start);
    assert_eq!(given.ask(RuleId::Gap, interval(2, 1)), Outcome::Pass, "slot 1 was delivered, but rejected");
}

#[test]
fn late_interval_closes_no_gap_and_makes_none() {
    let given = Given::usual().after([interval(0, 1), interval(9, 1), interval(4, 1)]);
    assert_eq!(given.ask(RuleId::Gap, interval(10, 1)), Outcome::Pass);
    assert_eq!(given.ask(RuleId::Gap, interval(11, 1)), Outcome::Suspect);
    assert_eq!(given.ask(RuleId::Gap, interval(6, 1)), Outcome::Pass);
}

#[test]
fn start_off_the_grid_by_more_than_the_tolerance_is_drift() {
    let given = Given::usual();
    let late = |seconds: i64| Reading { start: DAY + seconds * 1_000_000, ..interval(0, 1) };
    for (seconds, expected) in [
        (0, Outcome::Pass),
        (180, Outcome::Pass),
        (181, Outcome::Suspect),
        (400, Outcome::Suspect),
        (-180, Outcome::Pass),
        (-181, Outcome::Suspect),
    ] {
        assert_eq!(given.ask(RuleId::ClockDrift, late(seconds)), expected, "{seconds} s");
    }
}

#[test]
fn spike_stands_out_of_its_message() {
    let mut given = Given::usual();
    let spike = interval(20, 3_600);
    for reading in day_of(300).chain([spike]) {
        given.block.add(&given.device.channels[0], &reading);
    }
    assert_eq!(given.ask(RuleId::Spike, spike), Outcome::Suspect);
    assert_eq!(given.ask(RuleId::Spike, interval(0, 304)), Outcome::Pass);
    assert_eq!(given.ask(RuleId::Spike, interval(0, 1_400)), Outcome::Pass, "below the floor");
}

#[test]
fn spike_of_a_lone_reading_stands_out_of_the_days_before() {
    let given = Given::usual().after(day_of(300));
    assert_eq!(given.ask(RuleId::Spike, interval(48, 3_600)), Outcome::Suspect);
    assert_eq!(given.ask(RuleId::Spike, interval(48, 2_400)), Outcome::Pass, "less than eight times");
    assert_eq!(given.ask(RuleId::Spike, interval(192, 3_600)), Outcome::Skip, "nothing in the days before");
    let night = Given::usual().after(day_of(0).take(35));
    assert_eq!(night.ask(RuleId::Spike, interval(35, 3_600)), Outcome::Skip, "a night is no day");
    let unlimited = Given::meter(|device| device.channels[0].capacity_per_hour = None);
    assert_eq!(unlimited.ask(RuleId::Spike, interval(48, 3_600)), Outcome::Skip);
}

#[test]
fn what_a_gap_took_from_the_message_is_looked_for_in_the_days_before() {
    let mut given = Given::usual().after(day_of(900));
    let lone = interval(60, 3_600);
    for reading in (48..66).map(|slot| interval(slot, 100)).chain([lone]) {
        given.block.add(&given.device.channels[0], &reading);
    }
    assert_eq!(given.ask(RuleId::Spike, lone), Outcome::Pass);
}

#[test]
fn a_day_that_is_high_as_a_whole_has_no_spike() {
    let mut given = Given::usual();
    for reading in day_of(1_900) {
        given.block.add(&given.device.channels[0], &reading);
    }
    assert!(day_of(1_900).all(|reading| given.ask(RuleId::Spike, reading) == Outcome::Pass));
}

#[test]
fn impossible_value_does_not_hide_a_spike() {
    let mut given = Given::usual();
    for reading in day_of(300).chain([interval(20, 3_600), interval(21, 75_000), interval(22, -9)]) {
        given.block.add(&given.device.channels[0], &reading);
    }
    assert_eq!(given.ask(RuleId::Spike, interval(20, 3_600)), Outcome::Suspect);
}

#[test]
fn twelfth_identical_value_is_stuck_and_zeros_never_are() {
    let eleven = |value| (0..11).map(move |slot| interval(slot, value));
    assert_eq!(Given::usual().after(eleven(7)).ask(RuleId::Stuck, interval(11, 7)), Outcome::Suspect);
    assert_eq!(Given::usual().after(eleven(7)).ask(RuleId::Stuck, interval(11, 8)), Outcome::Pass);
    assert_eq!(Given::usual().after(eleven(7)).ask(RuleId::Stuck, interval(12, 7)), Outcome::Pass, "behind a gap");
    assert_eq!(Given::usual().after(eleven(0)).ask(RuleId::Stuck, interval(11, 0)), Outcome::Pass);
    let ten = Given::usual().after((0..10).map(|slot| interval(slot, 7)));
    assert_eq!(ten.ask(RuleId::Stuck, interval(10, 7)), Outcome::Pass);
}

fn register_rules(given: &Given, reading: Reading<'_>) -> [Outcome; 3] {
    [RuleId::RegisterBackward, RuleId::RegisterRollover, RuleId::MeterExchange].map(|rule| given.ask(rule, reading))
}

const SKIPPED: [Outcome; 3] = [Outcome::Skip, Outcome::Skip, Outcome::Skip];
const GOOD: [Outcome; 3] = [Outcome::Pass, Outcome::Pass, Outcome::Pass];
const BACKWARD: [Outcome; 3] = [Outcome::Suspect, Outcome::Pass, Outcome::Pass];
const ROLLOVER: [Outcome; 3] = [Outcome::Pass, Outcome::Suspect, Outcome::Pass];
const EXCHANGE: [Outcome; 3] = [Outcome::Pass, Outcome::Pass, Outcome::Suspect];

#[test]
fn dial_without_a_past_or_behind_a_later_one_is_not_judged() {
    assert_eq!(register_rules(&Given::usual(), dial(0, 10)), SKIPPED);
    let given = Given::usual().after([dial(5, 100)]);
    assert_eq!(register_rules(&given, dial(4, 90)), SKIPPED);
    assert_eq!(register_rules(&given, dial(6, 100)), GOOD);
    assert_eq!(register_rules(&given, dial(6, 140)), GOOD);
}

#[test]
fn dial_that_ran_backward_is_marked_and_not_believed() {
    let mut given = Given::usual().after([dial(0, 5_000)]);
    assert_eq!(register_rules(&given, dial(1, 4_950)), BACKWARD);
    given.accept(&dial(1, 4_950), RuleSet::EMPTY.with(RuleId::RegisterBackward));
    assert_eq!(register_rules(&given, dial(2, 4_990)), BACKWARD, "still below the last good dial");
    assert_eq!(register_rules(&given, dial(2, 5_020)), GOOD);
}

#[test]
fn dial_that_passed_its_end_within_capacity_rolled_over() {
    let given = Given::usual().after([dial(0, 999_990)]);
    assert_eq!(register_rules(&given, dial(1, 12)), ROLLOVER);
    assert_eq!(register_rules(&given, dial(1, 590)), ROLLOVER, "600 kWh is what 25 kWh/h carries in a day");
    assert_eq!(register_rules(&given, dial(1, 591)), BACKWARD);
    let small = Given::meter(|device| device.channels[1].register_digits = None).after([dial(0, 999_990)]);
    assert_eq!(register_rules(&small, dial(1, 12)), [Outcome::Suspect, Outcome::Skip, Outcome::Pass]);
}

#[test]
fn without_capacity_only_the_ends_of_the_dial_speak_for_a_rollover() {
    let given = || Given::meter(|device| device.channels[0].capacity_per_hour = None);
    assert_eq!(register_rules(&given().after([dial(0, 950_000)]), dial(1, 40_000)), ROLLOVER);
    assert_eq!(register_rules(&given().after([dial(0, 850_000)]), dial(1, 40_000)), BACKWARD);
    assert_eq!(register_rules(&given().after([dial(0, 950_000)]), dial(1, 940_000)), BACKWARD);
}

#[test]
fn first_dial_of_a_new_meter_is_marked_whatever_it_shows() {
    let given = || {
        Given::meter(|device| {
            device.exchanges.push(schemas::MeterExchange {
                at: DAY + 60 * HALF_HOUR,
                channel: DIAL_CHANNEL.into(),
                closing_value: "5020".parse().unwrap(),
                opening_value: "0".parse().unwrap(),
            });
        })
    };
    let exchanged = given().after([dial(1, 5_000)]);
    assert_eq!(register_rules(&exchanged, dial(2, 3)), EXCHANGE);
    assert_eq!(register_rules(&exchanged, dial(2, 9_000)), EXCHANGE);
    assert_eq!(register_rules(&given().after([dial(1, 5_000), dial(2, 3)]), dial(3, 20)), GOOD);
    assert_eq!(register_rules(&given().after([dial(0, 4_990)]), dial(1, 5_000)), GOOD, "before the exchange");
}

#[test]
fn first_rejection_decides_and_all_marks_are_kept() {
    let given = Given::usual().after((0..11).map(|slot| interval(slot, 7)));
    let context = Context {
        now: NOW,
        thresholds: &given.thresholds,
        channel: &given.device.channels[0],
        source: Source::Kafka,
        block: Block::default(),
    };
    let judged = |reading: Reading<'_>| judge(RULES, &context, &reading, &given.state.past(reading.start, None));
    let wrong = Reading { unit: "Wh", value: -1, ..interval(11, 0) };
    assert!(matches!(judged(wrong), Judgement::Rejected(RejectCode::WrongUnit, _)));
    let drifting = Reading { start: interval(11, 0).start + 300_000_000, ..interval(11, 7) };
    let failed = [RuleId::ClockDrift, RuleId::Stuck].into_iter().collect();
    assert_eq!(judged(drifting), Judgement::Accepted { failed, skipped: RuleSet::EMPTY });
    assert_eq!(LOAD, drifting.channel);
}

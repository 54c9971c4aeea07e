use meterway_schemas::AlertKind::{ContinuousFlow, HighUsage, LowBattery, Outage, ReverseFlow, SilentMeter, Tamper};
use meterway_schemas::AlertState::{Closed, Opened, Updated};
use meterway_schemas::{CustomerClass, DeviceEventKind, DeviceStatus, Source};

use super::support::{
    Bench, Input, T0, delivery, device, electric_day, electricity, event, hours, register, seeds, upsert, water,
};
use crate::core::admission::{Arrival, EventOutcome};
use crate::core::input::Reading;
use crate::core::partition::{DecisionOutcome, Mode};
use crate::core::{DAY, HOUR};

pub(super) fn half_hours(from: i64, count: i64) -> Vec<Reading<'static>> {
    let day = |start: i64| start.div_euclid(DAY) as i32;
    (0..count).map(|n| T0 + from * HOUR + n * HOUR / 2).map(|start| electricity(start, day(start), 200)).collect()
}

pub(super) fn at(device_id: &'static str, kind: DeviceEventKind, hour: i64) -> Input {
    Input::Event(event(device_id, kind, T0 + hour * HOUR))
}

/// Half hours whose first is the first after a hole.
fn after_gap(from: i64, count: i64) -> Vec<Reading<'static>> {
    let mut readings = half_hours(from, count);
    readings[0].after_gap = true;
    readings
}

// --- outage

#[test]
fn an_outage_ends_with_power_restored() {
    let mut bench = Bench::new();
    bench.run([
        delivery("e-1", half_hours(0, 20)),
        at("e-1", DeviceEventKind::LastGasp, 10),
        at("e-1", DeviceEventKind::PowerRestored, 14),
        delivery("e-1", after_gap(14, 4)),
    ]);
    assert_eq!(bench.story(), [(Outage, Opened, 10, None), (Outage, Closed, 10, Some(14))]);
}

#[test]
fn an_outage_ends_with_a_reading_that_is_not_the_first_after_the_hole() {
    let mut bench = Bench::new();
    bench.run([at("e-1", DeviceEventKind::LastGasp, 10), delivery("e-1", half_hours(8, 4))]);
    assert_eq!(bench.story(), [(Outage, Opened, 10, None)], "readings from before the last gasp end nothing");
    bench.run([delivery("e-1", after_gap(14, 1))]);
    assert_eq!(bench.story().len(), 1);
    bench.run([delivery("e-1", half_hours(15, 2))]);
    assert_eq!(bench.story()[1..], [(Outage, Closed, 10, Some(15))]);
}

#[test]
fn however_events_and_readings_interleave_the_outage_ends_at_power_restored() {
    let parts = [
        at("e-1", DeviceEventKind::LastGasp, 10),
        at("e-1", DeviceEventKind::PowerRestored, 14),
        delivery("e-1", [half_hours(0, 20), after_gap(14, 4)].concat()),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut bench = Bench::new();
        bench.run(order.map(|index| parts[index].clone()));
        let last = bench.story().pop();
        assert_eq!(last, Some((Outage, Closed, 10, Some(14))), "{order:?}");
        let ids: std::collections::BTreeSet<_> = bench.messages.iter().map(|m| &m.alert.alert_id).collect();
        assert_eq!(ids.len(), 1, "{order:?}");
    }
}

#[test]
fn a_second_outage_is_a_second_alert() {
    let mut bench = Bench::new();
    let gasps = [10, 14, 20, 21].into_iter().zip([true, false, true, false]);
    bench.run(gasps.map(|(hour, gone)| {
        at("e-1", if gone { DeviceEventKind::LastGasp } else { DeviceEventKind::PowerRestored }, hour)
    }));
    assert_eq!(bench.story().len(), 4);
    assert_ne!(bench.messages[0].alert.alert_id, bench.messages[2].alert.alert_id);
    // Repetitions of the first outage's events change nothing any more.
    bench.run([at("e-1", DeviceEventKind::LastGasp, 10), at("e-1", DeviceEventKind::PowerRestored, 14)]);
    assert_eq!(bench.story().len(), 4);
    assert_eq!(bench.late, [Outage]);
}

// --- other events

#[test]
fn battery_alert_ends_with_battery_ok_even_when_that_came_first() {
    let mut bench = Bench::new();
    bench.run([at("e-1", DeviceEventKind::LowBattery, 5), at("e-1", DeviceEventKind::BatteryOk, 9)]);
    assert_eq!(bench.story(), [(LowBattery, Opened, 5, None), (LowBattery, Closed, 5, Some(9))]);
    let mut swapped = Bench::new();
    swapped.run([at("e-1", DeviceEventKind::BatteryOk, 9), at("e-1", DeviceEventKind::LowBattery, 5)]);
    assert_eq!(swapped.story(), bench.story());
}

#[test]
fn a_repeated_event_updates_the_open_alert_at_most_once_an_hour() {
    let mut bench = Bench::new();
    let tamper = |minute: i64| Input::Event(event("e-1", DeviceEventKind::Tamper, T0 + minute * HOUR / 60));
    bench.run([tamper(0), tamper(10), tamper(60), tamper(61), tamper(62)]);
    assert_eq!(bench.story().iter().map(|line| line.1).collect::<Vec<_>>(), [Opened, Updated]);
    assert_eq!(bench.messages[1].alert.revision, 2);
}

#[test]
fn reverse_flow_ends_by_itself_when_event_time_has_passed() {
    let mut bench = Bench::new();
    bench.run([at("e-1", DeviceEventKind::ReverseFlow, 0), delivery("o-1", half_hours(40, 2))]);
    assert_eq!(bench.story(), [(ReverseFlow, Opened, 0, None)], "41 h less 24 h of lateness are not 24 h");
    bench.run([at("e-1", DeviceEventKind::ReverseFlow, 5), delivery("o-1", half_hours(52, 2))]);
    bench.run([delivery("o-1", half_hours(53, 2))]);
    assert_eq!(
        bench.story()[1..],
        [(ReverseFlow, Updated, 0, None), (ReverseFlow, Closed, 0, Some(29))],
        "the newer event counts"
    );
}

#[test]
fn events_that_may_change_nothing_are_told_apart() {
    let cases = [
        ("x-1", "north", DeviceEventKind::Tamper, T0, EventOutcome::UnknownDevice),
        ("e-1", "lake", DeviceEventKind::Tamper, T0, EventOutcome::TenantMismatch),
        ("e-old", "north", DeviceEventKind::Tamper, T0, EventOutcome::InactiveDevice),
        ("e-1", "north", DeviceEventKind::Tamper, T0 + 2 * HOUR, EventOutcome::FutureTime),
        ("e-1", "north", DeviceEventKind::MeterExchanged, T0, EventOutcome::NotConcerned),
        ("e-1", "north", DeviceEventKind::Tamper, T0 + HOUR / 2, EventOutcome::Applied),
    ];
    for (device_id, tenant_id, kind, when, expected) in cases {
        let mut bench = Bench::new();
        let mut event = event(device_id, kind, when);
        event.tenant_id = tenant_id.into();
        let arrived = Arrival { offset: 0, timestamp_ms: T0 / 1_000 };
        assert_eq!(bench.partition.on_event(&event, arrived, &register(), Mode::Live), expected);
        bench.take();
        assert_eq!(bench.messages.len(), usize::from(expected == EventOutcome::Applied));
    }
}

// --- continuous flow

#[test]
fn flow_in_every_hour_for_a_day_is_a_leak_until_an_hour_falls_below() {
    let mut bench = Bench::new();
    bench.run([delivery("w-1", hours(0, &[0; 6])), delivery("w-1", hours(6, &[12; 23]))]);
    assert_eq!(bench.story(), []);
    bench.run([delivery("w-1", hours(29, &[12, 40, 40]))]);
    assert_eq!(bench.story(), [(ContinuousFlow, Opened, 6, None)]);
    bench.run([delivery("w-1", hours(32, &[11, 40]))]);
    assert_eq!(bench.story()[1..], [(ContinuousFlow, Closed, 6, Some(32))]);
}

#[test]
fn a_missing_hour_is_no_evidence_of_flow() {
    let mut bench = Bench::new();
    bench.run([delivery("w-1", hours(0, &[20; 23])), delivery("w-1", hours(24, &[20; 23]))]);
    assert_eq!(bench.story(), []);
    bench.run([delivery("w-1", hours(23, &[20]))]);
    assert_eq!(bench.story(), [(ContinuousFlow, Opened, 0, None)], "a late hour closes the hole");
}

#[test]
fn a_correction_can_end_a_leak() {
    let mut bench = Bench::new();
    bench.run([delivery("w-1", hours(0, &[20; 24]))]);
    let corrected = Reading { version: 2, ..water(T0 + 5 * HOUR, 0) };
    bench.run([delivery("w-1", vec![corrected])]);
    assert_eq!(bench.story()[1..], [(ContinuousFlow, Closed, 0, Some(5))]);
}

#[test]
fn the_limit_is_that_of_the_class_of_use_and_units_are_converted() {
    let mut bench = Bench::new();
    bench.run([delivery("w-shop", hours(0, &[100; 60]))]);
    assert_eq!(bench.story(), [], "a shop may use 100 L in every hour");
    let cubic_metres = |mut reading: Reading<'static>| {
        (reading.unit, reading.value) = ("m3", reading.value / 1_000);
        reading
    };
    bench.run([delivery("w-1", hours(0, &[100; 24]).into_iter().map(cubic_metres).collect())]);
    assert_eq!(bench.story(), [(ContinuousFlow, Opened, 0, None)]);
}

// --- high usage

fn normal_days(count: i32) -> Vec<Input> {
    (0..count).map(|number| delivery("e-1", electric_day(number, 200))).collect()
}

#[test]
fn a_day_far_above_the_seven_before_is_high_until_a_normal_day() {
    let mut bench = Bench::new();
    bench.run(normal_days(7));
    bench.run([delivery("e-1", electric_day(7, 1_200))]);
    assert_eq!(bench.story(), [(HighUsage, Opened, 7 * 24, None)]);
    bench.run([delivery("e-1", electric_day(8, 200))]);
    assert_eq!(bench.story()[1..], [(HighUsage, Closed, 7 * 24, Some(8 * 24))]);
}

#[test]
fn six_full_days_are_too_few_to_compare_with() {
    let mut bench = Bench::new();
    bench.run(normal_days(6));
    bench.run([delivery("e-1", electric_day(6, 5_000))]);
    assert_eq!(bench.story(), []);
}

#[test]
fn days_with_holes_are_not_part_of_the_mean() {
    let mut bench = Bench::new();
    bench.run(normal_days(4));
    let day_with_hole: Vec<_> = electric_day(4, 200).into_iter().skip(6).collect();
    bench.run([delivery("e-1", day_with_hole)]);
    bench.run((5..8).map(|number| delivery("e-1", electric_day(number, 200))));
    bench.run([delivery("e-1", electric_day(8, 1_200))]);
    assert_eq!(bench.story(), [(HighUsage, Opened, 8 * 24, None)]);
    assert!(bench.messages[0].alert.detail.ends_with("9.600 kWh"), "{}", bench.messages[0].alert.detail);
}

#[test]
fn a_small_total_is_never_high() {
    let mut bench = Bench::new();
    bench.run((0..7).map(|number| delivery("e-1", electric_day(number, 10))));
    bench.run([delivery("e-1", electric_day(7, 100))]);
    assert_eq!(bench.story(), [], "4.8 kWh is ten times the mean, but below the floor");
}

#[test]
fn a_spike_is_no_evidence_of_high_usage() {
    let mut bench = Bench::new();
    bench.run(normal_days(7));
    let mut day = electric_day(7, 200);
    (day[3].value, day[3].spike) = (60_000_000, true);
    bench.run([delivery("e-1", day)]);
    assert_eq!(bench.story(), []);
}

#[test]
fn corrections_replace_what_they_correct() {
    let mut bench = Bench::new();
    bench.run(normal_days(7));
    bench.run([delivery("e-1", electric_day(7, 1_200))]);
    let corrected = |reading: &Reading<'static>| Reading { version: 2, value: 200_000, ..*reading };
    bench.run([delivery("e-1", electric_day(7, 1_200).iter().map(corrected).collect())]);
    assert_eq!(bench.story()[1..], [(HighUsage, Closed, 7 * 24, Some(7 * 24))], "the day itself is normal now");
}

#[test]
fn a_late_day_counts_in_the_mean_of_later_days() {
    let mut bench = Bench::new();
    bench.run([0, 1, 2, 3, 5, 4, 6].map(|number| delivery("e-1", electric_day(number, 200))));
    bench.run([delivery("e-1", electric_day(8, 1_200))]);
    bench.run([delivery("e-1", electric_day(7, 200))]);
    assert_eq!(bench.story(), [(HighUsage, Opened, 8 * 24, None)]);
}

#[test]
fn local_days_of_23_and_25_hours_are_full_days() {
    // Chicago: 2026-03-08 has 23 hours, 2025-11-02 has 25.
    for (local_midnight, first_day, lengths) in [
        (1_772_431_200, 20_514, [48, 48, 48, 48, 48, 48, 46, 48]),
        (1_761_541_200, 20_388, [48, 48, 48, 48, 48, 48, 50, 48]),
    ] {
        let mut start: i64 = local_midnight * crate::core::SECOND;
        let mut bench = Bench::new();
        for (day, slots) in (first_day..).zip(lengths) {
            let wh = if day == first_day + 7 { 1_200 } else { 200 };
            let readings = (0..slots).map(|slot| electricity(start + slot * HOUR / 2, day, wh)).collect();
            bench.run([delivery("e-1", readings)]);
            start += slots * HOUR / 2;
        }
        let kinds: Vec<_> = bench.story().iter().map(|line| (line.0, line.1)).collect();
        assert_eq!(kinds, [(HighUsage, Opened)], "{lengths:?}");
        let mean = if lengths[6] == 46 { "9.543" } else { "9.657" };
        assert!(bench.messages[0].alert.detail.ends_with(&format!("{mean} kWh")), "{}", bench.messages[0].alert.detail);
    }
}

// --- silent meter

#[test]
fn a_meter_is_silent_when_the_others_are_far_ahead_and_heard_of_when_it_returns() {
    let mut bench = Bench::new();
    bench.run([delivery("o-1", half_hours(0, 48)), delivery("e-1", half_hours(0, 48))]);
    bench.run([delivery("o-1", half_hours(24, 120))]);
    assert_eq!(bench.story(), [], "84 h is 36 h and the allowed lateness, not more");
    bench.run([delivery("o-1", half_hours(84, 1))]);
    assert_eq!(bench.story(), [(SilentMeter, Opened, 24, None)]);
    bench.run([delivery("e-1", after_gap(85, 2))]);
    assert_eq!(bench.story()[1..], [(SilentMeter, Closed, 24, Some(85))]);
}

#[test]
fn a_meter_that_catches_up_slowly_stays_silent_until_it_has() {
    let mut bench = Bench::new();
    bench.run([
        delivery("e-1", half_hours(0, 2)),
        delivery("o-1", half_hours(0, 2)),
        delivery("o-1", half_hours(200, 2)),
    ]);
    bench.run([delivery("e-1", half_hours(1, 2))]);
    assert_eq!(bench.story(), [(SilentMeter, Opened, 1, None)]);
    bench.run([delivery("e-1", half_hours(150, 2))]);
    assert_eq!(bench.story()[1..], [(SilentMeter, Closed, 1, Some(150))]);
}

#[test]
fn a_retired_meter_may_be_silent_and_retiring_ends_alerts() {
    let mut bench = Bench::new();
    bench.run([
        delivery("e-1", half_hours(0, 2)),
        delivery("o-2", half_hours(0, 2)),
        at("e-1", DeviceEventKind::Tamper, 0),
    ]);
    bench.register.upsert(device("o-2", DeviceStatus::Retired, CustomerClass::Residential));
    bench.run([delivery("o-1", half_hours(100, 2))]);
    assert_eq!(bench.story(), [(Tamper, Opened, 0, None), (SilentMeter, Opened, 1, None)]);
    bench.register.upsert(device("e-1", DeviceStatus::Retired, CustomerClass::Residential));
    bench.partition.retire("e-1");
    bench.take();
    assert!(bench.story()[2..].iter().all(|line| line.1 == Closed) && bench.story().len() == 4);
}

// --- replays, repetitions, recovery

#[test]
fn a_replay_teaches_and_raises_nothing() {
    let mut bench = Bench::new();
    bench.run(normal_days(7));
    let replay = |readings| Input::Delivery { device_id: "e-1", source: Source::Replay, readings };
    bench.run([replay(electric_day(7, 1_200))]);
    let mut gasp = event("e-1", DeviceEventKind::LastGasp, T0);
    gasp.source = Source::Replay;
    bench.run([Input::Event(gasp)]);
    assert_eq!(bench.story(), []);
    assert_eq!(bench.output.powers, []);
}

#[test]
fn what_a_replay_taught_counts_for_live_input() {
    let mut bench = Bench::new();
    let flow = Input::Delivery { device_id: "w-1", source: Source::Replay, readings: hours(0, &[40; 30]) };
    bench.run([flow]);
    assert_eq!(bench.story(), []);
    bench.run([delivery("w-1", hours(30, &[40]))]);
    assert_eq!(bench.story(), [(ContinuousFlow, Opened, 0, None)]);
}

#[test]
fn a_reemitted_decision_is_left_out() {
    let mut bench = Bench::new();
    let readings = hours(0, &[40; 30]);
    assert_eq!(bench.decide(5, "w-1", Source::Kafka, &readings[..20], Mode::Live), DecisionOutcome::Applied);
    assert_eq!(bench.decide(5, "w-1", Source::Kafka, &readings[20..], Mode::Live), DecisionOutcome::Reemitted);
    assert_eq!(bench.decide(4, "w-1", Source::Kafka, &readings[20..], Mode::Live), DecisionOutcome::Reemitted);
    assert_eq!(bench.decide(6, "w-1", Source::Kafka, &[], Mode::Live), DecisionOutcome::Empty);
    bench.take();
    assert_eq!(bench.story(), []);
}

#[test]
fn an_alert_from_before_the_window_ends_after_recovery() {
    let mut before = Bench::new();
    before.run([delivery("w-1", hours(0, &[40; 30]))]);
    let mut table = super::support::Table::new();
    upsert(&mut table, &before.messages);
    // The new owner's window begins after the run did.
    let mut after = Bench::with_seeds(seeds(&table));
    after.feed(0, &delivery("w-1", hours(20, &[40; 10])), Mode::Learn);
    after.feed(1, &delivery("w-1", hours(30, &[40; 20])), Mode::Live);
    assert_eq!(after.story(), [], "the open alert is known");
    after.feed(2, &delivery("w-1", hours(50, &[0])), Mode::Live);
    assert_eq!(after.story(), [(ContinuousFlow, Closed, 0, Some(50))]);
    assert_eq!(after.messages[0].alert.alert_id, before.messages[0].alert.alert_id);
    assert_eq!(after.messages[0].alert.revision, 2);
}

use std::collections::BTreeMap;

use meterway_schemas::{AlertState, DeviceEventKind, Source};
use proptest::prelude::*;

use super::support::{Bench, DAY0, Input, T0, Table, electricity, event, seeds, upsert, water};
use crate::core::episode::AlertChange;
use crate::core::partition::Mode;
use crate::core::{DAY, HOUR};

const EVENTS: [DeviceEventKind; 6] = [
    DeviceEventKind::LastGasp,
    DeviceEventKind::PowerRestored,
    DeviceEventKind::Tamper,
    DeviceEventKind::LowBattery,
    DeviceEventKind::BatteryOk,
    DeviceEventKind::ReverseFlow,
];

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![9 => Just(Source::Kafka), 1 => Just(Source::Replay)]
}

/// A block of half hours or hours that begins at a whole hour of the first twelve days. The few levels of use make runs,
/// high days and normal days likely; the free start makes late, overlapping, repeated and corrected deliveries likely.
fn deliveries() -> impl Strategy<Value = Input> {
    let electric = (0..12_i64, prop_oneof![4 => Just(200_i64), 1 => Just(1_500)], 0..48_i64, source(), any::<bool>());
    let electric = electric.prop_map(|(day, wh, skipped, source, whole)| {
        let first = if whole { 0 } else { skipped };
        let slots = first..48;
        let number = DAY0 + day as i32;
        let readings = slots.map(|slot| electricity(T0 + day * DAY + slot * HOUR / 2, number, wh)).collect();
        Input::Delivery { device_id: "e-1", source, readings }
    });
    let flow = (0..260_i64, 1..40_i64, prop_oneof![3 => Just(40_i64), 1 => Just(0)], source());
    let flow = flow.prop_map(|(hour, count, litres, source)| {
        let readings = (hour..hour + count).map(|hour| water(T0 + hour * HOUR, litres)).collect();
        Input::Delivery { device_id: "w-1", source, readings }
    });
    prop_oneof![electric, flow]
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let events = (0..EVENTS.len(), 0..300_i64, prop::sample::select(vec!["e-1", "w-1"]));
    let events = events.prop_map(|(kind, hour, device)| Input::Event(event(device, EVENTS[kind], T0 + hour * HOUR)));
    prop::collection::vec(prop_oneof![3 => deliveries(), 1 => events], 1..80)
}

fn run_all(inputs: &[Input]) -> Bench {
    let mut bench = Bench::new();
    for (offset, input) in (0..).zip(inputs) {
        bench.feed(offset, input, Mode::Live);
    }
    bench
}

fn by_revision(messages: &[AlertChange]) -> BTreeMap<(String, i32), AlertChange> {
    messages.iter().map(|m| ((m.alert.alert_id.clone(), m.alert.revision), m.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_same_input_makes_the_same_alerts(inputs in inputs()) {
        prop_assert_eq!(run_all(&inputs).messages, run_all(&inputs).messages);
    }

    #[test]
    fn at_most_one_alert_per_device_and_kind_is_open_and_revisions_are_gapless(inputs in inputs()) {
        let mut open = BTreeMap::new();
        let mut revisions = BTreeMap::new();
        for AlertChange { alert, .. } in run_all(&inputs).messages {
            let last = revisions.insert(alert.alert_id.clone(), alert.revision).unwrap_or(0);
            prop_assert_eq!(alert.revision, last + 1);
            prop_assert!(alert.closed_at.is_none_or(|closed| closed >= alert.opened_at), "{:?}", alert);
            let place = (alert.device_id.clone(), alert.kind);
            match alert.state {
                AlertState::Opened => prop_assert_eq!(open.insert(place, alert.alert_id), None),
                AlertState::Updated => prop_assert_eq!(open.get(&place), Some(&alert.alert_id)),
                // A refined end closes what is closed already.
                AlertState::Closed => { open.remove(&place); }
            }
        }
    }

    /// A crash anywhere: positions committed up to `committed`, messages written up to `written` of them stored in the
    /// table. The next owner learns what is committed, takes the table over and goes on.
    #[test]
    fn after_a_crash_the_table_converges_and_messages_repeat_exactly(
        inputs in inputs(),
        committed in 0..80_usize,
        ahead in 0..20_usize,
        unstored in any::<bool>(),
    ) {
        let committed = committed.min(inputs.len());
        let reached = (committed + ahead).min(inputs.len());
        let expected = run_all(&inputs);
        let mut expected_table = Table::new();
        upsert(&mut expected_table, &expected.messages);

        let before = run_all(&inputs[..reached]);
        let stored = if unstored { run_all(&inputs[..committed]).messages } else { before.messages.clone() };
        let mut table = Table::new();
        upsert(&mut table, &stored);

        let mut after = Bench::with_seeds(seeds(&table));
        // Decisions are learned first, then events; live input comes in the order of before.
        let is_event = |input: &Input| matches!(input, Input::Event(_));
        for events in [false, true] {
            let learned = (0..).zip(&inputs[..committed]).filter(|(_, input)| is_event(input) == events);
            learned.for_each(|(offset, input)| after.feed(offset, input, Mode::Learn));
        }
        prop_assert_eq!(&after.messages, &[]);
        (committed as i64..).zip(&inputs[committed..]).for_each(|(offset, input)| after.feed(offset, input, Mode::Live));
        upsert(&mut table, &after.messages);
        prop_assert_eq!(&table, &expected_table);

        let topic: Vec<_> = before.messages.iter().chain(&after.messages).cloned().collect();
        prop_assert_eq!(by_revision(&topic), by_revision(&expected.messages));
        for message in &topic {
            let same = &by_revision(&expected.messages)[&(message.alert.alert_id.clone(), message.alert.revision)];
            prop_assert_eq!(message, same, "a repetition says the same");
        }
    }

    /// Statuses are a function of what was delivered, not of the order.
    #[test]
    fn the_last_status_does_not_depend_on_the_order_of_delivery(
        (original, shuffled) in prop::collection::vec(0..200_i64, 1..30)
            .prop_map(|hours| hours.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>())
            .prop_flat_map(|hours| (Just(hours.clone()), Just(hours).prop_shuffle())),
    ) {
        let last = |order: &[i64]| {
            let mut bench = Bench::new();
            for (offset, hour) in (0..).zip(order) {
                let reading = vec![water(T0 + hour * HOUR, *hour)];
                bench.decide(offset, "w-1", Source::Kafka, &reading, Mode::Live);
                bench.take();
            }
            let status = &bench.output.statuses[0];
            (status.event_ts, status.values[0].start, status.values[0].value)
        };
        prop_assert_eq!(last(&original), last(&shuffled));
    }
}

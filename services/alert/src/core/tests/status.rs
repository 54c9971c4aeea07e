use meterway_schemas::DeviceEventKind;

use super::scenarios::{at, half_hours};
use super::support::{Bench, DAY0, T0, delivery, electric_day, electricity};
use crate::core::input::Reading;
use crate::core::{DAY, HOUR};

#[test]
fn the_status_keeps_the_newest_value_of_each_channel() {
    let mut bench = Bench::new();
    let dial = Reading {
        channel: "1-0:1.8.0",
        kind: meter_model::Kind::Register,
        duration_s: 0,
        ..electricity(T0 + DAY, DAY0, 7)
    };
    bench.run([delivery("e-1", electric_day(0, 200)), delivery("e-1", vec![dial])]);
    bench.run([delivery("e-1", vec![electricity(T0 + 3 * HOUR, DAY0, 999)])]);
    let status = &bench.output.statuses[0];
    assert_eq!((status.event_ts, status.source_offset), (T0 + DAY, 2), "late input moves only the offset");
    let values: Vec<_> = status.values.iter().map(|last| (&*last.channel, last.start, last.value)).collect();
    assert_eq!(values, [("1-0:1.29.0", T0 + DAY - HOUR / 2, 200_000), ("1-0:1.8.0", T0 + DAY, 7_000)]);
    let correction = Reading { version: 2, ..electricity(T0 + DAY - HOUR / 2, DAY0, 300) };
    bench.run([delivery("e-1", vec![correction])]);
    assert_eq!(bench.output.statuses[0].values[0].value, 300_000);
}

#[test]
fn power_comes_back_with_the_event_or_with_readings() {
    let mut bench = Bench::new();
    bench.run([delivery("e-1", half_hours(0, 2))]);
    assert_eq!(bench.output.powers, [], "a meter that never went off needs no write");
    bench.run([at("e-1", DeviceEventKind::LastGasp, 2)]);
    assert!(!bench.output.powers[0].power.on);
    bench.run([delivery("e-1", half_hours(5, 2))]);
    assert_eq!((bench.output.powers[0].power.on, bench.output.powers[0].power.at), (true, T0 + 5 * HOUR));
}

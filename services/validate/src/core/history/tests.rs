use super::*;
use crate::core::rules::RuleSet;

fn put(history: &mut History, device: &str, slots: std::ops::Range<i64>) {
    let limit = history.limits().readings_per_channel;
    history.update("t", device, |device| {
        let position = device.channel("1-0:1.29.0", Kind::Interval);
        for slot in slots {
            let known = Known { start: slot * 1_800_000_000, value: slot * 1_000, duration_s: 1_800, version: 1 };
            device.state(position).record(Kind::Interval, known, RuleSet::EMPTY, limit);
        }
    });
}

fn remembered(history: &mut History, device: &str) -> usize {
    history.update("t", device, |device| {
        let position = device.channel("1-0:1.29.0", Kind::Interval);
        device.state(position).len()
    })
}

#[test]
fn same_device_of_another_tenant_has_its_own_past() {
    let mut history = History::new(Limits::default());
    put(&mut history, "d", 0..5);
    assert_eq!(history.update("other", "d", |device| device.channel("1-0:1.29.0", Kind::Interval)), 0);
    assert_eq!(history.devices(), 2);
    assert_eq!(remembered(&mut history, "d"), 5);
}

#[test]
fn same_channel_of_another_kind_has_its_own_past() {
    let mut device = DeviceHistory::default();
    assert_ne!(device.channel("c", Kind::Interval), device.channel("c", Kind::Register));
    assert_eq!(device.channel("c", Kind::Interval), 0);
}

#[test]
fn budget_forgets_the_devices_that_were_silent_longest() {
    let limits = Limits { readings_per_channel: 64, bytes: 40_000 };
    let mut history = History::new(limits);
    for round in 0..20 {
        for device in 0..60 {
            put(&mut history, &format!("rare-{round}-{device}"), 0..64);
        }
        put(&mut history, "regular", round..round + 1);
        assert!(history.bytes() <= limits.bytes + 2_000, "{} bytes", history.bytes());
    }
    assert_eq!(remembered(&mut history, "regular"), 1, "sixty others between its deliveries are more than the budget");
    for round in 0..20 {
        put(&mut history, "regular", round..round + 1);
        for device in 0..5 {
            put(&mut history, &format!("few-{round}-{device}"), 0..64);
        }
    }
    assert_eq!(remembered(&mut history, "regular"), 20);
    assert_eq!(remembered(&mut history, "rare-0-0"), 0);
}

#[test]
fn forgotten_device_gives_its_bytes_back() {
    let mut history = History::new(Limits::default());
    put(&mut history, "a", 0..64);
    let bytes = history.bytes();
    put(&mut history, "b", 0..64);
    history.forget("t", "b");
    assert_eq!((history.bytes(), history.devices()), (bytes, 1));
}

//! Things to look at when event time has come so far.

use std::collections::BTreeSet;

use meterway_schemas::AlertKind;

/// Deadlines by event time. A deadline is a hint to look, not a verdict: whoever takes it checks whether it still holds.
#[derive(Debug, Default)]
pub struct Timers(BTreeSet<(i64, u32, AlertKind)>);

impl Timers {
    /// Sets a deadline for a device and a kind of alert.
    pub fn set(&mut self, at: i64, device: u32, kind: AlertKind) {
        self.0.insert((at, device, kind));
    }

    /// Takes the earliest deadline before the watermark.
    pub fn pop_before(&mut self, watermark: i64) -> Option<(u32, AlertKind)> {
        let first = self.0.first().copied().filter(|(at, _, _)| *at < watermark)?;
        self.0.remove(&first);
        Some((first.1, first.2))
    }
}

//! Live mode: after the history, each device delivers its intervals one by one as they end, until somebody stops it.
//!
//! What the clock has already passed since the end of the history is caught up on at the trickle's rate, in the order of
//! time; after that, every device waits for the end of its interval and a few minutes more, each its own.

use super::pace::Pace;
use super::runner::Runner;
use crate::simulate::core::calendar::DayGrid;
use crate::simulate::core::fault::FaultKind;
use crate::simulate::core::fleet::{SimDevice, TENANTS};
use crate::simulate::core::mix::mix2;
use crate::simulate::core::usage::interval;
use anyhow::Context;
use service_runtime::{Clock, SystemClock, sleep_or_shutdown};
use std::time::Duration;

const HALF_HOUR: i64 = 1_800_000_000;
/// Latest delivery behind the end of an interval, so that all have delivered when the next one ends.
const LATEST: u64 = 1_500_000_000;

/// Delivers until the run is stopped, at most so many messages a second.
pub(crate) async fn trickle(runner: &mut Runner<'_>, rate: f64) -> anyhow::Result<()> {
    let devices = order(runner);
    // Slower than the devices produce, it would fall behind for ever.
    let least = devices.len() as f64 / 600.0;
    let mut pace = Pace::new(rate.max(least));
    let until = runner.scenario.settings.until_ordinal;
    let mut today: Vec<DayGrid> = Vec::new();
    for tenant in &TENANTS {
        today.push(DayGrid::new(tenant.zone, until).context("find the day after the history")?);
    }
    let mut end = today.iter().map(|grid| grid.start).min().unwrap_or(0) + HALF_HOUR;
    loop {
        for (device, delay) in &devices {
            let grid = &mut today[usize::from(device.tenant != &TENANTS[0])];
            let Some(start) = interval_ending(device, grid, end)? else { continue };
            if !wait_until(end + delay, runner).await {
                return runner.settle().await;
            }
            pace.pass(1).await;
            deliver(runner, device, grid, start).await?;
        }
        runner.settle().await?;
        end += HALF_HOUR;
    }
}

/// The devices that deliver, in the order in which they do, with their delay behind the end of an interval.
fn order<'a>(runner: &Runner<'a>) -> Vec<(&'a SimDevice, i64)> {
    let scenario = runner.scenario;
    let silent = |device: &SimDevice| {
        let fault = scenario.plan.of(device.index).map(|(_, injection)| injection);
        fault.is_some_and(|fault| fault.kind == FaultKind::Silent && fault.day + 3 == scenario.settings.days)
    };
    let delivering = scenario.fleet.iter().filter(|device| !device.inactive && !silent(device));
    let mut devices: Vec<_> = delivering.map(|device| (device, (mix2(device.seed, 6) % LATEST) as i64)).collect();
    devices.sort_by_key(|(device, delay)| (*delay, device.index));
    devices
}

/// The start of the device's interval that ends then; moves the day on when it begins on the next.
fn interval_ending(device: &SimDevice, grid: &mut DayGrid, end: i64) -> anyhow::Result<Option<i64>> {
    let length = i64::from(device.meter.interval_s) * 1_000_000;
    let start = end - length;
    if end % length != 0 || start < grid.start {
        return Ok(None);
    }
    if start >= grid.end {
        *grid = DayGrid::new(device.tenant.zone, grid.ordinal + 1).context("find the next day")?;
    }
    Ok(Some(start))
}

async fn wait_until(instant: i64, runner: &Runner<'_>) -> bool {
    let micros = u64::try_from(instant - SystemClock.now_micros()).unwrap_or(0);
    sleep_or_shutdown(Duration::from_micros(micros), &runner.stop).await
}

async fn deliver(runner: &mut Runner<'_>, device: &SimDevice, grid: &DayGrid, start: i64) -> anyhow::Result<()> {
    let ground = runner.scenario.ground();
    let meter = ground.meter(device);
    let slots = grid.slots(device.meter.interval_s);
    let of_day = slots.iter().find(|slot| slot.start == start).context("find the interval in its day")?.of_day;
    let dial = &mut runner.dials[device.index];
    let mut readings = Vec::with_capacity(2);
    if start == grid.start {
        readings.extend(meter.daily(grid, *dial));
    }
    let milli = meter.milli(grid.ordinal, of_day, start);
    *dial = (*dial + milli) % crate::simulate::core::fleet::DIAL_MILLI;
    readings.push(interval(device.meter, start, milli));
    runner.clean(device, &readings).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::core::calendar::ordinal_of;
    use crate::simulate::core::fleet::generate;

    /// Days around the autumn change of London, half-hour by half-hour.
    #[test]
    fn live_intervals_follow_each_other_across_a_change_of_clocks() {
        let fleet = generate(1, 40);
        let first = ordinal_of("2026-10-24".parse().unwrap());
        for letter in ['e', 'w'] {
            let device = fleet.iter().find(|d| d.meter.letter == letter && d.tenant == &TENANTS[0]).unwrap();
            let mut grid = DayGrid::new(device.tenant.zone, first).unwrap();
            let begin = grid.start;
            let ends = (1..=98).map(|half_hours| begin + half_hours * HALF_HOUR);
            let starts: Vec<i64> = ends.filter_map(|end| interval_ending(device, &mut grid, end).unwrap()).collect();
            let length = i64::from(device.meter.interval_s) * 1_000_000;
            assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == length));
            assert_eq!((starts[0], starts.len() as i64), (begin, 98 * HALF_HOUR / length));
            assert_eq!(grid.ordinal, first + 1);
        }
    }
}

//! Continuous flow: water that runs in every interval for hours on end.
//!
//! What is kept is one pair of bits per interval, so readings may come in any order, twice, or corrected.

use std::sync::Arc;

use meter_model::{Commodity, Kind, Unit};

use super::SECOND;
use super::bits::SlotWindow;
use super::input::Reading;
use super::intern::Intern;
use super::thresholds::FlowLimit;

/// Shorter intervals would need a longer memory than the rule is worth.
const SHORTEST_S: i32 = 300;
/// A longer interval can't tell flow in every hour.
const LONGEST_S: i32 = 3_600;
/// Room for late deliveries beside the longest run, in hours.
const SLACK_HOURS: u32 = 24;

/// Flow of a device's first water channel (by name).
#[derive(Debug, Clone)]
pub struct Flow {
    channel: Arc<str>,
    slot_s: i32,
    slots: SlotWindow,
}

/// What a reading told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowEvidence {
    /// The interval stayed below the limit.
    Paused,
    /// Flow at least as high as the limit, in an unbroken run of this length that began at `since` (UTC microseconds).
    Running {
        /// Beginning of the run.
        since: i64,
        /// Length of the run in seconds.
        length_s: i64,
    },
}

/// Billionths of a litre in one unit; `None` for what is no volume.
fn nanolitres(unit: &str) -> Option<i128> {
    match Unit::parse(unit)? {
        Unit::Litre => Some(1_000_000_000),
        Unit::CubicMetre => Some(1_000_000_000_000),
        Unit::Gallon => Some(3_785_411_784),
        Unit::CubicFoot => Some(28_316_846_592),
        _ => None,
    }
}

/// Whether the reading is one that the rule can use.
fn is_usable(reading: &Reading<'_>) -> bool {
    reading.commodity == Commodity::Water
        && reading.kind == Kind::Interval
        && (SHORTEST_S..=LONGEST_S).contains(&reading.duration_s)
}

impl Flow {
    /// Notes a reading in a device's flow, which begins with the first usable one. `None` when the reading says nothing
    /// about flow, or lies before the window.
    pub fn learn(
        flow: &mut Option<Box<Self>>,
        reading: &Reading<'_>,
        limit: FlowLimit,
        longest_hours: u32,
        intern: &mut Intern,
    ) -> Option<FlowEvidence> {
        let factor = nanolitres(reading.unit).filter(|_| is_usable(reading))?;
        if !flow.as_ref().is_some_and(|flow| flow.is_of(reading)) {
            if flow.as_ref().is_some_and(|flow| *flow.channel < *reading.channel) {
                return None;
            }
            *flow = Some(Box::new(Self::new(reading, longest_hours, intern)));
        }
        flow.as_mut()?.note(reading, factor, limit)
    }

    fn new(reading: &Reading<'_>, longest_hours: u32, intern: &mut Intern) -> Self {
        let hours = longest_hours.saturating_add(SLACK_HOURS) as usize;
        let slots = SlotWindow::new((hours * 3_600).div_ceil(reading.duration_s as usize));
        Self { channel: intern.get(reading.channel), slot_s: reading.duration_s, slots }
    }

    fn is_of(&self, reading: &Reading<'_>) -> bool {
        *self.channel == *reading.channel && self.slot_s == reading.duration_s
    }

    fn note(&mut self, reading: &Reading<'_>, factor: i128, limit: FlowLimit) -> Option<FlowEvidence> {
        let length = i64::from(self.slot_s) * SECOND;
        let slot = reading.start.div_euclid(length);
        // Both sides in 10^-15 litres per hour, times the interval's length.
        let measured = i128::from(reading.value) * factor * 3_600;
        let wanted = i128::from(limit.litres_per_hour) * 1_000_000_000_000_000 * i128::from(self.slot_s);
        let above = measured >= wanted;
        if !self.slots.set(slot, above) {
            return None;
        }
        if !above {
            return Some(FlowEvidence::Paused);
        }
        let (first, slots) = self.slots.run_around(slot);
        Some(FlowEvidence::Running { since: first * length, length_s: slots * i64::from(self.slot_s) })
    }
}

//! The figures of the rules. They are part of the configuration; the defaults stand in `config.default.toml`.

use std::time::Duration;

use meterway_schemas::CustomerClass;
use serde::{Deserialize, Serialize};

/// `[rules]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// When a meter counts as silent.
    pub silent_meter: SilentMeter,
    /// When flow counts as a leak.
    pub continuous_flow: ContinuousFlow,
    /// When a day's use counts as high.
    pub high_usage: HighUsage,
    /// How events are treated.
    pub events: EventLimits,
}

/// `[rules.silent_meter]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SilentMeter {
    /// Silence, in event time, that raises the alert.
    #[serde(with = "humantime_serde")]
    pub after: Duration,
    /// How far a healthy meter may lag behind the newest of its partition: the watermark is that much behind.
    #[serde(with = "humantime_serde")]
    pub allowed_lateness: Duration,
}

/// `[rules.continuous_flow]`: one limit per class of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuousFlow {
    /// Homes.
    pub residential: FlowLimit,
    /// Houses of several homes behind one meter.
    pub multi_family: FlowLimit,
    /// Shops and offices.
    pub commercial: FlowLimit,
    /// Plants.
    pub industrial: FlowLimit,
}

/// Flow that never stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowLimit {
    /// Litres in every hour.
    pub litres_per_hour: u32,
    /// Hours without a pause.
    pub hours: u32,
}

/// `[rules.high_usage]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HighUsage {
    /// Share of the mean of the seven full days before that a day must exceed, in percent.
    pub ratio_percent: u32,
    /// A local day's total must also exceed this, in kWh.
    pub floor_kwh: u32,
}

/// `[rules.events]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventLimits {
    /// A repeated event of an open alert makes a new revision only when the last one is that old.
    #[serde(with = "humantime_serde")]
    pub repeat_after: Duration,
    /// An event whose own time lies further ahead of Kafka's is ignored: its device's clock is wrong.
    #[serde(with = "humantime_serde")]
    pub max_future: Duration,
    /// A TAMPER alert without further events closes after this event time.
    #[serde(with = "humantime_serde")]
    pub clear_tamper_after: Duration,
    /// The same for REVERSE_FLOW.
    #[serde(with = "humantime_serde")]
    pub clear_reverse_flow_after: Duration,
}

impl ContinuousFlow {
    /// The limit of a class.
    pub fn of(&self, class: CustomerClass) -> FlowLimit {
        match class {
            CustomerClass::Residential => self.residential,
            CustomerClass::MultiFamily => self.multi_family,
            CustomerClass::Commercial => self.commercial,
            CustomerClass::Industrial => self.industrial,
        }
    }

    /// The longest run that any class asks for, in hours; what a device must remember at least.
    pub fn longest_hours(&self) -> u32 {
        let all = [self.residential, self.multi_family, self.commercial, self.industrial];
        all.iter().map(|limit| limit.hours).max().unwrap_or(0)
    }
}

/// A duration in microseconds of event time.
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

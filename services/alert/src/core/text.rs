//! The one sentence of an alert, for a person: figures and threshold.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta};
use meterway_schemas::{AlertKind, DeviceEventKind};

use super::thresholds::FlowLimit;

/// An instant as people write it; the bare number outside the years that calendars hold.
fn instant(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn date(day: i32) -> String {
    NaiveDate::default()
        .checked_add_signed(TimeDelta::days(i64::from(day)))
        .map_or_else(|| day.to_string(), |date| date.to_string())
}

/// Millionths with three decimals.
fn decimal(millionths: i128) -> String {
    let thousandths = (millionths.abs() + 500) / 1_000;
    let sign = if millionths < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}

/// An event raised the alert, or came again.
pub fn event(kind: DeviceEventKind, at: i64) -> String {
    let what = match kind {
        DeviceEventKind::LastGasp => "last gasp",
        DeviceEventKind::PowerRestored => "power restored",
        DeviceEventKind::Tamper => "tampering reported",
        DeviceEventKind::LowBattery => "low battery reported",
        DeviceEventKind::BatteryOk => "battery good again",
        DeviceEventKind::ReverseFlow => "reverse flow reported",
        DeviceEventKind::Other | DeviceEventKind::ClockAdjusted | DeviceEventKind::MeterExchanged => "event reported",
    };
    format!("{what} at {}", instant(at))
}

/// Readings show that power is back.
pub fn readings_resumed(at: i64) -> String {
    format!("readings without a hole again from {}", instant(at))
}

/// No further event came.
pub fn cleared(kind: AlertKind, at: i64) -> String {
    format!("no further {} event until {}", kind.as_str(), instant(at))
}

/// The device left service.
pub fn retired() -> String {
    "the device is not in service any more".to_owned()
}

/// Water ran without a pause.
pub fn flow(limit: FlowLimit, since: i64) -> String {
    let FlowLimit { litres_per_hour, hours } = limit;
    format!("at least {litres_per_hour} L in every hour for {hours} h, since {}", instant(since))
}

/// An hour fell below the limit.
pub fn flow_paused(limit: FlowLimit, at: i64) -> String {
    format!("below {} L per hour at {}", limit.litres_per_hour, instant(at))
}

/// A day used too much. Energy in millionths of a kWh.
pub fn usage(day: i32, total: i128, mean: i128, ratio_percent: u32) -> String {
    let (total, mean) = (decimal(total), decimal(mean));
    format!("{total} kWh on {}, over {ratio_percent} % of the mean of 7 full days before, {mean} kWh", date(day))
}

/// A day was normal again, or a correction made the day normal.
pub fn usage_normal(day: i32, total: i128) -> String {
    format!("{} kWh on {}, not high", decimal(total), date(day))
}

/// Nothing was heard.
pub fn silent(since: i64, after: i64) -> String {
    format!("no reading after {} for more than {} h", instant(since), after / super::HOUR)
}

/// The meter was heard of again.
pub fn heard_again(at: i64) -> String {
    format!("readings again from {}", instant(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_hold_figures_and_threshold() {
        let limit = FlowLimit { litres_per_hour: 12, hours: 24 };
        assert_eq!(flow(limit, 0), "at least 12 L in every hour for 24 h, since 1970-01-01T00:00:00Z");
        assert_eq!(
            usage(20_000, 42_123_456, 9_999_999, 300),
            "42.123 kWh on 2024-10-04, over 300 % of the mean of 7 full days before, 10.000 kWh"
        );
        assert_eq!(silent(0, 36 * crate::core::HOUR), "no reading after 1970-01-01T00:00:00Z for more than 36 h");
    }
}

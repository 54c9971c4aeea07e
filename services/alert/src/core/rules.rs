//! The rules as a table: what raises which alert, how urgent it is, and which event ends it.
//!
//! Rules that only need events are complete here. Rules over readings name their evidence; `flow`, `usage` and the
//! timers of `partition` supply it.

use meterway_schemas::{AlertKind, DeviceEventKind, Severity};

/// One kind of alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Kind of the alert; at most one is open per device.
    pub kind: AlertKind,
    /// How urgent it is.
    pub severity: Severity,
    /// Event that raises it.
    pub opened_by: Option<DeviceEventKind>,
    /// Event that ends it.
    pub closed_by: Option<DeviceEventKind>,
}

/// Power is gone. Also ended by a reading from after the last gasp that is not the first after a hole.
pub const OUTAGE: Rule = Rule {
    kind: AlertKind::Outage,
    severity: Severity::Critical,
    opened_by: Some(DeviceEventKind::LastGasp),
    closed_by: Some(DeviceEventKind::PowerRestored),
};
/// Somebody touched the meter. Ended by a long time without a further event.
pub const TAMPER: Rule = Rule {
    kind: AlertKind::Tamper,
    severity: Severity::Critical,
    opened_by: Some(DeviceEventKind::Tamper),
    closed_by: None,
};
/// The battery is low.
pub const LOW_BATTERY: Rule = Rule {
    kind: AlertKind::LowBattery,
    severity: Severity::Info,
    opened_by: Some(DeviceEventKind::LowBattery),
    closed_by: Some(DeviceEventKind::BatteryOk),
};
/// Energy or water flows backwards. Ended by a time without a further event.
pub const REVERSE_FLOW: Rule = Rule {
    kind: AlertKind::ReverseFlow,
    severity: Severity::Warning,
    opened_by: Some(DeviceEventKind::ReverseFlow),
    closed_by: None,
};
/// Water runs in every hour for too long: a leak.
pub const CONTINUOUS_FLOW: Rule =
    Rule { kind: AlertKind::ContinuousFlow, severity: Severity::Warning, opened_by: None, closed_by: None };
/// Nothing was heard for too long, in event time.
pub const SILENT_METER: Rule =
    Rule { kind: AlertKind::SilentMeter, severity: Severity::Warning, opened_by: None, closed_by: None };
/// A local day used much more than the days before.
pub const HIGH_USAGE: Rule =
    Rule { kind: AlertKind::HighUsage, severity: Severity::Info, opened_by: None, closed_by: None };

/// Every rule.
pub const RULES: &[Rule] = &[OUTAGE, TAMPER, LOW_BATTERY, REVERSE_FLOW, CONTINUOUS_FLOW, SILENT_METER, HIGH_USAGE];

/// The rule of a kind; `None` for kinds this version does not know.
pub fn rule(kind: AlertKind) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.kind == kind)
}

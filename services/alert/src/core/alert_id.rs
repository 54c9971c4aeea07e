//! Names of alerts that the same evidence always makes again.

use meterway_schemas::AlertKind;
use uuid::Uuid;

/// Namespace of alert ids (UUID version 5). Changing it would give every open alert a second identity.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d65_7465_7277_5179_b1a1_0a1e_47f0_0001);

/// The id of the alert of this kind that began for the device with this window.
///
/// `window` is the start of the evidence in microseconds of event time: the event's own time, the first hour of a run, the
/// local day, the end of the last reading.
pub fn alert_id(kind: AlertKind, tenant_id: &str, device_id: &str, window: i64) -> String {
    // Identifiers hold no control character, so the separator keeps ("a", "bc") and ("ab", "c") apart.
    let name = format!("{}\n{tenant_id}\n{device_id}\n{window}", kind.as_str());
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_changes_between_releases() {
        assert_eq!(alert_id(AlertKind::Outage, "t", "d", 1_000), alert_id(AlertKind::Outage, "t", "d", 1_000));
        insta::assert_snapshot!(
            alert_id(AlertKind::Outage, "t", "d", 1_000),
            @"eb85ff20-16e0-5ebd-b582-bd7dd8cc14dc"
        );
    }

    #[test]
    fn every_part_counts() {
        let base = alert_id(AlertKind::Outage, "t", "dd", 1_000);
        for other in [
            alert_id(AlertKind::Tamper, "t", "dd", 1_000),
            alert_id(AlertKind::Outage, "td", "d", 1_000),
            alert_id(AlertKind::Outage, "t", "dd", 1_001),
        ] {
            assert_ne!(base, other);
        }
    }
}

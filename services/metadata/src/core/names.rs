//! Enums of the contract and the names the database and the topics use for them.

use meter_model::{Commodity, Kind};
use meterway_proto::metadata::v1;
use meterway_schemas::{CustomerClass, DeviceStatus};

use super::fields::Check;

/// Name of a value of a generated enum without its prefix: `DEVICE_STATUS_ACTIVE` → `ACTIVE`.
macro_rules! short_name {
    ($(#[$doc:meta])* $name:ident, $type:ty, $prefix:literal) => {
        $(#[$doc])*
        pub fn $name(value: $type) -> &'static str {
            value.as_str_name().trim_start_matches($prefix)
        }
    };
}

short_name! {
    /// Name of an alert kind.
    alert_kind, v1::AlertKind, "ALERT_KIND_"
}
short_name! {
    /// Name of a severity.
    severity, v1::AlertSeverity, "ALERT_SEVERITY_"
}
short_name! {
    /// Name of a key's scope.
    scope, v1::ApiKeyScope, "API_KEY_SCOPE_"
}

/// A tenant's status by its name in the database.
pub fn tenant_status(name: &str) -> v1::TenantStatus {
    by_name("TENANT_STATUS_", name, v1::TenantStatus::from_str_name)
}

/// An alert kind by its name.
pub fn alert_kind_of(name: &str) -> v1::AlertKind {
    by_name("ALERT_KIND_", name, v1::AlertKind::from_str_name)
}

/// A severity by its name.
pub fn severity_of(name: &str) -> v1::AlertSeverity {
    by_name("ALERT_SEVERITY_", name, v1::AlertSeverity::from_str_name)
}

/// A key's scope by its name.
pub fn scope_of(name: &str) -> v1::ApiKeyScope {
    by_name("API_KEY_SCOPE_", name, v1::ApiKeyScope::from_str_name)
}

/// Class of an alert rule by its name in the database; `ANY` is the unspecified one.
pub fn rule_class_of(name: &str) -> v1::CustomerClass {
    by_name("CUSTOMER_CLASS_", name, v1::CustomerClass::from_str_name)
}

/// Name of an alert rule's class.
pub fn rule_class(class: v1::CustomerClass) -> &'static str {
    match class {
        v1::CustomerClass::Unspecified => "ANY",
        class => class.as_str_name().trim_start_matches("CUSTOMER_CLASS_"),
    }
}

fn by_name<E: Default>(prefix: &str, name: &str, find: impl Fn(&str) -> Option<E>) -> E {
    find(&format!("{prefix}{name}")).unwrap_or_default()
}

impl Check {
    /// A value of a generated enum, as the number that was sent.
    pub fn choice<E: TryFrom<i32> + Default>(&mut self, field: &str, number: i32) -> E {
        E::try_from(number).unwrap_or_else(|_| {
            self.note(field, format!("{number} is not a known value"));
            E::default()
        })
    }

    /// A device's state; ACTIVE when not stated.
    pub fn device_status(&mut self, field: &str, number: i32) -> DeviceStatus {
        match self.choice(field, number) {
            v1::DeviceStatus::Unspecified | v1::DeviceStatus::Active => DeviceStatus::Active,
            v1::DeviceStatus::Inactive => DeviceStatus::Inactive,
            v1::DeviceStatus::Retired => DeviceStatus::Retired,
        }
    }

    /// What a device measures.
    pub fn commodity(&mut self, field: &str, number: i32) -> Commodity {
        match self.choice(field, number) {
            v1::Commodity::Unspecified => Commodity::Unknown,
            v1::Commodity::Electricity => Commodity::Electricity,
            v1::Commodity::Gas => Commodity::Gas,
            v1::Commodity::Water => Commodity::Water,
            v1::Commodity::Heat => Commodity::Heat,
            v1::Commodity::Sensor => Commodity::Sensor,
        }
    }

    /// Class of use; RESIDENTIAL when not stated.
    pub fn customer_class(&mut self, field: &str, number: i32) -> CustomerClass {
        match self.choice(field, number) {
            v1::CustomerClass::Unspecified | v1::CustomerClass::Residential => CustomerClass::Residential,
            v1::CustomerClass::MultiFamily => CustomerClass::MultiFamily,
            v1::CustomerClass::Commercial => CustomerClass::Commercial,
            v1::CustomerClass::Industrial => CustomerClass::Industrial,
        }
    }

    /// Kind of a channel; must be stated.
    pub fn channel_kind(&mut self, field: &str, number: i32) -> Kind {
        match self.choice(field, number) {
            v1::ChannelKind::Unspecified => {
                self.note(field, "is not stated");
                Kind::Gauge
            }
            v1::ChannelKind::Interval => Kind::Interval,
            v1::ChannelKind::Register => Kind::Register,
            v1::ChannelKind::Gauge => Kind::Gauge,
        }
    }
}

/// A device's state as a message.
pub fn device_status(status: DeviceStatus) -> v1::DeviceStatus {
    match status {
        DeviceStatus::Active => v1::DeviceStatus::Active,
        DeviceStatus::Inactive => v1::DeviceStatus::Inactive,
        DeviceStatus::Retired => v1::DeviceStatus::Retired,
    }
}

/// A commodity as a message.
pub fn commodity(commodity: Commodity) -> v1::Commodity {
    match commodity {
        Commodity::Unknown => v1::Commodity::Unspecified,
        Commodity::Electricity => v1::Commodity::Electricity,
        Commodity::Gas => v1::Commodity::Gas,
        Commodity::Water => v1::Commodity::Water,
        Commodity::Heat => v1::Commodity::Heat,
        Commodity::Sensor => v1::Commodity::Sensor,
    }
}

/// A class of use as a message.
pub fn customer_class(class: CustomerClass) -> v1::CustomerClass {
    match class {
        CustomerClass::Residential => v1::CustomerClass::Residential,
        CustomerClass::MultiFamily => v1::CustomerClass::MultiFamily,
        CustomerClass::Commercial => v1::CustomerClass::Commercial,
        CustomerClass::Industrial => v1::CustomerClass::Industrial,
    }
}

/// A channel's kind as a message.
pub fn channel_kind(kind: Kind) -> v1::ChannelKind {
    match kind {
        Kind::Interval => v1::ChannelKind::Interval,
        Kind::Register => v1::ChannelKind::Register,
        Kind::Gauge => v1::ChannelKind::Gauge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_values() {
        for kind in [v1::AlertKind::ContinuousFlow, v1::AlertKind::SilentMeter] {
            assert_eq!(alert_kind_of(alert_kind(kind)), kind);
        }
        for class in [v1::CustomerClass::Unspecified, v1::CustomerClass::MultiFamily] {
            assert_eq!(rule_class_of(rule_class(class)), class);
        }
        assert_eq!(scope_of(scope(v1::ApiKeyScope::WriteEvents)), v1::ApiKeyScope::WriteEvents);
        assert_eq!(severity_of(severity(v1::AlertSeverity::Critical)), v1::AlertSeverity::Critical);
        assert_eq!(tenant_status("SUSPENDED"), v1::TenantStatus::Suspended);
        assert_eq!(alert_kind(v1::AlertKind::Outage), "OUTAGE");
    }
}

//! Tenants, customers and sites.

use meter_model::{LocalDays, TenantId};
use meterway_proto::metadata::v1;

use super::fields::{Check, Violations, timestamp};
use super::names;

/// Longest name, in characters.
const MAX_NAME: usize = 200;

/// Longest address, in characters.
const MAX_ADDRESS: usize = 500;

/// When a row was changed, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Revision {
    /// Rises by one with each change; 0 before it is stored.
    pub version: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
}

/// A tenant that satisfies the rules of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Identifier.
    pub tenant_id: String,
    /// Name for people.
    pub name: String,
    /// Whether it is served.
    pub suspended: bool,
    /// What it may use.
    pub limits: Limits,
    /// State of the row.
    pub revision: Revision,
}

/// What a tenant may use; 0 is the default of whoever enforces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests per second.
    pub requests_per_second: u32,
    /// Readings per second.
    pub readings_per_second: u32,
    /// Bytes of a request's body after decompression.
    pub max_request_bytes: u64,
}

impl From<Limits> for v1::Limits {
    fn from(limits: Limits) -> Self {
        Self {
            requests_per_second: limits.requests_per_second,
            readings_per_second: limits.readings_per_second,
            max_request_bytes: limits.max_request_bytes,
        }
    }
}

/// A tenant's identifier out of a request.
///
/// # Errors
/// When it is none.
pub fn tenant_id(text: &str) -> Result<TenantId, Violations> {
    TenantId::parse(text).map_err(|error| Violations::one("tenant_id", error.to_string()))
}

impl Tenant {
    /// Checks a tenant as it was sent.
    ///
    /// # Errors
    /// Every mistake.
    pub fn parse(message: Option<v1::Tenant>) -> Result<Self, Violations> {
        let mut check = Check::default();
        let message = check.required("tenant", message);
        let limits = message.limits.unwrap_or_default();
        if i64::try_from(limits.max_request_bytes).is_err() {
            check.note("tenant.limits.max_request_bytes", "is out of range");
        }
        let status: v1::TenantStatus = check.choice("tenant.status", message.status);
        let tenant = Self {
            tenant_id: check.id("tenant.tenant_id", &message.tenant_id),
            name: check.text("tenant.name", &message.name, 1, MAX_NAME),
            suspended: status == v1::TenantStatus::Suspended,
            limits: Limits {
                requests_per_second: limits.requests_per_second,
                readings_per_second: limits.readings_per_second,
                max_request_bytes: limits.max_request_bytes,
            },
            revision: Revision::default(),
        };
        check.finish(tenant)
    }

    /// Name of the status in the database.
    pub fn status(&self) -> &'static str {
        if self.suspended { "SUSPENDED" } else { "ACTIVE" }
    }
}

impl From<Tenant> for v1::Tenant {
    fn from(tenant: Tenant) -> Self {
        Self {
            status: names::tenant_status(tenant.status()) as i32,
            tenant_id: tenant.tenant_id,
            name: tenant.name,
            limits: Some(tenant.limits.into()),
            version: tenant.revision.version,
            updated_at: Some(timestamp(tenant.revision.updated_at)),
        }
    }
}

/// A customer that satisfies the rules of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Identifier within the tenant.
    pub customer_id: String,
    /// Name for people.
    pub name: String,
    /// State of the row.
    pub revision: Revision,
}

impl Customer {
    /// Checks a customer as it was sent.
    ///
    /// # Errors
    /// Every mistake.
    pub fn parse(message: Option<v1::Customer>) -> Result<Self, Violations> {
        let mut check = Check::default();
        let message = check.required("customer", message);
        let customer = Self::read(&mut check, &message);
        check.finish(customer)
    }

    pub(super) fn read(check: &mut Check, message: &v1::Customer) -> Self {
        Self {
            customer_id: check.id("customer.customer_id", &message.customer_id),
            name: check.text("customer.name", &message.name, 0, MAX_NAME),
            revision: Revision::default(),
        }
    }
}

impl From<Customer> for v1::Customer {
    fn from(customer: Customer) -> Self {
        Self {
            customer_id: customer.customer_id,
            name: customer.name,
            version: customer.revision.version,
            updated_at: Some(timestamp(customer.revision.updated_at)),
        }
    }
}

/// A site that satisfies the rules of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Identifier within the tenant.
    pub site_id: String,
    /// IANA time zone.
    pub zone: String,
    /// Address for people.
    pub address: String,
    /// State of the row.
    pub revision: Revision,
}

impl Site {
    /// Checks a site as it was sent.
    ///
    /// # Errors
    /// Every mistake.
    pub fn parse(message: Option<v1::Site>) -> Result<Self, Violations> {
        let mut check = Check::default();
        let message = check.required("site", message);
        let site = Self::read(&mut check, &message);
        check.finish(site)
    }

    pub(super) fn read(check: &mut Check, message: &v1::Site) -> Self {
        if let Err(error) = LocalDays::parse(&message.zone) {
            check.note("site.zone", error.to_string());
        }
        Self {
            site_id: check.id("site.site_id", &message.site_id),
            zone: message.zone.clone(),
            address: check.text("site.address", &message.address, 0, MAX_ADDRESS),
            revision: Revision::default(),
        }
    }
}

impl From<Site> for v1::Site {
    fn from(site: Site) -> Self {
        Self {
            site_id: site.site_id,
            zone: site.zone,
            address: site.address,
            version: site.revision.version,
            updated_at: Some(timestamp(site.revision.updated_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_of_a_site_is_named() {
        let message = v1::Site { site_id: "a b".into(), zone: "Mars/Olympus".into(), ..v1::Site::default() };
        let said = Site::parse(Some(message)).unwrap_err().to_string();
        assert!(said.contains("site.site_id: ") && said.contains("site.zone: "), "{said}");
        assert_eq!(Site::parse(None).unwrap_err().0[0].field, "site");
    }

    #[test]
    fn a_tenant_is_active_unless_stated_otherwise() {
        let message = v1::Tenant { tenant_id: "acme".into(), name: "Acme".into(), ..v1::Tenant::default() };
        let tenant = Tenant::parse(Some(message)).unwrap();
        assert_eq!(tenant.status(), "ACTIVE");
        let back = v1::Tenant::from(tenant);
        assert_eq!(back.status, v1::TenantStatus::Active as i32);
    }
}

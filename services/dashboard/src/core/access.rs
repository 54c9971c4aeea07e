//! Who somebody is, and what they may see.

use serde::{Deserialize, Serialize};

/// Role of a signed-in person, from the claim `meterway_role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the installation; sees every tenant, one at a time.
    Operator,
    /// Administers one tenant.
    TenantAdmin,
    /// Reads one tenant's data.
    Analyst,
    /// Sees the own devices.
    Customer,
}

/// What a route may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Permission {
    /// Devices, readings and consumption.
    #[serde(rename = "devices.read")]
    DevicesRead,
    /// Onboarding.
    #[serde(rename = "devices.write")]
    DevicesWrite,
    /// Alerts.
    #[serde(rename = "alerts.read")]
    AlertsRead,
    /// Acknowledging alerts, calling something normal.
    #[serde(rename = "alerts.write")]
    AlertsWrite,
    /// Completeness of a tenant.
    #[serde(rename = "completeness.read")]
    CompletenessRead,
    /// Health of the pipeline.
    #[serde(rename = "pipeline.read")]
    PipelineRead,
    /// Files to take away.
    #[serde(rename = "exports.create")]
    ExportsCreate,
    /// Who looked at what.
    #[serde(rename = "audit.read")]
    AuditRead,
    /// The list of tenants.
    #[serde(rename = "tenants.read")]
    TenantsRead,
}

use Permission::{
    AlertsRead, AlertsWrite, AuditRead, CompletenessRead, DevicesRead, DevicesWrite, ExportsCreate, PipelineRead,
    TenantsRead,
};

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Operator, Self::TenantAdmin, Self::Analyst, Self::Customer];

    /// As claims and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::TenantAdmin => "tenant_admin",
            Self::Analyst => "analyst",
            Self::Customer => "customer",
        }
    }

    /// The role of a claim; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// What it may do.
    pub const fn permissions(self) -> &'static [Permission] {
        match self {
            Self::Operator => &[
                DevicesRead,
                DevicesWrite,
                AlertsRead,
                AlertsWrite,
                CompletenessRead,
                PipelineRead,
                ExportsCreate,
                AuditRead,
                TenantsRead,
            ],
            Self::TenantAdmin => &[
                DevicesRead,
                DevicesWrite,
                AlertsRead,
                AlertsWrite,
                CompletenessRead,
                PipelineRead,
                ExportsCreate,
                AuditRead,
            ],
            Self::Analyst => &[DevicesRead, AlertsRead, CompletenessRead, PipelineRead, ExportsCreate],
            Self::Customer => &[DevicesRead, AlertsRead, AlertsWrite, ExportsCreate],
        }
    }

    /// Whether it may.
    pub fn may(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }
}

/// A signed-in person, from a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Stable identifier at the issuer.
    pub subject: String,
    /// Name for people.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Tenant; `None` for operators only.
    pub tenant: Option<String>,
    /// Customer; of customers only.
    pub customer: Option<String>,
    /// When the token ends; seconds since 1970-01-01.
    pub expires_at: i64,
}

/// The rows that a request is about: one tenant's, or one customer's of them. Made from claims only, but for the tenant
/// that an operator names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Tenant.
    pub tenant: String,
    /// Customer; `None` for all of the tenant's.
    pub customer: Option<String>,
}

/// Claims that make no caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadClaims {
    /// No role, or an unknown one.
    Role,
    /// A role that belongs to a tenant, and none is named.
    Tenant,
    /// A customer without a customer's identifier.
    Customer,
}

/// The claims that say who somebody is.
#[derive(Debug, Clone, Deserialize)]
pub struct Claims {
    /// Stable identifier.
    pub sub: String,
    /// Full name.
    pub name: Option<String>,
    /// Name used to sign in.
    pub preferred_username: Option<String>,
    /// When the token ends.
    pub exp: i64,
    /// Role.
    pub meterway_role: Option<String>,
    /// Tenant.
    pub meterway_tenant: Option<String>,
    /// Customer.
    pub meterway_customer: Option<String>,
}

impl Claims {
    /// The caller that verified claims describe. A tenant or customer that the role has no use for is dropped, never
    /// widened: an operator's tenant claim binds nobody, a customer without a customer sees nothing at all.
    ///
    /// # Errors
    /// [`BadClaims`] when they name nobody.
    pub fn caller(self) -> Result<Caller, BadClaims> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let role = self.meterway_role.as_deref().and_then(Role::parse).ok_or(BadClaims::Role)?;
        let (tenant, customer) = match role {
            Role::Operator => (None, None),
            Role::TenantAdmin | Role::Analyst => (Some(given(self.meterway_tenant).ok_or(BadClaims::Tenant)?), None),
            Role::Customer => (
                Some(given(self.meterway_tenant).ok_or(BadClaims::Tenant)?),
                Some(given(self.meterway_customer).ok_or(BadClaims::Customer)?),
            ),
        };
        let name = given(self.name).or(given(self.preferred_username)).unwrap_or_else(|| self.sub.clone());
        Ok(Caller { subject: self.sub, name, role, tenant, customer, expires_at: self.exp })
    }
}

/// Why there is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoScope {
    /// An operator did not say which tenant.
    Unnamed,
    /// Somebody else named a tenant that is not the own one; answered like one that does not exist.
    Foreign,
}

impl Caller {
    /// The rows a request is about, given the tenant it names.
    ///
    /// # Errors
    /// [`NoScope`].
    pub fn scope(&self, named: Option<&str>) -> Result<Scope, NoScope> {
        let tenant = match (&self.tenant, named) {
            (None, None) => return Err(NoScope::Unnamed),
            (None, Some(named)) => named.to_owned(),
            (Some(own), Some(named)) if own != named => return Err(NoScope::Foreign),
            (Some(own), _) => own.clone(),
        };
        Ok(Scope { tenant, customer: self.customer.clone() })
    }
}

impl Scope {
    /// Whether something of that tenant and customer is within.
    pub fn covers(&self, tenant: &str, customer: Option<&str>) -> bool {
        self.tenant == tenant && self.customer.as_deref().is_none_or(|own| customer == Some(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(role: &str, tenant: Option<&str>, customer: Option<&str>) -> Claims {
        Claims {
            sub: "s".into(),
            name: None,
            preferred_username: Some("n".into()),
            exp: 1,
            meterway_role: Some(role.into()),
            meterway_tenant: tenant.map(Into::into),
            meterway_customer: customer.map(Into::into),
        }
    }

    #[test]
    fn claims_that_name_nobody_are_refused() {
        assert_eq!(claims("root", Some("t"), None).caller(), Err(BadClaims::Role));
        assert_eq!(claims("Operator", None, None).caller(), Err(BadClaims::Role));
        assert_eq!(claims("analyst", None, None).caller(), Err(BadClaims::Tenant));
        assert_eq!(claims("tenant_admin", Some(""), None).caller(), Err(BadClaims::Tenant));
        assert_eq!(claims("customer", Some("t"), None).caller(), Err(BadClaims::Customer));
        assert_eq!(claims("customer", Some("t"), Some("")).caller(), Err(BadClaims::Customer));
    }

    #[test]
    fn only_an_operator_chooses_the_tenant() {
        let operator = claims("operator", Some("ignored"), None).caller().unwrap();
        assert_eq!(operator.scope(None), Err(NoScope::Unnamed));
        assert_eq!(operator.scope(Some("a")).unwrap(), Scope { tenant: "a".into(), customer: None });
        let customer = claims("customer", Some("a"), Some("c")).caller().unwrap();
        let own = Scope { tenant: "a".into(), customer: Some("c".into()) };
        assert_eq!(customer.scope(None).unwrap(), own);
        assert_eq!(customer.scope(Some("a")).unwrap(), own);
        assert_eq!(customer.scope(Some("b")), Err(NoScope::Foreign));
    }

    #[test]
    fn a_customer_is_covered_only_by_name() {
        let own = Scope { tenant: "a".into(), customer: Some("c".into()) };
        assert!(own.covers("a", Some("c")));
        for (tenant, customer) in [("a", None), ("a", Some("d")), ("b", Some("c")), ("a", Some(""))] {
            assert!(!own.covers(tenant, customer), "{tenant} {customer:?}");
        }
        let all = Scope { tenant: "a".into(), customer: None };
        assert!(all.covers("a", None) && all.covers("a", Some("d")) && !all.covers("b", None));
    }
}

//! What can go wrong in the store, classified once.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::core::fields::Violations;

/// Why a call to the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller sent something wrong.
    #[error(transparent)]
    Invalid(#[from] Violations),
    /// There is no such thing in this tenant.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The identifier is taken.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// What is known contradicts what was sent.
    #[error("{0}")]
    Conflict(String),
    /// The state doesn't allow it.
    #[error("{0}")]
    Precondition(&'static str),
    /// Somebody else changed it first.
    #[error("the current version is {current}, not {expected}")]
    VersionMismatch {
        /// Version that the caller expected.
        expected: i64,
        /// Version that is stored.
        current: i64,
    },
    /// The statement took too long.
    #[error("the database did not answer in time")]
    Timeout(#[source] tokio_postgres::Error),
    /// The database can't be reached or is overloaded; another attempt may succeed.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A defect of the service or of its schema.
    #[error("the database refused a statement")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<PoolError> for StoreError {
    /// Without a connection nothing was asked of the database yet, so another attempt is always harmless.
    fn from(error: PoolError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(database) = error.as_db_error() else {
            // No answer of the server: the connection failed or closed, or a value couldn't be converted.
            return if error.is_closed() || source_is_io(&error) {
                Self::Unavailable(Box::new(error))
            } else {
                Self::Internal(Box::new(error))
            };
        };
        match database.code() {
            code if *code == SqlState::UNIQUE_VIOLATION => Self::Taken(taken(database.constraint())),
            code if *code == SqlState::FOREIGN_KEY_VIOLATION => Self::NotFound(missing(database.constraint())),
            code if *code == SqlState::QUERY_CANCELED || *code == SqlState::LOCK_NOT_AVAILABLE => Self::Timeout(error),
            code if is_transient(code) => Self::Unavailable(Box::new(error)),
            _ => Self::Internal(Box::new(error)),
        }
    }
}

/// Classes 08 (connection), 40 (rollback: deadlock, serialization), 53 (resources), 57 (operator intervention).
fn is_transient(code: &SqlState) -> bool {
    ["08", "40", "53", "57"].iter().any(|class| code.code().starts_with(class))
}

fn source_is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

fn taken(constraint: Option<&str>) -> &'static str {
    match constraint {
        Some("tenant_pkey") => "tenant.tenant_id",
        Some("customer_pkey") => "customer.customer_id",
        Some("site_pkey") => "site.site_id",
        Some("device_pkey" | "device_id_is_unique") => "device.device_id",
        _ => "the identifier",
    }
}

fn missing(constraint: Option<&str>) -> &'static str {
    match constraint {
        Some("customer_tenant" | "site_tenant" | "device_tenant" | "api_key_tenant" | "alert_rule_tenant") => "tenant",
        Some("device_site") => "site: device.site_id",
        Some("device_customer") => "customer: device.customer_id",
        Some("alert_exception_device" | "meter_exchange_device" | "outbox_device") => "device",
        _ => "thing that this one refers to",
    }
}

//! The DynamoDB client, its errors in three sorts, and how often to try.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::sync::Semaphore;

use super::retry::{Patience, Transient};
use crate::config::DynamoConfig;
use crate::metrics;

/// Why a request did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The table's or partition's capacity is used up. Backpressure: wait and try again.
    #[error("dynamodb throttles {table}: {code}")]
    Throttled { table: &'static str, code: String },
    /// No answer, or a server's error.
    #[error("dynamodb is not available for {table}: {reason}")]
    Unavailable { table: &'static str, reason: String },
    /// Another attempt won't help: missing table or right, wrong request.
    #[error("dynamodb refuses a request to {table}: {reason}")]
    Refused { table: &'static str, reason: String },
    /// What a table holds is not what this service writes.
    #[error("an item of {table} has no usable {attribute}")]
    Malformed { table: &'static str, attribute: &'static str },
}

impl Transient for StoreError {
    fn is_transient(&self) -> bool {
        let reason = match self {
            Self::Throttled { table, .. } => Some((*table, "throttled")),
            Self::Unavailable { table, .. } => Some((*table, "unavailable")),
            Self::Refused { .. } | Self::Malformed { .. } => None,
        };
        // Asked once per failed attempt, so this is where repeated attempts are counted.
        reason.inspect(|(table, reason)| metrics::store_retry(table, reason)).is_some()
    }
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The item is as asked.
    New,
    /// The table holds something newer; nothing was changed.
    Stale,
}

/// The client with its limits; clones share them.
#[derive(Debug, Clone)]
pub struct Dynamo {
    /// The client itself.
    pub client: Client,
    pub(crate) patience: Patience,
    /// Requests under way, over all tables.
    pub(crate) slots: Arc<Semaphore>,
}

impl Dynamo {
    /// A client for the configuration. Connects with the first request.
    pub async fn connect(config: &DynamoConfig, patience: Patience) -> Self {
        let timeouts = TimeoutConfig::builder().operation_timeout(config.timeout).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(config.region.clone()))
            .timeout_config(timeouts)
            // Attempts are ours, so that they are counted, jittered and end with the process.
            .retry_config(RetryConfig::disabled());
        if !config.endpoint.is_empty() {
            loader = loader.endpoint_url(&config.endpoint);
        }
        if !config.access_key.is_empty() {
            let (access, secret) = (config.access_key.expose(), config.secret_key.expose());
            loader = loader.credentials_provider(Credentials::new(access, secret, None, None, "configuration"));
        }
        Self {
            client: Client::new(&loader.load().await),
            patience,
            slots: Arc::new(Semaphore::new(config.concurrency)),
        }
    }

    /// Whether the table answers.
    pub(crate) async fn check(&self, table: &'static str, name: &str) -> anyhow::Result<()> {
        let describe = || async {
            let described = self.client.describe_table().table_name(name).send().await;
            described.map(drop).map_err(|error| classify(table, error))
        };
        Ok(self.patience.run(describe).await?)
    }
}

/// The outcome of a conditional write.
pub(crate) fn written<T, E>(table: &'static str, result: Result<T, SdkError<E>>) -> Result<Written, StoreError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(_) => Ok(Written::New),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(Written::Stale),
        Err(error) => Err(classify(table, error)),
    }
}

/// Sorts an SDK error.
pub(crate) fn classify<E>(table: &'static str, error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let SdkError::ServiceError(service) = &error else {
        return match error {
            SdkError::ConstructionFailure(_) => StoreError::Refused { table, reason: describe(&error) },
            _ => StoreError::Unavailable { table, reason: describe(&error) },
        };
    };
    let code = service.err().code().unwrap_or_default();
    match code {
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TransactionConflictException"
        | "LimitExceededException" => StoreError::Throttled { table, code: code.to_owned() },
        "InternalServerError" | "ServiceUnavailable" => StoreError::Unavailable { table, reason: describe(&error) },
        _ if service.raw().status().is_server_error() => StoreError::Unavailable { table, reason: describe(&error) },
        _ => StoreError::Refused { table, reason: describe(&error) },
    }
}

fn describe<E: std::error::Error>(error: &E) -> String {
    DisplayErrorContext(error).to_string()
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

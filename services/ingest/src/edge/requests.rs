//! The table of requests that carry an `Idempotency-Key`, in DynamoDB: every change is one conditional write.
//!
//! An item is a request (`id` = SHA-256 of tenant, API key and `Idempotency-Key`) or a replica's lease (`id` =
//! `owner#<replica>`). `expires_at` is the table's time to live; because DynamoDB deletes late, conditions look at it too.

use crate::{
    config::RequestsConfig,
    core::once::{Fingerprint, Record, State},
};
use anyhow::Context;
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region, timeout::TimeoutConfig},
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    primitives::Blob,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
        ReturnValuesOnConditionCheckFailure::AllOld, ScalarAttributeType, TimeToLiveSpecification,
    },
};
use std::collections::HashMap;

type Item = HashMap<String, AttributeValue>;

/// The table did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    /// No answer, throttled, or refused; the outcome of a write is open.
    #[error("table of requests: {0}")]
    Unavailable(String),
    /// An item is not what this service writes.
    #[error("table of requests: an item has no usable {0}")]
    Malformed(&'static str),
}

fn unavailable<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> TableError
where
    SdkError<E>: std::error::Error,
{
    TableError::Unavailable(DisplayErrorContext(error).to_string())
}

/// A replica's right to work on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Item of the request.
    pub(crate) id: String,
    /// Replica.
    pub(crate) owner: String,
    /// Names this claim among all.
    pub(crate) claim: String,
}

/// What a claim met.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// Nobody had the key: the request is ours.
    New,
    /// Somebody has.
    Taken(Record),
}

/// The table; clones share the client.
#[derive(Debug, Clone)]
pub(crate) struct RequestTable {
    client: Client,
    table: String,
    window_s: i64,
}

impl RequestTable {
    /// A client for the configuration, after the table has answered.
    ///
    /// # Errors
    /// When the table does not exist (and is not to be created) or does not answer.
    pub(crate) async fn open(config: &RequestsConfig) -> anyhow::Result<Self> {
        let timeouts = TimeoutConfig::builder().operation_timeout(config.timeout).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(config.region.clone()))
            .timeout_config(timeouts);
        if !config.endpoint.is_empty() {
            loader = loader.endpoint_url(&config.endpoint);
        }
        if !config.access_key.is_empty() {
            let (access, secret) = (config.access_key.expose(), config.secret_key.expose());
            loader = loader.credentials_provider(Credentials::new(access, secret, None, None, "configuration"));
        }
        let client = Client::new(&loader.load().await);
        let window_s = i64::try_from(config.window.as_secs()).context("idempotency.window is too long")?;
        let table = Self { client, table: config.table.clone(), window_s };
        if config.create_table {
            table.create_missing().await?;
        }
        let described = table.client.describe_table().table_name(&table.table).send().await;
        described.map_err(|error| unavailable(&error)).with_context(|| {
            format!("look at table {}; make it, or set idempotency.enabled = false and refuse keys", table.table)
        })?;
        Ok(table)
    }

    async fn create_missing(&self) -> anyhow::Result<()> {
        let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
        let request = self.client.create_table().table_name(&self.table).billing_mode(BillingMode::PayPerRequest);
        let request = request.attribute_definitions(attribute.build()?).key_schema(key.build()?);
        match request.send().await {
            Ok(_) => {}
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => return Ok(()),
            Err(error) => return Err(unavailable(&error)).with_context(|| format!("create table {}", self.table)),
        }
        let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires_at").build()?;
        let request = self.client.update_time_to_live().table_name(&self.table).time_to_live_specification(expiry);
        request.send().await.map_err(|error| unavailable(&error)).context("set the time to live of the table")?;
        Ok(())
    }

    /// Claims a request whose key is not used, or was used longer ago than the window.
    ///
    /// # Errors
    /// [`TableError`]; the claim may have been made then, and is found abandoned later.
    pub(crate) async fn claim(
        &self,
        claim: &Claim,
        fingerprint: Fingerprint,
        request: &str,
        now_ms: i64,
    ) -> Result<Claimed, TableError> {
        let put = self.client.put_item().table_name(&self.table).item("id", text(&claim.id));
        let put = put.item("fingerprint", AttributeValue::B(Blob::new(fingerprint.0))).item("request", text(request));
        let put = put.item("owner", text(&claim.owner)).item("claim", text(&claim.claim));
        let put = put.item("claimed_at", number(now_ms)).item("expires_at", number(self.expiry(now_ms)));
        let put = put
            .condition_expression("attribute_not_exists(id) OR expires_at <= :now")
            .expression_attribute_values(":now", number(now_ms / 1000))
            .return_values_on_condition_check_failure(AllOld);
        match put.send().await {
            Ok(_) => Ok(Claimed::New),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let record = record(failed.item().ok_or(TableError::Malformed("item"))?)?;
                    // The client repeats a request whose answer was lost: then the record in the way is our own.
                    let ours = matches!(&record.state, State::Claimed { claim: held, .. } if *held == claim.claim);
                    Ok(if ours { Claimed::New } else { Claimed::Taken(record) })
                }
                _ => Err(unavailable(&error)),
            },
        }
    }

    /// Takes an abandoned request over from the claim that held it; false when somebody else was faster.
    ///
    /// # Errors
    /// [`TableError`].
    pub(crate) async fn take_over(&self, claim: &Claim, from: &str) -> Result<bool, TableError> {
        let update = self.client.update_item().table_name(&self.table).key("id", text(&claim.id));
        let update = update
            .update_expression("SET #owner = :owner, claim = :claim")
            .condition_expression("claim = :from AND attribute_not_exists(answer)")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(&claim.owner))
            .expression_attribute_values(":claim", text(&claim.claim))
            .expression_attribute_values(":from", text(from))
            .return_values_on_condition_check_failure(AllOld);
        Ok(changed(update.send().await)?.is_none_or(|item| holds(&item, claim)))
    }

    /// Writes the answer of a request that is stored; false when the claim is not ours any more.
    ///
    /// # Errors
    /// [`TableError`]; may be tried again.
    pub(crate) async fn answer(&self, claim: &Claim, answer: &[u8], now_ms: i64) -> Result<bool, TableError> {
        let update = self.client.update_item().table_name(&self.table).key("id", text(&claim.id));
        let update = update
            .update_expression("SET answer = :answer, expires_at = :expires")
            .condition_expression("claim = :claim")
            .expression_attribute_values(":answer", AttributeValue::B(Blob::new(answer)))
            .expression_attribute_values(":expires", number(self.expiry(now_ms)))
            .expression_attribute_values(":claim", text(&claim.claim));
        Ok(changed(update.send().await)?.is_none())
    }

    /// Says until when this replica lives, if nothing more is heard of it.
    ///
    /// # Errors
    /// [`TableError`].
    pub(crate) async fn lease(&self, owner: &str, until_ms: i64) -> Result<(), TableError> {
        let put = self.client.put_item().table_name(&self.table).item("id", text(lease_id(owner)));
        let put = put.item("until", number(until_ms)).item("expires_at", number(self.expiry(until_ms)));
        put.send().await.map(drop).map_err(|error| unavailable(&error))
    }

    /// Until when a replica lives, in Unix milliseconds; `None` when it said nothing, or goodbye.
    ///
    /// # Errors
    /// [`TableError`].
    pub(crate) async fn lease_of(&self, owner: &str) -> Result<Option<i64>, TableError> {
        let get = self.client.get_item().table_name(&self.table).key("id", text(lease_id(owner))).consistent_read(true);
        let found = get.send().await.map_err(|error| unavailable(&error))?;
        found.item().map(|item| integer(item, "until")).transpose()
    }

    /// Gives the lease back: this replica works on nothing any more.
    ///
    /// # Errors
    /// [`TableError`].
    pub(crate) async fn end_lease(&self, owner: &str) -> Result<(), TableError> {
        let delete = self.client.delete_item().table_name(&self.table).key("id", text(lease_id(owner)));
        delete.send().await.map(drop).map_err(|error| unavailable(&error))
    }

    /// Seconds since 1970, as DynamoDB's time to live has it.
    fn expiry(&self, now_ms: i64) -> i64 {
        now_ms / 1000 + self.window_s
    }
}

/// `None` when the update was made; the item in the way (empty when it is not told) when the condition failed.
fn changed<T>(result: Result<T, SdkError<UpdateItemError>>) -> Result<Option<Item>, TableError> {
    match result {
        Ok(_) => Ok(None),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Some(failed.item().cloned().unwrap_or_default()))
            }
            _ => Err(unavailable(&error)),
        },
    }
}

/// Whether the item in the way of a change is what the change would have made: its answer was lost, and it was repeated.
fn holds(item: &Item, claim: &Claim) -> bool {
    item.get("claim").and_then(|held| held.as_s().ok()) == Some(&claim.claim) && !item.contains_key("answer")
}

fn record(item: &Item) -> Result<Record, TableError> {
    let bytes = |name: &'static str| item.get(name).and_then(|value| value.as_b().ok()).map(AsRef::<[u8]>::as_ref);
    let string = |name: &'static str| {
        item.get(name).and_then(|value| value.as_s().ok()).cloned().ok_or(TableError::Malformed(name))
    };
    let fingerprint = bytes("fingerprint").and_then(|bytes| bytes.try_into().ok());
    Ok(Record {
        fingerprint: Fingerprint(fingerprint.ok_or(TableError::Malformed("fingerprint"))?),
        request: string("request")?,
        claimed_at_ms: integer(item, "claimed_at")?,
        state: match bytes("answer") {
            Some(answer) => State::Answered(answer.to_vec()),
            None => State::Claimed { owner: string("owner")?, claim: string("claim")? },
        },
    })
}

fn integer(item: &Item, name: &'static str) -> Result<i64, TableError> {
    let value = item.get(name).and_then(|value| value.as_n().ok()?.parse().ok());
    value.ok_or(TableError::Malformed(name))
}

fn lease_id(owner: &str) -> String {
    format!("owner#{owner}")
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

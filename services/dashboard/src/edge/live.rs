//! Live status and alerts, as `alert` writes them into DynamoDB.
//!
//! Items have no row-level security: whatever is read here is kept only when the scope covers it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use chrono::DateTime;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::problem::Problem;
use super::warehouse::instant;
use crate::config::DynamoConfig;
use crate::core::access::Scope;

type Item = HashMap<String, AttributeValue>;

/// Items of one batch, by DynamoDB's limit.
const BATCH: usize = 100;
/// Alerts of a tenant that are looked at.
const MOST_ALERTS: i32 = 20_000;
/// A tenant's alerts are read again after so long: lists that are paged through do not read them for each page.
const ALERTS_AGE: Duration = Duration::from_secs(1);
/// Attempts of a batch whose keys were not all answered.
const ATTEMPTS: usize = 5;

/// An alert in its newest revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Identifier.
    pub alert_id: String,
    /// Device.
    pub device_id: String,
    /// Customer when it opened.
    pub customer_id: Option<String>,
    /// Site when it opened.
    pub site_id: Option<String>,
    /// What is wrong.
    pub kind: String,
    /// How urgent.
    pub severity: String,
    /// What the newest message said.
    pub state: String,
    /// Number of that message.
    pub revision: i64,
    /// Microseconds since 1970-01-01, as the others.
    pub opened_at: i64,
    /// Of the newest evidence.
    pub updated_at: i64,
    /// When it ended.
    pub closed_at: Option<i64>,
    /// A sentence.
    pub detail: String,
}

impl Alert {
    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// As the API writes it, given what else is known.
    pub fn to_json(&self, zone: Option<&Value>, acknowledgement: Option<&Value>) -> Value {
        json!({
            "alert_id": self.alert_id, "device_id": self.device_id, "site_id": self.site_id,
            "customer_id": self.customer_id, "kind": self.kind, "severity": self.severity, "state": self.state,
            "revision": self.revision, "opened_at": micros(self.opened_at), "updated_at": micros(self.updated_at),
            "closed_at": self.closed_at.map(micros), "detail": self.detail,
            "zone": zone.cloned().unwrap_or(Value::Null),
            "acknowledgement": acknowledgement.cloned().unwrap_or(Value::Null),
        })
    }
}

/// A tenant's alerts, and when they were read.
type Held = (Instant, Arc<Vec<Alert>>);

/// Reads the tables.
#[derive(Debug)]
pub struct Live {
    client: Client,
    status_table: String,
    alerts_table: String,
    alerts: Mutex<HashMap<String, Held>>,
}

impl Live {
    /// A client; connects with the first request.
    pub async fn connect(config: &DynamoConfig) -> Self {
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
        Self {
            client: Client::new(&loader.load().await),
            status_table: config.status_table.clone(),
            alerts_table: config.alerts_table.clone(),
            alerts: Mutex::default(),
        }
    }

    /// The live status of devices, by device; those that were never heard of are left out.
    ///
    /// # Errors
    /// When DynamoDB gives no answer.
    pub async fn statuses(&self, scope: &Scope, devices: &[&str]) -> Result<HashMap<String, Value>, Problem> {
        let mut found = HashMap::new();
        for chunk in devices.chunks(BATCH) {
            let keys = chunk
                .iter()
                .map(|device| Item::from([("pk".to_owned(), AttributeValue::S(format!("{}#{device}", scope.tenant)))]));
            let mut wanted = Some(HashMap::from([(
                self.status_table.clone(),
                KeysAndAttributes::builder().set_keys(Some(keys.collect())).build().map_err(Problem::defect)?,
            )]));
            for _ in 0..ATTEMPTS {
                let Some(keys) = wanted.take().filter(|keys| !keys.is_empty()) else { break };
                let answer = self.client.batch_get_item().set_request_items(Some(keys)).send().await;
                let answer = answer.map_err(|error| unavailable(&DisplayErrorContext(error)))?;
                for item in answer.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                    // The status follows the device to its next customer; who is looked after now says the register.
                    if let Some((device, status)) = status(&item) {
                        found.insert(device, status);
                    }
                }
                wanted = answer.unprocessed_keys;
            }
        }
        Ok(found)
    }

    /// The alerts within a scope: all open ones, and closed ones as long as they are kept.
    ///
    /// # Errors
    /// When DynamoDB gives no answer.
    pub async fn alerts(&self, scope: &Scope) -> Result<Vec<Alert>, Problem> {
        let all = self.alerts_of(&scope.tenant).await?;
        Ok(all.iter().filter(|alert| scope.covers(&scope.tenant, alert.customer_id.as_deref())).cloned().collect())
    }

    async fn alerts_of(&self, tenant: &str) -> Result<Arc<Vec<Alert>>, Problem> {
        let mut held = self.alerts.lock().await;
        if let Some((at, alerts)) = held.get(tenant)
            && at.elapsed() < ALERTS_AGE
        {
            return Ok(Arc::clone(alerts));
        }
        let pages = self
            .client
            .query()
            .table_name(&self.alerts_table)
            .key_condition_expression("tenant_id = :tenant")
            .expression_attribute_values(":tenant", AttributeValue::S(tenant.to_owned()))
            .into_paginator()
            .items()
            .send();
        let mut pages = pages;
        let mut alerts = Vec::new();
        while let Some(item) = pages.next().await {
            alerts.extend(alert(&item.map_err(|error| unavailable(&DisplayErrorContext(error)))?));
            if alerts.len() >= MOST_ALERTS as usize {
                tracing::warn!(alerts = alerts.len(), "more alerts than can be shown, the rest is left out");
                break;
            }
        }
        alerts.sort_by(|a, b| (b.opened_at, &b.alert_id).cmp(&(a.opened_at, &a.alert_id)));
        held.retain(|_, (at, _)| at.elapsed() < ALERTS_AGE);
        let alerts = Arc::new(alerts);
        held.insert(tenant.to_owned(), (Instant::now(), Arc::clone(&alerts)));
        Ok(alerts)
    }

    /// Whether the tables answer.
    ///
    /// # Errors
    /// When one does not.
    pub async fn check(&self) -> anyhow::Result<()> {
        for table in [&self.status_table, &self.alerts_table] {
            let described = self.client.describe_table().table_name(table).send().await;
            described.with_context(|| format!("look at table {table}; alert makes it or infrastructure code"))?;
        }
        Ok(())
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(error = %error, "dynamodb gives no answer");
    Problem::unavailable("The live store")
}

fn text(item: &Item, name: &str) -> Option<String> {
    item.get(name).and_then(|value| value.as_s().ok()).cloned()
}

fn number(item: &Item, name: &str) -> Option<i64> {
    item.get(name).and_then(|value| value.as_n().ok()).and_then(|text| text.parse().ok())
}

fn micros(at: i64) -> Value {
    DateTime::from_timestamp_micros(at).map_or(Value::Null, |time| instant(time).into())
}

fn alert(item: &Item) -> Option<Alert> {
    Some(Alert {
        alert_id: text(item, "alert_id")?,
        device_id: text(item, "device_id")?,
        customer_id: text(item, "customer_id"),
        site_id: text(item, "site_id"),
        kind: text(item, "kind")?,
        severity: text(item, "severity")?,
        state: text(item, "state")?,
        revision: number(item, "revision")?,
        opened_at: number(item, "opened_at")?,
        updated_at: number(item, "updated_at")?,
        closed_at: number(item, "closed_at"),
        detail: text(item, "detail")?,
    })
}

fn status(item: &Item) -> Option<(String, Value)> {
    let device = text(item, "device_id")?;
    let channels = item.iter().filter_map(|(name, value)| {
        let (channel, of) = (name.strip_prefix("ch:")?, value.as_m().ok()?);
        Some((channel.to_owned(), json!({
            "channel": channel, "kind": text(of, "kind")?, "value": of.get("value")?.as_n().ok()?, "unit": text(of, "unit")?,
            "start": micros(number(of, "start")?), "duration_s": number(of, "duration_s")?,
            "valid": of.get("valid")?.as_bool().ok()?,
        })))
    });
    let values: std::collections::BTreeMap<_, _> = channels.collect();
    let event_at = number(item, "event_ts")?;
    Some((
        device,
        json!({
            "event_at": micros(event_at),
            "last_seen": micros(number(item, "last_seen").unwrap_or(event_at)),
            "power": text(item, "power"),
            "power_at": number(item, "power_ts").map(micros),
            "values": values.into_values().collect::<Vec<_>>(),
        }),
    ))
}

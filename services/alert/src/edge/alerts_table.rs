//! `alerts`: one item per alert with its newest revision, and the way back from items to episodes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use meterway_schemas::{Alert, AlertKind, AlertState};
use service_runtime::Clock;

use super::dynamo::{Dynamo, StoreError, Written, classify, number, text, written};
use super::status_table::device_key;
use crate::core::episode::{AlertChange, Episode, Seen};
use crate::core::partition::{Seed, Seeds};
use crate::core::rules::RULES;
use crate::metrics;

/// Label of the table in metrics and errors.
pub(crate) const TABLE: &str = "alerts";
/// Index of the open alerts of a tenant; holds only those, because a closed alert has no `open_tenant`.
pub(crate) const OPEN_BY_TENANT: &str = "open_by_tenant";
/// Index of the alerts of a device.
pub(crate) const BY_DEVICE: &str = "by_device";

type Item = HashMap<String, AttributeValue>;

/// Writes and reads alerts.
#[derive(Clone)]
pub struct AlertsTable {
    dynamo: Dynamo,
    table: String,
    retention: Duration,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for AlertsTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlertsTable").field("table", &self.table).finish_non_exhaustive()
    }
}

impl AlertsTable {
    /// The table of that name; closed alerts expire `retention` after they were written.
    pub fn new(dynamo: Dynamo, table: String, retention: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { dynamo, table, retention, clock }
    }

    /// Stores the newest revision of each alert; an older one than the table's is left out and counted.
    ///
    /// # Errors
    /// When DynamoDB refuses, or the process is told to end while DynamoDB is away.
    pub async fn write(&self, changes: &[AlertChange]) -> anyhow::Result<()> {
        try_join_all(by_device(changes).into_values().map(|changes| self.write_in_order(changes))).await?;
        Ok(())
    }

    /// One after the other: a new owner that finds a device's newest alert must find those before it as well.
    async fn write_in_order(&self, changes: Vec<&AlertChange>) -> anyhow::Result<()> {
        for change in changes {
            self.write_one(change).await?;
        }
        Ok(())
    }

    async fn write_one(&self, change: &AlertChange) -> anyhow::Result<()> {
        let _slot = self.dynamo.slots.acquire().await?;
        let item = item(change, self.clock.now_micros(), self.retention);
        let outcome = self.dynamo.patience.run(|| self.attempt(&item, change.alert.revision)).await?;
        metrics::store_write(TABLE, if outcome == Written::New { "written" } else { "stale" });
        Ok(())
    }

    async fn attempt(&self, item: &Item, revision: i32) -> Result<Written, StoreError> {
        let request = self.dynamo.client.put_item().table_name(&self.table).set_item(Some(item.clone()));
        let result = request
            .condition_expression("attribute_not_exists(alert_id) OR revision < :revision")
            .expression_attribute_values(":revision", number(revision))
            .send()
            .await;
        written(TABLE, result)
    }

    /// The alerts of the tenants that are open, or were written within `window`: what a new owner of a partition must know.
    ///
    /// # Errors
    /// When DynamoDB refuses, or the process is told to end while DynamoDB is away.
    pub async fn seeds(&self, tenants: &[Arc<str>], window: Duration) -> anyhow::Result<Seeds> {
        let written_since = self.clock.now_micros().saturating_sub(crate::core::thresholds::micros(window));
        let mut seeds = Seeds::new();
        for tenant in tenants {
            let items = self.dynamo.patience.run(|| self.query(tenant, written_since)).await?;
            for item in &items {
                let (device, seed) = restore(item)?;
                seeds.entry(device).or_default().push(seed);
            }
        }
        Ok(seeds)
    }

    /// Reads the table itself and not an index: an index may lag behind the write of the partition's last owner.
    async fn query(&self, tenant: &str, written_since: i64) -> Result<Vec<Item>, StoreError> {
        let request = self.dynamo.client.query().table_name(&self.table).consistent_read(true);
        let pages = request
            .key_condition_expression("tenant_id = :tenant")
            .filter_expression("attribute_exists(open_tenant) OR written_at >= :since")
            .expression_attribute_values(":tenant", text(tenant))
            .expression_attribute_values(":since", number(written_since))
            .into_paginator()
            .items()
            .send();
        pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| classify(TABLE, error))
    }
}

/// The changes of each device in order, of each alert only the last: the revisions before it need no write.
fn by_device(changes: &[AlertChange]) -> HashMap<(&str, &str), Vec<&AlertChange>> {
    let last: HashMap<&str, i32> =
        changes.iter().map(|change| (change.alert.alert_id.as_str(), change.alert.revision)).collect();
    let mut devices = HashMap::<_, Vec<_>>::new();
    for change in changes.iter().filter(|change| last[change.alert.alert_id.as_str()] == change.alert.revision) {
        let device = (change.alert.tenant_id.as_str(), change.alert.device_id.as_str());
        devices.entry(device).or_default().push(change);
    }
    devices
}

fn item(change: &AlertChange, now: i64, retention: Duration) -> Item {
    let alert = &change.alert;
    let optional = |value: &Option<String>| value.as_deref().map_or(AttributeValue::Null(true), text);
    let mut item: Item = [
        ("tenant_id", text(&alert.tenant_id)),
        ("alert_id", text(&alert.alert_id)),
        ("device_id", text(&alert.device_id)),
        ("device_key", text(device_key(&alert.tenant_id, &alert.device_id))),
        ("customer_id", optional(&alert.customer_id)),
        ("site_id", optional(&alert.site_id)),
        ("kind", text(alert.kind.as_str())),
        ("severity", text(severity(alert))),
        ("state", text(state(alert.state))),
        ("revision", number(alert.revision)),
        ("window_start", number(change.window)),
        ("seen_decision", number(change.seen.decision)),
        ("seen_event", number(change.seen.event)),
        ("opened_at", number(alert.opened_at)),
        ("updated_at", number(alert.updated_at)),
        ("detail", text(&alert.detail)),
        ("written_at", number(now)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    match alert.closed_at {
        None => item.insert("open_tenant".to_owned(), text(&alert.tenant_id)),
        Some(closed_at) => {
            item.insert("closed_at".to_owned(), number(closed_at));
            let expires_at = now / 1_000_000 + i64::try_from(retention.as_secs()).unwrap_or(i64::MAX / 2);
            item.insert("expires_at".to_owned(), number(expires_at))
        }
    };
    item
}

fn severity(alert: &Alert) -> &'static str {
    use meterway_schemas::Severity::{Critical, Info, Warning};
    match alert.severity {
        Info => "INFO",
        Warning => "WARNING",
        Critical => "CRITICAL",
    }
}

fn state(state: AlertState) -> &'static str {
    match state {
        AlertState::Opened => "OPENED",
        AlertState::Updated => "UPDATED",
        AlertState::Closed => "CLOSED",
    }
}

fn restore(item: &Item) -> Result<(Box<str>, Seed), StoreError> {
    let episode = Episode {
        window: required_number(item, "window_start")?,
        opened_at: required_number(item, "opened_at")?,
        updated_at: required_number(item, "updated_at")?,
        closed_at: get_number(item, "closed_at"),
        revision: required_number(item, "revision")?,
        seen: Seen { decision: required_number(item, "seen_decision")?, event: required_number(item, "seen_event")? },
        customer_id: get_text(item, "customer_id").map(Into::into),
        site_id: get_text(item, "site_id").map(Into::into),
    };
    let seed = Seed { tenant_id: required_text(item, "tenant_id")?.into(), kind: kind(item)?, episode };
    Ok((required_text(item, "device_id")?.into(), seed))
}

fn kind(item: &Item) -> Result<AlertKind, StoreError> {
    let name = required_text(item, "kind")?;
    // A kind of a later version is nothing this version could act on.
    Ok(RULES.iter().map(|rule| rule.kind).find(|kind| kind.as_str() == name).unwrap_or(AlertKind::Other))
}

fn get_text<'a>(item: &'a Item, attribute: &str) -> Option<&'a str> {
    item.get(attribute)?.as_s().ok().map(String::as_str)
}

fn get_number<T: std::str::FromStr>(item: &Item, attribute: &str) -> Option<T> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

fn required_text<'a>(item: &'a Item, attribute: &'static str) -> Result<&'a str, StoreError> {
    get_text(item, attribute).ok_or(StoreError::Malformed { table: TABLE, attribute })
}

fn required_number<T: std::str::FromStr>(item: &Item, attribute: &'static str) -> Result<T, StoreError> {
    get_number(item, attribute).ok_or(StoreError::Malformed { table: TABLE, attribute })
}

#[cfg(test)]
mod tests {
    use super::*;
    use meterway_schemas::Severity;

    fn change(closed_at: Option<i64>) -> AlertChange {
        let alert = Alert {
            tenant_id: "t".into(),
            device_id: "d".into(),
            customer_id: None,
            site_id: Some("s".into()),
            alert_id: "a".into(),
            kind: AlertKind::HighUsage,
            severity: Severity::Info,
            state: if closed_at.is_some() { AlertState::Closed } else { AlertState::Opened },
            revision: 3,
            opened_at: 20,
            updated_at: 30,
            closed_at,
            detail: "text".into(),
        };
        AlertChange { alert, window: 10, seen: Seen { decision: 5, event: -1 } }
    }

    #[test]
    fn an_episode_comes_back_as_it_was_stored() {
        for closed_at in [None, Some(40)] {
            let item = item(&change(closed_at), 1_000_000, Duration::from_secs(5));
            let (device, seed) = restore(&item).unwrap();
            assert_eq!((&*device, &*seed.tenant_id, seed.kind), ("d", "t", AlertKind::HighUsage));
            let episode = seed.episode;
            assert_eq!((episode.window, episode.opened_at, episode.updated_at), (10, 20, 30));
            assert_eq!((episode.closed_at, episode.revision), (closed_at, 3));
            assert_eq!(episode.seen, Seen { decision: 5, event: -1 });
            assert_eq!((episode.customer_id, episode.site_id.as_deref()), (None, Some("s")));
        }
    }

    #[test]
    fn only_open_alerts_are_in_the_index_and_only_closed_ones_expire() {
        let open = item(&change(None), 1_000_000, Duration::from_secs(5));
        assert!(open.contains_key("open_tenant") && !open.contains_key("expires_at"));
        let closed = item(&change(Some(40)), 1_000_000, Duration::from_secs(5));
        assert!(!closed.contains_key("open_tenant"));
        assert_eq!(closed["expires_at"], number(6));
    }

    #[test]
    fn a_device_s_alerts_are_written_in_order_and_each_once() {
        let with = |alert_id: &str, revision, device_id: &str| {
            let mut change = change(None);
            (change.alert.alert_id, change.alert.revision) = (alert_id.into(), revision);
            change.alert.device_id = device_id.into();
            change
        };
        let changes = [with("a", 1, "d"), with("x", 1, "other"), with("a", 2, "d"), with("b", 1, "d")];
        let devices = by_device(&changes);
        let written: Vec<_> =
            devices[&("t", "d")].iter().map(|change| (change.alert.alert_id.as_str(), change.alert.revision)).collect();
        assert_eq!(written, [("a", 2), ("b", 1)]);
        assert_eq!(devices.len(), 2);
    }
}

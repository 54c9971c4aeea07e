//! `device_status`: one item per device, written only by something newer.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use meter_model::Quantity;

use super::dynamo::{Dynamo, StoreError, Written, number, text, written};
use crate::core::outbox::{PowerUpdate, StatusUpdate};
use crate::core::status::LastValue;
use crate::metrics;

/// Label of the table in metrics and errors.
pub(crate) const TABLE: &str = "device_status";

/// Newer by event time; of equals, by the raw message's offset. An item that so far holds only a power state is older.
const NEWER: &str = "attribute_not_exists(event_ts) OR event_ts < :event_ts \
                     OR (event_ts = :event_ts AND source_offset < :source_offset)";

/// Writes the live status.
#[derive(Debug, Clone)]
pub struct StatusTable {
    dynamo: Dynamo,
    table: String,
}

impl StatusTable {
    /// The table of that name.
    pub fn new(dynamo: Dynamo, table: String) -> Self {
        Self { dynamo, table }
    }

    /// Writes statuses and power states, at most one of each per device. Those that are not newer than the table's are
    /// left out and counted.
    ///
    /// # Errors
    /// When DynamoDB refuses, or the process is told to end while DynamoDB is away.
    pub async fn write(&self, statuses: &[StatusUpdate], powers: &[PowerUpdate]) -> anyhow::Result<()> {
        let statuses = try_join_all(statuses.iter().map(|update| self.write_one(set_status(update))));
        let powers = try_join_all(powers.iter().map(|update| self.write_one(set_power(update))));
        futures::future::try_join(statuses, powers).await?;
        Ok(())
    }

    async fn write_one(&self, change: Change) -> anyhow::Result<()> {
        let _slot = self.dynamo.slots.acquire().await?;
        let outcome = self.dynamo.patience.run(|| self.attempt(&change)).await?;
        metrics::store_write(TABLE, if outcome == Written::New { "written" } else { "stale" });
        Ok(())
    }

    async fn attempt(&self, change: &Change) -> Result<Written, StoreError> {
        let request = self.dynamo.client.update_item().table_name(&self.table).key("pk", text(&change.key));
        let names = (!change.names.is_empty()).then(|| change.names.clone());
        let result = request
            .update_expression(&change.update)
            .condition_expression(&change.condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(Some(change.values.clone()))
            .send()
            .await;
        written(TABLE, result)
    }
}

/// One conditional update.
#[derive(Debug, Default)]
struct Change {
    key: String,
    update: String,
    condition: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Change {
    fn of(tenant_id: &str, device_id: &str) -> Self {
        let mut change = Self { key: device_key(tenant_id, device_id), ..Self::default() };
        change.set("tenant_id", text(tenant_id));
        change.set("device_id", text(device_id));
        change
    }

    fn set(&mut self, attribute: &str, value: AttributeValue) {
        let separator = if self.update.is_empty() { "SET " } else { ", " };
        // Writing to a String can't fail.
        let _ = write!(self.update, "{separator}{attribute} = :{attribute}");
        self.values.insert(format!(":{attribute}"), value);
    }
}

/// The partition key of a device's item.
pub(crate) fn device_key(tenant_id: &str, device_id: &str) -> String {
    format!("{tenant_id}#{device_id}")
}

fn set_status(update: &StatusUpdate) -> Change {
    let mut change = Change::of(&update.tenant_id, &update.device_id);
    change.set("event_ts", number(update.event_ts));
    change.set("source_partition", number(update.source_partition));
    change.set("source_offset", number(update.source_offset));
    change.set("last_seen", number(update.last_seen));
    if let Some(version) = update.device_version {
        change.set("device_version", number(version));
    }
    for (attribute, value) in [("customer_id", &update.customer_id), ("site_id", &update.site_id)] {
        change.set(attribute, value.as_deref().map_or(AttributeValue::Null(true), text));
    }
    // A channel's name holds characters that expressions can't, so it comes in by placeholder.
    for (index, value) in update.values.iter().enumerate() {
        let _ = write!(change.update, ", #ch{index} = :ch{index}");
        change.names.insert(format!("#ch{index}"), format!("ch:{}", value.channel));
        change.values.insert(format!(":ch{index}"), channel_value(value));
    }
    NEWER.clone_into(&mut change.condition);
    change
}

fn channel_value(last: &LastValue) -> AttributeValue {
    let value = Quantity::from_micros(last.value).map_or_else(|| last.value.to_string(), |value| value.to_string());
    let attributes = [
        ("value", number(value)),
        ("unit", text(&*last.unit)),
        ("kind", text(last.kind.as_str())),
        ("start", number(last.start)),
        ("duration_s", number(last.duration_s)),
        ("valid", AttributeValue::Bool(last.valid)),
    ];
    AttributeValue::M(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The power state has an event time of its own, since events overtake readings.
fn set_power(update: &PowerUpdate) -> Change {
    let mut change = Change::of(&update.tenant_id, &update.device_id);
    change.set("power", text(if update.power.on { "ON" } else { "OFF" }));
    change.set("power_ts", number(update.power.at));
    "attribute_not_exists(power_ts) OR power_ts < :power_ts".clone_into(&mut change.condition);
    if !update.power.on {
        // Of evidence at one instant, "gone" holds, as in `Status::set_power`.
        change.condition.push_str(" OR (power_ts = :power_ts AND power <> :power)");
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::status::Power;
    use std::sync::Arc;

    #[test]
    fn a_status_is_one_conditional_update() {
        let value = LastValue {
            channel: Arc::from("1-0:1.29.0"),
            unit: Arc::from("kWh"),
            kind: meter_model::Kind::Interval,
            start: 5,
            duration_s: 1800,
            value: -1_500_000,
            valid: true,
            source_offset: 7,
        };
        let change = set_status(&StatusUpdate {
            tenant_id: Arc::from("t"),
            device_id: "d".into(),
            event_ts: 9,
            source_partition: 1,
            source_offset: 7,
            last_seen: 10,
            device_version: None,
            customer_id: None,
            site_id: Some("s".into()),
            values: vec![value],
        });
        assert_eq!(change.key, "t#d");
        assert!(change.update.ends_with("site_id = :site_id, #ch0 = :ch0"), "{}", change.update);
        assert_eq!(change.names["#ch0"], "ch:1-0:1.29.0");
        assert_eq!(change.values[":ch0"].as_m().unwrap()["value"], number("-1.5"));
        assert_eq!(change.values[":customer_id"], AttributeValue::Null(true));
    }

    #[test]
    fn power_that_is_gone_wins_a_tie() {
        let update = |on| PowerUpdate { tenant_id: Arc::from("t"), device_id: "d".into(), power: Power { on, at: 1 } };
        assert!(set_power(&update(false)).condition.contains("power_ts = :power_ts"));
        assert!(!set_power(&update(true)).condition.contains("power_ts = :power_ts"));
    }
}

//! DynamoDB: the two tables of the live state, with the keys and indexes that the services ask for.

use super::finding::Finding;
use crate::stores::DynamoArgs;
use anyhow::{Context, anyhow};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{KeySchemaElement, TableDescription, TableStatus, TimeToLiveStatus};

const LIVE: &str = "dynamodb";
const MAKE: &str =
    "make it with the infrastructure code; for demonstrations, alert does it with dynamodb.create_tables";

/// What a table must look like.
struct Shape<'a> {
    table: &'a str,
    key: &'static [&'static str],
    indexes: &'static [&'static str],
}

/// Describes the tables.
///
/// # Errors
/// When DynamoDB does not answer, or the region is not given.
pub(crate) async fn probe(args: &DynamoArgs) -> anyhow::Result<Vec<Finding>> {
    let client = args.client().await?;
    let shapes = [
        Shape { table: &args.status_table, key: &["pk"], indexes: &[] },
        Shape { table: &args.alerts_table, key: &["tenant_id", "alert_id"], indexes: &["open_by_tenant", "by_device"] },
    ];
    let mut findings = Vec::new();
    for shape in &shapes {
        findings.push(match describe(&client, shape.table).await? {
            None => Finding::fail(LIVE, format!("table {}", shape.table), "does not exist")
                .advise("alert does not start; the dashboard has no live state", MAKE),
            Some(table) => judge(shape, &table),
        });
    }
    let alerts_there = findings.last().is_some_and(|finding| finding.found != "does not exist");
    if alerts_there {
        findings.extend(time_to_live(&client, &args.alerts_table).await);
    }
    Ok(findings)
}

async fn describe(client: &Client, table: &str) -> anyhow::Result<Option<TableDescription>> {
    match client.describe_table().table_name(table).send().await {
        Ok(described) => Ok(described.table),
        Err(error) if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) => {
            Ok(None)
        }
        Err(error) => {
            Err(anyhow!("{}", DisplayErrorContext(&error))).with_context(|| format!("describe table {table}"))
        }
    }
}

fn judge(shape: &Shape<'_>, table: &TableDescription) -> Finding {
    let check = format!("table {}", shape.table);
    let key: Vec<_> = table.key_schema().iter().map(KeySchemaElement::attribute_name).collect();
    if key != shape.key {
        let found = format!("its key is {}, it should be {}", key.join(", "), shape.key.join(", "));
        return Finding::fail(LIVE, check, found).advise("every write of alert is refused", MAKE);
    }
    let indexes: Vec<_> = table.global_secondary_indexes().iter().filter_map(|index| index.index_name()).collect();
    if let Some(missing) = shape.indexes.iter().find(|index| !indexes.contains(index)) {
        return Finding::fail(LIVE, check, format!("has no index {missing}"))
            .advise("the dashboard can't list alerts", MAKE);
    }
    match table.table_status() {
        Some(TableStatus::Active) => {
            Finding::ok(LIVE, check, format!("active, about {} items", table.item_count().unwrap_or(0)))
        }
        status => {
            let status = status.map_or("unknown", TableStatus::as_str);
            Finding::warn(LIVE, check, format!("its state is {status}"))
                .advise("requests may be refused for the moment", "wait until it is ACTIVE")
        }
    }
}

/// Closed alerts leave by themselves; without that the table grows for ever, and nothing else is wrong.
async fn time_to_live(client: &Client, table: &str) -> Option<Finding> {
    let described = client.describe_time_to_live().table_name(table).send().await.ok()?;
    let description = described.time_to_live_description?;
    let on = matches!(description.time_to_live_status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
        && description.attribute_name.as_deref() == Some("expires_at");
    (!on).then(|| {
        Finding::warn(LIVE, format!("time to live of {table}"), "is not on for expires_at")
            .advise("closed alerts stay for ever, and cost money", "switch it on for the attribute expires_at")
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;
    use aws_sdk_dynamodb::types::{GlobalSecondaryIndexDescription, KeyType};

    const ALERTS: Shape<'_> = Shape { table: "alerts", key: &["tenant_id", "alert_id"], indexes: &["open_by_tenant"] };

    fn table(key: &[&str], index: &str, status: TableStatus) -> TableDescription {
        let key = key
            .iter()
            .map(|name| KeySchemaElement::builder().attribute_name(*name).key_type(KeyType::Hash).build().unwrap());
        let index = GlobalSecondaryIndexDescription::builder().index_name(index).build();
        TableDescription::builder()
            .set_key_schema(Some(key.collect()))
            .global_secondary_indexes(index)
            .table_status(status)
            .build()
    }

    #[test]
    fn keys_indexes_and_state_are_looked_at() {
        let key = ["tenant_id", "alert_id"];
        let verdict = |table: &TableDescription| judge(&ALERTS, table).verdict;
        assert_eq!(verdict(&table(&key, "open_by_tenant", TableStatus::Active)), Verdict::Ok);
        assert_eq!(verdict(&table(&key, "open_by_tenant", TableStatus::Creating)), Verdict::Warn);
        assert_eq!(verdict(&table(&key, "another", TableStatus::Active)), Verdict::Fail);
        assert_eq!(verdict(&table(&["pk"], "open_by_tenant", TableStatus::Active)), Verdict::Fail);
    }
}

//! The tables, as infrastructure code would make them. Only for demonstrations and tests.

use anyhow::Context;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TimeToLiveSpecification,
};

use super::alerts_table::{BY_DEVICE, OPEN_BY_TENANT};
use crate::config::DynamoConfig;

/// Creates the tables that are missing and waits until they can be used.
pub async fn create_missing(client: &Client, config: &DynamoConfig) -> anyhow::Result<()> {
    let status = client
        .create_table()
        .table_name(&config.status_table)
        .set_attribute_definitions(Some(vec![attribute("pk", ScalarAttributeType::S)?]))
        .set_key_schema(Some(vec![key("pk", KeyType::Hash)?]));
    create(status).await.with_context(|| format!("create table {}", config.status_table))?;

    let attributes = vec![
        attribute("tenant_id", ScalarAttributeType::S)?,
        attribute("alert_id", ScalarAttributeType::S)?,
        attribute("open_tenant", ScalarAttributeType::S)?,
        attribute("device_key", ScalarAttributeType::S)?,
        attribute("opened_at", ScalarAttributeType::N)?,
    ];
    let alerts = client
        .create_table()
        .table_name(&config.alerts_table)
        .set_attribute_definitions(Some(attributes))
        .set_key_schema(Some(vec![key("tenant_id", KeyType::Hash)?, key("alert_id", KeyType::Range)?]))
        .global_secondary_indexes(index(OPEN_BY_TENANT, "open_tenant")?)
        .global_secondary_indexes(index(BY_DEVICE, "device_key")?);
    if create(alerts).await.with_context(|| format!("create table {}", config.alerts_table))? {
        expire(client, &config.alerts_table).await?;
    }
    Ok(())
}

/// True when the table was made by this call.
async fn create(request: CreateTableFluentBuilder) -> anyhow::Result<bool> {
    match request.billing_mode(BillingMode::PayPerRequest).send().await {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn expire(client: &Client, table: &str) -> anyhow::Result<()> {
    let specification = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires_at").build()?;
    let request = client.update_time_to_live().table_name(table).time_to_live_specification(specification);
    request.send().await.with_context(|| format!("set the time to live of {table}"))?;
    Ok(())
}

fn attribute(name: &str, of: ScalarAttributeType) -> anyhow::Result<AttributeDefinition> {
    Ok(AttributeDefinition::builder().attribute_name(name).attribute_type(of).build()?)
}

fn key(name: &str, of: KeyType) -> anyhow::Result<KeySchemaElement> {
    Ok(KeySchemaElement::builder().attribute_name(name).key_type(of).build()?)
}

/// An index of whole items by `hash`, in order of opening.
fn index(name: &str, hash: &str) -> anyhow::Result<GlobalSecondaryIndex> {
    let projection = Projection::builder().projection_type(ProjectionType::All).build();
    Ok(GlobalSecondaryIndex::builder()
        .index_name(name)
        .set_key_schema(Some(vec![key(hash, KeyType::Hash)?, key("opened_at", KeyType::Range)?]))
        .projection(projection)
        .build()?)
}

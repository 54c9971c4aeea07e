//! What the demo reads of the warehouse's facts and of the live state.

use crate::{local::StackEnv, stores::postgres};
use anyhow::{Context, bail};
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::Select,
};
use std::time::{Duration, Instant};

/// Counts of the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Rows of `fct_consumption_hourly`.
    pub(crate) hourly: i64,
    /// Rows of `fct_consumption_daily`.
    pub(crate) daily: i64,
    /// Intervals that the facts are made of: the smaller number of hourly and daily ones.
    pub(crate) intervals: i64,
    /// Intervals in raw, each natural key once.
    pub(crate) raw_intervals: i64,
}

const RAW_INTERVALS: &str = "SELECT count(*) FROM (SELECT DISTINCT tenant_id, device_id, channel, start \
     FROM raw.readings WHERE kind = 'INTERVAL') AS keys";
const FACTS: &str = "SELECT hourly.facts, daily.facts, coalesce(least(hourly.intervals, daily.intervals), 0)::bigint \
     FROM (SELECT count(*) AS facts, sum(intervals) AS intervals FROM marts.fct_consumption_hourly) AS hourly, \
          (SELECT count(*) AS facts, sum(intervals) AS intervals FROM marts.fct_consumption_daily) AS daily";

/// Waits until dbt, which the loader runs, has made facts of every loaded interval.
///
/// # Errors
/// When the warehouse cannot be read, or the facts are not complete in time.
pub(crate) async fn wait(url: &str, limit: Duration) -> anyhow::Result<Facts> {
    let client = postgres(url, "WAREHOUSE_READER_URL", None).await.context("open warehouse")?;
    let deadline = Instant::now() + limit;
    let raw_intervals: i64 = client.query_one(RAW_INTERVALS, &[]).await.context("count raw intervals")?.get(0);
    loop {
        // Until the first run of dbt there is no schema of facts, which is no failure.
        let row = client.query_one(FACTS, &[]).await.ok();
        let facts =
            row.map(|row| Facts { hourly: row.get(0), daily: row.get(1), intervals: row.get(2), raw_intervals });
        match facts {
            Some(facts) if facts.intervals >= raw_intervals => return Ok(facts),
            _ if Instant::now() >= deadline => {
                bail!("facts are not complete after {} s: {facts:?}; see the loader's log", limit.as_secs())
            }
            _ => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

/// Counts of the live state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Live {
    /// Devices with a live status.
    pub(crate) devices: i64,
    /// Alerts that are open.
    pub(crate) open_alerts: i64,
    /// All alerts.
    pub(crate) alerts: i64,
}

/// Counts live devices and alerts.
///
/// # Errors
/// When DynamoDB cannot be read.
pub(crate) async fn live(stack: &StackEnv) -> anyhow::Result<Live> {
    let (key, secret) = (stack.get("AWS_ACCESS_KEY_ID")?, stack.get("AWS_SECRET_ACCESS_KEY")?);
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(stack.get("DYNAMODB_ENDPOINT")?)
        .region(Region::new(stack.get("AWS_REGION")?.to_owned()))
        .credentials_provider(Credentials::new(key, secret, None, None, "local stack"))
        .build();
    let client = Client::from_conf(config);
    Ok(Live {
        devices: count(&client, "device_status", None).await?,
        alerts: count(&client, "alerts", None).await?,
        open_alerts: count(&client, "alerts", Some("attribute_not_exists(closed_at)")).await?,
    })
}

async fn count(client: &Client, table: &str, filter: Option<&str>) -> anyhow::Result<i64> {
    let mut scan = client.scan().table_name(table).select(Select::Count);
    if let Some(filter) = filter {
        scan = scan.filter_expression(filter);
    }
    let mut pages = scan.into_paginator().send();
    let mut total = 0;
    while let Some(page) = pages.next().await {
        total += i64::from(page.with_context(|| format!("scan {table}"))?.count());
    }
    Ok(total)
}

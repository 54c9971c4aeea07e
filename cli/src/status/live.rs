//! The live state in DynamoDB: devices and open alerts.

use super::report::{Amount, Line, State, grouped};
use crate::stores::DynamoArgs;
use anyhow::Context;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::scan::ScanError;
use aws_sdk_dynamodb::types::Select;
use chrono::{DateTime, Duration, Utc};

const LIVE: &str = "live";
/// Index that holds the open alerts and nothing else.
const OPEN_ALERTS: &str = "open_by_tenant";
/// Pages of up to 1 MB that a glance may read of a table; beyond, "more than". Reading costs money and capacity.
const MOST_PAGES: usize = 32;
/// A device that was heard of within this span is live.
const LIVE_WITHIN: Duration = Duration::hours(48);

/// Asks for devices and alerts.
///
/// # Errors
/// When DynamoDB does not answer, or refuses.
pub(crate) async fn look(args: &DynamoArgs, now: DateTime<Utc>) -> anyhow::Result<Vec<Line>> {
    let client = args.client().await?;
    let (devices, alerts) = (&args.status_table, &args.alerts_table);
    Ok(vec![
        line(devices, seen(&client, devices, now).await, devices_line)?,
        line(alerts, open_alerts(&client, alerts).await, alerts_line)?,
    ])
}

fn line<T>(
    table: &str,
    found: Result<T, SdkError<ScanError>>,
    render: impl FnOnce(&str, &T) -> Line,
) -> anyhow::Result<Line> {
    match found {
        Ok(found) => Ok(render(table, &found)),
        Err(error) if error.as_service_error().is_some_and(ScanError::is_resource_not_found_exception) => {
            Ok(Line::missing(LIVE, table, "the table, or its index, does not exist"))
        }
        Err(error) => Err(anyhow::anyhow!("{}", DisplayErrorContext(&error))).context(format!("read table {table}")),
    }
}

/// Items counted, and whether these are all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Seen {
    devices: u64,
    live: u64,
    newest: Option<i64>,
    complete: bool,
}

async fn seen(client: &Client, table: &str, now: DateTime<Utc>) -> Result<Seen, SdkError<ScanError>> {
    let since = (now - LIVE_WITHIN).timestamp_micros();
    let request = client.scan().table_name(table).projection_expression("last_seen");
    let mut pages = request.into_paginator().send();
    let mut seen = Seen::default();
    for _ in 0..MOST_PAGES {
        let Some(page) = pages.next().await.transpose()? else {
            return Ok(Seen { complete: true, ..seen });
        };
        for item in page.items() {
            let last: Option<i64> = item.get("last_seen").and_then(|last| last.as_n().ok()?.parse().ok());
            seen.devices += 1;
            seen.live += u64::from(last.is_some_and(|last| last >= since));
            seen.newest = seen.newest.max(last);
        }
    }
    Ok(seen)
}

async fn open_alerts(client: &Client, table: &str) -> Result<(u64, bool), SdkError<ScanError>> {
    let request = client.scan().table_name(table).index_name(OPEN_ALERTS).select(Select::Count);
    let mut pages = request.into_paginator().send();
    let mut open = 0;
    for _ in 0..MOST_PAGES {
        let Some(page) = pages.next().await.transpose()? else { return Ok((open, true)) };
        open += u64::try_from(page.count()).unwrap_or(0);
    }
    Ok((open, false))
}

fn devices_line(table: &str, seen: &Seen) -> Line {
    let known = grouped(seen.devices);
    let detail = match seen.complete {
        true => format!("of {known} with a status; heard of within {} h", LIVE_WITHIN.num_hours()),
        false => format!("of the first {known}; the table is too large for a glance"),
    };
    let mut line = Line::new(LIVE, table).detail(detail);
    line.count = Some(Amount { value: seen.live, unit: "devices", at_least: !seen.complete });
    line.state = if seen.complete && seen.live < seen.devices { State::Notice } else { State::Ok };
    line.changed(seen.newest.and_then(DateTime::from_timestamp_micros))
}

fn alerts_line(table: &str, (open, complete): &(u64, bool)) -> Line {
    let mut line = Line::new(LIVE, table);
    line.count = Some(Amount { value: *open, unit: "open", at_least: !complete });
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_devices_are_noticed() {
        let seen = Seen { devices: 1_200, live: 1_199, newest: Some(0), complete: true };
        let line = devices_line("device_status", &seen);
        assert_eq!((line.state, line.count.unwrap().value), (State::Notice, 1_199));
        assert_eq!(line.detail, "of 1,200 with a status; heard of within 48 h");
        assert_eq!(devices_line("device_status", &Seen { live: 1_200, ..seen }).state, State::Ok);
    }

    #[test]
    fn a_count_that_was_cut_short_says_so() {
        let seen = Seen { devices: 9, live: 9, newest: None, complete: false };
        assert!(devices_line("device_status", &seen).count.unwrap().at_least);
        assert!(alerts_line("alerts", &(7, false)).count.unwrap().at_least);
        assert!(!alerts_line("alerts", &(7, true)).count.unwrap().at_least);
    }
}

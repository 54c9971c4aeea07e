//! Files to take away. Rows are written as they come from the warehouse, so that a file of any length takes little memory.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use futures::TryStreamExt;
use tokio::sync::mpsc;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::api::{Answer, Api, Call};
use super::super::database::{Bound, DbError};
use super::super::problem::Problem;
use super::{devices, text};
use crate::core::access::Scope;
use crate::core::espi::{Feed, Interval, Quality, ReadingType};

/// Longest span, in days.
const MOST_DAYS: i64 = 3_700;
/// Intervals of a feed at most: two years of quarters of an hour.
const MOST_INTERVALS: i64 = 75_000;
/// Pieces of a file that may wait for a slow client.
const WAITING: usize = 8;
/// Bytes of a piece.
const PIECE: usize = 64 * 1024;

const READINGS: &str = "
    SELECT r.device_id, r.site_id, r.channel, r.kind, r.start, r.duration_s, r.value::text, r.unit, r.verdict, r.version,
        r.local_day::text, coalesce(d.zone, 'UTC')
    FROM staging.int_latest_version r LEFT JOIN raw.devices d ON d.device_id = r.device_id
    WHERE r.tenant_id = $1 AND ($2::text IS NULL OR r.device_id = $2) AND r.start >= $3 AND r.start < $4
    ORDER BY r.device_id, r.channel, r.kind, r.start";

const READINGS_HEADER: &[&str] = &[
    "device_id",
    "site_id",
    "channel",
    "kind",
    "start",
    "local_start",
    "duration_s",
    "value",
    "unit",
    "verdict",
    "version",
    "local_day",
];

pub(super) async fn readings(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (Arc::clone(&call.api), call.scope()?.clone());
    let (from, to) = call.query.span(MOST_DAYS)?;
    let device = call.query.text("device_id").map(str::to_owned);
    if let Some(device) = &device {
        devices::find(&api, &scope, device).await?;
    }
    let name = format!("readings-{}-{}.csv", from.date_naive(), to.date_naive());
    let line = |row: &Row| {
        let start: DateTime<Utc> = row.get(4);
        vec![
            cell(row.get(0)),
            cell(row.get::<_, Option<&str>>(1).unwrap_or_default()),
            cell(row.get(2)),
            cell(row.get(3)),
            super::super::warehouse::instant(start),
            local(start, row.get(11)),
            row.get::<_, i32>(5).to_string(),
            row.get(6),
            cell(row.get(7)),
            cell(row.get(8)),
            row.get::<_, i32>(9).to_string(),
            row.get(10),
        ]
    };
    let tenant = scope.tenant.clone();
    let parameters: Parameters = vec![Box::new(tenant), Box::new(device), Box::new(from), Box::new(to)];
    Ok(csv(api, scope, Table { sql: READINGS, parameters, header: READINGS_HEADER, line }, name))
}

const HOURS: &str = "
    SELECT device_id, site_id, channel, hour_start, quantity::text, unit, intervals, estimated_intervals, suspect_intervals,
        coalesce(zone, 'UTC')
    FROM marts.fct_consumption_hourly WHERE tenant_id = $1 AND local_day >= $2 AND local_day < $3
    ORDER BY device_id, channel, hour_start";
const DAYS: &str = "
    SELECT device_id, site_id, channel, local_day::timestamp AT TIME ZONE coalesce(zone, 'UTC'), quantity::text, unit,
        intervals, estimated_intervals, suspect_intervals, coalesce(zone, 'UTC')
    FROM marts.fct_consumption_daily WHERE tenant_id = $1 AND local_day >= $2 AND local_day < $3
    ORDER BY device_id, channel, local_day";

const CONSUMPTION_HEADER: &[&str] = &[
    "device_id",
    "site_id",
    "channel",
    "start",
    "local_start",
    "quantity",
    "unit",
    "intervals",
    "estimated_intervals",
    "suspect_intervals",
];

pub(super) async fn consumption(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (Arc::clone(&call.api), call.scope()?.clone());
    let (from, to) = call.query.days(MOST_DAYS)?;
    let grain = call.query.word("grain", &["hour", "day"])?.unwrap_or("day");
    let name = format!("consumption-{grain}-{from}-{to}.csv");
    let line = |row: &Row| {
        let start: DateTime<Utc> = row.get(3);
        vec![
            cell(row.get(0)),
            cell(row.get::<_, Option<&str>>(1).unwrap_or_default()),
            cell(row.get(2)),
            super::super::warehouse::instant(start),
            local(start, row.get(9)),
            row.get(4),
            cell(row.get(5)),
            row.get::<_, i64>(6).to_string(),
            row.get::<_, i64>(7).to_string(),
            row.get::<_, i64>(8).to_string(),
        ]
    };
    let sql = if grain == "hour" { HOURS } else { DAYS };
    let tenant = scope.tenant.clone();
    let parameters: Parameters = vec![Box::new(tenant), Box::new(from), Box::new(to)];
    Ok(csv(api, scope, Table { sql, parameters, header: CONSUMPTION_HEADER, line }, name))
}

/// A text that a spreadsheet must not take for a formula (OWASP, "CSV injection").
fn cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

fn local(start: DateTime<Utc>, zone: &str) -> String {
    let zone: Tz = zone.parse().unwrap_or(Tz::UTC);
    zone.from_utc_datetime(&start.naive_utc()).format("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

type Parameters = Vec<Box<dyn ToSql + Sync + Send>>;

/// A file: what is read, and how a row becomes a line.
struct Table {
    sql: &'static str,
    parameters: Parameters,
    header: &'static [&'static str],
    line: fn(&Row) -> Vec<String>,
}

type Pieces = mpsc::Sender<std::io::Result<Bytes>>;

/// A file that is written while it is read.
fn csv(api: Arc<Api>, scope: Scope, table: Table, name: String) -> Answer {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        if let Err(error) = write(&api, &scope, &table, &sender).await {
            tracing::warn!(error = format!("{error:#}"), "an export broke off");
            // The client sees a transfer that was cut, never a file that only looks whole.
            let _ = sender.send(Err(std::io::Error::other("the export broke off"))).await;
        }
    });
    let pieces = futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    Answer::File { content_type: "text/csv; charset=utf-8", name, body: Body::from_stream(pieces) }
}

async fn write(api: &Api, scope: &Scope, table: &Table, sender: &Pieces) -> anyhow::Result<()> {
    let failed = |problem: Problem| anyhow::anyhow!("{problem:?}");
    let mut connection = api.warehouse.connection().await.map_err(failed)?;
    let tx = connection.begin(Bound::To(scope)).await?;
    // A download may take longer than a request; a client that stops reading is bounded by what the session may idle.
    tx.execute("SET LOCAL statement_timeout = '30min'", &[]).await?;
    let parameters = table.parameters.iter().map(|parameter| &**parameter as &(dyn ToSql + Sync)).collect::<Vec<_>>();
    let rows = tx.stream(table.sql, &parameters).await?;
    let mut rows = std::pin::pin!(rows);
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(PIECE * 2));
    writer.write_record(table.header)?;
    while let Some(row) = rows.try_next().await.map_err(DbError::from)? {
        writer.write_record((table.line)(&row))?;
        if writer.get_ref().len() >= PIECE {
            let piece = writer.into_inner()?;
            writer = csv::Writer::from_writer(Vec::with_capacity(PIECE * 2));
            if sender.send(Ok(piece.into())).await.is_err() {
                return Ok(());
            }
        }
    }
    let _ = sender.send(Ok(writer.into_inner()?.into())).await;
    Ok(())
}

const INTERVALS: &str = "
    SELECT extract(epoch FROM start)::bigint, duration_s, (value * 1000000)::bigint, verdict FROM staging.int_latest_version
    WHERE tenant_id = $1 AND device_id = $2 AND channel = $3 AND kind = 'INTERVAL' AND start >= $4 AND start < $5
    ORDER BY start LIMIT $6";

pub(super) async fn green_button(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (&call.api, call.scope()?);
    let (from, to) = call.query.span(MOST_DAYS)?;
    let id = call.path("device_id");
    let device = devices::find(api, scope, id).await?;
    let channel = devices::channel(&device, call.query.text("channel"), Some("INTERVAL"))?;
    let name = channel["channel"].as_str().unwrap_or_default();
    let described = ReadingType::of(text(&device, "commodity"), channel["unit"].as_str().unwrap_or_default());
    let reading_type =
        described.ok_or_else(|| Problem::conflict("Green Button has no word for this channel's commodity or unit."))?;
    let parameters: super::super::database::Params<'_> =
        &[&scope.tenant, &id, &name, &from, &to, &(MOST_INTERVALS + 1)];
    let rows = api.warehouse.raw(Bound::To(scope), INTERVALS, parameters).await?;
    if rows.len() as i64 > MOST_INTERVALS {
        return Err(Problem::wrong((
            "to",
            format!("must lie nearer: a feed holds at most {MOST_INTERVALS} intervals"),
        )));
    }
    let interval = |row: &Row| Interval {
        start: row.get(0),
        duration_s: i64::from(row.get::<_, i32>(1)),
        micros: row.get(2),
        quality: Quality::of(row.get(3)),
    };
    let intervals: Vec<Interval> = rows.iter().map(interval).collect();
    let feed = Feed {
        device: id,
        channel: name,
        zone: text(&device, "zone").parse().unwrap_or(Tz::UTC),
        reading_type,
        interval_s: channel["interval_s"].as_i64().unwrap_or_default(),
        updated: Utc::now(),
        intervals: &intervals,
    };
    let xml = feed.to_xml().map_err(Problem::defect)?;
    let plain = id.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect::<String>();
    Ok(Answer::File {
        content_type: "application/atom+xml",
        name: format!("green-button-{plain}.xml"),
        body: Body::from(xml),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_a_formula() {
        for bad in ["=1+1", "+1", "-1", "@a", "\tx"] {
            assert!(cell(bad).starts_with('\''), "{bad}");
        }
        assert_eq!(cell("northgrid-e-1"), "northgrid-e-1");
    }
}

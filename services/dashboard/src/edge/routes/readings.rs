//! Readings of a device: as a list, as columns for charts, and what is missing.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::api::{Answer, Call};
use super::super::database::Bound;
use super::super::problem::Problem;
use super::super::warehouse::instant;
use super::{cursor, devices, page, text};
use crate::core::cursor::encode;

/// Readings of a page at most.
const MOST_READINGS: usize = 20_000;
/// Points of a series at most.
const MOST_POINTS: i64 = 50_000;
/// Longest span, in days.
const MOST_DAYS: i64 = 3_700;

// A version is a row; of rows of one version (a replay that changed a verdict) the last one holds.
const READINGS: &str = "
    SELECT channel, kind, start, duration_s, value::text AS value, unit, verdict,
        string_to_array(failed_rules, ',') AS failed_rules, estimation_method, version, coalesce(revision, 0) AS revision,
        local_day, loaded_at
    FROM (
        SELECT *, row_number() OVER (
            PARTITION BY channel, kind, start ORDER BY version DESC, source_offset DESC, revision DESC NULLS LAST) AS rank
        FROM raw.readings
        WHERE tenant_id = $1 AND device_id = $2 AND ($3::text IS NULL OR channel = $3) AND start >= $4 AND start < $5
    ) AS versions
    WHERE ($6 OR rank = 1)
        AND ($7::timestamptz IS NULL OR (start, channel, kind, version, coalesce(revision, 0)) > ($7, $8, $9, $10, $11))
    ORDER BY start, channel, kind, version, coalesce(revision, 0) LIMIT $12";

pub(super) async fn list(call: Call) -> Result<Answer, Problem> {
    let (api, scope, query) = (&call.api, call.scope()?, &call.query);
    let (from, to) = query.span(MOST_DAYS)?;
    let limit = query.limit(MOST_READINGS)?;
    let all = query.word("versions", &["latest", "all"])? == Some("all");
    let bad = || Problem::wrong(("cursor", "must be the next_cursor of a page before".into()));
    let after: Option<(DateTime<Utc>, String, String, i32, i64)> = match cursor::<5>(query)? {
        None => None,
        Some([start, channel, kind, version, revision]) => Some((
            start.parse().map_err(|_| bad())?,
            channel,
            kind,
            version.parse().map_err(|_| bad())?,
            revision.parse().map_err(|_| bad())?,
        )),
    };
    let device = devices::find(api, scope, call.path("device_id")).await?;
    let rows = api
        .warehouse
        .rows(
            scope,
            READINGS,
            &[
                &scope.tenant,
                &call.path("device_id"),
                &query.text("channel"),
                &from,
                &to,
                &all,
                &after.as_ref().map(|after| after.0),
                &after.as_ref().map(|after| after.1.as_str()),
                &after.as_ref().map(|after| after.2.as_str()),
                &after.as_ref().map(|after| after.3),
                &after.as_ref().map(|after| after.4),
                &(limit as i64 + 1),
            ],
        )
        .await?;
    let (rows, next) = page(rows, limit, |row| {
        let (version, revision) = (row["version"].to_string(), row["revision"].to_string());
        encode(&[text(row, "start"), text(row, "channel"), text(row, "kind"), &version, &revision])
    });
    let items: Vec<Value> = rows.into_iter().map(Value::Object).collect();
    Ok(Answer::Json(json!({"zone": device["zone"], "items": items, "next_cursor": next})))
}

const SERIES: &str = "
    SELECT extract(epoch FROM start)::bigint, value::float8, verdict, version
    FROM staging.int_latest_version
    WHERE tenant_id = $1 AND device_id = $2 AND channel = $3 AND kind = $4 AND start >= $5 AND start < $6
    ORDER BY start LIMIT $7";

pub(super) async fn series(call: Call) -> Result<Answer, Problem> {
    let (api, scope, query) = (&call.api, call.scope()?, &call.query);
    let (from, to) = query.span(MOST_DAYS)?;
    let device = devices::find(api, scope, call.path("device_id")).await?;
    let channel = devices::channel(&device, query.text("channel"), None)?;
    let (name, kind) = (channel["channel"].as_str(), channel["kind"].as_str());
    let rows = api
        .warehouse
        .raw(
            Bound::To(scope),
            SERIES,
            &[&scope.tenant, &call.path("device_id"), &name, &kind, &from, &to, &(MOST_POINTS + 1)],
        )
        .await?;
    let truncated = rows.len() as i64 > MOST_POINTS;
    let rows = &rows[..rows.len().min(MOST_POINTS as usize)];
    let verdict = |row: &tokio_postgres::Row| match row.get::<_, &str>(2) {
        "VALID" => 0,
        "SUSPECT" => 1,
        _ => 2,
    };
    Ok(Answer::Json(json!({
        "zone": device["zone"], "unit": channel["unit"], "kind": kind, "interval_s": channel["interval_s"],
        "start": rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>(),
        // Drawn, never added up: the only floats of the API.
        "value": rows.iter().map(|row| row.get(1)).collect::<Vec<f64>>(),
        "verdict": rows.iter().map(verdict).collect::<Vec<_>>(),
        "version": rows.iter().map(|row| row.get(3)).collect::<Vec<i32>>(),
        "truncated": truncated,
    })))
}

const STARTS: &str = "
    SELECT extract(epoch FROM start)::bigint FROM staging.int_latest_version
    WHERE tenant_id = $1 AND device_id = $2 AND channel = $3 AND kind = 'INTERVAL' AND start >= $4 AND start < $5
    ORDER BY start";

const KNOWN: &str = "
    SELECT min(start) AS first, max(start) AS last FROM staging.int_latest_version
    WHERE tenant_id = $1 AND device_id = $2 AND channel = $3 AND kind = 'INTERVAL'";

pub(super) async fn gaps(call: Call) -> Result<Answer, Problem> {
    let (api, scope, query) = (&call.api, call.scope()?, &call.query);
    let (from, to) = query.span(400)?;
    let device = devices::find(api, scope, call.path("device_id")).await?;
    let channel = devices::channel(&device, query.text("channel"), Some("INTERVAL"))?;
    let interval_s = channel["interval_s"].as_i64().unwrap_or_default();
    let (id, name) = (call.path("device_id"), channel["channel"].as_str());
    let known = api.warehouse.raw(Bound::To(scope), KNOWN, &[&scope.tenant, &id, &name]).await?;
    let at = |column: &str| known.first().and_then(|row| row.get::<_, Option<DateTime<Utc>>>(column));
    let mut items = Vec::new();
    if let (Some(first), Some(last)) = (at("first"), at("last")) {
        // Before its first reading and after its last one a device does not miss anything yet.
        let (from, to) = (from.max(first), to.min(last + chrono::Duration::seconds(interval_s)));
        let rows = api.warehouse.raw(Bound::To(scope), STARTS, &[&scope.tenant, &id, &name, &from, &to]).await?;
        let starts: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        let time = |seconds| DateTime::from_timestamp(seconds, 0).map(instant);
        let holes = crate::core::gaps::gaps(&starts, from.timestamp(), to.timestamp(), interval_s);
        items.extend(
            holes.iter().map(|hole| json!({"from": time(hole.from), "to": time(hole.to), "intervals": hole.intervals})),
        );
    }
    Ok(Answer::Json(json!({"zone": device["zone"], "items": items})))
}

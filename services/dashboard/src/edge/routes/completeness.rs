//! Delivered of expected intervals, by local day.
//!
//! A device counts from its first day with data within the span on: a day on which nothing of it came is a hole then, though
//! no fact has a row for it.

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

use super::super::api::{Answer, Api, Call};
use super::super::problem::Problem;
use super::{cursor, page, page_document};
use crate::core::access::Scope;
use crate::core::cursor::encode;

/// Longest span, in days.
const MOST_DAYS: i64 = 400;
/// How far back a device of a single day is looked for.
const LOOK_BACK: u64 = 30;

const WANTED: &str = "
    WITH held AS (
        SELECT device_id, channel, local_day, intervals, estimated_intervals, suspect_intervals
        FROM marts.fct_consumption_daily WHERE tenant_id = $1 AND local_day >= $2 AND local_day < $3
    ),
    begun AS (SELECT device_id, channel, min(local_day) AS first_day FROM held GROUP BY device_id, channel),
    days AS (SELECT DISTINCT local_day FROM held),
    wanted AS (
        SELECT begun.device_id, begun.channel, days.local_day, devices.zone,
            (extract(epoch FROM ((days.local_day + 1)::timestamp AT TIME ZONE devices.zone)
                - (days.local_day::timestamp AT TIME ZONE devices.zone)) / channels.interval_s)::bigint AS expected
        FROM begun
        JOIN days ON days.local_day >= begun.first_day
        JOIN marts.dim_device AS devices ON devices.device_id = begun.device_id
        JOIN marts.dim_device_channel AS channels
            ON channels.device_id = begun.device_id AND channels.channel = begun.channel AND channels.kind = 'INTERVAL'
        WHERE channels.interval_s > 0
    ),
    compared AS (
        SELECT wanted.*, least(coalesce(held.intervals, 0), wanted.expected) AS received,
            coalesce(held.estimated_intervals, 0) AS estimated, coalesce(held.suspect_intervals, 0) AS suspect
        FROM wanted LEFT JOIN held USING (device_id, channel, local_day)
    )";

const BY_DAY: &str = "
    SELECT local_day, sum(expected)::bigint AS expected, sum(received)::bigint AS received,
        sum(estimated)::bigint AS estimated, sum(suspect)::bigint AS suspect, count(DISTINCT device_id) AS devices,
        count(DISTINCT device_id) FILTER (WHERE received < expected) AS devices_incomplete,
        round(1.0 * sum(received) / nullif(sum(expected), 0), 6)::text AS completeness
    FROM compared GROUP BY local_day ORDER BY local_day";

const OF_DAY: &str = "
    SELECT device_id, channel, expected, received, round(1.0 * received / expected, 6)::text AS completeness, zone
    FROM compared WHERE local_day = $4 AND received < expected
    ORDER BY 1.0 * received / expected, device_id, channel LIMIT $5 OFFSET $6";

/// The days of a span, oldest first.
///
/// # Errors
/// When the warehouse gives no answer.
pub(super) async fn of_days(api: &Api, scope: &Scope, from: NaiveDate, to: NaiveDate) -> Result<Vec<Value>, Problem> {
    let sql = format!("{WANTED} {BY_DAY}");
    let rows = api.warehouse.rows(scope, &sql, &[&scope.tenant, &from, &to]).await?;
    Ok(rows.into_iter().map(Value::Object).collect())
}

pub(super) async fn days(call: Call) -> Result<Answer, Problem> {
    let (from, to) = call.query.days(MOST_DAYS)?;
    Ok(Answer::Json(json!({"items": of_days(&call.api, call.scope()?, from, to).await?})))
}

pub(super) async fn day(call: Call) -> Result<Answer, Problem> {
    let scope = call.scope()?;
    let day: NaiveDate = call.path("local_day").parse().map_err(|_| Problem::not_found())?;
    let limit = call.query.limit(500)?;
    let skip = cursor::<1>(&call.query)?.map_or(Some(0), |[skip]| skip.parse::<i64>().ok().filter(|skip| *skip >= 0));
    let skip = skip.ok_or_else(|| Problem::wrong(("cursor", "must be the next_cursor of a page before".into())))?;
    let (from, to) = (day - Days::new(LOOK_BACK), day + Days::new(1));
    let sql = format!("{WANTED} {OF_DAY}");
    let parameters: super::super::database::Params<'_> = &[&scope.tenant, &from, &to, &day, &(limit as i64 + 1), &skip];
    let rows = call.api.warehouse.rows(scope, &sql, parameters).await?;
    let (rows, next) = page(rows, limit, |_| encode(&[&(skip + limit as i64).to_string()]));
    Ok(Answer::Json(page_document(rows.into_iter().map(Value::Object).collect(), next)))
}

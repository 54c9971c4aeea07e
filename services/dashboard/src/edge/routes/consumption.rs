//! Consumption: sums of intervals by hour, local day or month, exact, from the facts.

use chrono::{DateTime, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use super::super::api::{Answer, Call};
use super::super::problem::Problem;
use super::{devices, text};

/// Longest spans, in days.
const MOST_HOURS_DAYS: i64 = 100;
const MOST_DAYS: i64 = 3_700;

const HOURS: &str = "
    SELECT hour_start AS start, '1' AS hours, quantity::text AS quantity, intervals, NULL::bigint AS expected,
        NULL::text AS completeness, round(1.0 * estimated_intervals / intervals, 6)::text AS estimated_share,
        round(1.0 * suspect_intervals / intervals, 6)::text AS suspect_share
    FROM marts.fct_consumption_hourly
    WHERE tenant_id = $1 AND device_id = $2 AND channel = $3 AND local_day >= $4 AND local_day < $5
    ORDER BY hour_start";

const DAYS: &str = "
    SELECT local_day::timestamp AT TIME ZONE coalesce(zone, 'UTC') AS start, local_day::text AS local,
        local_day_hours::float8::text AS hours, quantity::text AS quantity, intervals, expected_intervals AS expected,
        completeness::text AS completeness, estimated_share::text AS estimated_share, suspect_share::text AS suspect_share
    FROM marts.fct_consumption_daily
    WHERE tenant_id = $1 AND device_id = $2 AND channel = $3 AND local_day >= $4 AND local_day < $5
    ORDER BY local_day";

const MONTHS: &str = "
    SELECT date_trunc('month', local_day::timestamp) AT TIME ZONE min(coalesce(zone, 'UTC')) AS start,
        to_char(date_trunc('month', local_day::timestamp), 'YYYY-MM') AS local, sum(local_day_hours)::float8::text AS hours,
        sum(quantity)::text AS quantity, sum(intervals)::bigint AS intervals, sum(expected_intervals)::bigint AS expected,
        round(least(1.0, 1.0 * sum(intervals) / nullif(sum(expected_intervals), 0)), 6)::text AS completeness,
        round(1.0 * sum(estimated_intervals) / sum(intervals), 6)::text AS estimated_share,
        round(1.0 * sum(suspect_intervals) / sum(intervals), 6)::text AS suspect_share
    FROM marts.fct_consumption_daily
    WHERE tenant_id = $1 AND device_id = $2 AND channel = $3 AND local_day >= $4 AND local_day < $5
    GROUP BY date_trunc('month', local_day::timestamp) ORDER BY 1";

pub(super) async fn of_device(call: Call) -> Result<Answer, Problem> {
    let (api, scope, query) = (&call.api, call.scope()?, &call.query);
    let grain = query.word("grain", &["hour", "day", "month"])?.unwrap_or("day");
    let (from, to) = query.days(if grain == "hour" { MOST_HOURS_DAYS } else { MOST_DAYS })?;
    let device = devices::find(api, scope, call.path("device_id")).await?;
    let channel = devices::channel(&device, query.text("channel"), Some("INTERVAL"))?;
    let sql = match grain {
        "hour" => HOURS,
        "month" => MONTHS,
        _ => DAYS,
    };
    let name = channel["channel"].as_str();
    let mut rows = api.warehouse.rows(scope, sql, &[&scope.tenant, &call.path("device_id"), &name, &from, &to]).await?;
    if grain == "hour" {
        let zone = text(&device, "zone").parse().unwrap_or(Tz::UTC);
        rows.iter_mut().for_each(|row| stamp(row, zone));
    }
    Ok(Answer::Json(json!({
        "zone": device["zone"], "grain": grain, "unit": channel["unit"],
        "buckets": rows.into_iter().map(Value::Object).collect::<Vec<_>>(),
    })))
}

/// The local time of an hour with its offset, so that the two 01:00 of an autumn day differ.
fn stamp(row: &mut Map<String, Value>, zone: Tz) {
    let start = text(row, "start").parse::<DateTime<Utc>>().unwrap_or_default();
    let local = zone.from_utc_datetime(&start.naive_utc()).format("%Y-%m-%dT%H:%M%:z").to_string();
    row.insert("local".into(), local.into());
}

// What is fed into the network (OBIS group 2 of electricity) is no consumption.
const GROUPED: &str = "
    SELECT CASE WHEN $6 = 'site' THEN coalesce(site_id, '') ELSE commodity END AS grouping, commodity, unit,
        CASE WHEN min(zone) = max(zone) THEN min(zone) END AS zone,
        min(bucket AT TIME ZONE coalesce(zone, 'UTC')) AS start,
        to_char(bucket, CASE WHEN $5 = 'month' THEN 'YYYY-MM' ELSE 'YYYY-MM-DD' END) AS local,
        max(local_day_hours)::float8::text AS hours,
        sum(quantity)::text AS quantity, sum(intervals)::bigint AS intervals, sum(expected_intervals)::bigint AS expected,
        round(least(1.0, 1.0 * sum(intervals) / nullif(sum(expected_intervals), 0)), 6)::text AS completeness,
        round(1.0 * sum(estimated_intervals) / sum(intervals), 6)::text AS estimated_share,
        round(1.0 * sum(suspect_intervals) / sum(intervals), 6)::text AS suspect_share
    FROM (
        SELECT *, date_trunc($5, local_day::timestamp) AS bucket FROM marts.fct_consumption_daily
        WHERE tenant_id = $1 AND local_day >= $2 AND local_day < $3 AND ($4::text IS NULL OR commodity = $4)
            AND channel NOT LIKE '1-0:2.%'
    ) AS days
    GROUP BY 1, commodity, unit, bucket
    ORDER BY 1, commodity, unit, bucket LIMIT 50000";

pub(super) async fn grouped(call: Call) -> Result<Answer, Problem> {
    let (api, scope, query) = (&call.api, call.scope()?, &call.query);
    let grain = query.word("grain", &["day", "month"])?.unwrap_or("day");
    let group_by = query.word("group_by", &["site", "commodity"])?.unwrap_or("commodity");
    let (from, to): (NaiveDate, NaiveDate) = query.days(MOST_DAYS)?;
    let rows = api
        .warehouse
        .rows(scope, GROUPED, &[&scope.tenant, &from, &to, &query.text("commodity"), &grain, &group_by])
        .await?;
    let mut items: Vec<Value> = Vec::new();
    for mut row in rows {
        let key =
            json!({"group": row.remove("grouping"), "commodity": row.remove("commodity"), "unit": row.remove("unit")});
        let zone = row.remove("zone").unwrap_or_default();
        if grain == "month" {
            row.insert("hours".into(), month_hours(text(&row, "local"), zone.as_str()).into());
        }
        let same =
            items.last().is_some_and(|item| ["group", "commodity", "unit"].iter().all(|name| item[name] == key[name]));
        if !same {
            let mut item = key;
            item["grain"] = grain.into();
            item["zone"] = zone;
            item["buckets"] = json!([]);
            items.push(item);
        }
        if let Some(buckets) = items.last_mut().and_then(|item| item["buckets"].as_array_mut()) {
            buckets.push(Value::Object(row));
        }
    }
    Ok(Answer::Json(json!({"items": items})))
}

/// The hours of a month in a zone, of UTC when there are several.
fn month_hours(month: &str, zone: Option<&str>) -> Option<String> {
    let zone = zone.and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC);
    let first: NaiveDate = format!("{month}-01").parse().ok()?;
    let midnight = |day: NaiveDate| zone.from_local_datetime(&day.and_time(chrono::NaiveTime::MIN)).earliest();
    let hours =
        (midnight(first.checked_add_months(chrono::Months::new(1))?)? - midnight(first)?).num_minutes() as f64 / 60.0;
    Some(hours.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_with_a_change_of_clocks_have_their_own_length() {
        assert_eq!(month_hours("2026-03", Some("Europe/London")).as_deref(), Some("743"));
        assert_eq!(month_hours("2026-10", Some("Europe/London")).as_deref(), Some("745"));
        assert_eq!(month_hours("2026-03", None).as_deref(), Some("744"));
        assert_eq!(month_hours("soon", None), None);
    }

    #[test]
    fn the_repeated_hour_of_autumn_shows_its_offset() {
        let local = |start: &str| {
            let mut row = Map::from_iter([("start".to_owned(), Value::from(start))]);
            stamp(&mut row, chrono_tz::Europe::London);
            row["local"].as_str().unwrap().to_owned()
        };
        assert_eq!(local("2026-10-25T00:00:00Z"), "2026-10-25T01:00+01:00");
        assert_eq!(local("2026-10-25T01:00:00Z"), "2026-10-25T01:00+00:00");
    }
}

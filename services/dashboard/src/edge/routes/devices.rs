//! Devices and sites, from the register's copy in the warehouse, with live status and open alerts.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::super::api::{Answer, Api, Call};
use super::super::live::Alert;
use super::super::problem::Problem;
use super::{cursor, page, page_document, text};
use crate::core::access::Scope;
use crate::core::cursor::encode;

const DEVICES: &str = "
    SELECT d.device_id, d.tenant_id, d.customer_id, d.site_id, d.gateway_id, d.status, d.commodity, d.customer_class, d.zone,
        d.version,
        coalesce((
            SELECT jsonb_agg(jsonb_build_object('channel', c.channel, 'kind', c.kind, 'unit', c.unit,
                'interval_s', c.interval_s, 'multiplier', c.multiplier::text) ORDER BY c.channel, c.kind)
            FROM raw.device_channels c WHERE c.device_id = d.device_id), '[]') AS channels
    FROM raw.devices d
    WHERE d.tenant_id = $1
        AND ($2::text IS NULL OR d.device_id > $2)
        AND ($3::text IS NULL OR d.site_id = $3)
        AND ($4::text IS NULL OR d.customer_id = $4)
        AND ($5::text IS NULL OR d.commodity = $5)
        AND ($6::text IS NULL OR position(lower($6) IN lower(concat_ws(' ', d.device_id, d.site_id, d.customer_id))) > 0)
        AND ($7::text[] IS NULL OR d.device_id = ANY($7))
        AND ($8::text[] IS NULL OR d.device_id <> ALL($8))
    ORDER BY d.device_id LIMIT $9";

/// Which devices.
#[derive(Debug, Default)]
struct Filter<'a> {
    after: Option<&'a str>,
    site: Option<&'a str>,
    customer: Option<&'a str>,
    commodity: Option<&'a str>,
    part: Option<&'a str>,
    only: Option<Vec<&'a str>>,
    without: Option<Vec<&'a str>>,
}

async fn read(api: &Api, scope: &Scope, filter: &Filter<'_>, limit: usize) -> Result<Vec<Map<String, Value>>, Problem> {
    let limit = limit as i64;
    api.warehouse
        .rows(
            scope,
            DEVICES,
            &[
                &scope.tenant,
                &filter.after,
                &filter.site,
                &filter.customer,
                &filter.commodity,
                &filter.part,
                &filter.only,
                &filter.without,
                &limit,
            ],
        )
        .await
}

/// Adds what is live to rows of devices.
async fn complete(
    api: &Api,
    scope: &Scope,
    rows: Vec<Map<String, Value>>,
    alerts: &[Alert],
) -> Result<Vec<Value>, Problem> {
    let ids: Vec<&str> = rows.iter().map(|row| text(row, "device_id")).collect();
    let mut statuses = api.live.statuses(scope, &ids).await?;
    let mut open = HashMap::<&str, usize>::new();
    for alert in alerts.iter().filter(|alert| alert.is_open()) {
        *open.entry(&alert.device_id).or_default() += 1;
    }
    let whole = rows.into_iter().map(|mut row| {
        let device = text(&row, "device_id").to_owned();
        row.insert("live".into(), statuses.remove(&device).unwrap_or(Value::Null));
        row.insert("open_alerts".into(), json!(open.get(device.as_str()).copied().unwrap_or_default()));
        Value::Object(row)
    });
    Ok(whole.collect())
}

/// The devices that have an open alert of a kind.
pub(super) fn with_open<'a>(alerts: &'a [Alert], kind: &str) -> HashSet<&'a str> {
    alerts.iter().filter(|alert| alert.is_open() && alert.kind == kind).map(|alert| alert.device_id.as_str()).collect()
}

pub(super) async fn list(call: Call) -> Result<Answer, Problem> {
    let (api, scope, query) = (&call.api, call.scope()?, &call.query);
    let limit = query.limit(500)?;
    let after = cursor::<1>(query)?.map(|[after]| after);
    let state = query.word("state", &["live", "silent", "power_off"])?;
    let alerts = api.live.alerts(scope).await?;
    let mut filter = Filter {
        after: after.as_deref(),
        site: query.text("site_id"),
        customer: query.text("customer_id"),
        commodity: query.text("commodity"),
        part: query.text("q"),
        ..Filter::default()
    };
    // Silence and missing power are what `alert` says they are, so that this list and the alerts never contradict each other.
    let (silent, off) = (with_open(&alerts, "SILENT_METER"), with_open(&alerts, "OUTAGE"));
    match state {
        Some("silent") => filter.only = Some(silent.into_iter().collect()),
        Some("power_off") => filter.only = Some(off.into_iter().collect()),
        Some(_) => filter.without = Some(silent.union(&off).copied().collect()),
        None => {}
    }
    let rows = read(api, scope, &filter, limit + 1).await?;
    let (rows, next) = page(rows, limit, |row| encode(&[text(row, "device_id")]));
    Ok(Answer::Json(page_document(complete(api, scope, rows, &alerts).await?, next)))
}

pub(super) async fn one(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (&call.api, call.scope()?);
    let row = find(api, scope, call.path("device_id")).await?;
    let alerts = api.live.alerts(scope).await?;
    let mut whole = complete(api, scope, vec![row], &alerts).await?;
    Ok(Answer::Json(whole.remove(0)))
}

/// A device within the scope.
///
/// # Errors
/// 404 when there is none.
pub(in crate::edge) async fn find(api: &Api, scope: &Scope, device: &str) -> Result<Map<String, Value>, Problem> {
    let filter = Filter { only: Some(vec![device]), ..Filter::default() };
    read(api, scope, &filter, 1).await?.pop().ok_or_else(Problem::not_found)
}

/// A channel of a device: the one that is named, else the first of the kind.
///
/// # Errors
/// 400 when it has no such channel.
pub(super) fn channel<'a>(
    device: &'a Map<String, Value>,
    named: Option<&str>,
    kind: Option<&str>,
) -> Result<&'a Value, Problem> {
    let channels = device.get("channels").and_then(Value::as_array);
    let fits = |channel: &&Value| {
        named.is_none_or(|name| channel["channel"] == name) && kind.is_none_or(|kind| channel["kind"] == kind)
    };
    let found = channels.and_then(|channels| channels.iter().find(fits));
    found.ok_or_else(|| Problem::wrong(("channel", "must be a channel of the device".into())))
}

const SITES: &str = "
    SELECT site_id, min(zone) AS zone, NULL::text AS address, count(*) AS devices
    FROM raw.devices WHERE tenant_id = $1 AND ($2::text IS NULL OR site_id > $2)
    GROUP BY site_id ORDER BY site_id LIMIT $3";

pub(super) async fn sites(call: Call) -> Result<Answer, Problem> {
    let scope = call.scope()?;
    let limit = call.query.limit(500)?;
    let after = cursor::<1>(&call.query)?.map(|[after]| after);
    let rows = call.api.warehouse.rows(scope, SITES, &[&scope.tenant, &after, &(limit as i64 + 1)]).await?;
    let (rows, next) = page(rows, limit, |row| encode(&[text(row, "site_id")]));
    Ok(Answer::Json(page_document(rows.into_iter().map(Value::Object).collect(), next)))
}

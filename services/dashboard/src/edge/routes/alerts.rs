//! Alerts: what `alert` found, and what people said of it.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::api::{Answer, Api, Call};
use super::super::live::Alert;
use super::super::problem::Problem;
use super::{cursor, page, page_document};
use crate::core::access::Scope;
use crate::core::cursor::encode;

/// Kinds that a person may call normal: a fountain that always runs, a household that uses much.
const MAY_BE_NORMAL: [&str; 2] = ["CONTINUOUS_FLOW", "HIGH_USAGE"];
/// Characters of a note at most.
const MOST_NOTE: usize = 2_000;

const ZONES: &str = "SELECT device_id, zone FROM raw.devices WHERE tenant_id = $1 AND device_id = ANY($2)";

/// Alerts as the API writes them.
async fn complete(api: &Api, scope: &Scope, alerts: &[Alert]) -> Result<Vec<Value>, Problem> {
    let (devices, ids): (Vec<&str>, Vec<&str>) =
        alerts.iter().map(|alert| (alert.device_id.as_str(), alert.alert_id.as_str())).unzip();
    let zones = api.warehouse.rows(scope, ZONES, &[&scope.tenant, &devices]).await?;
    let zones: HashMap<&str, &Value> =
        zones.iter().filter_map(|row| Some((row["device_id"].as_str()?, &row["zone"]))).collect();
    let acknowledged = api.store.acknowledgements(scope, &ids).await?;
    let document =
        |alert: &Alert| alert.to_json(zones.get(alert.device_id.as_str()).copied(), acknowledged.get(&alert.alert_id));
    Ok(alerts.iter().map(document).collect())
}

pub(super) async fn list(call: Call) -> Result<Answer, Problem> {
    let (api, scope, query) = (&call.api, call.scope()?, &call.query);
    let limit = query.limit(500)?;
    let state = query.word("state", &["open", "closed"])?;
    let wanted = query.word("acknowledged", &["true", "false"])?.map(|word| word == "true");
    let after = match cursor::<2>(query)? {
        None => None,
        Some([opened_at, id]) => {
            let opened_at: i64 = opened_at
                .parse()
                .map_err(|_| Problem::wrong(("cursor", "must be the next_cursor of a page before".into())))?;
            Some((opened_at, id))
        }
    };
    let mut alerts = api.live.alerts(scope).await?;
    alerts.retain(|alert| {
        state.is_none_or(|state| alert.is_open() == (state == "open"))
            && query.text("kind").is_none_or(|kind| alert.kind == kind)
            && query.text("device_id").is_none_or(|device| alert.device_id == device)
            // Newest first: what comes after lies before.
            && after.as_ref().is_none_or(|(at, id)| (alert.opened_at, alert.alert_id.as_str()) < (*at, id.as_str()))
    });
    if let Some(wanted) = wanted {
        let ids: Vec<&str> = alerts.iter().map(|alert| alert.alert_id.as_str()).collect();
        let acknowledged = api.store.acknowledgements(scope, &ids).await?;
        alerts.retain(|alert| acknowledged.contains_key(&alert.alert_id) == wanted);
    }
    let (alerts, next) = page(alerts, limit, |alert| encode(&[&alert.opened_at.to_string(), &alert.alert_id]));
    Ok(Answer::Json(page_document(complete(api, scope, &alerts).await?, next)))
}

async fn find(api: &Api, scope: &Scope, id: &str) -> Result<Alert, Problem> {
    api.live.alerts(scope).await?.into_iter().find(|alert| alert.alert_id == id).ok_or_else(Problem::not_found)
}

async fn document(api: &Api, scope: &Scope, alert: Alert) -> Result<Answer, Problem> {
    Ok(Answer::Json(complete(api, scope, &[alert]).await?.remove(0)))
}

pub(super) async fn one(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (&call.api, call.scope()?);
    document(api, scope, find(api, scope, call.path("alert_id")).await?).await
}

/// What somebody says of an alert.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    note: String,
}

fn note(call: &Call) -> Result<String, Problem> {
    let Note { note } = call.json()?;
    if note.chars().count() > MOST_NOTE || note.contains('\0') {
        return Err(Problem::wrong(("note", format!("must have at most {MOST_NOTE} characters, none of them null"))));
    }
    Ok(note)
}

pub(super) async fn acknowledge(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (&call.api, call.scope()?);
    let alert = find(api, scope, call.path("alert_id")).await?;
    api.store.acknowledge(scope, call.caller()?, &alert.alert_id, &note(&call)?, false).await?;
    document(api, scope, alert).await
}

pub(super) async fn normal(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (&call.api, call.scope()?);
    let alert = find(api, scope, call.path("alert_id")).await?;
    if !MAY_BE_NORMAL.contains(&alert.kind.as_str()) {
        return Err(Problem::conflict(format!("An alert of the kind {} is never normal.", alert.kind)));
    }
    let note = note(&call)?;
    api.register.call_normal(&scope.tenant, &alert.device_id, &alert.kind, &note).await?;
    api.store.acknowledge(scope, call.caller()?, &alert.alert_id, &note, true).await?;
    document(api, scope, alert).await
}

//! Configuration of the page, the person, their settings; tenants; the audit log.

use meterway_proto::metadata::v1::TenantStatus;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::api::{Answer, Call};
use super::super::problem::Problem;
use super::{cursor, page, page_document};
use crate::core::cursor::encode;

pub(super) async fn config(call: Call) -> Result<Answer, Problem> {
    let oidc = &call.api.config.oidc;
    Ok(Answer::Json(json!({
        "issuer": oidc.issuer, "client_id": oidc.client_id, "audience": oidc.audience, "scope": oidc.scope,
        "product": "Meterway", "demo_users": call.api.demo_users, "docs": [],
    })))
}

pub(super) async fn me(call: Call) -> Result<Answer, Problem> {
    let caller = call.caller()?;
    Ok(Answer::Json(json!({
        "subject": caller.subject, "name": caller.name, "role": caller.role, "tenant_id": caller.tenant,
        "customer_id": caller.customer, "permissions": caller.role.permissions(),
    })))
}

pub(super) async fn tenants(call: Call) -> Result<Answer, Problem> {
    let limit = call.query.limit(500)?;
    let after = cursor::<1>(&call.query)?.map_or_else(String::new, |[token]| token);
    let answer = call.api.register.tenants(limit, &after).await?;
    let items = answer.tenants.iter().map(|tenant| {
        let status = if tenant.status() == TenantStatus::Suspended { "SUSPENDED" } else { "ACTIVE" };
        json!({"tenant_id": tenant.tenant_id, "name": tenant.name, "status": status})
    });
    let next = Some(answer.next_page_token.as_str()).filter(|token| !token.is_empty()).map(|token| encode(&[token]));
    Ok(Answer::Json(page_document(items.collect(), next)))
}

/// What a person may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    theme: Theme,
    cards: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Theme {
    System,
    Light,
    Dark,
}

/// Cards at most, and bytes of the name of one.
const MOST_CARDS: usize = 50;

pub(super) async fn settings(call: Call) -> Result<Answer, Problem> {
    let held = call.api.store.settings(&call.caller()?.subject).await?;
    Ok(Answer::Json(held.unwrap_or_else(|| json!({"theme": "system", "cards": []}))))
}

pub(super) async fn put_settings(call: Call) -> Result<Answer, Problem> {
    let settings: Settings = call.json()?;
    if settings.cards.len() > MOST_CARDS || settings.cards.iter().any(|card| card.len() > MOST_CARDS) {
        return Err(Problem::wrong(("cards", format!("must be at most {MOST_CARDS} short names"))));
    }
    let value = serde_json::to_value(settings).map_err(Problem::defect)?;
    call.api.store.put_settings(&call.caller()?.subject, &value).await?;
    Ok(Answer::Json(value))
}

pub(super) async fn audit(call: Call) -> Result<Answer, Problem> {
    let limit = call.query.limit(500)?;
    let before = cursor::<1>(&call.query)?.map_or(Some(i64::MAX), |[id]| id.parse().ok());
    let before = before.ok_or_else(|| Problem::wrong(("cursor", "must be the next_cursor of a page before".into())))?;
    let entries = call.api.store.audit_page(call.scope()?, before, limit as i64 + 1).await?;
    let (entries, next) = page(entries, limit, |(id, _)| encode(&[&id.to_string()]));
    let items: Vec<Value> = entries.into_iter().map(|(_, entry)| entry).collect();
    Ok(Answer::Json(page_document(items, next)))
}

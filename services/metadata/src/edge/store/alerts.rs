//! Alert settings.

use std::collections::BTreeMap;

use meter_model::TenantId;
use tokio_postgres::Row;

use super::{instant, micros, micros_if_any};
use crate::core::alert::{Exception, Rule};
use crate::core::page::Page;
use crate::edge::StoreError;
use crate::edge::database::Tx;

fn rule(row: &Row) -> Rule {
    Rule {
        kind: row.get("kind"),
        customer_class: row.get("customer_class"),
        enabled: row.get("enabled"),
        threshold: row.get("threshold"),
        window_s: row.get("window_s"),
        severity: row.get("severity"),
        updated_at: micros(row, "updated_at"),
    }
}

fn exception(row: &Row) -> Exception {
    Exception {
        device_id: row.get("device_id"),
        kind: row.get("kind"),
        until: micros_if_any(row, "until"),
        note: row.get("note"),
        updated_at: micros(row, "updated_at"),
    }
}

pub(crate) async fn put_rule(tx: &Tx<'_>, tenant: &TenantId, new: &Rule, now: i64) -> Result<Rule, StoreError> {
    const SQL: &str = "INSERT INTO alert_rule
            (tenant_id, kind, customer_class, enabled, threshold, window_s, severity, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (tenant_id, kind, customer_class) DO UPDATE SET enabled = EXCLUDED.enabled,
            threshold = EXCLUDED.threshold, window_s = EXCLUDED.window_s, severity = EXCLUDED.severity,
            updated_at = EXCLUDED.updated_at
        RETURNING *";
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &tenant.as_str(),
        &new.kind,
        &new.customer_class,
        &new.enabled,
        &new.threshold,
        &new.window_s,
        &new.severity,
        &instant(now),
    ];
    Ok(rule(&tx.row(SQL, params).await?))
}

pub(crate) async fn delete_rule(tx: &Tx<'_>, tenant: &TenantId, kind: &str, class: &str) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM alert_rule WHERE tenant_id = $1 AND kind = $2 AND customer_class = $3";
    match tx.execute(SQL, &[&tenant.as_str(), &kind, &class]).await? {
        0 => Err(StoreError::NotFound("rule")),
        _ => Ok(()),
    }
}

pub(crate) async fn rules(tx: &Tx<'_>, tenant: &TenantId) -> Result<Vec<Rule>, StoreError> {
    const SQL: &str = "SELECT * FROM alert_rule WHERE tenant_id = $1 ORDER BY kind, customer_class";
    Ok(tx.rows(SQL, &[&tenant.as_str()]).await?.iter().map(rule).collect())
}

pub(crate) async fn put_exception(
    tx: &Tx<'_>,
    tenant: &TenantId,
    new: &Exception,
    now: i64,
) -> Result<Exception, StoreError> {
    const SQL: &str = "INSERT INTO alert_exception (tenant_id, device_id, kind, until, note, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (tenant_id, device_id, kind) DO UPDATE SET until = EXCLUDED.until, note = EXCLUDED.note,
            updated_at = EXCLUDED.updated_at
        RETURNING *";
    let until = new.until.map(instant);
    let row = tx.row(SQL, &[&tenant.as_str(), &new.device_id, &new.kind, &until, &new.note, &instant(now)]).await?;
    Ok(exception(&row))
}

pub(crate) async fn delete_exception(
    tx: &Tx<'_>,
    tenant: &TenantId,
    device: &str,
    kind: &str,
) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM alert_exception WHERE tenant_id = $1 AND device_id = $2 AND kind = $3";
    match tx.execute(SQL, &[&tenant.as_str(), &device, &kind]).await? {
        0 => Err(StoreError::NotFound("exception")),
        _ => Ok(()),
    }
}

/// Exceptions by device and kind; the page's key is [`Exception::page_key`]. Compared bytewise, as the key is cut.
pub(crate) async fn exceptions(
    tx: &Tx<'_>,
    tenant: &TenantId,
    device: Option<&str>,
    page: &Page,
) -> Result<Vec<Exception>, StoreError> {
    const SQL: &str = r#"SELECT * FROM alert_exception
        WHERE tenant_id = $1 AND (device_id || ' ' || kind) COLLATE "C" > $2 AND ($4::text IS NULL OR device_id = $4)
        ORDER BY (device_id || ' ' || kind) COLLATE "C" LIMIT $3"#;
    let rows = tx.rows(SQL, &[&tenant.as_str(), &page.after, &page.limit(), &device]).await?;
    Ok(rows.iter().map(exception).collect())
}

/// Rules and exceptions by tenant.
pub(crate) type Settings = BTreeMap<String, (Vec<Rule>, Vec<Exception>)>;

/// The settings of all tenants that are not over. For [`crate::edge::database::Scope::Settings`].
pub(crate) async fn all(tx: &Tx<'_>, now: i64) -> Result<Settings, StoreError> {
    const EXCEPTIONS: &str = "SELECT * FROM alert_exception WHERE until IS NULL OR until > $1 ORDER BY device_id, kind";
    let mut settings = Settings::new();
    for row in tx.rows("SELECT * FROM alert_rule ORDER BY kind, customer_class", &[]).await? {
        settings.entry(row.get("tenant_id")).or_default().0.push(rule(&row));
    }
    for row in tx.rows(EXCEPTIONS, &[&instant(now)]).await? {
        settings.entry(row.get("tenant_id")).or_default().1.push(exception(&row));
    }
    Ok(settings)
}

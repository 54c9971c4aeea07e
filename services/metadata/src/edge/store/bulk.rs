//! Onboarding in bulk: a handful of statements per chunk, whatever its size.

use std::collections::{BTreeSet, HashMap};

use meter_model::TenantId;
use serde_json::json;
use tokio_postgres::types::Json;

use super::{devices, instant, outbox};
use crate::core::bulk::{self, Known, Line, Outcome};
use crate::core::device::DeviceSpec;
use crate::edge::StoreError;
use crate::edge::database::Tx;

/// Stores the good lines of a chunk; one outcome per line.
pub(crate) async fn register(
    tx: &Tx<'_>,
    tenant: &TenantId,
    lines: &[Line],
    now: i64,
) -> Result<Vec<Outcome>, StoreError> {
    insert_sites(tx, tenant, lines, now).await?;
    insert_customers(tx, tenant, lines, now).await?;
    let known = read_known(tx, tenant, lines).await?;
    let mut plan = bulk::plan(lines, &known);

    let mut changed: Vec<&str> = plan.update.iter().map(|device| device.device_id.as_str()).collect();
    let mut created = Vec::new();
    if !plan.create.is_empty() {
        created = devices::insert(tx, tenant, &plan.create, now).await?;
    }
    if !plan.update.is_empty() {
        devices::replace(tx, tenant, &plan.update, now).await?;
    }
    changed.extend(created.iter().map(String::as_str));
    if !changed.is_empty() {
        outbox::enqueue(tx, tenant, &changed, now).await?;
    }
    let taken = taken(&plan.create, &created);
    plan.refuse_taken(lines, &taken);
    Ok(plan.outcomes)
}

fn taken(wanted: &[DeviceSpec], created: &[String]) -> BTreeSet<String> {
    let created: BTreeSet<&str> = created.iter().map(String::as_str).collect();
    let missing = wanted.iter().filter(|device| !created.contains(device.device_id.as_str()));
    missing.map(|device| device.device_id.clone()).collect()
}

async fn insert_sites(tx: &Tx<'_>, tenant: &TenantId, lines: &[Line], now: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO site (tenant_id, site_id, zone, address, updated_at)
        SELECT $1, x.site_id, x.zone, x.address, $3
        FROM jsonb_to_recordset($2) AS x(site_id text, zone text, address text) ORDER BY x.site_id
        ON CONFLICT DO NOTHING";
    let rows: Vec<_> = bulk::sites(lines)
        .into_iter()
        .map(|site| json!({ "site_id": site.site_id, "zone": site.zone, "address": site.address }))
        .collect();
    insert_rows(tx, SQL, tenant, rows, now).await
}

async fn insert_customers(tx: &Tx<'_>, tenant: &TenantId, lines: &[Line], now: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO customer (tenant_id, customer_id, name, updated_at)
        SELECT $1, x.customer_id, x.name, $3
        FROM jsonb_to_recordset($2) AS x(customer_id text, name text) ORDER BY x.customer_id
        ON CONFLICT DO NOTHING";
    let rows: Vec<_> = bulk::customers(lines)
        .into_iter()
        .map(|customer| json!({ "customer_id": customer.customer_id, "name": customer.name }))
        .collect();
    insert_rows(tx, SQL, tenant, rows, now).await
}

async fn insert_rows(
    tx: &Tx<'_>,
    sql: &str,
    tenant: &TenantId,
    rows: Vec<serde_json::Value>,
    now: i64,
) -> Result<(), StoreError> {
    if !rows.is_empty() {
        tx.execute(sql, &[&tenant.as_str(), &Json(rows), &instant(now)]).await?;
    }
    Ok(())
}

/// Reads what the lines refer to, and locks the devices among it.
async fn read_known(tx: &Tx<'_>, tenant: &TenantId, lines: &[Line]) -> Result<Known, StoreError> {
    const SITES: &str = "SELECT site_id, zone FROM site WHERE tenant_id = $1 AND site_id = ANY($2)";
    const CUSTOMERS: &str = "SELECT customer_id FROM customer WHERE tenant_id = $1 AND customer_id = ANY($2)";
    const DEVICES: &str =
        "SELECT * FROM device WHERE tenant_id = $1 AND device_id = ANY($2) ORDER BY device_id FOR UPDATE";
    let good: Vec<&DeviceSpec> = lines.iter().filter_map(|line| Some(&line.content.as_ref().ok()?.device)).collect();
    let sites: BTreeSet<&str> = good.iter().map(|device| device.site_id.as_str()).collect();
    let customers: BTreeSet<&str> = good.iter().filter_map(|device| device.customer_id.as_deref()).collect();
    let ids: Vec<&str> = good.iter().map(|device| device.device_id.as_str()).collect();

    let tenant = tenant.as_str();
    let (sites, customers) = (Vec::from_iter(sites), Vec::from_iter(customers));
    let zones = tx.rows(SITES, &[&tenant, &sites]).await?;
    let customers = tx.rows(CUSTOMERS, &[&tenant, &customers]).await?;
    let mut known = Known {
        zones: zones.iter().map(|row| (row.get("site_id"), row.get("zone"))).collect(),
        customers: customers.iter().map(|row| row.get("customer_id")).collect(),
        devices: HashMap::new(),
    };
    for row in tx.rows(DEVICES, &[&tenant, &ids]).await? {
        known.devices.insert(row.get("device_id"), devices::spec(&row)?);
    }
    Ok(known)
}

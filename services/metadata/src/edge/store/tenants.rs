//! Tenants.

use tokio_postgres::Row;

use super::{expect_version, instant, revision};
use crate::core::page::Page;
use crate::core::register::{Limits, Tenant};
use crate::edge::StoreError;
use crate::edge::database::Tx;

fn tenant(row: &Row) -> Tenant {
    Tenant {
        tenant_id: row.get("tenant_id"),
        name: row.get("name"),
        suspended: row.get::<_, &str>("status") == "SUSPENDED",
        limits: limits(row),
        revision: revision(row),
    }
}

/// Limits out of a row that has a tenant's columns. They were stored from these very types.
pub(crate) fn limits(row: &Row) -> Limits {
    Limits {
        requests_per_second: u32::try_from(row.get::<_, i64>("requests_per_second")).unwrap_or(u32::MAX),
        readings_per_second: u32::try_from(row.get::<_, i64>("readings_per_second")).unwrap_or(u32::MAX),
        max_request_bytes: u64::try_from(row.get::<_, i64>("max_request_bytes")).unwrap_or(0),
    }
}

/// Limits as the database stores them.
fn columns(limits: Limits) -> (i64, i64, i64) {
    let bytes = i64::try_from(limits.max_request_bytes).expect("checked when the tenant was parsed");
    (limits.requests_per_second.into(), limits.readings_per_second.into(), bytes)
}

pub(crate) async fn create(tx: &Tx<'_>, new: &Tenant, now: i64) -> Result<Tenant, StoreError> {
    const SQL: &str = "INSERT INTO tenant (tenant_id, name, status, requests_per_second, readings_per_second,
        max_request_bytes, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *";
    let (requests, readings, bytes) = columns(new.limits);
    let status = new.status();
    let row = tx.row(SQL, &[&new.tenant_id, &new.name, &status, &requests, &readings, &bytes, &instant(now)]).await?;
    Ok(tenant(&row))
}

pub(crate) async fn update(tx: &Tx<'_>, new: &Tenant, expected: i64, now: i64) -> Result<Tenant, StoreError> {
    let current =
        tx.row_if_any("SELECT version FROM tenant WHERE tenant_id = $1 FOR UPDATE", &[&new.tenant_id]).await?;
    expect_version(expected, current.ok_or(StoreError::NotFound("tenant"))?.get(0))?;
    const SQL: &str = "UPDATE tenant SET name = $2, status = $3, requests_per_second = $4, readings_per_second = $5,
        max_request_bytes = $6, updated_at = $7, version = version + 1 WHERE tenant_id = $1 RETURNING *";
    let (requests, readings, bytes) = columns(new.limits);
    let status = new.status();
    let row = tx.row(SQL, &[&new.tenant_id, &new.name, &status, &requests, &readings, &bytes, &instant(now)]).await?;
    Ok(tenant(&row))
}

pub(crate) async fn get(tx: &Tx<'_>, tenant_id: &str) -> Result<Tenant, StoreError> {
    let row = tx.row_if_any("SELECT * FROM tenant WHERE tenant_id = $1", &[&tenant_id]).await?;
    row.as_ref().map(tenant).ok_or(StoreError::NotFound("tenant"))
}

pub(crate) async fn list(tx: &Tx<'_>, page: &Page) -> Result<Vec<Tenant>, StoreError> {
    const SQL: &str = "SELECT * FROM tenant WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2";
    Ok(tx.rows(SQL, &[&page.after, &page.limit()]).await?.iter().map(tenant).collect())
}

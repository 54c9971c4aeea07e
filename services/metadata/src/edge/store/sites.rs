//! Sites.

use meter_model::TenantId;
use tokio_postgres::Row;

use super::{devices, expect_version, instant, revision};
use crate::core::page::Page;
use crate::core::register::Site;
use crate::edge::StoreError;
use crate::edge::database::Tx;

fn site(row: &Row) -> Site {
    Site { site_id: row.get("site_id"), zone: row.get("zone"), address: row.get("address"), revision: revision(row) }
}

pub(crate) async fn create(tx: &Tx<'_>, tenant: &TenantId, new: &Site, now: i64) -> Result<Site, StoreError> {
    const SQL: &str =
        "INSERT INTO site (tenant_id, site_id, zone, address, updated_at) VALUES ($1, $2, $3, $4, $5) RETURNING *";
    Ok(site(&tx.row(SQL, &[&tenant.as_str(), &new.site_id, &new.zone, &new.address, &instant(now)]).await?))
}

/// Replaces a site. The zone is part of what is published of a device, so a new zone makes new versions of all devices
/// at the site.
pub(crate) async fn update(
    tx: &Tx<'_>,
    tenant: &TenantId,
    new: &Site,
    expected: i64,
    now: i64,
) -> Result<Site, StoreError> {
    const LOCK: &str = "SELECT version, zone FROM site WHERE tenant_id = $1 AND site_id = $2 FOR UPDATE";
    let current = tx.row_if_any(LOCK, &[&tenant.as_str(), &new.site_id]).await?;
    let current = current.ok_or(StoreError::NotFound("site"))?;
    expect_version(expected, current.get("version"))?;
    const SQL: &str = "UPDATE site SET zone = $3, address = $4, updated_at = $5, version = version + 1
        WHERE tenant_id = $1 AND site_id = $2 RETURNING *";
    let row = tx.row(SQL, &[&tenant.as_str(), &new.site_id, &new.zone, &new.address, &instant(now)]).await?;
    if current.get::<_, &str>("zone") != new.zone {
        devices::touch_site(tx, tenant, &new.site_id, now).await?;
    }
    Ok(site(&row))
}

pub(crate) async fn get(tx: &Tx<'_>, tenant: &TenantId, site_id: &str) -> Result<Site, StoreError> {
    const SQL: &str = "SELECT * FROM site WHERE tenant_id = $1 AND site_id = $2";
    let row = tx.row_if_any(SQL, &[&tenant.as_str(), &site_id]).await?;
    row.as_ref().map(site).ok_or(StoreError::NotFound("site"))
}

pub(crate) async fn list(tx: &Tx<'_>, tenant: &TenantId, page: &Page) -> Result<Vec<Site>, StoreError> {
    const SQL: &str = "SELECT * FROM site WHERE tenant_id = $1 AND site_id > $2 ORDER BY site_id LIMIT $3";
    Ok(tx.rows(SQL, &[&tenant.as_str(), &page.after, &page.limit()]).await?.iter().map(site).collect())
}

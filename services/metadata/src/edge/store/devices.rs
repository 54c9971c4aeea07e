//! Devices and exchanges.

use meter_model::TenantId;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::{expect_version, instant, micros, outbox};
use crate::core::device::{ChannelSpec, DeviceFilter, DeviceSpec, DeviceState, Exchange};
use crate::core::page::Page;
use crate::edge::StoreError;
use crate::edge::database::Tx;

/// A device with its site's zone and its exchanges. `{}` is what follows FROM.
macro_rules! select_device {
    ($tail:literal) => {
        concat!(
            "SELECT d.*, s.zone,
                COALESCE((SELECT jsonb_agg(jsonb_build_object(
                    'at', (extract(epoch FROM e.at) * 1000000)::bigint, 'channel', e.channel,
                    'closing_value', e.closing_value::text, 'opening_value', e.opening_value::text)
                    ORDER BY e.at, e.channel)
                  FROM meter_exchange e WHERE e.tenant_id = d.tenant_id AND e.device_id = d.device_id), '[]') AS exchanges
             FROM device d JOIN site s ON s.tenant_id = d.tenant_id AND s.site_id = d.site_id ",
            $tail
        )
    };
}
pub(super) use select_device;

/// The columns of a device that its owner describes, as JSON rows of [`DeviceSpec`] bring them.
pub(super) const SPEC_COLUMNS: &str = "device_id text, site_id text, customer_id text, gateway_id text, status text,
    commodity text, customer_class text, channels jsonb";

pub(super) fn device(row: &Row) -> Result<DeviceState, StoreError> {
    let Json(exchanges) = row.try_get::<_, Json<Vec<Exchange>>>("exchanges")?;
    Ok(DeviceState {
        tenant_id: row.get("tenant_id"),
        spec: spec(row)?,
        zone: row.get("zone"),
        exchanges,
        version: row.get("version"),
        updated_at: micros(row, "updated_at"),
    })
}

pub(super) fn spec(row: &Row) -> Result<DeviceSpec, StoreError> {
    let Json(channels) = row.try_get::<_, Json<Vec<ChannelSpec>>>("channels")?;
    Ok(DeviceSpec {
        device_id: row.get("device_id"),
        site_id: row.get("site_id"),
        customer_id: row.get("customer_id"),
        gateway_id: row.get("gateway_id"),
        status: named(row, "status")?,
        commodity: named(row, "commodity")?,
        customer_class: named(row, "customer_class")?,
        channels,
    })
}

/// A value of a closed list by its name in the database.
fn named<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T, StoreError> {
    let name: String = row.get(column);
    serde_json::from_value(name.into()).map_err(|error| StoreError::Internal(Box::new(error)))
}

pub(crate) async fn register(
    tx: &Tx<'_>,
    tenant: &TenantId,
    new: &DeviceSpec,
    now: i64,
) -> Result<DeviceState, StoreError> {
    insert(tx, tenant, std::slice::from_ref(new), now).await?.first().ok_or(StoreError::Taken("device.device_id"))?;
    outbox::enqueue(tx, tenant, &[&new.device_id], now).await?;
    get(tx, tenant, &new.device_id).await
}

/// Inserts devices and returns the ids of those that were new; the ids of the others are taken.
pub(super) async fn insert(
    tx: &Tx<'_>,
    tenant: &TenantId,
    new: &[DeviceSpec],
    now: i64,
) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "INSERT INTO device (tenant_id, device_id, site_id, customer_id, gateway_id, status, commodity, customer_class,
            channels, updated_at)
         SELECT $1, x.device_id, x.site_id, x.customer_id, x.gateway_id, x.status, x.commodity, x.customer_class,
            x.channels, $3
         FROM jsonb_to_recordset($2) AS x({SPEC_COLUMNS}) ORDER BY x.device_id
         ON CONFLICT DO NOTHING RETURNING device_id"
    );
    let rows = tx.rows(&sql, &[&tenant.as_str(), &Json(new), &instant(now)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

pub(crate) async fn update(
    tx: &Tx<'_>,
    tenant: &TenantId,
    new: &DeviceSpec,
    expected: i64,
    now: i64,
) -> Result<DeviceState, StoreError> {
    let current = lock(tx, tenant, &new.device_id).await?;
    expect_version(expected, current.version)?;
    if current.spec == *new {
        return Ok(current);
    }
    replace(tx, tenant, std::slice::from_ref(new), now).await?;
    outbox::enqueue(tx, tenant, &[&new.device_id], now).await?;
    get(tx, tenant, &new.device_id).await
}

/// Replaces the descriptions of devices that the caller has locked.
pub(super) async fn replace(
    tx: &Tx<'_>,
    tenant: &TenantId,
    changed: &[DeviceSpec],
    now: i64,
) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE device d SET site_id = x.site_id, customer_id = x.customer_id, gateway_id = x.gateway_id,
            status = x.status, commodity = x.commodity, customer_class = x.customer_class, channels = x.channels,
            updated_at = $3, version = d.version + 1
         FROM jsonb_to_recordset($2) AS x({SPEC_COLUMNS})
         WHERE d.tenant_id = $1 AND d.device_id = x.device_id"
    );
    tx.execute(&sql, &[&tenant.as_str(), &Json(changed), &instant(now)]).await?;
    Ok(())
}

/// Makes a new version of every device at the site.
pub(super) async fn touch_site(tx: &Tx<'_>, tenant: &TenantId, site_id: &str, now: i64) -> Result<(), StoreError> {
    const LOCK: &str =
        "SELECT device_id FROM device WHERE tenant_id = $1 AND site_id = $2 ORDER BY device_id FOR UPDATE";
    let rows = tx.rows(LOCK, &[&tenant.as_str(), &site_id]).await?;
    let devices: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    touch(tx, tenant, &devices, now).await
}

/// Makes a new version of devices that the caller has locked.
async fn touch(tx: &Tx<'_>, tenant: &TenantId, devices: &[&str], now: i64) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE device SET version = version + 1, updated_at = $3
        WHERE tenant_id = $1 AND device_id = ANY($2)";
    tx.execute(SQL, &[&tenant.as_str(), &devices, &instant(now)]).await?;
    outbox::enqueue(tx, tenant, devices, now).await
}

/// Reads a device and keeps others from changing it until the transaction ends.
pub(crate) async fn lock(tx: &Tx<'_>, tenant: &TenantId, device_id: &str) -> Result<DeviceState, StoreError> {
    const SQL: &str = select_device!("WHERE d.tenant_id = $1 AND d.device_id = $2 FOR UPDATE OF d");
    let row = tx.row_if_any(SQL, &[&tenant.as_str(), &device_id]).await?;
    device(&row.ok_or(StoreError::NotFound("device"))?)
}

pub(crate) async fn get(tx: &Tx<'_>, tenant: &TenantId, device_id: &str) -> Result<DeviceState, StoreError> {
    const SQL: &str = select_device!("WHERE d.tenant_id = $1 AND d.device_id = $2");
    let row = tx.row_if_any(SQL, &[&tenant.as_str(), &device_id]).await?;
    device(&row.ok_or(StoreError::NotFound("device"))?)
}

/// Adds exchanges to a device that the caller has locked.
pub(crate) async fn add_exchanges(
    tx: &Tx<'_>,
    tenant: &TenantId,
    device_id: &str,
    new: &[Exchange],
    now: i64,
) -> Result<DeviceState, StoreError> {
    const SQL: &str = "INSERT INTO meter_exchange (tenant_id, device_id, channel, at, closing_value, opening_value)
        SELECT $1, $2, x.channel, to_timestamp(0) + x.at * interval '1 microsecond', x.closing_value, x.opening_value
        FROM jsonb_to_recordset($3) AS x(channel text, at bigint, closing_value numeric, opening_value numeric)";
    tx.execute(SQL, &[&tenant.as_str(), &device_id, &Json(new)]).await?;
    touch(tx, tenant, &[device_id], now).await?;
    get(tx, tenant, device_id).await
}

pub(crate) async fn list(
    tx: &Tx<'_>,
    tenant: &TenantId,
    filter: &DeviceFilter,
    page: &Page,
) -> Result<Vec<DeviceState>, StoreError> {
    const SQL: &str = select_device!(
        "WHERE d.tenant_id = $1 AND d.device_id > $2
           AND ($4::text IS NULL OR d.site_id = $4) AND ($5::text IS NULL OR d.customer_id = $5)
           AND ($6::text IS NULL OR d.status = $6)
         ORDER BY d.device_id LIMIT $3"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&tenant.as_str(), &page.after, &page.limit(), &filter.site_id, &filter.customer_id, &filter.status];
    tx.rows(SQL, params).await?.iter().map(device).collect()
}

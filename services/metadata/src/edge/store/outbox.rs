//! Devices with an unpublished change. The migration says why a row holds no more than a version.

use meter_model::TenantId;

use super::{devices, instant, micros_if_any};
use crate::core::device::DeviceState;
use crate::edge::StoreError;
use crate::edge::database::Tx;

/// Notes that the devices changed; belongs into the transaction of the change. In order of the ids, as everybody locks
/// them. The age of an unpublished change is the age of the first one.
pub async fn enqueue(tx: &Tx<'_>, tenant: &TenantId, devices: &[&str], now: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO outbox (tenant_id, device_id, version, changed_at)
        SELECT tenant_id, device_id, version, $3 FROM device
        WHERE tenant_id = $1 AND device_id = ANY($2) ORDER BY device_id
        ON CONFLICT (tenant_id, device_id) DO UPDATE SET version = EXCLUDED.version";
    tx.execute(SQL, &[&tenant.as_str(), &devices, &instant(now)]).await?;
    Ok(())
}

/// A device that cannot be published as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Owner.
    pub tenant_id: String,
    /// The device.
    pub device_id: String,
    /// The version that is refused; the next may be sound.
    pub version: i64,
    /// Why.
    pub reason: String,
}

/// Devices that wait.
#[derive(Debug, Default)]
pub struct Batch {
    /// Their states.
    pub devices: Vec<DeviceState>,
    /// Rows that hold no device.
    pub unreadable: Vec<Refused>,
}

/// The devices that have waited longest, each with the state it has now, without those that were refused before. For
/// [`crate::edge::database::Scope::Relay`].
pub async fn oldest(tx: &Tx<'_>, limit: i64, refused: &[Refused]) -> Result<Batch, StoreError> {
    const SQL: &str = devices::select_device!(
        "JOIN outbox o ON o.tenant_id = d.tenant_id AND o.device_id = d.device_id
         WHERE NOT EXISTS (SELECT FROM unnest($2::text[], $3::text[], $4::bigint[]) AS r(tenant_id, device_id, version)
            WHERE r.tenant_id = d.tenant_id AND r.device_id = d.device_id AND r.version = d.version)
         ORDER BY o.changed_at, o.device_id LIMIT $1"
    );
    let tenants: Vec<&str> = refused.iter().map(|one| one.tenant_id.as_str()).collect();
    let ids: Vec<&str> = refused.iter().map(|one| one.device_id.as_str()).collect();
    let versions: Vec<i64> = refused.iter().map(|one| one.version).collect();
    let mut batch = Batch::default();
    for row in tx.rows(SQL, &[&limit, &tenants, &ids, &versions]).await? {
        match devices::device(&row) {
            Ok(device) => batch.devices.push(device),
            Err(error) => batch.unreadable.push(Refused {
                tenant_id: row.get("tenant_id"),
                device_id: row.get("device_id"),
                version: row.get("version"),
                reason: format!("{:#}", anyhow::Error::from(error)),
            }),
        }
    }
    Ok(batch)
}

/// How many devices wait, and since when (microseconds since 1970).
pub async fn backlog(tx: &Tx<'_>) -> Result<(i64, Option<i64>), StoreError> {
    let row = tx.row("SELECT count(*) AS waiting, min(changed_at) AS oldest FROM outbox", &[]).await?;
    Ok((row.get("waiting"), micros_if_any(&row, "oldest")))
}

/// Clears what was published, unless a newer version came up since. A row that a change holds at this moment is skipped:
/// it gets a newer version anyway, and waiting for it could end in a deadlock.
pub async fn clear(tx: &Tx<'_>, published: &[DeviceState]) -> Result<u64, StoreError> {
    const SQL: &str = "WITH done AS (
            SELECT o.tenant_id, o.device_id FROM outbox o
            JOIN unnest($1::text[], $2::text[], $3::bigint[]) AS p(tenant_id, device_id, version)
              ON p.tenant_id = o.tenant_id AND p.device_id = o.device_id AND o.version <= p.version
            FOR UPDATE OF o SKIP LOCKED)
        DELETE FROM outbox o USING done WHERE o.tenant_id = done.tenant_id AND o.device_id = done.device_id";
    let (tenants, ids) = keys(published);
    let versions: Vec<i64> = published.iter().map(|device| device.version).collect();
    tx.execute(SQL, &[&tenants, &ids, &versions]).await
}

/// Puts devices back whose publication could not be confirmed: an older state of theirs may have been written after a
/// newer one, so the newest must be written again.
pub async fn requeue(tx: &Tx<'_>, unconfirmed: &[DeviceState], now: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO outbox (tenant_id, device_id, version, changed_at)
        SELECT d.tenant_id, d.device_id, d.version, $3 FROM device d
        JOIN unnest($1::text[], $2::text[]) AS u(tenant_id, device_id) USING (tenant_id, device_id)
        ORDER BY d.device_id
        ON CONFLICT (tenant_id, device_id) DO NOTHING";
    let (tenants, ids) = keys(unconfirmed);
    tx.execute(SQL, &[&tenants, &ids, &instant(now)]).await?;
    Ok(())
}

fn keys(devices: &[DeviceState]) -> (Vec<&str>, Vec<&str>) {
    devices.iter().map(|device| (device.tenant_id.as_str(), device.spec.device_id.as_str())).unzip()
}

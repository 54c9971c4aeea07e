//! Devices into `raw.devices` and `raw.device_channels`.

use tokio_postgres::Client;
use tokio_postgres::types::Json;

use super::error::{classify, classify_commit};
use crate::core::devices::DeviceRows;
use crate::edge::warehouse::WarehouseError;

/// Serialises writers of devices, so that `loaded_at` rises in the order of commits.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('meterway load devices', 0))";

const ERASE: &str = "DELETE FROM raw.devices WHERE device_id = ANY($1)";

/// Devices that are new or newer than held. The rest is not even touched: a replay of the whole topic writes nothing.
const DEVICES: &str = "INSERT INTO raw.devices \
    (device_id, tenant_id, customer_id, site_id, gateway_id, status, commodity, customer_class, zone, version, updated_at, \
     loaded_at) \
    SELECT given.device_id, given.tenant_id, given.customer_id, given.site_id, given.gateway_id, given.status, \
        given.commodity, given.customer_class, given.zone, given.version, given.updated_at, \
        greatest(clock_timestamp(), (SELECT max(loaded_at) + interval '1 microsecond' FROM raw.devices)) \
    FROM jsonb_to_recordset($1) AS given (device_id text, tenant_id text, customer_id text, site_id text, gateway_id text, \
        status text, commodity text, customer_class text, zone text, version bigint, updated_at timestamptz) \
    WHERE NOT EXISTS ( \
        SELECT FROM raw.devices AS held WHERE held.device_id = given.device_id AND held.version >= given.version) \
    ON CONFLICT (device_id) DO UPDATE SET tenant_id = excluded.tenant_id, customer_id = excluded.customer_id, \
        site_id = excluded.site_id, gateway_id = excluded.gateway_id, status = excluded.status, \
        commodity = excluded.commodity, customer_class = excluded.customer_class, zone = excluded.zone, \
        version = excluded.version, updated_at = excluded.updated_at, loaded_at = excluded.loaded_at \
    WHERE raw.devices.version < excluded.version \
    RETURNING device_id";

const DROP_CHANNELS: &str = "DELETE FROM raw.device_channels WHERE device_id = ANY($1)";

const CHANNELS: &str = "INSERT INTO raw.device_channels \
    (device_id, channel, kind, unit, interval_s, multiplier, register_digits, capacity_per_hour, allow_negative) \
    SELECT given.* \
    FROM jsonb_to_recordset($1) AS given (device_id text, channel text, kind text, unit text, interval_s integer, \
        multiplier numeric, register_digits integer, capacity_per_hour numeric, allow_negative boolean) \
    WHERE given.device_id = ANY($2)";

/// Brings devices and their channels up to date; returns how many devices changed.
pub(super) async fn upsert(client: &mut Client, rows: &DeviceRows) -> Result<u64, WarehouseError> {
    let failed = || classify("write devices");
    let transaction = client.transaction().await.map_err(failed())?;
    transaction.execute(LOCK, &[]).await.map_err(failed())?;
    let erased = transaction.execute(ERASE, &[&rows.erased]).await.map_err(failed())?;
    let changed = transaction.query(DEVICES, &[&Json(&rows.devices)]).await.map_err(failed())?;
    let changed: Vec<String> = changed.iter().map(|row| row.get(0)).collect();
    if !changed.is_empty() {
        transaction.execute(DROP_CHANNELS, &[&changed]).await.map_err(failed())?;
        transaction.execute(CHANNELS, &[&Json(&rows.channels), &changed]).await.map_err(failed())?;
    }
    transaction.commit().await.map_err(classify_commit)?;
    Ok(erased + changed.len() as u64)
}

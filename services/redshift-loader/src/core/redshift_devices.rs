//! What the `redshift` dialect says to bring devices up to date: staging, because there is no upsert on keys that are not
//! enforced.

use super::devices::{ChannelRow, DeviceRow, DeviceRows};
use super::redshift::{literal, number, optional};

/// A statement of a write of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatement {
    /// The SQL.
    pub sql: String,
    /// Whether the rows it reports are devices that changed.
    pub counts: bool,
}

impl DeviceStatement {
    fn new(sql: String) -> Self {
        Self { sql, counts: false }
    }

    fn counted(sql: String) -> Self {
        Self { sql, counts: true }
    }
}

/// The statements that bring devices up to date, all in one transaction. Older versions than the warehouse has change
/// nothing.
pub fn upsert_devices(rows: &DeviceRows) -> Vec<DeviceStatement> {
    let mut statements = vec![DeviceStatement::new("LOCK \"raw\".devices".to_owned())];
    if !rows.erased.is_empty() {
        statements.extend(erase_devices(&rows.erased));
    }
    if !rows.devices.is_empty() {
        statements.extend(replace_devices(&rows.devices));
    }
    if !rows.channels.is_empty() {
        let staging = staged("staged_channels", "\"raw\".device_channels", rows.channels.iter().map(channel_values));
        statements.extend(staging.map(DeviceStatement::new));
        let insert = "INSERT INTO \"raw\".device_channels SELECT * FROM staged_channels WHERE device_id IN (SELECT device_id \
            FROM staged_devices)";
        statements.push(DeviceStatement::new(insert.to_owned()));
    }
    statements
}

fn erase_devices(ids: &[String]) -> [DeviceStatement; 2] {
    let ids: Vec<_> = ids.iter().map(|id| literal(id)).collect();
    let delete = |table: &str| format!("DELETE FROM \"raw\".{table} WHERE device_id IN ({})", ids.join(", "));
    [DeviceStatement::new(delete("device_channels")), DeviceStatement::counted(delete("devices"))]
}

/// Leaves the devices that changed in the staging table, and takes the channels of these away.
fn replace_devices(devices: &[DeviceRow]) -> Vec<DeviceStatement> {
    let staging = staged("staged_devices", "\"raw\".devices", devices.iter().map(device_values));
    let drop_older = "DELETE FROM staged_devices USING \"raw\".devices AS held WHERE held.device_id = \
        staged_devices.device_id AND held.version >= staged_devices.version";
    // Later than every device that is there: sysdate is when the transaction began, before it waited for the lock.
    let rising = "UPDATE staged_devices SET loaded_at = greatest(sysdate::timestamptz, \
        (SELECT dateadd(microsecond, 1, max(loaded_at)) FROM \"raw\".devices))";
    let drop_held = |table: &str| {
        format!(
            "DELETE FROM \"raw\".{table} USING staged_devices AS staged WHERE staged.device_id = \"raw\".{table}.device_id"
        )
    };
    let mut statements: Vec<_> = staging.map(DeviceStatement::new).into();
    statements.extend([
        DeviceStatement::new(drop_older.to_owned()),
        DeviceStatement::new(rising.to_owned()),
        DeviceStatement::new(drop_held("device_channels")),
        DeviceStatement::new(drop_held("devices")),
        DeviceStatement::counted("INSERT INTO \"raw\".devices SELECT * FROM staged_devices".to_owned()),
    ]);
    statements
}

fn staged(staging: &str, target: &str, rows: impl Iterator<Item = String>) -> [String; 3] {
    let rows: Vec<_> = rows.collect();
    [
        format!("CREATE TEMP TABLE IF NOT EXISTS {staging} (LIKE {target})"),
        format!("DELETE FROM {staging}"),
        format!("INSERT INTO {staging} VALUES\n    {}", rows.join(",\n    ")),
    ]
}

fn device_values(row: &DeviceRow) -> String {
    let texts = [&row.device_id, &row.tenant_id].map(|text| literal(text)).join(", ");
    let named = [&row.status, &row.commodity, &row.customer_class, &row.zone].map(|text| literal(text)).join(", ");
    format!(
        "({texts}, {}, {}, {}, {named}, {}, {}, sysdate)",
        optional(row.customer_id.as_deref()),
        literal(&row.site_id),
        optional(row.gateway_id.as_deref()),
        row.version,
        literal(&row.updated_at)
    )
}

fn channel_values(row: &ChannelRow) -> String {
    let texts = [&row.device_id, &row.channel, &row.kind, &row.unit].map(|text| literal(text)).join(", ");
    format!(
        "({texts}, {}, {}, {}, {}, {})",
        number(row.interval_s),
        row.multiplier,
        number(row.register_digits),
        row.capacity_per_hour.as_deref().unwrap_or("NULL"),
        row.allow_negative
    )
}

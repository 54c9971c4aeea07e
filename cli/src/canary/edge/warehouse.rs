//! The warehouse's table of loaded readings.

use super::shared::{Shared, now};
use crate::canary::core::known::{CHANNEL, Id};
use crate::canary::core::ledger::Stage;
use crate::stores::WarehouseArgs;
use anyhow::Context;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// The tenant's rows since a time, however many copies there are, with the values as they are.
const QUERY: &str = "SELECT device_id::text, (extract(epoch FROM start) * 1000000)::bigint, \
     (value * 1000000)::bigint, count(*)::bigint FROM raw.readings \
     WHERE tenant_id = $1 AND channel = $2 AND start >= '1970-01-01T00:00:00Z'::timestamptz + $3::bigint * interval '1 second' \
     GROUP BY 1, 2, 3";

/// Looks once, on a connection that is kept for the next time.
///
/// # Errors
/// When the warehouse does not answer; the connection is given up then.
pub(crate) async fn look(shared: &Shared, args: &WarehouseArgs, kept: &mut Option<Client>) -> anyhow::Result<()> {
    let began = now();
    let Some(oldest) = shared.ledger().oldest() else { return Ok(()) };
    let client = match kept.take().filter(|client| !client.is_closed()) {
        Some(client) => client,
        None => args.connect().await?,
    };
    // One second earlier: the table keeps microseconds, the question seconds.
    let since = oldest / 1_000_000 - 1;
    let rows = client.query(QUERY, &[&&*shared.tenant, &CHANNEL, &since]).await.context("read raw.readings")?;
    let mut found: BTreeMap<Id, (u32, i64)> = BTreeMap::new();
    for row in rows {
        let (device, start, value, count): (String, i64, i64, i64) = (row.get(0), row.get(1), row.get(2), row.get(3));
        let Some(device) = shared.device(&device) else { continue };
        let id = Id { start, device };
        let (copies, known) = found.entry(id).or_insert((0, value));
        *copies = copies.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        if !shared.is_right(id, value) {
            *known = value;
        }
    }
    for (id, (copies, value)) in found {
        shared.saw(Stage::Warehouse, id, value, copies);
    }
    shared.looked(Stage::Warehouse, None, began);
    *kept = Some(client);
    Ok(())
}

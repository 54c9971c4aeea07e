//! What the warehouse holds, counted from its raw schema.

use super::{
    Windows,
    audit::rejection_digest,
    lake::Readings,
    lane::{LaneAudit, Revised},
    tally::{Cell, Fact, Tally},
};
use anyhow::Context;
use futures::{TryStreamExt, pin_mut};
use std::collections::BTreeMap;
use tokio_postgres::{Client, binary_copy::BinaryCopyOutStream, types::Type};

/// Counts raw.readings.
///
/// # Errors
/// When the table cannot be read.
pub(crate) async fn readings(client: &Client, windows: &Windows) -> anyhow::Result<Readings> {
    const QUERY: &str = "COPY (SELECT tenant_id::text, device_id::text, channel::text, kind::text, \
         (extract(epoch FROM start) * 1000000)::bigint, (value * 1000000)::bigint, local_day - date '1970-01-01', \
         source_partition, source_offset FROM raw.readings WHERE revision IS NULL) \
         TO STDOUT (FORMAT binary)";
    const TYPES: &[Type] =
        &[Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8, Type::INT8, Type::INT4, Type::INT4, Type::INT8];
    let mut found = Readings::default();
    let stream = BinaryCopyOutStream::new(client.copy_out(QUERY).await.context("read raw.readings")?, TYPES);
    pin_mut!(stream);
    while let Some(row) = stream.try_next().await.context("read raw.readings")? {
        let (partition, offset): (i32, i64) = (row.get(7), row.get(8));
        if !windows.contains(partition, offset) {
            found.outside += 1;
            continue;
        }
        let fact = Fact {
            tenant_id: row.get(0),
            device_id: row.get(1),
            channel: row.get(2),
            kind: row.get(3),
            start: row.get(4),
            value: row.get(5),
        };
        found.inside.add(Cell { partition, local_day: Some(row.get(6)) }, fact.digest());
    }
    Ok(found)
}

/// Counts the rows of replays in raw.readings.
///
/// # Errors
/// When the table cannot be read.
pub(crate) async fn revised(client: &Client, lane: &LaneAudit) -> anyhow::Result<Revised> {
    const QUERY: &str = "COPY (SELECT tenant_id::text, device_id::text, channel::text, kind::text, \
         (extract(epoch FROM start) * 1000000)::bigint, (value * 1000000)::bigint, local_day - date '1970-01-01', \
         source_partition, source_offset, revision FROM raw.readings WHERE revision IS NOT NULL) \
         TO STDOUT (FORMAT binary)";
    const TYPES: &[Type] = &[
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT4,
        Type::INT4,
        Type::INT8,
        Type::INT8,
    ];
    let mut found = Revised::default();
    let stream = BinaryCopyOutStream::new(client.copy_out(QUERY).await.context("read raw.readings")?, TYPES);
    pin_mut!(stream);
    while let Some(row) = stream.try_next().await.context("read raw.readings")? {
        let fact = Fact {
            tenant_id: row.get(0),
            device_id: row.get(1),
            channel: row.get(2),
            kind: row.get(3),
            start: row.get(4),
            value: row.get(5),
        };
        found.add(lane, (row.get(7), row.get(8), row.get(9)), row.get(6), &fact);
    }
    Ok(found)
}

/// Counts raw.rejected.
///
/// # Errors
/// When the table cannot be read.
pub(crate) async fn rejections(client: &Client, windows: &Windows) -> anyhow::Result<BTreeMap<i32, Tally>> {
    const QUERY: &str = "COPY (SELECT source_partition, source_offset, reading_index FROM raw.rejected) \
         TO STDOUT (FORMAT binary)";
    let mut found: BTreeMap<i32, Tally> = BTreeMap::new();
    let copy = client.copy_out(QUERY).await.context("read raw.rejected")?;
    let stream = BinaryCopyOutStream::new(copy, &[Type::INT4, Type::INT8, Type::INT4]);
    pin_mut!(stream);
    while let Some(row) = stream.try_next().await.context("read raw.rejected")? {
        let (partition, offset): (i32, i64) = (row.get(0), row.get(1));
        if windows.contains(partition, offset) {
            found.entry(partition).or_default().add(rejection_digest(partition, offset, row.get(2)));
        }
    }
    Ok(found)
}

//! Readers that know nothing of Meterway see the same rows: pyiceberg through the catalog, DuckDB from the metadata file.

use crate::world::World;
use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::process::Command;

#[derive(Debug, Deserialize)]
struct Counts {
    readings: u64,
    rejected: u64,
    landing: u64,
    dead_letters: u64,
    /// Sum of all values, as decimal text.
    value_sum: String,
}

pub(crate) async fn run(world: &mut World) -> anyhow::Result<()> {
    let verified = world.verify().await?;
    let (pyiceberg, duckdb) = (read(world, "pyiceberg").await?, read(world, "duckdb").await?);
    eprintln!("pyiceberg {pyiceberg:?}\nduckdb    {duckdb:?}");
    let warehouse = world.warehouse().await?;
    let sum: String = warehouse
        .query_one("SELECT coalesce(sum(value), 0)::numeric(38, 6)::text FROM raw.readings", &[])
        .await
        .context("sum values in the warehouse")?
        .get(0);
    for (reader, counts) in [("pyiceberg", &pyiceberg), ("duckdb", &duckdb)] {
        ensure!(
            counts.readings == verified.totals.lake,
            "{reader} sees {} readings of {}",
            counts.readings,
            verified.totals.lake
        );
        ensure!(counts.value_sum == sum, "{reader} sums the values to {}, the warehouse to {sum}", counts.value_sum);
    }
    ensure!(pyiceberg.rejected == duckdb.rejected && pyiceberg.landing == duckdb.landing, "the readers differ");
    ensure!(pyiceberg.dead_letters == duckdb.dead_letters, "the readers differ about dead letters");
    ensure!(pyiceberg.dead_letters > 0, "the lake holds no dead letter");
    ensure!(pyiceberg.landing >= verified.totals.raw_messages, "landing holds {} messages", pyiceberg.landing);
    Ok(())
}

async fn read(world: &World, reader: &str) -> anyhow::Result<Counts> {
    let output = Command::new(world.root.join(".local/venv/bin/python"))
        .arg(world.root.join("tests/integration/read_lake.py"))
        .arg(reader)
        .arg(world.settings())
        .kill_on_drop(true)
        .output()
        .await
        .context("start python")?;
    ensure!(output.status.success(), "{reader}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("parse counts")
}

//! Nothing is lost and nothing comes twice when services are killed under load.

use crate::world::World;
use anyhow::{Context, ensure};
use std::time::Duration;

/// Readings per second: slow enough that every kill happens while readings come in.
const RATE: &str = "6000";

pub(crate) async fn run(world: &mut World) -> anyhow::Result<()> {
    let mut delivery = world.deliver(RATE)?;
    for service in ["validate", "parquet-sink", "redshift-loader"] {
        tokio::time::sleep(Duration::from_secs(6)).await;
        let running = delivery.try_wait().context("look at the simulator")?.is_none();
        ensure!(running, "the delivery ended before {service} was killed: lower the rate");
        eprintln!("kill -9 {service}");
        world.supervisor.crash_and_restart(service).await?;
    }
    let status = delivery.wait().await.context("wait for the simulator")?;
    ensure!(status.success(), "the simulator ended with {status}");
    let verified = world.verify().await?;
    let totals = &verified.totals;
    eprintln!(
        "{} messages, {} readings = {} accepted + {} rejected ({} messages whole, {} re-emissions); lake {}, warehouse {}",
        totals.raw_messages,
        totals.raw_readings,
        totals.accepted,
        totals.rejected,
        totals.rejected_messages,
        totals.re_emissions,
        totals.lake,
        totals.warehouse
    );
    ensure!(verified.clean, "differences {:?}, findings {:?}", verified.differences, verified.findings);
    ensure!(totals.raw_readings >= 200_000, "only {} readings were carried", totals.raw_readings);
    ensure!(totals.lake_outside == 0, "{} rows of the lake have no raw message", totals.lake_outside);
    Ok(())
}

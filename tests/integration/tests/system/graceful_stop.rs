//! Services end cleanly when they are told to: exit code 0 within the grace period, nothing left half done.

use crate::world::World;
use anyhow::ensure;

pub(crate) async fn run(world: &mut World) -> anyhow::Result<()> {
    let mut delivery = world.deliver("3000")?;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let ended = world.supervisor.stop_all().await?;
    let _simulator_cannot_finish = delivery.kill().await;
    for (service, status) in ended {
        ensure!(status.is_some_and(|status| status.success()), "{service} ended with {status:?}");
    }
    Ok(())
}

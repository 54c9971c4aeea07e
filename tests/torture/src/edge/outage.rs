//! At full load, everything that stores is away for a while: nothing may be lost, and memory must stay bounded.

use super::board::Board;
use super::component_lane::dependents;
use super::door::{Door, Knocks};
use super::record::{Happened, Record};
use super::stack::StackCommands;
use super::ways::Ways;
use crate::core::fault::Lane;
use anyhow::Context;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Longest wait for the services afterwards.
const RECOVERY_LIMIT: Duration = Duration::from_secs(90);

/// What an outage did.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outage {
    /// What was away.
    pub(crate) away: &'static str,
    /// For how long.
    pub(crate) seconds: f64,
    /// Largest memory of a process of each service within it, MiB.
    pub(crate) peak_mib: BTreeMap<&'static str, f64>,
    /// What the door answered within it.
    pub(crate) door: Knocks,
    /// Seconds until each service had carried something through again.
    pub(crate) recovery_s: BTreeMap<&'static str, f64>,
}

/// What the outages need.
pub(crate) struct Stage {
    pub(crate) ways: Arc<Ways>,
    pub(crate) board: Arc<Board>,
    pub(crate) record: Arc<Record>,
    pub(crate) door: Arc<Door>,
    pub(crate) stack: StackCommands,
}

impl Stage {
    /// S3 and the registry cannot be reached.
    pub(crate) async fn stores_away(&self, hold: Duration) -> anyhow::Result<Outage> {
        let (began, at_s) = (Instant::now(), self.record.now_s());
        self.ways.store.refuse(true).await?;
        self.ways.store.cut();
        self.ways.registry.refuse(true).await?;
        self.ways.registry.cut();
        tokio::time::sleep(hold).await;
        let seconds = began.elapsed().as_secs_f64();
        self.ways.store.refuse(false).await?;
        self.ways.registry.refuse(false).await?;
        Ok(self.after("s3 and registry", at_s, seconds, dependents(Lane::Store)).await)
    }

    /// Two of three brokers are killed: nothing can be acknowledged any more.
    pub(crate) async fn brokers_away(&self, hold: Duration) -> anyhow::Result<Outage> {
        let (began, at_s) = (Instant::now(), self.record.now_s());
        self.stack.run("kill", &["kafka-1", "kafka-2"]).await?;
        tokio::time::sleep(hold).await;
        let seconds = began.elapsed().as_secs_f64();
        self.stack.run("start", &["kafka-1", "kafka-2"]).await.context("start the brokers again")?;
        Ok(self.after("two of three brokers", at_s, seconds, dependents(Lane::Brokers)).await)
    }

    async fn after(&self, away: &'static str, at_s: f64, seconds: f64, services: &'static [&'static str]) -> Outage {
        let over = Instant::now();
        let door = self.door.knocks(at_s, at_s + seconds);
        let mut peak_mib = BTreeMap::new();
        for (service, samples) in self.board.memory() {
            let within = samples.iter().filter(|sample| sample.at_s >= at_s && sample.at_s <= at_s + seconds);
            peak_mib.insert(service, within.map(|sample| sample.rss_mib).fold(0.0, f64::max));
        }
        let mut happened = Happened::new(at_s, Lane::Store, format!("outage: {away} for {seconds:.0} s"));
        happened.lane = "outage".to_owned();
        happened.injected = true;
        for (service, seconds) in self.board.all_beyond(services, over, RECOVERY_LIMIT).await {
            happened.recovered(service, seconds);
        }
        let recovery_s = happened.recovery_s.clone();
        self.record.keep(happened);
        Outage { away, seconds, peak_mib, door, recovery_s }
    }
}

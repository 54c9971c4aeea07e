//! What the services stand on: brokers, store, database, registry, DynamoDB.

use super::board::Board;
use super::record::{Happened, Record};
use super::stack::StackCommands;
use super::ways::{Ways, rules};
use crate::core::fault::{Fault, Lane, StoreFault};
use crate::core::plan::Step;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Longest wait for the services after a component is back.
const RECOVERY_LIMIT: Duration = Duration::from_secs(40);

/// A component with its part of the plan.
pub(crate) struct ComponentLane {
    pub(crate) lane: Lane,
    pub(crate) steps: Vec<Step>,
    pub(crate) stack: StackCommands,
    pub(crate) ways: Arc<Ways>,
    pub(crate) board: Arc<Board>,
    pub(crate) record: Arc<Record>,
}

/// Services that a component can hold up.
pub(crate) fn dependents(lane: Lane) -> &'static [&'static str] {
    match lane {
        Lane::Brokers => &["validate", "parquet-sink", "alert"],
        Lane::Store | Lane::Postgres => &["parquet-sink", "redshift-loader"],
        Lane::Registry => &["validate"],
        Lane::Dynamo => &["alert"],
        Lane::Replica { .. } => &[],
    }
}

impl ComponentLane {
    /// Goes through the steps, each at its time, unless told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        for step in &self.steps {
            let due = self.record.began() + Duration::from_millis(step.at_ms);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(due.into()) => {}
            }
            let mut happened = Happened::new(self.record.now_s(), self.lane, step.fault.name());
            let services = dependents(self.lane);
            let back = if let Fault::BrokerKill { broker, away_ms } = step.fault {
                happened.injected = true;
                self.kill_broker(broker, Duration::from_millis(away_ms)).await?
            } else {
                let over = self.inject(&step.fault, &mut happened).await?;
                self.board.all_beyond(services, over, RECOVERY_LIMIT).await
            };
            back.into_iter().for_each(|(service, seconds)| happened.recovered(service, seconds));
            self.record.keep(happened);
        }
        Ok(())
    }

    /// The services go on with the brokers that are left: their time counts from the kill, whenever this one is back.
    async fn kill_broker(&self, broker: u16, away: Duration) -> anyhow::Result<Vec<(&'static str, Option<f64>)>> {
        let name = format!("kafka-{broker}");
        self.stack.run("kill", &[&name]).await?;
        let back = self.board.all_beyond(dependents(self.lane), Instant::now(), RECOVERY_LIMIT);
        let restart = async {
            tokio::time::sleep(away).await;
            self.stack.run("start", &[&name]).await
        };
        let (back, started) = tokio::join!(back, restart);
        started.map(|()| back)
    }

    /// Carries out a fault; returns when it was over.
    async fn inject(&self, fault: &Fault, happened: &mut Happened) -> anyhow::Result<Instant> {
        happened.injected = true;
        match fault {
            Fault::BrokerRoll => {
                for broker in 1..=3 {
                    self.stack.run("restart", &[&format!("kafka-{broker}")]).await?;
                }
                Ok(Instant::now())
            }
            Fault::Store { how, hold_ms } => Ok(self.store(*how, Duration::from_millis(*hold_ms), happened).await),
            Fault::PostgresRestart => {
                self.stack.run("restart", &["postgres"]).await?;
                Ok(Instant::now())
            }
            Fault::PostgresCut => {
                let cut = self.ways.postgres.cut();
                happened.injected = cut > 0;
                happened.note = Some(format!("{cut} connections"));
                Ok(Instant::now())
            }
            Fault::Unreachable { hold_ms } => self.unreachable(Duration::from_millis(*hold_ms)).await,
            _ => Ok(Instant::now()),
        }
    }

    async fn store(&self, how: StoreFault, hold: Duration, happened: &mut Happened) -> Instant {
        let before = self.ways.store_faults();
        let ids: Vec<_> = rules(how).into_iter().map(|rule| self.ways.store.inject(rule)).collect();
        tokio::time::sleep(hold).await;
        ids.into_iter().for_each(|id| self.ways.store.remove(id));
        let hit = self.ways.store_faults() - before;
        happened.injected = hit > 0;
        happened.note = Some(format!("{hit} requests"));
        Instant::now()
    }

    async fn unreachable(&self, hold: Duration) -> anyhow::Result<Instant> {
        let way = if self.lane == Lane::Registry { &self.ways.registry } else { &self.ways.dynamo };
        way.refuse(true).await?;
        way.cut();
        tokio::time::sleep(hold).await;
        way.refuse(false).await?;
        Ok(Instant::now())
    }
}

//! One replica: attacked by its part of the plan, and started again whenever it ends.

use super::board::Board;
use super::record::{Happened, Record};
use crate::core::fault::{Fault, Lane};
use crate::core::gauges::{progress_metric, read_page, sum};
use crate::core::plan::Step;
use anyhow::Context;
use meterway_cli::local::Replica;
use std::{
    collections::VecDeque,
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Longest wait for a sign of progress after a fault.
const RECOVERY_LIMIT: Duration = Duration::from_secs(25);
/// Longest wait until an armed fail point is passed.
const POINT_LIMIT: Duration = Duration::from_secs(18);
/// Longest time from SIGTERM to the end; the services' own grace is 25 s at most.
const EXIT_LIMIT: Duration = Duration::from_secs(30);
/// Pause before a process that ended by itself is started again, as an orchestrator makes one.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// Time between two looks at a replica.
const LOOK: Duration = Duration::from_millis(150);
const FAIL_POINTS: &str = "METER_FAIL_POINTS";

/// A replica with its part of the plan.
pub(crate) struct ReplicaLane {
    pub(crate) lane: Lane,
    pub(crate) replica: Replica,
    /// Base URL of its admin endpoint.
    pub(crate) admin: String,
    pub(crate) steps: VecDeque<Step>,
    pub(crate) board: Arc<Board>,
    pub(crate) record: Arc<Record>,
}

impl ReplicaLane {
    /// Starts the process.
    pub(crate) fn start(&mut self, extra: &[(&str, &str)]) -> anyhow::Result<()> {
        self.replica.start(extra)?;
        let pid = self.replica.pid().context("a started process has a pid")?;
        self.board.started(self.replica.id(), self.replica.service(), pid, self.admin.clone());
        Ok(())
    }

    /// Goes through the steps, then keeps the replica alive until told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<Self> {
        loop {
            let due = self.steps.front().map(|step| self.record.began() + Duration::from_millis(step.at_ms));
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(self),
                ended = self.replica.ended() => self.by_itself(ended?).await?,
                () = until(due) => {
                    if let Some(step) = self.steps.pop_front() {
                        self.carry_out(step).await?;
                    }
                }
            }
        }
    }

    async fn carry_out(&mut self, step: Step) -> anyhow::Result<()> {
        let happened = Happened::new(self.record.now_s(), self.lane, step.fault.name());
        let happened = match step.fault {
            Fault::Kill => self.kill(happened).await?,
            Fault::KillAt { point } => self.kill_at(&point, happened).await?,
            Fault::Zombie { hold_ms } => self.zombie(Duration::from_millis(hold_ms), happened).await?,
            Fault::ZombieAt { point, hold_ms } => {
                self.zombie_at(&point, Duration::from_millis(hold_ms), happened).await?
            }
            Fault::Leave { away_ms } => self.leave(Duration::from_millis(away_ms), happened).await?,
            _ => happened,
        };
        self.record.keep(happened);
        Ok(())
    }

    async fn kill(&mut self, mut happened: Happened) -> anyhow::Result<Happened> {
        self.replica.kill().await?;
        let killed = Instant::now();
        happened.injected = true;
        self.start(&[])?;
        let back = self.progress_beyond(None, killed).await?;
        happened.recovered(self.replica.service(), back);
        Ok(happened)
    }

    /// Restarts the process with an armed fail point, and waits until it dies there.
    async fn kill_at(&mut self, point: &str, mut happened: Happened) -> anyhow::Result<Happened> {
        self.arm(&format!("{point}=kill")).await?;
        match tokio::time::timeout(POINT_LIMIT, self.replica.ended()).await {
            Ok(ended) => {
                let status = ended?;
                happened.injected = was_killed(status);
                if !happened.injected {
                    happened.note = Some(format!("ended by itself instead ({status})"));
                }
            }
            Err(_) => {
                happened.note = Some("the point was not passed in time".to_owned());
                self.replica.terminate(EXIT_LIMIT).await?;
            }
        }
        let died = Instant::now();
        self.start(&[])?;
        let back = self.progress_beyond(None, died).await?;
        if happened.injected {
            happened.recovered(self.replica.service(), back);
        }
        Ok(happened)
    }

    /// Ends the process in good order and starts it with fail points.
    async fn arm(&mut self, points: &str) -> anyhow::Result<()> {
        self.replica.terminate(EXIT_LIMIT).await?;
        self.start(&[(FAIL_POINTS, points)])
    }

    async fn zombie(&mut self, hold: Duration, mut happened: Happened) -> anyhow::Result<Happened> {
        self.replica.signal("STOP").await?;
        self.wake_after(hold, &mut happened).await?;
        Ok(happened)
    }

    /// Restarts the process with a fail point at which it freezes, and wakes it there.
    async fn zombie_at(&mut self, point: &str, hold: Duration, mut happened: Happened) -> anyhow::Result<Happened> {
        self.arm(&format!("{point}=stop")).await?;
        let armed = Instant::now();
        while !self.replica.is_frozen() && armed.elapsed() < POINT_LIMIT && self.replica.pid().is_some() {
            tokio::select! {
                ended = self.replica.ended() => self.by_itself(ended?).await?,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        if self.replica.is_frozen() {
            self.wake_after(hold, &mut happened).await?;
        } else {
            happened.note = Some("the point was not passed in time".to_owned());
            // Still armed, it would freeze later, and nobody would wake it.
            self.replica.terminate(EXIT_LIMIT).await?;
            self.start(&[])?;
        }
        Ok(happened)
    }

    async fn wake_after(&mut self, hold: Duration, happened: &mut Happened) -> anyhow::Result<()> {
        tokio::time::sleep(hold).await;
        // What it had done before the group gave it up is no progress of the woken one.
        self.replica.signal("CONT").await?;
        let woken = Instant::now();
        happened.injected = true;
        let before = self.value().await;
        let back = self.progress_beyond(before, woken).await?;
        happened.recovered(self.replica.service(), back);
        Ok(())
    }

    async fn leave(&mut self, away: Duration, mut happened: Happened) -> anyhow::Result<Happened> {
        let (status, took) = self.replica.terminate(EXIT_LIMIT).await?;
        self.board.ended(self.replica.id());
        happened.injected = true;
        happened.exit_s = Some(took.as_secs_f64());
        if !status.is_some_and(|status| status.success()) {
            happened.note = Some(status.map_or("had to be killed".to_owned(), |status| format!("exit: {status}")));
        }
        tokio::time::sleep(away).await;
        let back_at = Instant::now();
        self.start(&[])?;
        let back = self.progress_beyond(None, back_at).await?;
        happened.recovered(self.replica.service(), back);
        Ok(happened)
    }

    /// Seconds until the replica itself has carried something through; `before` is what it had, `None` for a new process.
    async fn progress_beyond(&mut self, before: Option<f64>, since: Instant) -> anyhow::Result<Option<f64>> {
        let mut before = before.unwrap_or(0.0);
        while since.elapsed() < RECOVERY_LIMIT {
            if self.value().await.is_some_and(|value| value > before) {
                return Ok(Some(since.elapsed().as_secs_f64()));
            }
            tokio::select! {
                ended = self.replica.ended() => {
                    self.by_itself(ended?).await?;
                    before = 0.0;
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        Ok(None)
    }

    /// How far the replica has come: its own counter, or 1 once it is ready where it has none.
    async fn value(&self) -> Option<f64> {
        match progress_metric(self.replica.service()) {
            Some(metric) => Some(sum(&read_page(&self.replica.page("/metrics").await?), metric)),
            None => self.replica.page("/ready").await.map(|_| 1.0),
        }
    }

    /// The process has ended and nobody had planned it: a woken zombie that gave up, or one that could not go on.
    async fn by_itself(&mut self, status: ExitStatus) -> anyhow::Result<()> {
        self.board.ended(self.replica.id());
        let mut happened = Happened::new(self.record.now_s(), self.lane, "ended-by-itself".to_owned());
        happened.injected = true;
        happened.note = Some(format!("{status}: {}", self.replica.last_error()));
        self.record.keep(happened);
        tokio::time::sleep(RESTART_PAUSE).await;
        self.start(&[])
    }
}

fn was_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(9)
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

//! What is known of the processes at any time: who lives, how far each service has come, how much memory it takes.

use super::record::Record;
use crate::core::figures::MemorySample;
use crate::core::gauges::{Counters, progress_metric, read_page, sum};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// A frozen process does not answer; others must not wait for it.
const ANSWER_LIMIT: Duration = Duration::from_millis(1_500);

/// A process that lives.
#[derive(Debug, Clone)]
struct Alive {
    service: &'static str,
    pid: u32,
    admin: String,
    began: Instant,
}

#[derive(Debug, Default)]
struct Known {
    alive: BTreeMap<String, Alive>,
    progress: BTreeMap<u32, (&'static str, f64)>,
    counters: Counters,
    memory: BTreeMap<&'static str, Vec<MemorySample>>,
    /// Processes that were asked and have not answered yet: a frozen one must not slow the others' looks down.
    asked: BTreeSet<u32>,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Board {
    record: Arc<Record>,
    known: Mutex<Known>,
}

impl Board {
    /// An empty board; times are those of the record.
    pub(crate) fn new(record: Arc<Record>) -> Arc<Self> {
        Arc::new(Self { record, known: Mutex::default() })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attack begins: memory of before is of no interest.
    pub(crate) fn attack_begins(&self) {
        self.known().memory.clear();
    }

    /// Notes a process that was started; `admin` is the base URL of its admin endpoint.
    pub(crate) fn started(&self, id: &str, service: &'static str, pid: u32, admin: String) {
        let alive = Alive { service, pid, admin, began: Instant::now() };
        self.known().alive.insert(id.to_owned(), alive);
    }

    /// Notes that a process has ended.
    pub(crate) fn ended(&self, id: &str) {
        self.known().alive.remove(id);
    }

    /// How far a service has come: rises whenever one of its processes carries something through. 0 before.
    pub(crate) fn progress(&self, service: &str) -> f64 {
        self.known().progress.values().filter(|(of, _)| *of == service).map(|(_, value)| value).sum()
    }

    /// Waits until a service has come further than `before`; the seconds since `since`, `None` at the limit.
    pub(crate) async fn beyond(&self, service: &str, before: f64, since: Instant, limit: Duration) -> Option<f64> {
        while since.elapsed() < limit {
            if self.progress(service) > before {
                return Some(since.elapsed().as_secs_f64());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    }

    /// As [`Self::beyond`], for several services from where each stands now.
    pub(crate) async fn all_beyond(
        &self,
        services: &[&'static str],
        since: Instant,
        limit: Duration,
    ) -> Vec<(&'static str, Option<f64>)> {
        let before: Vec<f64> = services.iter().map(|service| self.progress(service)).collect();
        let waits = services
            .iter()
            .zip(before)
            .map(|(service, before)| async move { (*service, self.beyond(service, before, since, limit).await) });
        futures::future::join_all(waits).await
    }

    /// Counters of all processes so far.
    pub(crate) fn counters(&self) -> BTreeMap<String, f64> {
        self.known().counters.totals()
    }

    /// Memory samples by service.
    pub(crate) fn memory(&self) -> BTreeMap<&'static str, Vec<MemorySample>> {
        self.known().memory.clone()
    }

    /// Looks at every process again and again, until told to stop.
    pub(crate) async fn watch(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().timeout(ANSWER_LIMIT).build()?;
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let alive: Vec<Alive> = self.known().alive.values().cloned().collect();
            for process in alive {
                self.note_memory(&process);
                if self.known().asked.insert(process.pid) {
                    let (board, client) = (Arc::clone(&self), client.clone());
                    tokio::spawn(async move { board.look(&client, &process).await });
                }
            }
        }
    }

    fn note_memory(&self, process: &Alive) {
        if let Some(rss_mib) = resident_mib(process.pid) {
            let (at_s, age_s) = (self.record.now_s(), process.began.elapsed().as_secs_f64());
            self.known().memory.entry(process.service).or_default().push(MemorySample { at_s, age_s, rss_mib });
        }
    }

    async fn look(&self, client: &reqwest::Client, process: &Alive) {
        let answer = client.get(format!("{}/metrics", process.admin)).send().await;
        let text = match answer {
            Ok(answer) => answer.text().await.ok(),
            Err(_) => None,
        };
        let mut known = self.known();
        known.asked.remove(&process.pid);
        let Some(page) = text.as_deref().map(read_page) else { return };
        known.counters.take(process.pid, &page);
        if let Some(metric) = progress_metric(process.service) {
            known.progress.insert(process.pid, (process.service, sum(&page, metric)));
        }
    }
}

/// Resident memory of a process; `None` when it is gone.
fn resident_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

//! Starts services as child processes, waits until they are ready, and ends them by their pid.
//!
//! For the demo and for system tests; in production Kubernetes does this. A service that ends by itself is reported with
//! the last lines of its log, never restarted silently.

use anyhow::{Context, bail};
use std::{
    collections::BTreeMap,
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// How to start a service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Name, which is also the binary's.
    pub name: &'static str,
    /// Where its admin endpoint listens.
    pub admin: SocketAddr,
    /// Environment beside the caller's own.
    pub environment: Vec<(String, String)>,
}

/// The running services.
#[derive(Debug)]
pub struct Supervisor {
    binaries: PathBuf,
    logs: PathBuf,
    client: reqwest::Client,
    running: BTreeMap<&'static str, Running>,
}

#[derive(Debug)]
struct Running {
    service: Service,
    child: Child,
}

const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const LOG_LINES: usize = 15;

impl Supervisor {
    /// Looks for binaries in one folder and writes a log file per service into another.
    ///
    /// # Errors
    /// When the folder of the logs cannot be made.
    pub fn new(binaries: &Path, logs: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(logs).with_context(|| format!("create {}", logs.display()))?;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build().context("build http client")?;
        Ok(Self { binaries: binaries.to_owned(), logs: logs.to_owned(), client, running: BTreeMap::new() })
    }

    /// Starts a service; its log is appended to.
    ///
    /// # Errors
    /// When the binary or the log file is not there.
    pub fn start(&mut self, service: Service) -> anyhow::Result<()> {
        let binary = self.binaries.join(service.name);
        let log = File::options().create(true).append(true).open(self.log_path(service.name)).context("open log")?;
        let child = Command::new(&binary)
            .envs(service.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share log")?)
            .stderr(log)
            // Ctrl-C reaches the whole group of a terminal; services are told to stop by us, once.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {} (run `make build` first)", binary.display()))?;
        if let Some(pid) = child.id() {
            // For whoever cleans up when this process is killed itself.
            std::fs::write(self.logs.join(format!("{}.pid", service.name)), pid.to_string())
                .context("write pid file")?;
        }
        self.running.insert(service.name, Running { service, child });
        Ok(())
    }

    /// Waits until the service says that it is ready.
    ///
    /// # Errors
    /// When it ends first, or is not ready within a minute; the error holds the end of its log.
    pub async fn wait_ready(&mut self, name: &'static str) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            self.check()?;
            let running = self.running.get(name).with_context(|| format!("{name} was not started"))?;
            let url = format!("http://{}/ready", running.service.admin);
            if self.client.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if started.elapsed() > READY_LIMIT {
                bail!("{name} is not ready after {} s\n{}", READY_LIMIT.as_secs(), self.log_tail(name));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Reports the first service that has ended by itself.
    ///
    /// # Errors
    /// When there is one; with the end of its log.
    pub fn check(&mut self) -> anyhow::Result<()> {
        let mut ended = None;
        for (name, running) in &mut self.running {
            if let Some(status) = running.child.try_wait().context("ask for a child's state")? {
                ended = Some((*name, status));
            }
        }
        match ended {
            None => Ok(()),
            Some((name, status)) => bail!("{name} ended by itself ({status})\n{}", self.log_tail(name)),
        }
    }

    /// Process ids by service.
    pub fn pids(&self) -> BTreeMap<&'static str, u32> {
        self.running.iter().filter_map(|(name, running)| Some((*name, running.child.id()?))).collect()
    }

    /// Kills a service as a crash would (SIGKILL) and starts it again.
    ///
    /// # Errors
    /// When it is not running or does not start.
    pub async fn crash_and_restart(&mut self, name: &'static str) -> anyhow::Result<()> {
        let mut running = self.running.remove(name).with_context(|| format!("{name} is not running"))?;
        running.child.kill().await.with_context(|| format!("kill {name}"))?;
        self.start(running.service)
    }

    /// Asks every service to stop (SIGTERM) and kills those that have not after half a minute.
    ///
    /// # Errors
    /// When a process can neither be asked nor killed.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.stop_all().await.map(|_| ())
    }

    /// As [`Self::stop`]; tells how each ended, `None` for one that had to be killed.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub async fn stop_all(&mut self) -> anyhow::Result<BTreeMap<&'static str, Option<ExitStatus>>> {
        for pid in self.pids().values() {
            Command::new("kill").args(["-TERM", &pid.to_string()]).status().await.context("send SIGTERM")?;
        }
        let deadline = Instant::now() + STOP_LIMIT;
        let mut ended = BTreeMap::new();
        for (name, mut running) in std::mem::take(&mut self.running) {
            let left = deadline.saturating_duration_since(Instant::now());
            let status = match tokio::time::timeout(left, running.child.wait()).await {
                Ok(status) => Some(status.with_context(|| format!("wait for {name}"))?),
                Err(_) => {
                    tracing::warn!(service = name, "service did not stop in time and is killed");
                    running.child.kill().await.with_context(|| format!("kill {name}"))?;
                    None
                }
            };
            ended.insert(name, status);
        }
        Ok(ended)
    }

    /// Where a service writes its log.
    pub fn log_path(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    fn log_tail(&self, name: &str) -> String {
        let path = self.log_path(name);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        format!("the end of {}:\n{tail}", path.display())
    }
}

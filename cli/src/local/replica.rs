//! One process of a service that may be killed, frozen, woken and started again, with a record of its lives.
//!
//! For attacks on a running system. Unlike [`Supervisor`](super::Supervisor), for which an end is a failure, this expects
//! ends; whoever owns a replica decides when it starts again.

use super::supervisor::Service;
use anyhow::{Context, bail};
use serde::Serialize;
use service_runtime::{Clock, SystemClock};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// From the start of a process to its end.
#[derive(Debug, Clone, Serialize)]
pub struct Life {
    /// Process id.
    pub pid: u32,
    /// Start, UTC microseconds.
    pub began_micros: i64,
    /// End, UTC microseconds; `None` while it lives.
    pub ended_micros: Option<i64>,
    /// How it ended, as the operating system tells it.
    pub end: Option<String>,
}

/// A process of a service.
#[derive(Debug)]
pub struct Replica {
    id: String,
    service: Service,
    binary: PathBuf,
    logs: PathBuf,
    client: reqwest::Client,
    child: Option<Child>,
    began: Instant,
    lives: Vec<Life>,
}

/// A page is answered within this, or the process is as good as silent.
const PAGE_LIMIT: Duration = Duration::from_secs(2);

impl Replica {
    /// A process that was not started yet. Its log is appended to `ID.log`, its pid stands in `ID.pid`.
    ///
    /// # Errors
    /// When the folder of the logs cannot be made.
    pub fn new(id: String, service: Service, binaries: &std::path::Path, logs: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&logs).with_context(|| format!("create {}", logs.display()))?;
        let client = reqwest::Client::builder().timeout(PAGE_LIMIT).build().context("build http client")?;
        let binary = binaries.join(service.name);
        Ok(Self { id, service, binary, logs, client, child: None, began: Instant::now(), lives: Vec::new() })
    }

    /// Its name among the others, such as `validate-2`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Name of its service.
    pub fn service(&self) -> &'static str {
        self.service.name
    }

    /// Process id, while it lives.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Time since the last start.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Every life so far.
    pub fn lives(&self) -> &[Life] {
        &self.lives
    }

    /// Starts the process, with variables that win over those of its service.
    ///
    /// # Errors
    /// When it runs already, or the binary or the log file is not there.
    pub fn start(&mut self, extra: &[(&str, &str)]) -> anyhow::Result<()> {
        if self.child.is_some() {
            bail!("{} runs already", self.id);
        }
        let log = File::options().create(true).append(true).open(self.logs.join(format!("{}.log", self.id)));
        let log = log.context("open log")?;
        let child = Command::new(&self.binary)
            .envs(self.service.environment.iter().cloned())
            .envs(extra.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share log")?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", self.binary.display()))?;
        let pid = child.id().context("the process has ended at once")?;
        std::fs::write(self.logs.join(format!("{}.pid", self.id)), pid.to_string()).context("write pid file")?;
        self.began = Instant::now();
        self.lives.push(Life { pid, began_micros: SystemClock.now_micros(), ended_micros: None, end: None });
        self.child = Some(child);
        Ok(())
    }

    /// Waits until the process ends, for ever while none runs.
    ///
    /// # Errors
    /// When the operating system does not tell.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let Some(child) = &mut self.child else { return std::future::pending().await };
        let status = child.wait().await.with_context(|| format!("wait for {}", self.id))?;
        self.child = None;
        if let Some(life) = self.lives.last_mut() {
            life.ended_micros = Some(SystemClock.now_micros());
            life.end = Some(status.to_string());
        }
        Ok(status)
    }

    /// Sends a signal by its name.
    ///
    /// # Errors
    /// When there is no process, or it cannot be sent.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.id))?;
        let sent = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().await;
        if !sent.context("send signal")?.success() {
            bail!("{} (pid {pid}) could not be sent {name}", self.id);
        }
        Ok(())
    }

    /// Ends the process as a crash would, whatever state it is in.
    ///
    /// # Errors
    /// When there is no process, or it cannot be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.signal("KILL").await?;
        self.ended().await.map(drop)
    }

    /// Asks the process to end; `None` when it did not within the limit and was killed. With the time it took.
    ///
    /// # Errors
    /// When it can be neither asked nor killed.
    pub async fn terminate(&mut self, limit: Duration) -> anyhow::Result<(Option<ExitStatus>, Duration)> {
        let asked = Instant::now();
        self.signal("TERM").await?;
        match tokio::time::timeout(limit, self.ended()).await {
            Ok(status) => Ok((Some(status?), asked.elapsed())),
            Err(_) => {
                self.kill().await?;
                Ok((None, asked.elapsed()))
            }
        }
    }

    /// A page of its admin endpoint; `None` when it is not answered with success.
    pub async fn page(&self, path: &str) -> Option<String> {
        let answer = self.client.get(format!("http://{}{path}", self.service.admin)).send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    /// The last error in its log, shortened; empty when there is none near the end.
    pub fn last_error(&self) -> String {
        const TAIL_BYTES: u64 = 65_536;
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.logs.join(format!("{}.log", self.id)))?;
            file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(TAIL_BYTES)))?;
            let mut tail = Vec::new();
            file.read_to_end(&mut tail)?;
            Ok(String::from_utf8_lossy(&tail).into_owned())
        };
        let text = read().unwrap_or_default();
        let line = text.lines().rev().find(|line| line.contains("ERROR") || line.contains("panicked"));
        line.map(|line| line.chars().take(400).collect()).unwrap_or_default()
    }

    /// Whether the operating system shows the process as stopped by a signal.
    pub fn is_frozen(&self) -> bool {
        let stat = self.pid().and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        // The command in parentheses may itself hold spaces.
        stat.is_some_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};

    /// `sleep` stands in for a service: it needs no components and can be killed and frozen as one.
    fn sleeper(folder: &std::path::Path) -> Replica {
        let script = folder.join("sleeper");
        std::fs::write(&script, "#!/bin/sh\nexec sleep ${NAP:-60}\n").unwrap();
        std::process::Command::new("chmod").args(["+x", &script.display().to_string()]).status().unwrap();
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let service = Service { name: "sleeper", admin, environment: Vec::new() };
        Replica::new("sleeper-1".to_owned(), service, folder, folder.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_replica_is_frozen_woken_killed_and_started_again_and_its_lives_are_on_record() {
        let folder = tempfile::tempdir().unwrap();
        let mut replica = sleeper(folder.path());
        replica.start(&[]).unwrap();
        assert!(replica.start(&[]).is_err(), "one process at a time");
        replica.signal("STOP").await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), async {
            while !replica.is_frozen() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
        replica.kill().await.unwrap();
        replica.start(&[("NAP", "0")]).unwrap();
        assert!(replica.ended().await.unwrap().success());
        let ends: Vec<_> = replica.lives().iter().map(|life| life.end.clone().unwrap()).collect();
        assert!(ends[0].contains("signal: 9") && ends[1].contains("exit status: 0"), "{ends:?}");
        replica.start(&[]).unwrap();
        let (status, _) = replica.terminate(Duration::from_secs(5)).await.unwrap();
        assert!(status.is_some_and(|status| !status.success()), "sleep knows no other answer to SIGTERM than to die");
    }
}

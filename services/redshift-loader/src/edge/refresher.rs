//! Builds the facts after loads: runs the configured command, one at a time. A failed build never holds up a load.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::FutureExt;
use metrics::{counter, gauge, histogram};
use service_runtime::{Clock, SystemClock};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::core::refresh::RefreshPolicy;
use crate::metrics as names;

/// The task that builds the facts.
#[derive(Debug)]
pub struct Refresher {
    command: Vec<String>,
    timeout: Duration,
    policy: RefreshPolicy,
    loaded: Arc<Notify>,
    began: Instant,
}

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ok,
    Failed,
    Timeout,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
        }
    }
}

impl Refresher {
    /// A task that has not begun; `command` is a program and its arguments, `loaded` tells that something was loaded.
    pub fn new(command: Vec<String>, timeout: Duration, policy: RefreshPolicy, loaded: Arc<Notify>) -> Self {
        Self { command, timeout, policy, loaded, began: Instant::now() }
    }

    /// Builds until shutdown, which ends a build under way.
    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            match self.policy.due_in(self.began.elapsed()) {
                Some(wait) if wait.is_zero() => self.build(&shutdown).await,
                Some(wait) => {
                    service_runtime::sleep_or_shutdown(wait, &shutdown).await;
                }
                None => tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = self.loaded.notified() => self.policy.request(),
                },
            }
        }
        Ok(())
    }

    async fn build(&mut self, shutdown: &CancellationToken) {
        // What was loaded while the build waited for its turn is part of it.
        let _ = self.loaded.notified().now_or_never();
        self.policy.start(self.began.elapsed());
        let begun = Instant::now();
        let outcome = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            outcome = self.run_command() => outcome,
        };
        let outcome = outcome.unwrap_or_else(|error| {
            tracing::error!(error = %format!("{error:#}"), "facts command did not run");
            Outcome::Failed
        });
        counter!(names::DBT_RUNS, "outcome" => outcome.name()).increment(1);
        histogram!(names::DBT_SECONDS).record(begun.elapsed());
        let duration_ms = begun.elapsed().as_millis() as u64;
        if outcome == Outcome::Ok {
            gauge!(names::DBT_LAST_SUCCESS).set(SystemClock.now_micros() as f64 / 1e6);
            tracing::info!(duration_ms, "facts built");
        } else {
            self.policy.failed();
            tracing::error!(duration_ms, outcome = outcome.name(), "facts not built");
        }
    }

    async fn run_command(&self) -> anyhow::Result<Outcome> {
        let (program, arguments) = self.command.split_first().context("dbt.command is empty")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {program}"))?;
        match tokio::time::timeout(self.timeout, wait(&mut child)).await {
            Ok(status) => Ok(if status?.success() { Outcome::Ok } else { Outcome::Failed }),
            Err(_) => {
                child.kill().await.context("end the facts command")?;
                Ok(Outcome::Timeout)
            }
        }
    }
}

/// Waits for the process while its output goes to the log, so that it never blocks on a full pipe.
async fn wait(child: &mut Child) -> anyhow::Result<ExitStatus> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (status, (), ()) = tokio::join!(child.wait(), log_lines(stdout), log_lines(stderr));
    status.context("wait for the facts command")
}

async fn log_lines(output: Option<impl AsyncRead + Unpin>) {
    let Some(output) = output else { return };
    let mut lines = BufReader::new(output).lines();
    loop {
        match lines.next_line().await {
            Ok(Some(line)) => tracing::info!(line, "facts command"),
            Ok(None) => return,
            // A line that is no UTF-8 is not worth ending the build for.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {}
            Err(_) => return,
        }
    }
}

//! The steps of the demo are commands that anybody could type; each is shown before it runs.

use crate::{local::StackEnv, out::Out};
use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// Runs this program's own commands.
#[derive(Debug)]
pub(crate) struct Steps {
    program: PathBuf,
    settings: StackEnv,
    out: Out,
    began: Instant,
}

/// The part of a verification report that the demo shows.
#[derive(Debug, Deserialize)]
pub(crate) struct VerifyReport {
    /// Whether everything adds up.
    pub(crate) clean: bool,
    /// Counts.
    pub(crate) totals: VerifyTotals,
    /// Sides that differ.
    pub(crate) differences: Vec<serde_json::Value>,
    /// Messages whose decision does not add up.
    pub(crate) findings: Vec<serde_json::Value>,
}

/// Counts of a verification.
#[derive(Debug, Deserialize)]
pub(crate) struct VerifyTotals {
    /// Messages in the raw topic.
    pub(crate) raw_messages: u64,
    /// Readings in those that can be decoded.
    pub(crate) raw_readings: u64,
    /// Accepted readings.
    pub(crate) accepted: u64,
    /// Rejected readings.
    pub(crate) rejected: u64,
    /// Messages rejected whole.
    pub(crate) rejected_messages: u64,
    /// Readings in the lake.
    pub(crate) lake: u64,
    /// Raw messages in the landing table.
    pub(crate) landing: u64,
    /// Readings in the warehouse.
    pub(crate) warehouse: u64,
}

impl Steps {
    /// Steps with the settings of a file.
    ///
    /// # Errors
    /// When this program's own path is not known, or the file cannot be read.
    pub(crate) fn new(demo_env: &Path, out: Out) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        Ok(Self { program, settings: StackEnv::read(demo_env)?, out, began: Instant::now() })
    }

    /// Tells people how far it is.
    pub(crate) fn say(&self, text: &str) {
        self.out.note(&format!("[{:>4}s] {text}", self.elapsed().as_secs()));
    }

    /// Time since the demo began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Writes to stdout.
    pub(crate) fn text(&self, text: &str) -> anyhow::Result<()> {
        Ok(self.out.text(text)?)
    }

    /// Runs a command to its end; its own output goes to stderr.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) async fn run(&self, what: &str, arguments: &[&str]) -> anyhow::Result<()> {
        self.say(&format!("{what}: meterway {}", arguments.join(" ")));
        let status = self.command(arguments).stdout(std::io::stderr()).status().await.context("start step")?;
        ensure!(status.success(), "{what}: meterway {} ended with {status}", arguments.join(" "));
        Ok(())
    }

    /// Starts a command that goes on beside us.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> anyhow::Result<Child> {
        self.say(&format!("meterway {}", arguments.join(" ")));
        self.command(arguments).stdout(std::io::stderr()).process_group(0).spawn().context("start step")
    }

    /// Ends a spawned command, by SIGTERM first.
    ///
    /// # Errors
    /// When it can be neither asked nor killed.
    pub(crate) async fn end(&self, child: &mut Child) -> anyhow::Result<()> {
        let Some(pid) = child.id() else { return Ok(()) };
        Command::new("kill").args(["-TERM", &pid.to_string()]).status().await.context("send SIGTERM")?;
        if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
            child.kill().await.context("kill step")?;
        }
        Ok(())
    }

    /// Runs `verify`, waiting for the stores to catch up; differences are no error here.
    ///
    /// # Errors
    /// When verification itself fails.
    pub(crate) async fn verify(&self, wait: Duration) -> anyhow::Result<VerifyReport> {
        let wait = wait.as_secs().to_string();
        self.say(&format!("prove it: meterway verify --wait {wait}"));
        let output = self
            .command(&["verify", "--json", "--wait", &wait])
            .stdout(Stdio::piped())
            .output()
            .await
            .context("start verify")?;
        if !matches!(output.status.code(), Some(0 | 1)) {
            bail!("verify ended with {}", output.status);
        }
        serde_json::from_slice(&output.stdout).context("parse the report of verify")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        // As variables, not as a file: a file yields to variables, and the shell may have sourced another installation.
        command.envs(self.settings.iter()).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

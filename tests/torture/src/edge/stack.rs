//! Commands to single components of the local stack.

use anyhow::{Context, ensure};
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::process::Command;

/// The stack under attack.
#[derive(Debug, Clone)]
pub(crate) struct StackCommands {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Name of the stack.
    pub(crate) name: String,
}

/// A component starts or ends within this, or the run ends.
const LIMIT: Duration = Duration::from_secs(150);

impl StackCommands {
    /// Runs `deploy/local/stack.sh VERB COMPONENT…`.
    ///
    /// # Errors
    /// When it fails or takes too long; with what it wrote.
    pub(crate) async fn run(&self, verb: &str, components: &[&str]) -> anyhow::Result<()> {
        let what = format!("stack.sh {verb} {}", components.join(" "));
        let command = Command::new(self.root.join("deploy/local/stack.sh"))
            .arg(verb)
            .args(components)
            .env("METERWAY_STACK", &self.name)
            // The running stack knows both; given again, a different value would be refused.
            .env_remove("METERWAY_PORT_BASE")
            .env_remove("METERWAY_STACK_FRESH")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(LIMIT, command).await.with_context(|| format!("{what}: no end"))?;
        let output = output.with_context(|| what.clone())?;
        let said = [output.stdout, output.stderr].concat();
        ensure!(output.status.success(), "{what} ended with {}: {}", output.status, String::from_utf8_lossy(&said));
        Ok(())
    }
}

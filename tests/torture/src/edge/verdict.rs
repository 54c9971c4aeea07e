//! Two verdicts that know nothing of each other: the independent verifier's, and `meterway verify`'s.

use super::install::Place;
use anyhow::{Context, bail};
use serde_json::Value;
use std::{path::Path, process::Stdio};
use tokio::process::Command;

/// What the two say.
#[derive(Debug)]
pub(crate) struct Verdicts {
    /// Report of `meterway verify`.
    pub(crate) product: Value,
    /// Report of `verify.py`.
    pub(crate) independent: Value,
}

impl Verdicts {
    /// Whether both find nothing to object to.
    pub(crate) fn clean(&self) -> bool {
        self.product["clean"] == true && self.independent["clean"] == true
    }
}

/// Waits until the stores have caught up, then has both verify.
///
/// # Errors
/// When one of them cannot do its work, which is not the same as finding something.
pub(crate) async fn verify(place: &Place, wait_s: u64) -> anyhow::Result<Verdicts> {
    let wait = wait_s.to_string();
    let output = place.meterway(&["verify", "--json", "--wait", &wait]).stdout(Stdio::piped()).output().await;
    let product = found("meterway verify", output.context("start meterway verify")?)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("verify.py");
    let output = Command::new(place.root.join(".local/venv/bin/python"))
        .arg(script)
        .args(["--settings".as_ref(), place.settings().as_os_str()])
        .args(["--journal".as_ref(), place.file("journal.ndjson").as_os_str()])
        .args(["--door-journal".as_ref(), place.file("door.ndjson").as_os_str()])
        .args(["--work".as_ref(), place.file("verify").as_os_str()])
        .kill_on_drop(true)
        .output()
        .await
        .context("start verify.py")?;
    Ok(Verdicts { product, independent: found("verify.py", output)? })
}

/// The report of a program that ends with 0 when it finds nothing and with 1 when it does.
fn found(what: &str, output: std::process::Output) -> anyhow::Result<Value> {
    if !matches!(output.status.code(), Some(0 | 1)) {
        bail!("{what} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("parse the report of {what}"))
}

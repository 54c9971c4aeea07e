//! What a replay did, for people and for programs.

use super::lane::{Outcome, Refused};
use super::progress::Progress;
use serde::Serialize;
use std::fmt;

/// Refused readings that the report shows itself.
pub(crate) const SHOWN: usize = 20;

/// The result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Number of the replay; `None` when there was nothing to do, or for a dry run.
    pub(crate) revision: Option<i64>,
    /// Whether it went on with one that was interrupted; then the outcome is that of the whole.
    pub(crate) resumed: bool,
    /// Whether nothing was sent on purpose.
    pub(crate) dry_run: bool,
    /// How much there was.
    #[serde(flatten)]
    pub(crate) progress: Progress,
    /// Bytes of payloads.
    pub(crate) bytes: u64,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// The first readings that have a row and are refused now.
    pub(crate) refused: Vec<Refused>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (progress, outcome) = (&self.progress, &self.outcome);
        if self.dry_run {
            let (messages, days, bytes) = (progress.messages, progress.days, self.bytes);
            return write!(f, "{messages} messages of {days} days, {bytes} bytes; nothing was sent");
        }
        let Some(revision) = self.revision else { return write!(f, "nothing has landed there") };
        let resumed = if self.resumed { ", resumed" } else { "" };
        writeln!(f, "replay     {revision}{resumed}: {} messages, {} readings", outcome.messages, progress.readings)?;
        writeln!(f, "rows       {:>10} made", outcome.rows)?;
        writeln!(f, "unchanged  {:>10} accepted, {} refused as before", outcome.unchanged, outcome.rejected)?;
        writeln!(f, "refused    {:>10} readings that have rows, which stay", outcome.refused)?;
        for Refused { tenant, device, partition, offset, reading, code, detail } in &self.refused {
            writeln!(
                f,
                "  {tenant} {device}, partition {partition}, offset {offset}, reading {reading}: {code}, {detail}"
            )?;
        }
        let hidden = outcome.refused.saturating_sub(self.refused.len() as u64);
        if hidden > 0 {
            writeln!(f, "  and {hidden} more")?;
        }
        write!(f, "the lake has taken it in")
    }
}

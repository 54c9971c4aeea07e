//! Who looked at what: a bounded queue in front of the database, written in batches.

use std::time::Duration;

use chrono::Utc;
use service_runtime::sleep_or_shutdown;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::store::{Entry, Store};
use crate::config::AuditConfig;
use crate::metrics;

/// Entries written at once.
const BATCH: usize = 256;
/// Wait before the database is tried again.
const PAUSE: Duration = Duration::from_secs(2);
/// How often old entries are deleted.
const AGING: Duration = Duration::from_secs(3600);

/// Takes entries; clones share the queue.
#[derive(Debug, Clone)]
pub struct Audit(mpsc::Sender<Entry>);

/// Writes what was taken.
#[derive(Debug)]
pub struct AuditWriter {
    entries: mpsc::Receiver<Entry>,
    store: Store,
    retention: Duration,
}

/// A queue and its writer.
pub fn audit(config: &AuditConfig, store: Store) -> (Audit, AuditWriter) {
    let (sender, entries) = mpsc::channel(config.queue);
    (Audit(sender), AuditWriter { entries, store, retention: config.retention })
}

impl Audit {
    /// Takes an entry; waits while the queue is full, so that nothing is answered that is not recorded. `false` when the
    /// writer has ended.
    pub async fn note(&self, entry: Entry) -> bool {
        self.0.send(entry).await.is_ok()
    }
}

impl AuditWriter {
    /// Writes until every sender is gone. A database that is away is waited for until the process has to end.
    pub async fn run(mut self, end: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut aging = tokio::time::interval(AGING);
        loop {
            tokio::select! {
                taken = self.entries.recv_many(&mut batch, BATCH) => if taken == 0 { return },
                _ = aging.tick() => self.age().await,
            }
            while !batch.is_empty() {
                match self.store.write_audit(&batch).await {
                    Ok(()) => {
                        metrics::audit("written", batch.len(), self.entries.len());
                        batch.clear();
                    }
                    Err(error) => {
                        metrics::audit("retried", batch.len(), self.entries.len());
                        tracing::error!(error = %error, entries = batch.len(), "audit log cannot be written, trying again");
                        if !sleep_or_shutdown(PAUSE, &end).await {
                            return;
                        }
                    }
                }
            }
        }
    }

    async fn age(&self) {
        let older_than = Utc::now() - chrono::Duration::from_std(self.retention).unwrap_or_default();
        match self.store.age_audit(older_than).await {
            Ok(0) => {}
            Ok(entries) => tracing::info!(entries, "old entries of the audit log deleted"),
            Err(error) => tracing::warn!(error = %error, "old entries of the audit log could not be deleted"),
        }
    }
}

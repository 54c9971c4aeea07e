//! Requests that carry an `Idempotency-Key`: stored once and answered the same, whichever replica is asked
//! (`docs/adr/0013-idempotency-key.md`).
//!
//! Claim the key in the table, send, wait for the broker's reports, write the answer into the table, answer. Whoever finds
//! a claim whose owner has died takes it over, looks in the topics which messages the broker took, and sends the others.

use super::{
    problem::{Code, Problem},
    publish::{Outgoing, Publisher, stored},
    requests::{Claim, Claimed, RequestTable, TableError},
    search,
};
use crate::{
    config::RequestsConfig,
    core::once::{Fingerprint, Found, Holder, Verdict, judge, tag},
    metrics::{self, KeyedOutcome as Outcome},
};
use anyhow::Context;
use bytes::Bytes;
use kafka_pipeline::{DeliveryReceipt, KafkaConfig};
use service_runtime::{Clock, SystemClock, fail_point, sleep, sleep_or_shutdown};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Searches at the same time: each reads a part of the topics and holds a block of them.
const SEARCHES: usize = 2;
/// Between attempts to write the answer of a request that is stored.
const ANSWER_RETRY: Duration = Duration::from_millis(500);

/// A keyed request, ready to be stored.
#[derive(Debug)]
pub(crate) struct Keyed {
    /// Its record's name.
    pub(crate) id: String,
    /// What it says.
    pub(crate) fingerprint: Fingerprint,
    /// What it is made of, in order.
    pub(crate) messages: Vec<Outgoing>,
    /// What it is answered once all are stored.
    pub(crate) answer: Bytes,
}

/// The work on keyed requests.
#[derive(Debug)]
pub(crate) struct Once {
    table: RequestTable,
    kafka: KafkaConfig,
    publisher: Arc<Publisher>,
    owner: String,
    lease: Duration,
    lease_end: Mutex<Instant>,
    /// Records that are worked on here. No more than requests are let in.
    open: Mutex<HashSet<String>>,
    searches: Semaphore,
}

/// A record that is worked on here, until dropped.
struct Opened<'a>(&'a Once, &'a str);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        let open = &mut *self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(self.1);
        metrics::keyed_open(open.len());
    }
}

impl Once {
    /// Opens the table and takes a lease under a name of its own.
    ///
    /// # Errors
    /// When the table is not there.
    pub(crate) async fn open(
        config: &RequestsConfig,
        kafka: &KafkaConfig,
        publisher: Arc<Publisher>,
    ) -> anyhow::Result<Self> {
        let once = Self {
            table: RequestTable::open(config).await?,
            kafka: kafka.clone(),
            publisher,
            owner: Uuid::new_v4().simple().to_string(),
            lease: config.lease,
            lease_end: Mutex::new(Instant::now()),
            open: Mutex::default(),
            searches: Semaphore::new(SEARCHES),
        };
        once.renew().await.context("take a lease")?;
        Ok(once)
    }

    /// Renews the lease until told to stop.
    pub(crate) async fn keep_lease(&self, stop: &CancellationToken) {
        while sleep_or_shutdown(self.lease / 5, stop).await {
            let renewed = self.renew().await;
            metrics::lease_renewed(renewed.is_ok());
            if let Err(error) = renewed {
                tracing::warn!(%error, "lease of keyed requests is not renewed");
            }
        }
    }

    async fn renew(&self) -> Result<(), TableError> {
        // Both ends count from before the request, so that we never think longer of ourselves than others do.
        let (began, now_ms) = (Instant::now(), SystemClock.now_millis());
        let lease_ms = i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX);
        self.table.lease(&self.owner, now_ms.saturating_add(lease_ms)).await?;
        *self.lease_end.lock().unwrap_or_else(PoisonError::into_inner) = began + self.lease;
        Ok(())
    }

    fn has_lease(&self) -> bool {
        Instant::now() < *self.lease_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the lease back, when nothing is worked on: another replica need not wait for its end.
    pub(crate) async fn end_lease(&self) {
        if self.open.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
            && let Err(error) = self.table.end_lease(&self.owner).await
        {
            tracing::info!(%error, "lease is left to its end");
        }
    }

    /// Stores a request once and returns its answer, and whether it was stored now rather than before. Not to be cancelled:
    /// run it in a task of its own.
    ///
    /// # Errors
    /// A [`Problem`] with `Retry-After` when the outcome is open, [`Code::KeyReused`] when the key names another request.
    pub(crate) async fn run(&self, keyed: &Keyed) -> Result<(Bytes, bool), Problem> {
        let Some(_opened) = self.begin(&keyed.id) else {
            metrics::keyed(Outcome::Busy);
            return Err(busy(1));
        };
        if !self.has_lease() {
            return Err(away("the lease has ended"));
        }
        let now_ms = SystemClock.now_millis();
        let claim = Claim { id: keyed.id.clone(), owner: self.owner.clone(), claim: name() };
        let request = name();
        match self.table.claim(&claim, keyed.fingerprint, &request, now_ms).await.map_err(away)? {
            Claimed::New => {
                metrics::keyed(Outcome::First);
                let nothing = Found::new(request.as_str(), keyed.messages.len());
                Ok((self.store(keyed, &claim, &request, &nothing).await?, true))
            }
            Claimed::Taken(record) => {
                let (request, since) = (record.request.clone(), record.claimed_at_ms);
                match judge(record, keyed.fingerprint) {
                    Verdict::Replay(body) => {
                        metrics::keyed(Outcome::Replayed);
                        Ok((body.into(), false))
                    }
                    Verdict::OtherRequest => {
                        metrics::keyed(Outcome::Reused);
                        Err(Problem::new(Code::KeyReused, "the key was sent with another request before"))
                    }
                    Verdict::Open { owner, claim: held } => {
                        self.wait_or_take_over(&owner, now_ms).await?;
                        Ok((self.take_over(keyed, &claim, &held, &request, since).await?, true))
                    }
                }
            }
        }
    }

    fn begin<'a>(&'a self, id: &'a str) -> Option<Opened<'a>> {
        let open = &mut *self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = open.insert(id.to_owned()).then(|| Opened(self, id));
        metrics::keyed_open(open.len());
        begun
    }

    /// Returns when the owner is surely gone.
    async fn wait_or_take_over(&self, owner: &str, now_ms: i64) -> Result<(), Problem> {
        // What this replica works on was sorted out before: an own claim met here was given up.
        let holder = match owner == self.owner {
            true => Holder::HereNoMore,
            false => Holder::Other(self.table.lease_of(owner).await.map_err(away)?),
        };
        match holder.busy_for_s(now_ms) {
            None => Ok(()),
            Some(seconds) => {
                metrics::keyed(Outcome::Busy);
                Err(busy(seconds))
            }
        }
    }

    async fn take_over(
        &self,
        keyed: &Keyed,
        claim: &Claim,
        held: &str,
        request: &str,
        since_ms: i64,
    ) -> Result<Bytes, Problem> {
        let found = {
            let Ok(_search) = self.searches.try_acquire() else { return Err(busy(2)) };
            if !self.table.take_over(claim, held).await.map_err(away)? {
                metrics::keyed(Outcome::Busy);
                return Err(busy(1));
            }
            metrics::keyed(Outcome::TakenOver);
            search::stored(&self.kafka, request, &keyed.messages, since_ms).await.map_err(|error| {
                tracing::warn!(error = %format!("{error:#}"), "messages of an abandoned request cannot be looked for");
                Problem::retry(Code::Unavailable, "the broker cannot be asked what it holds of the request", 2)
            })?
        };
        let missing = (0..keyed.messages.len()).filter(|index| found.is_missing(*index)).count();
        tracing::info!(request, messages = keyed.messages.len(), missing, "took an abandoned request over");
        self.store(keyed, claim, request, &found).await
    }

    /// Sends what is missing, waits for the broker's reports and writes the answer down.
    async fn store(&self, keyed: &Keyed, claim: &Claim, request: &str, found: &Found) -> Result<Bytes, Problem> {
        let mut receipts = Vec::new();
        let sent = self.send_missing(keyed, request, found, &mut receipts).await;
        // Also when not all could be sent: what is under way must be settled before anybody looks for it in the topic.
        stored(receipts).await?;
        sent?;
        fail_point("ingest.after_delivery").await;
        self.write_answer(keyed, claim).await
    }

    async fn send_missing(
        &self,
        keyed: &Keyed,
        request: &str,
        found: &Found,
        receipts: &mut Vec<DeliveryReceipt>,
    ) -> Result<(), Problem> {
        let total = keyed.messages.len();
        for (index, message) in keyed.messages.iter().enumerate().filter(|(index, _)| found.is_missing(*index)) {
            if !self.has_lease() {
                return Err(away("the lease ended before everything was sent"));
            }
            receipts.push(self.publisher.send(message, &tag(request, index, total)).await?);
        }
        Ok(())
    }

    /// Tries until the table has the answer. The broker has the request: that must not be forgotten.
    async fn write_answer(&self, keyed: &Keyed, claim: &Claim) -> Result<Bytes, Problem> {
        loop {
            match self.table.answer(claim, &keyed.answer, SystemClock.now_millis()).await {
                Ok(true) => return Ok(keyed.answer.clone()),
                Ok(false) => {
                    metrics::keyed(Outcome::Lost);
                    tracing::warn!("a request was taken over while it was worked on");
                    return Err(busy(1));
                }
                Err(error) => {
                    metrics::answer_retry();
                    tracing::warn!(%error, "answer of a stored request is not written yet");
                    sleep(ANSWER_RETRY).await;
                }
            }
        }
    }
}

fn name() -> String {
    Uuid::new_v4().simple().to_string()
}

fn busy(after_s: u64) -> Problem {
    Problem::retry(Code::InWork, "a request with this key is being worked on", after_s)
}

fn away(error: impl std::fmt::Display) -> Problem {
    tracing::warn!(%error, "keyed request cannot be taken");
    metrics::keyed(Outcome::Unavailable);
    Problem::retry(Code::Unavailable, "requests with a key cannot be taken at the moment", 2)
}

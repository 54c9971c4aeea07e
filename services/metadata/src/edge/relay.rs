//! The relay: brings every change of a device to its topic, at least once, the newest version last.
//!
//! One relay works at a time, chosen by an advisory lock that belongs to a database session. All its statements use that
//! session: when the session is lost, so is the work, and another instance takes over. What a lost relay still had under
//! way could arrive after its successor's messages. Two things keep the newest version last nevertheless: a new relay
//! waits a moment before its first message, and a relay that could not confirm what it published puts it back.
//!
//! A device that cannot be published as it is costs no other: this process passes over that version, and the row stays in
//! the outbox, where it is counted as waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use kafka_pipeline::{KafkaConfig, RegistryConfig};
use service_runtime::{Backoff, Beat, Clock, fail_point, sleep_or_shutdown};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::OutboxConfig;
use crate::core::device::DeviceState;
use crate::edge::database::{Connection, Database, Scope};
use crate::edge::publisher::DevicePublisher;
use crate::edge::store::outbox::{self, Refused};
use crate::metrics;

/// Chooses the relay among the instances. The number is arbitrary.
const RELAY_LOCK: i64 = 0x6d65_7465_726f_7574;

/// How often the backlog is counted for its metric; counting costs a scan of the outbox.
const BACKLOG_EVERY: Duration = Duration::from_secs(5);

/// Everything the relay needs.
pub struct Relay {
    /// The register.
    pub database: Database,
    /// Brokers.
    pub kafka: KafkaConfig,
    /// Schemas.
    pub registry: RegistryConfig,
    /// Pace and limits.
    pub config: OutboxConfig,
    /// Rung after each change that this instance committed.
    pub changes: Arc<Notify>,
    /// Time of requeued changes.
    pub clock: Arc<dyn Clock>,
    /// The watchdog.
    pub beat: Beat,
    /// Published, but not known to be cleared from the outbox.
    pub unconfirmed: Vec<DeviceState>,
    /// Passed over.
    pub refused: Vec<Refused>,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Holds the lock; dropping it closes the session and so frees the lock.
struct Leadership(Option<Connection>);

impl Leadership {
    fn connection(&mut self) -> &mut Connection {
        self.0.as_mut().expect("taken only on drop")
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.discard();
        }
        metrics::relay_leads(false);
    }
}

impl Relay {
    /// Publishes until the shutdown. Broker, registry and database may come and go.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut backoff = self.config.retry.clone();
        while !shutdown.is_cancelled() {
            self.beat.beat();
            match self.lead(&shutdown, &mut backoff).await {
                Ok(()) => return,
                Err(error) => self.wait_after(&error, &mut backoff, &shutdown).await,
            }
        }
    }

    async fn wait_after(&self, error: &anyhow::Error, backoff: &mut Backoff, shutdown: &CancellationToken) {
        let delay = backoff.next_delay(&mut rand::rng());
        metrics::relay_failed();
        let error = format!("{error:#}");
        tracing::warn!(error, delay_ms = delay.as_millis() as u64, "outbox relay starts over");
        sleep_or_shutdown(delay, shutdown).await;
    }

    /// Waits for its turn and publishes until the shutdown.
    async fn lead(&mut self, shutdown: &CancellationToken, backoff: &mut Backoff) -> anyhow::Result<()> {
        let Some(mut leadership) = self.wait_for_turn(shutdown).await? else { return Ok(()) };
        let config = &self.config;
        let publisher =
            DevicePublisher::connect(&self.kafka, &self.registry, &config.topic, config.delivery_timeout).await?;
        if !sleep_or_shutdown(self.config.takeover_delay, shutdown).await {
            return Ok(());
        }
        tracing::info!("outbox relay leads");
        metrics::relay_leads(true);
        self.requeue(leadership.connection()).await?;
        let mut counted: Option<Instant> = None;
        while !shutdown.is_cancelled() {
            self.beat.beat();
            if counted.is_none_or(|at| at.elapsed() >= BACKLOG_EVERY) {
                self.count_backlog(leadership.connection()).await?;
                counted = Some(Instant::now());
            }
            if self.relay_batch(leadership.connection(), &publisher).await? == 0 {
                self.wait_for_change(shutdown).await;
            }
            backoff.reset();
        }
        Ok(())
    }

    async fn wait_for_turn(&self, shutdown: &CancellationToken) -> anyhow::Result<Option<Leadership>> {
        let mut connection = self.database.connection().await.context("connect to the register")?;
        loop {
            self.beat.beat();
            if connection.try_session_lock(RELAY_LOCK).await.context("ask for the relay's lock")? {
                return Ok(Some(Leadership(Some(connection))));
            }
            if !sleep_or_shutdown(self.config.poll_interval, shutdown).await {
                return Ok(None);
            }
        }
    }

    /// Publishes one batch; how many devices it saw.
    async fn relay_batch(&mut self, connection: &mut Connection, publisher: &DevicePublisher) -> anyhow::Result<usize> {
        let tx = connection.scope(Scope::Relay).await?;
        let batch = outbox::oldest(&tx, self.config.batch, &self.refused).await.context("read the outbox")?;
        tx.commit().await?;
        let seen = batch.devices.len() + batch.unreadable.len();
        self.pass_over(batch.unreadable);
        if batch.devices.is_empty() {
            return Ok(seen);
        }
        // Noted before anything is sent: an attempt that fails may have been stored all the same.
        self.unconfirmed = batch.devices;
        let refused = publisher.publish(&self.unconfirmed).await?;
        self.unconfirmed.retain(|device| !refused.iter().any(|one| one.device_id == device.spec.device_id));
        self.pass_over(refused);
        fail_point("metadata.after_publish").await;
        let tx = connection.scope(Scope::Relay).await?;
        outbox::clear(&tx, &self.unconfirmed).await.context("clear the outbox")?;
        tx.commit().await.context("commit the cleared outbox")?;
        metrics::published(self.unconfirmed.len());
        let published = std::mem::take(&mut self.unconfirmed);
        self.refused.retain(|one| !published.iter().any(|device| device.spec.device_id == one.device_id));
        metrics::refused(self.refused.len());
        Ok(seen)
    }

    fn pass_over(&mut self, refused: Vec<Refused>) {
        for one in refused {
            tracing::error!(
                tenant.id = one.tenant_id,
                device.id = one.device_id,
                device.version = one.version,
                reason = one.reason,
                "device cannot be published as it is, its line goes on without it"
            );
            self.refused.retain(|known| known.device_id != one.device_id);
            self.refused.push(one);
        }
        metrics::refused(self.refused.len());
    }

    async fn requeue(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        if self.unconfirmed.is_empty() {
            return Ok(());
        }
        let tx = connection.scope(Scope::Relay).await?;
        outbox::requeue(&tx, &self.unconfirmed, self.clock.now_micros()).await.context("put changes back")?;
        tx.commit().await.context("commit changes put back")?;
        tracing::info!(devices = self.unconfirmed.len(), "unconfirmed devices are published again");
        self.unconfirmed.clear();
        Ok(())
    }

    async fn count_backlog(&self, connection: &mut Connection) -> anyhow::Result<()> {
        let tx = connection.scope(Scope::Relay).await?;
        let (waiting, oldest) = outbox::backlog(&tx).await.context("count the outbox")?;
        tx.commit().await?;
        metrics::backlog(waiting, oldest);
        Ok(())
    }

    async fn wait_for_change(&self, shutdown: &CancellationToken) {
        tokio::select! {
            () = self.changes.notified() => {}
            // Changes that other instances committed ring no bell here.
            _ = sleep_or_shutdown(self.config.poll_interval, shutdown) => {}
        }
    }
}

//! The device table, kept up with the compacted topic.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use kafka_pipeline::{
    Admin, AdminError, AvroReader, CodecError, Consumer, ConsumerConfig, ConsumerError, Event, Events, KafkaConfig,
    OffsetReset, RecordBlock, RecordRef, Registry, StartAt, TopicPartition,
};
use meterway_schemas as schemas;
use service_runtime::{Backoff, sleep};
use tokio::sync::{Mutex, watch};

use crate::config;
use crate::core::devices::DeviceTable;
use crate::metrics;

/// The table that partitions decide by.
#[derive(Debug)]
pub(crate) struct Devices {
    table: RwLock<DeviceTable>,
    /// Next offset of the device topic to apply, by partition.
    positions: watch::Sender<BTreeMap<i32, i64>>,
    /// Keeps the client alive that the follower's events come from.
    _consumer: Consumer,
    /// Asks for the topic's end over a connection of its own: on the consumer's, the answer would wait behind a fetch
    /// that waits for records.
    admin: Admin,
    topic: String,
    settings: config::Devices,
    /// When the last refresh began.
    refreshed: Mutex<Option<Instant>>,
}

/// Applies the device topic to the table, for as long as the process lives.
#[derive(Debug)]
pub(crate) struct Follower {
    devices: Arc<Devices>,
    events: Events,
    reader: AvroReader<schemas::Device>,
    backoff: Backoff,
}

/// How to open the table.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    /// Cluster.
    pub(crate) kafka: &'a KafkaConfig,
    /// Questions to it.
    pub(crate) admin: Admin,
    /// Schemas of the states.
    pub(crate) registry: &'a Registry,
    /// The compacted topic.
    pub(crate) topic: &'a str,
    /// Its number of partitions.
    pub(crate) partitions: usize,
    /// Refreshes.
    pub(crate) settings: config::Devices,
    /// Waits while the registry is away.
    pub(crate) backoff: Backoff,
}

/// A change of one device.
enum Change {
    State(Box<schemas::Device>),
    Removed(String),
}

impl Devices {
    /// Opens the topic at its beginning. Nothing is applied until the follower runs.
    ///
    /// # Errors
    /// [`ConsumerError::Create`] when the client can't be made, [`CodecError::Schema`] never in practice: the reader's
    /// schema is part of the program.
    pub(crate) fn open(opening: Opening<'_>) -> Result<(Arc<Self>, Follower), OpenError> {
        let partitions: Vec<TopicPartition> =
            (0..).take(opening.partitions).map(|number| TopicPartition::new(opening.topic, number)).collect();
        let config = ConsumerConfig {
            reset: OffsetReset::Error,
            partition_eof: true,
            lag_interval: Duration::ZERO,
            block_wait: Duration::from_millis(10),
            ..ConsumerConfig::default()
        };
        let starts = partitions.iter().map(|at| (at.clone(), StartAt::Beginning)).collect();
        let (consumer, events) = Consumer::assign(opening.kafka, config, starts)?;
        let reader = AvroReader::new(opening.registry.clone(), schemas::DEVICE.avsc)?;
        let devices = Arc::new(Self {
            table: RwLock::default(),
            positions: watch::Sender::default(),
            _consumer: consumer,
            admin: opening.admin,
            topic: opening.topic.to_owned(),
            settings: opening.settings,
            refreshed: Mutex::default(),
        });
        let follower = Follower { devices: Arc::clone(&devices), events, reader, backoff: opening.backoff };
        Ok((devices, follower))
    }

    /// The table as it is now. Hold it only for as long as it takes to decide a block: changes wait.
    pub(crate) fn table(&self) -> RwLockReadGuard<'_, DeviceTable> {
        // A change is applied by code that can't leave it half done, so a poisoned lock guards a sound table.
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything that the topic holds at the call has been applied.
    ///
    /// # Errors
    /// [`AdminError`] when the broker does not say how much that is.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn catch_up(&self) -> Result<(), AdminError> {
        let ends = self.admin.watermarks(&self.topic).await?;
        let reached = |positions: &BTreeMap<i32, i64>| {
            ends.iter().all(|(partition, _, end)| positions.get(partition).copied().unwrap_or(0) >= *end)
        };
        // The sender lives in `self`, so waiting can't fail.
        let mut positions = self.positions.subscribe();
        let _reached = positions.wait_for(reached).await;
        Ok(())
    }

    /// Makes sure that a device which was registered before the call is in the table, as far as the broker answers in
    /// time. Calls share refreshes, and refreshes keep their distance, so that messages of devices nobody knows can't
    /// turn into a load on the broker.
    pub(crate) async fn refresh(&self) {
        let asked = Instant::now();
        let mut last = self.refreshed.lock().await;
        if let Some(began) = *last {
            if began > asked {
                return;
            }
            sleep(self.settings.refresh_interval.saturating_sub(began.elapsed())).await;
        }
        *last = Some(Instant::now());
        match tokio::time::timeout(self.settings.refresh_timeout, self.catch_up()).await {
            Ok(Ok(())) => metrics::refreshed("done"),
            Ok(Err(error)) => {
                metrics::refreshed("error");
                tracing::warn!(error = %error, "decide by an older device table");
            }
            Err(_elapsed) => {
                metrics::refreshed("timeout");
                tracing::warn!("device topic could not be read to its end in time, decide by an older device table");
            }
        }
    }

    fn apply(&self, changes: Vec<Change>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                Change::Removed(device) => table.remove(&device),
                Change::State(state) => {
                    let (id, version) = (state.device_id.clone(), state.version);
                    if let Err(defect) = table.insert(*state) {
                        metrics::device_defect();
                        tracing::warn!(device.id = id, device.version = version, error = %defect, "odd device state");
                    }
                }
            }
        }
        metrics::devices(table.len());
    }

    fn reached(&self, partition: i32, next: i64) {
        self.positions.send_modify(|positions| {
            positions.insert(partition, next);
        });
    }
}

/// Why the table could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// No client.
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
    /// No reader.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Follower {
    /// Applies changes until the consumer is closed.
    ///
    /// # Errors
    /// The client's fatal error.
    pub(crate) async fn run(mut self) -> Result<(), ConsumerError> {
        while let Some(event) = self.events.recv().await {
            match event? {
                Event::Records(block) => {
                    let mut changes = Vec::with_capacity(block.len());
                    for record in block.iter() {
                        changes.extend(self.change(&block, &record).await);
                    }
                    self.devices.apply(changes);
                    self.devices.reached(block.partition(), block.next_offset().get());
                }
                Event::PartitionEof(at, next) => self.devices.reached(at.partition, next.get()),
                Event::Assigned(_) | Event::Revoked(..) => {}
            }
        }
        Ok(())
    }

    /// The change that a record describes; `None` when it describes none. An unreadable state leaves the older one.
    async fn change(&mut self, block: &RecordBlock, record: &RecordRef<'_>) -> Option<Change> {
        let Some(payload) = record.payload else {
            return record.key.and_then(|key| std::str::from_utf8(key).ok()).map(|key| Change::Removed(key.to_owned()));
        };
        self.backoff.reset();
        loop {
            match self.reader.read(payload).await {
                Ok(state) => return Some(Change::State(Box::new(state))),
                Err(error) if error.is_transient() => {
                    tracing::warn!(error = %error, "wait for the schema registry");
                    sleep(self.backoff.next_delay(&mut rand::rng())).await;
                }
                Err(error) => {
                    metrics::device_defect();
                    tracing::error!(
                        kafka.topic = block.topic(), kafka.partition = block.partition(), kafka.offset = record.offset,
                        error = %error, "unreadable device state"
                    );
                    return None;
                }
            }
        }
    }
}

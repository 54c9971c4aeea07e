//! Live events: what the topics say now, to whoever may see it.
//!
//! One consumer per process reads decisions and alerts from their end, without a group, and hands each event to the clients
//! of its tenant. A client has a bounded queue of its own; what it is too slow for is dropped, and it is told how much.
//! The id of an event holds the positions in the alerts topic, so a client that comes back, to whichever replica, is given
//! every alert since; readings go on from now.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::body::Body;
use chrono::{DateTime, Utc};
use kafka_pipeline::{
    AvroReader, BatchDecoder, CodecError, Consumer, ConsumerConfig, DecodeError, Event, NextOffset, OffsetReset,
    RecordBlock, Registry, StartAt, TopicPartition, read_tail,
};
use meter_model::Quantity;
use meterway_schemas::columns::{ValidatedBatchColumns, range};
use meterway_schemas::{ALERT, Alert, VALIDATED_BATCH, counts};
use serde_json::json;
use service_runtime::{sleep, sleep_or_shutdown};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::api::{Answer, Call};
use super::problem::Problem;
use super::warehouse::instant;
use super::watch::Watch;
use crate::config::Config;
use crate::core::access::Scope;
use crate::core::sampler::Sampler;
use crate::metrics;

/// Shows a client and the proxies between that the stream is alive.
const PING: Duration = Duration::from_secs(15);
/// Wait before the registry is asked again.
const REGISTRY_PAUSE: Duration = Duration::from_secs(1);

/// Where in the alerts topic, by partition.
type Positions = BTreeMap<i32, i64>;

/// What is sent to a client.
#[derive(Debug, Clone)]
struct Sent {
    text: Arc<str>,
    /// Place in the alerts topic, of an alert.
    alert: Option<(i32, i64)>,
}

#[derive(Debug)]
struct Client {
    id: u64,
    scope: Scope,
    readings: bool,
    alerts: bool,
    device: Option<String>,
    sampler: Sampler,
    queue: mpsc::Sender<Sent>,
    dropped: Arc<AtomicU64>,
}

/// Hands events to clients.
#[derive(Debug)]
pub struct Hub {
    config: Config,
    reader: AvroReader<Alert>,
    registry: Registry,
    clients: Mutex<HashMap<String, Vec<Client>>>,
    positions: Mutex<Positions>,
    newest: Mutex<Option<DateTime<Utc>>>,
    next_id: AtomicU64,
    began: Instant,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// A hub without clients.
    ///
    /// # Errors
    /// When the settings of the registry cannot be used.
    pub fn new(config: &Config) -> anyhow::Result<Arc<Self>> {
        let registry = Registry::new(&config.registry).context("prepare the schema registry")?;
        Ok(Arc::new(Self {
            config: config.clone(),
            reader: AvroReader::new(registry.clone(), ALERT.avsc)?,
            registry,
            clients: Mutex::default(),
            positions: Mutex::default(),
            newest: Mutex::default(),
            next_id: AtomicU64::new(0),
            began: Instant::now(),
        }))
    }

    /// When the newest event came.
    pub fn newest(&self) -> Option<DateTime<Utc>> {
        *held(&self.newest)
    }

    /// Reads the topics until told to end.
    ///
    /// # Errors
    /// When the consumer ends, or a schema of the program's own cannot be used.
    pub async fn run(self: Arc<Self>, watch: Arc<Watch>, shutdown: CancellationToken) -> anyhow::Result<()> {
        let topics = &self.config.topics;
        let mut from = Vec::new();
        for topic in [&topics.alerts, &topics.validated] {
            let ends = watch.admin().watermarks(topic).await.with_context(|| format!("look at topic {topic}"))?;
            for (partition, _, high) in ends {
                if topic == &topics.alerts {
                    held(&self.positions).insert(partition, high);
                }
                from.push((TopicPartition::new(topic.as_str(), partition), StartAt::Offset(NextOffset(high))));
            }
        }
        let settings = ConsumerConfig {
            // A live view goes on from now when what it wanted is gone.
            reset: OffsetReset::Latest,
            block_wait: Duration::from_millis(20),
            lag_interval: Duration::ZERO,
            fetch_partitions: from.len(),
            ..ConsumerConfig::default()
        };
        let (_consumer, mut events) =
            Consumer::assign(&self.config.kafka, settings, from).context("read live events")?;
        let mut decoder = BatchDecoder::new(self.registry.clone(), VALIDATED_BATCH.avsc)?;
        loop {
            let event = tokio::select! {
                event = events.recv() => event.context("the consumer of live events has ended")??,
                () = shutdown.cancelled() => return Ok(()),
            };
            let Event::Records(block) = event else { continue };
            *held(&self.newest) = Some(Utc::now());
            if block.topic() == topics.alerts {
                self.alerts(&block, &shutdown).await;
            } else if self.wants_readings() {
                self.readings(&block, &mut decoder, &shutdown).await?;
            }
        }
    }

    fn wants_readings(&self) -> bool {
        held(&self.clients).values().flatten().any(|client| client.readings)
    }

    async fn alerts(&self, block: &RecordBlock, shutdown: &CancellationToken) {
        for record in block.iter() {
            let alert = self.read(record.payload, shutdown).await;
            let id = {
                let mut positions = held(&self.positions);
                positions.insert(block.partition(), record.offset + 1);
                event_id(&positions)
            };
            if let Some(alert) = alert {
                let text: Arc<str> = alert_event(&alert, &id).into();
                let place = Some((block.partition(), record.offset));
                self.hand(
                    &alert.tenant_id,
                    alert.customer_id.as_deref(),
                    &alert.device_id,
                    &Sent { text, alert: place },
                );
            }
        }
    }

    /// An alert of the topic; `None` for what is none. Waits for the registry.
    async fn read(&self, payload: Option<&[u8]>, shutdown: &CancellationToken) -> Option<Alert> {
        loop {
            match self.reader.read(payload.unwrap_or_default()).await {
                Ok(alert) => return Some(alert),
                Err(error @ CodecError::Registry(_)) if error.is_transient() => {
                    tracing::warn!(error = %error, "wait for the schema registry");
                    if !sleep_or_shutdown(REGISTRY_PAUSE, shutdown).await {
                        return None;
                    }
                }
                Err(error) => {
                    metrics::poison("alerts");
                    tracing::warn!(error = %error, "pass over an alert that cannot be read");
                    return None;
                }
            }
        }
    }

    async fn readings(
        &self,
        block: &RecordBlock,
        decoder: &mut BatchDecoder,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        let decoded = loop {
            match decoder.decode(block).await {
                Ok(decoded) => break decoded,
                Err(DecodeError::Registry(error)) if error.is_transient() => {
                    if !sleep_or_shutdown(REGISTRY_PAUSE, shutdown).await {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error).context("decode decisions"),
            }
        };
        decoded.poison.iter().for_each(|_| metrics::poison("validated"));
        let id = event_id(&held(&self.positions));
        for batch in &decoded.batches {
            let columns = ValidatedBatchColumns::try_from(&batch.batch)?;
            for (row, record) in batch.rows.iter().enumerate() {
                if !counts(columns.decision_offset.value(row), block.get(*record as usize).offset) {
                    continue;
                }
                // One event per delivery: its newest reading.
                let readings = &columns.readings;
                let newest = range(columns.lists, row).max_by_key(|at| readings.reading.start.value(*at));
                let Some(at) = newest else { continue };
                // Null is an empty text in Arrow's buffers, and no identifier is empty.
                fn given(text: &str) -> Option<&str> {
                    Some(text).filter(|text| !text.is_empty())
                }
                let (tenant, device) = (columns.tenant_id.value(row), columns.device_id.value(row));
                let customer = given(columns.customer_id.value(row));
                let value = i64::try_from(readings.reading.value.value(at)).ok().and_then(Quantity::from_micros);
                let time = |micros| DateTime::from_timestamp_micros(micros).map(instant);
                let received = columns.received_at;
                let data = json!({
                    "device_id": device, "site_id": given(columns.site_id.value(row)), "commodity": readings.commodity.value(at),
                    "channel": readings.reading.channel.value(at), "kind": readings.reading.kind.value(at),
                    "value": value.map(|value| value.to_string()), "unit": readings.reading.unit.value(at),
                    "start": time(readings.reading.start.value(at)), "duration_s": readings.reading.duration_s.value(at),
                    "verdict": readings.verdict.value(at),
                    "received_at": Some(received.value(row)).filter(|micros| *micros != 0).and_then(time),
                    "validated_at": time(columns.validated_at.value(row)),
                });
                let text: Arc<str> = format!("event: reading\nid: {id}\ndata: {data}\n\n").into();
                self.hand(tenant, customer, device, &Sent { text, alert: None });
            }
        }
        Ok(())
    }

    /// Hands an event to the clients of its tenant that may see it and want it.
    fn hand(&self, tenant: &str, customer: Option<&str>, device: &str, sent: &Sent) {
        let mut clients = held(&self.clients);
        let Some(clients) = clients.get_mut(tenant) else { return };
        let now = self.began.elapsed();
        for client in clients {
            let wanted = if sent.alert.is_some() { client.alerts } else { client.readings };
            if !wanted
                || !client.scope.covers(tenant, customer)
                || client.device.as_deref().is_some_and(|only| only != device)
                || (sent.alert.is_none() && !client.sampler.admits(device, now))
            {
                continue;
            }
            metrics::event(if sent.alert.is_some() { "alert" } else { "reading" });
            if client.queue.try_send(sent.clone()).is_err() {
                client.dropped.fetch_add(1, Ordering::Relaxed);
                metrics::dropped(1);
            }
        }
    }

    /// Adds a client; it is taken away when what is given back is dropped.
    fn join(self: &Arc<Self>, scope: &Scope, kinds: Kinds, device: Option<&str>) -> Result<Listener, Problem> {
        let mut clients = held(&self.clients);
        let open: usize = clients.values().map(Vec::len).sum();
        if open >= self.config.stream.max_clients {
            return Err(Problem::unavailable("The live stream"));
        }
        let (queue, receiver) = mpsc::channel(self.config.stream.queue);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let dropped = Arc::new(AtomicU64::new(0));
        clients.entry(scope.tenant.clone()).or_default().push(Client {
            id,
            scope: scope.clone(),
            readings: kinds.readings,
            alerts: kinds.alerts,
            device: device.map(str::to_owned),
            sampler: Sampler::new(self.config.stream.sample_interval),
            queue,
            dropped: Arc::clone(&dropped),
        });
        metrics::clients(open + 1);
        Ok(Listener { hub: Arc::clone(self), tenant: scope.tenant.clone(), id, receiver, dropped })
    }

    /// The alerts of a scope since the given positions, and up to where they were read.
    async fn since(
        &self,
        scope: &Scope,
        device: Option<&str>,
        from: &Positions,
    ) -> anyhow::Result<(VecDeque<String>, Positions)> {
        let (mut texts, mut read_to, mut left) = (VecDeque::new(), from.clone(), 0_u64);
        let now = held(&self.positions).clone();
        for (partition, position) in from {
            if now.get(partition).is_none_or(|end| end <= position) {
                continue;
            }
            let at = TopicPartition::new(self.config.topics.alerts.as_str(), *partition);
            let mut tail = read_tail(&self.config.kafka, &at, StartAt::Offset(NextOffset(*position))).await?;
            while let Some(block) = tail.next().await? {
                for record in block.iter() {
                    read_to.insert(*partition, record.offset + 1);
                    let Ok(alert) = self.reader.read(record.payload.unwrap_or_default()).await else { continue };
                    let wanted = scope.covers(&alert.tenant_id, alert.customer_id.as_deref())
                        && device.is_none_or(|only| only == alert.device_id);
                    if !wanted {
                        continue;
                    }
                    if texts.len() < self.config.stream.max_replay {
                        texts.push_back(alert_event(&alert, &event_id(&read_to)));
                    } else {
                        left += 1;
                    }
                }
            }
        }
        if left > 0 {
            texts.push_back(format!("event: dropped\ndata: {{\"count\":{left}}}\n\n"));
        }
        Ok((texts, read_to))
    }
}

/// A client's end of its queue.
#[derive(Debug)]
struct Listener {
    hub: Arc<Hub>,
    tenant: String,
    id: u64,
    receiver: mpsc::Receiver<Sent>,
    dropped: Arc<AtomicU64>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut clients = held(&self.hub.clients);
        if let Some(of_tenant) = clients.get_mut(&self.tenant) {
            of_tenant.retain(|client| client.id != self.id);
            if of_tenant.is_empty() {
                clients.remove(&self.tenant);
            }
        }
        metrics::clients(clients.values().map(Vec::len).sum());
    }
}

#[derive(Debug, Clone, Copy)]
struct Kinds {
    readings: bool,
    alerts: bool,
}

impl Kinds {
    fn parse(text: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = text else { return Ok(Self { readings: true, alerts: true }) };
        let mut kinds = Self { readings: false, alerts: false };
        for word in text.split(',') {
            match word.trim() {
                "reading" => kinds.readings = true,
                "alert" => kinds.alerts = true,
                _ => return Err(Problem::wrong(("kinds", "must be alert, reading or both, by comma".into()))),
            }
        }
        Ok(kinds)
    }
}

/// The id of an event: positions in the alerts topic.
fn event_id(positions: &Positions) -> String {
    let mut id = String::new();
    for (partition, position) in positions {
        let separator = if id.is_empty() { "" } else { "-" };
        // Writing to a String cannot fail.
        let _ = write!(id, "{separator}{partition}.{position}");
    }
    id
}

/// The positions of an id; `None` when it is none of ours.
fn positions(id: &str) -> Option<Positions> {
    let part = |part: &str| {
        let (partition, position) = part.split_once('.')?;
        Some((partition.parse().ok()?, position.parse().ok().filter(|position: &i64| *position >= 0)?))
    };
    id.split('-').map(part).collect()
}

fn alert_event(alert: &Alert, id: &str) -> String {
    let time = |micros| DateTime::from_timestamp_micros(micros).map(instant);
    let data = json!({
        "alert_id": alert.alert_id, "device_id": alert.device_id, "site_id": alert.site_id, "customer_id": alert.customer_id,
        "kind": alert.kind, "severity": alert.severity, "state": alert.state, "revision": alert.revision,
        "opened_at": time(alert.opened_at), "updated_at": time(alert.updated_at),
        "closed_at": alert.closed_at.and_then(time), "detail": alert.detail, "zone": null, "acknowledgement": null,
    });
    format!("event: alert\nid: {id}\ndata: {data}\n\n")
}

/// Opens a stream.
pub(super) async fn open(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (&call.api, call.scope()?);
    let kinds = Kinds::parse(call.query.text("kinds"))?;
    let device = call.query.text("device_id").map(str::to_owned);
    if let Some(device) = &device {
        super::routes::find_device(api, scope, device).await?;
    }
    let resume =
        match call.headers.get("last-event-id").and_then(|value| value.to_str().ok()).filter(|id| !id.is_empty()) {
            None => None,
            Some(id) => Some(
                positions(id).ok_or_else(|| Problem::wrong(("Last-Event-ID", "must be the id of an event".into())))?,
            ),
        };
    // First the queue, then what is past: nothing falls between the two.
    let listener = api.hub.join(scope, kinds, device.as_deref())?;
    let (backlog, replayed) = match resume.filter(|_| kinds.alerts) {
        None => (VecDeque::new(), Positions::new()),
        Some(from) => api.hub.since(scope, device.as_deref(), &from).await.map_err(|error| {
            tracing::warn!(error = format!("{error:#}"), "alerts since an event cannot be read");
            Problem::unavailable("The topic of alerts")
        })?,
    };
    let seconds = u64::try_from(call.caller()?.expires_at - Utc::now().timestamp()).unwrap_or_default();
    let state = Stream {
        listener,
        backlog,
        replayed,
        ping: tokio::time::interval(PING),
        end: Box::pin(sleep(Duration::from_secs(seconds))),
        shutdown: api.shutdown.clone(),
    };
    let events = futures::stream::unfold(state, async |mut state| {
        Some((Ok::<_, std::convert::Infallible>(state.next().await?), state))
    });
    Ok(Answer::Events(Body::from_stream(events)))
}

struct Stream {
    listener: Listener,
    backlog: VecDeque<String>,
    replayed: Positions,
    ping: tokio::time::Interval,
    /// The token ends here, and the stream with it.
    end: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
    shutdown: CancellationToken,
}

impl Stream {
    async fn next(&mut self) -> Option<String> {
        if let Some(text) = self.backlog.pop_front() {
            return Some(text);
        }
        loop {
            let dropped = self.listener.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                return Some(format!("event: dropped\ndata: {{\"count\":{dropped}}}\n\n"));
            }
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                () = &mut self.end => return None,
                sent = self.listener.receiver.recv() => {
                    let sent = sent?;
                    let again = sent.alert.is_some_and(|(partition, offset)| self.replayed.get(&partition).is_some_and(|to| offset < *to));
                    if !again {
                        return Some(sent.text.to_string());
                    }
                }
                _ = self.ping.tick() => return Some(format!("event: ping\ndata: {{\"at\":\"{}\"}}\n\n", instant(Utc::now()))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hold_positions() {
        let held = Positions::from([(0, 7), (1, 0), (11, 1_000_000)]);
        assert_eq!(event_id(&held), "0.7-1.0-11.1000000");
        assert_eq!(positions(&event_id(&held)), Some(held));
        for bad in ["", "0", "0.x", "0.-1", "a.1", "0.1-"] {
            assert_eq!(positions(bad), None, "{bad}");
        }
    }

    #[test]
    fn kinds_are_words() {
        let kinds = |text| Kinds::parse(Some(text)).map(|kinds| (kinds.readings, kinds.alerts));
        assert_eq!(kinds("alert"), Ok((false, true)));
        assert_eq!(kinds("alert, reading"), Ok((true, true)));
        assert!(kinds("alert,").is_err() && kinds("pings").is_err());
    }
}

//! Walks through the days of a run, device by device, and sends what arrives of them.

use super::kafka::{Note, Raw};
use super::pace::Pace;
use super::ways::Ways;
use crate::simulate::core::fleet::{GATEWAYS, SimDevice, TENANTS};
use crate::simulate::core::inject::{self, Action, Delivery, Event};
use crate::simulate::core::malformed::Broken;
use crate::simulate::core::plan::{Extra, Skipped};
use crate::simulate::core::scenario::Scenario;
use crate::simulate::core::truth::TruthEntry;
use crate::simulate::summary::Totals;
use indicatif::ProgressBar;
use meterway_schemas::encode::{Reading, ReadingBatch};
use meterway_schemas::{DeviceEvent, DeviceEventKind, Source};
use tokio_util::sync::CancellationToken;

/// How deliveries are cut and sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Readings per message at most.
    pub per_message: usize,
    /// UTC microseconds.
    pub now: i64,
}

/// A run under way.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    /// The run.
    pub scenario: &'a Scenario,
    /// How it is sent.
    pub manner: Manner,
    /// Where it is sent.
    pub ways: Ways,
    /// Counts.
    pub totals: Totals,
    /// Faults that could not be placed or sent.
    pub skipped: Vec<Skipped>,
    /// Dial of each device at the beginning of the day that comes next, in thousandths.
    pub dials: Vec<i64>,
    /// Ends the run early.
    pub stop: CancellationToken,
    pace: Pace,
    progress: ProgressBar,
    truth: Vec<TruthEntry>,
    gateway_ids: Vec<String>,
    sequences: [[i64; GATEWAYS]; 2],
}

impl<'a> Runner<'a> {
    /// A run from its first day.
    pub(crate) fn new(scenario: &'a Scenario, manner: Manner, ways: Ways, pace: Pace, progress: ProgressBar) -> Self {
        Self {
            scenario,
            manner,
            ways,
            totals: Totals::default(),
            skipped: scenario.plan.skipped.clone(),
            dials: scenario.fleet.iter().map(|device| device.dial_start).collect(),
            stop: CancellationToken::new(),
            pace,
            progress,
            truth: truth_entries(scenario),
            gateway_ids: scenario.fleet.iter().map(SimDevice::gateway_id).collect(),
            sequences: [[0; GATEWAYS]; 2],
        }
    }

    /// Sends the whole history, or what there is of it when the run is stopped.
    pub(crate) async fn history(&mut self) -> anyhow::Result<()> {
        let mut readings = Vec::new();
        for day in 0..self.scenario.settings.days {
            for device in self.scenario.fleet.iter().filter(|device| !device.inactive) {
                if self.stop.is_cancelled() {
                    return self.settle().await;
                }
                readings.clear();
                self.scenario.true_day(device, day, &mut self.dials[device.index], &mut readings);
                self.device_day(device, day, &readings).await?;
            }
            self.extras(day).await?;
            self.ways.end_day().await?;
            self.collect();
        }
        self.settle().await
    }

    /// Goes through the history without sending, so that what follows it continues it.
    pub(crate) fn skip_history(&mut self) {
        let mut readings = Vec::new();
        for day in 0..self.scenario.settings.days {
            for device in self.scenario.fleet.iter().filter(|device| !device.inactive) {
                readings.clear();
                self.scenario.true_day(device, day, &mut self.dials[device.index], &mut readings);
            }
        }
    }

    /// Waits until everything sent is acknowledged.
    pub(crate) async fn settle(&mut self) -> anyhow::Result<()> {
        self.ways.settle().await?;
        self.collect();
        Ok(())
    }

    /// What must be found of everything sent so far; ends the display.
    pub(crate) fn truth(&self) -> Vec<&TruthEntry> {
        self.progress.finish_and_clear();
        self.truth.iter().filter(|entry| !entry.expect.is_empty() || !entry.tolerated.is_empty()).collect()
    }

    fn collect(&mut self) {
        for (entry, outcome) in self.ways.take_settled() {
            self.truth[entry].add(outcome);
        }
    }

    async fn device_day(
        &mut self,
        device: &SimDevice,
        day: usize,
        readings: &[Reading<'static>],
    ) -> anyhow::Result<()> {
        let Some((entry, injection)) = self.scenario.plan.of(device.index) else {
            return self.clean(device, readings).await;
        };
        if injection.day == day {
            self.truth[entry].add(inject::opening_outcome(self.scenario, injection));
        }
        match inject::actions(self.scenario, injection, day, readings, self.manner.now) {
            None => self.clean(device, readings).await,
            Some(actions) => {
                for action in actions {
                    self.act(device, entry, action).await?;
                }
                Ok(())
            }
        }
    }

    /// Sends readings of a device as they are.
    pub(crate) async fn clean(&mut self, device: &SimDevice, readings: &[Reading<'static>]) -> anyhow::Result<()> {
        for chunk in readings.chunks(self.manner.per_message) {
            let sequence = self.next_sequence(device);
            let batch = ReadingBatch {
                tenant_id: device.tenant.id,
                device_id: &device.id,
                gateway_id: &self.gateway_ids[device.index],
                sequence,
                received_at: None,
                source: self.ways.source(device.gateway),
                readings: chunk,
            };
            let note = Note { readings: chunk.len() as u32, ..Note::default() };
            self.ways.deliver(device.gateway, &batch, note).await?;
            self.count(chunk.len()).await;
        }
        Ok(())
    }

    async fn act(&mut self, device: &SimDevice, entry: usize, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Deliver(delivery) => {
                for part in inject::split(delivery, self.manner.per_message) {
                    self.deliver(device, entry, part).await?;
                }
                Ok(())
            }
            Action::Event(event) => self.event(device, entry, event).await,
            Action::Broken(broken) => self.broken(device, entry, broken).await,
        }
    }

    async fn deliver(&mut self, device: &SimDevice, entry: usize, delivery: Delivery) -> anyhow::Result<()> {
        let sequence = if delivery.again { self.last_sequence(device) } else { self.next_sequence(device) };
        let batch = ReadingBatch {
            tenant_id: delivery.tenant_id,
            device_id: &delivery.device_id,
            gateway_id: &delivery.gateway_id,
            sequence,
            received_at: None,
            source: self.ways.source(device.gateway),
            readings: &delivery.readings,
        };
        // An unknown device is not the one it was made from.
        self.truth[entry].device_id.clone_from(&delivery.device_id);
        let outcome = (!delivery.outcome.is_empty()).then_some((entry, delivery.outcome));
        let fault = Some(self.truth[entry].fault);
        let note = Note { readings: batch.readings.len() as u32, outcome, fault };
        let readings = batch.readings.len();
        self.ways.deliver(device.gateway, &batch, note).await?;
        self.count(readings).await;
        Ok(())
    }

    async fn event(&mut self, device: &SimDevice, entry: usize, event: Event) -> anyhow::Result<()> {
        let sequence = self.next_sequence(device);
        let record = device_event(device, self.ways.source(device.gateway), sequence, event.kind, event.at);
        self.ways.event(&record).await?;
        self.totals.events += 1;
        self.truth[entry].add(event.outcome);
        Ok(())
    }

    async fn broken(&mut self, device: &SimDevice, entry: usize, broken: Broken) -> anyhow::Result<()> {
        self.truth[entry].variant = Some(broken.name);
        let fault = Some(self.truth[entry].fault);
        let note = Note { readings: 0, outcome: Some((entry, broken.outcome)), fault };
        let (tenant, device) = (device.tenant.id, device.id.as_str());
        let raw = Raw { tenant, device, key: &broken.key, payload: broken.payload.as_deref(), variant: broken.name };
        if self.ways.raw(raw, note).await? {
            self.count(0).await;
        }
        Ok(())
    }

    /// The additional messages of a day. Only Kafka tells where they lie.
    async fn extras(&mut self, day: usize) -> anyhow::Result<()> {
        let extras = self.scenario.plan.extras.iter().enumerate().filter(|(_, extra)| extra.day == day);
        for (at, extra) in extras {
            let entry = self.scenario.plan.injections.len() + at;
            let device = &self.scenario.fleet[extra.device];
            match self.extra(extra, device)? {
                Some(action) => self.act(device, entry, action).await?,
                None => self.skip(extra),
            }
        }
        Ok(())
    }

    fn extra(&self, extra: &Extra, device: &SimDevice) -> anyhow::Result<Option<Action>> {
        let Some(kafka) = &self.ways.kafka else { return Ok(None) };
        let gateway_id = device.gateway_id();
        let reading = inject::undelivered(device, self.scenario);
        let event = device_event(device, Source::Kafka, 0, DeviceEventKind::Other, reading.start);
        let datum = kafka.event_datum(&event)?;
        let ids = [device.tenant.id, device.id.as_str(), gateway_id.as_str()];
        Ok(Some(inject::extra(self.scenario, extra, kafka.material(ids, reading, &datum))))
    }

    fn skip(&mut self, extra: &Extra) {
        let skipped = Skipped { fault: extra.kind.name(), reason: "only Kafka tells where the message lies" };
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }

    async fn count(&mut self, readings: usize) {
        self.totals.messages += 1;
        self.totals.readings += readings as u64;
        if self.totals.messages.is_multiple_of(512) {
            self.progress.set_position(self.totals.readings);
            // The other tasks (signals, acknowledgements over HTTP) must get a turn while the queue has room.
            tokio::task::yield_now().await;
        }
        self.pace.pass(readings.max(1)).await;
    }

    fn sequence(&mut self, device: &SimDevice) -> &mut i64 {
        let tenant = usize::from(device.tenant != &TENANTS[0]);
        &mut self.sequences[tenant][device.gateway - 1]
    }

    fn next_sequence(&mut self, device: &SimDevice) -> i64 {
        let sequence = self.sequence(device);
        *sequence += 1;
        *sequence
    }

    fn last_sequence(&mut self, device: &SimDevice) -> i64 {
        *self.sequence(device)
    }
}

fn device_event(device: &SimDevice, source: Source, sequence: i64, kind: DeviceEventKind, at: i64) -> DeviceEvent {
    DeviceEvent {
        tenant_id: device.tenant.id.to_owned(),
        device_id: device.id.clone(),
        gateway_id: device.gateway_id(),
        sequence,
        received_at: None,
        source,
        kind,
        at,
        detail: None,
    }
}

/// An entry for each fault of a device, then one for each additional message.
fn truth_entries(scenario: &Scenario) -> Vec<TruthEntry> {
    let injections = scenario.plan.injections.iter().map(|injection| (injection.kind, injection.device));
    let extras = scenario.plan.extras.iter().map(|extra| (extra.kind, extra.device));
    let entry = |(kind, device): (_, usize)| {
        let device = &scenario.fleet[device];
        TruthEntry::new(kind, device.tenant.id, &device.id)
    };
    injections.chain(extras).map(entry).collect()
}

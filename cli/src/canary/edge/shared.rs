//! The ledger, as the writer and the stages share it; every change is told to the metrics.

use super::metrics;
use crate::canary::core::known::{Id, value_of};
use crate::canary::core::ledger::{Figures, Ledger, Seen, Sighting, Stage};
use service_runtime::{Clock, SystemClock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The canary's devices and its ledger; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// Tenant.
    pub(crate) tenant: Arc<str>,
    /// Device of each partition.
    pub(crate) devices: Arc<[String]>,
    ledger: Arc<Mutex<Ledger>>,
    /// Stages that did not answer when they were last looked at, with the reason.
    away: Arc<Mutex<BTreeMap<Stage, String>>>,
}

/// Now, in microseconds since 1970-01-01 UTC.
pub(crate) fn now() -> i64 {
    SystemClock.now_micros()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Around a fresh ledger.
    pub(crate) fn new(tenant: &str, devices: Vec<String>, ledger: Ledger) -> Self {
        let away = ledger.stages().iter().map(|stage| (*stage, "not looked at yet".to_owned())).collect();
        let (ledger, away) = (Arc::new(Mutex::new(ledger)), Arc::new(Mutex::new(away)));
        Self { tenant: tenant.into(), devices: devices.into(), ledger, away }
    }

    /// The ledger, for a moment.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        locked(&self.ledger)
    }

    /// The number of a device; `None` for one that is not the canary's.
    pub(crate) fn device(&self, device_id: &str) -> Option<usize> {
        self.devices.iter().position(|known| known == device_id)
    }

    /// Whether a value, in millionths, is the one that was sent.
    pub(crate) fn is_right(&self, id: Id, value: i64) -> bool {
        self.devices.get(id.device).is_some_and(|device| value_of(device, id.start) == value)
    }

    /// A stage has a reading, so often.
    pub(crate) fn saw(&self, stage: Stage, id: Id, value: i64, copies: u32) {
        let seen = Seen { id, copies, right: self.is_right(id, value) };
        let sighting = self.ledger().saw(stage, seen, now());
        tell(stage, &sighting);
    }

    /// A stage has a reading, and had all of its device before.
    pub(crate) fn saw_up_to(&self, stage: Stage, newest: Id, value: i64) {
        let right = self.is_right(newest, value);
        let sightings = self.ledger().saw_up_to(stage, newest, right, now());
        sightings.iter().for_each(|sighting| tell(stage, sighting));
    }

    /// A stage told everything that it had at this time.
    pub(crate) fn looked(&self, stage: Stage, device: Option<usize>, at: i64) {
        locked(&self.away).remove(&stage);
        let (missing, now_missing) = {
            let mut ledger = self.ledger();
            (ledger.looked(stage, device, at), ledger.missing(stage))
        };
        if missing > 0 {
            tracing::error!(stage = stage.name(), readings = missing, "canary readings are missing");
        }
        metrics::looked(stage, missing, now_missing);
    }

    /// A stage did not answer.
    pub(crate) fn failed(&self, stage: Stage, error: &anyhow::Error) {
        tracing::warn!(stage = stage.name(), error = %format!("{error:#}"), "stage cannot be looked at");
        metrics::failed(stage);
        locked(&self.away).insert(stage, format!("{error:#}"));
    }

    /// Stages that were not looked at, or did not answer the last time.
    pub(crate) fn away(&self) -> BTreeMap<Stage, String> {
        locked(&self.away).clone()
    }

    /// Figures by stage, in the direction of flow.
    pub(crate) fn figures(&self) -> Vec<(Stage, Figures)> {
        let ledger = self.ledger();
        let looked_at = Stage::ALL.into_iter().filter(|stage| ledger.stages().contains(stage));
        looked_at.map(|stage| (stage, ledger.figures(stage))).collect()
    }
}

fn tell(stage: Stage, sighting: &Sighting) {
    if sighting.duplicates > 0 || sighting.corrupted {
        let (duplicates, corrupted) = (sighting.duplicates, sighting.corrupted);
        tracing::error!(stage = stage.name(), duplicates, corrupted, "canary reading is not as it was sent");
    }
    metrics::saw(stage, sighting, now());
}

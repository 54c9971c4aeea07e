//! What really happened, written as it happens: a run that is killed leaves its record.

use crate::core::fault::Lane;
use anyhow::Context;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// One fault, or one end that nobody had planned.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Happened {
    /// Seconds since the attack began.
    pub(crate) at_s: f64,
    /// Whom it hit.
    pub(crate) lane: String,
    /// Service, where it hit one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<&'static str>,
    /// Name of the fault.
    pub(crate) fault: String,
    /// Whether it took place. A fail point that was not passed in time did not.
    pub(crate) injected: bool,
    /// Seconds until the service had carried something through again, by service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) recovery_s: BTreeMap<&'static str, f64>,
    /// Services that had not within the limit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) not_recovered: Vec<&'static str>,
    /// Seconds from SIGTERM to the end of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exit_s: Option<f64>,
    /// What else is to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Happened {
    /// A fault of a lane, not yet injected.
    pub(crate) fn new(at_s: f64, lane: Lane, fault: String) -> Self {
        let service = if let Lane::Replica { service, .. } = lane { Some(service) } else { None };
        Self {
            at_s,
            lane: lane.to_string(),
            service,
            fault,
            injected: false,
            recovery_s: BTreeMap::new(),
            not_recovered: Vec::new(),
            exit_s: None,
            note: None,
        }
    }

    /// Notes when a service was back, or that it was not.
    pub(crate) fn recovered(&mut self, service: &'static str, seconds: Option<f64>) {
        match seconds {
            Some(seconds) => drop(self.recovery_s.insert(service, seconds)),
            None => self.not_recovered.push(service),
        }
    }
}

/// The record of a run.
#[derive(Debug)]
pub(crate) struct Record {
    began: Mutex<Instant>,
    kept: Mutex<(File, Vec<Happened>)>,
}

impl Record {
    /// An empty record in a file. Time counts from now.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self { began: Mutex::new(Instant::now()), kept: Mutex::new((file, Vec::new())) })
    }

    /// The attack begins now: what came before was preparation.
    pub(crate) fn restart_clock(&self) {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Seconds since the attack began.
    pub(crate) fn now_s(&self) -> f64 {
        self.began().elapsed().as_secs_f64()
    }

    /// When the attack began.
    pub(crate) fn began(&self) -> Instant {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what happened, and tells people.
    pub(crate) fn keep(&self, happened: Happened) {
        let line = serde_json::to_string(&happened).unwrap_or_default();
        let sign = if happened.injected { " " } else { "-" };
        let recovery: Vec<_> = happened.recovery_s.iter().map(|(name, s)| format!("{name} back {s:.1} s")).collect();
        let missing = happened.not_recovered.iter().map(|name| format!("{name} NOT back"));
        let more: Vec<_> = recovery.into_iter().chain(missing).chain(happened.note.clone()).collect();
        eprintln!("[{:>6.1}s]{sign}{:<18} {:<34} {}", happened.at_s, happened.lane, happened.fault, more.join(", "));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // The report is made from memory; the file is for a run that does not get there.
        let _full_disk = writeln!(kept.0, "{line}");
        kept.1.push(happened);
    }

    /// Everything so far.
    pub(crate) fn all(&self) -> Vec<Happened> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

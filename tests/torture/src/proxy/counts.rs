//! What a proxy did.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What went through a proxy, and what it did to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections taken.
    pub connections: u64,
    /// HTTP requests seen; 0 for a [`super::TcpProxy`].
    pub requests: u64,
    /// Faults that happened, by name.
    pub injected: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// How often the fault of this name happened.
    #[must_use]
    pub fn of(&self, fault: &str) -> u64 {
        self.injected.get(fault).copied().unwrap_or(0)
    }
}

#[derive(Debug, Default)]
pub(super) struct Counter(Mutex<Counts>);

impl Counter {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connection(&self) {
        self.lock().connections += 1;
    }

    pub(super) fn request(&self) {
        self.lock().requests += 1;
    }

    pub(super) fn injected(&self, fault: &'static str) {
        *self.lock().injected.entry(fault).or_default() += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().clone()
    }
}

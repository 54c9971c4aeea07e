//! One memory budget for the histories of all partitions of a process: each has an equal share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The budget.
#[derive(Debug)]
pub(crate) struct Memory {
    bytes: usize,
    holders: AtomicUsize,
}

/// A partition that takes part; it gives its share back when it is dropped.
#[derive(Debug)]
pub(crate) struct Held(Arc<Memory>);

impl Memory {
    /// A budget of so many bytes.
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { bytes, holders: AtomicUsize::new(0) })
    }

    /// Takes part in it.
    pub(crate) fn hold(self: &Arc<Self>) -> Held {
        self.holders.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(self))
    }

    /// What one holder may use now; bytes.
    pub(crate) fn share(&self) -> usize {
        self.bytes / self.holders.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.holders.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_all_holders_never_exceed_the_budget() {
        let memory = Memory::new(1000);
        let held: Vec<_> = (0..7).map(|_| memory.hold()).collect();
        assert!(memory.share() * held.len() <= 1000 && memory.share() > 0);
        drop(held);
        let _alone = memory.hold();
        assert_eq!(memory.share(), 1000);
    }
}

//! What the handle, the poll thread and the receiving side share.
//!
//! Staleness is decided by epochs. Every start and every revocation of a partition raises its epoch at once, in the
//! thread that asks for it; blocks carry the epoch they were read under, and the receiver drops those of an older one.
//! So after `start` or a revocation has returned, nothing that was read before it can come out of the channel, however
//! full the channel was.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::ConsumerError;
use super::events::Event;
use crate::core::position::Epoch;
use crate::record::{NextOffset, RecordBlock, TopicPartition};

/// A partition that is assigned to this consumer, over the life of that assignment.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Raised by every start and by the revocation.
    epoch: AtomicU64,
    /// Position behind the last record handed over; -1 before the first start.
    pub(crate) position: AtomicI64,
}

impl Slot {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { epoch: AtomicU64::new(0), position: AtomicI64::new(-1) })
    }

    /// Makes everything read so far stale; returns the epoch that is valid from now on.
    pub(crate) fn renew(&self) -> Epoch {
        Epoch(self.epoch.fetch_add(1, Ordering::AcqRel)).next()
    }

    pub(crate) fn is_current(&self, epoch: Epoch) -> bool {
        Epoch(self.epoch.load(Ordering::Acquire)).covers(epoch)
    }
}

/// Orders to the poll thread.
#[derive(Debug)]
pub(crate) enum Command {
    Start {
        at: TopicPartition,
        epoch: Epoch,
        from: NextOffset,
    },
    /// Leave a partition alone, or read it again.
    Pause(TopicPartition, bool),
    Fail(ConsumerError),
}

/// What goes through the bounded channel.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) slot: Arc<Slot>,
    pub(crate) epoch: Epoch,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Records(RecordBlock),
    End(TopicPartition, NextOffset),
}

/// What goes past the bounded channel: few, and not to be held up by records.
#[derive(Debug)]
pub(crate) enum Notice {
    Event(Event),
    Failed(ConsumerError),
}

#[derive(Debug)]
pub(crate) struct Shared {
    slots: Mutex<HashMap<TopicPartition, Arc<Slot>>>,
    commits: Mutex<BTreeMap<TopicPartition, NextOffset>>,
    closing: AtomicBool,
    /// The poll thread holds blocks because the channel is full.
    starved: AtomicBool,
    waker: OnceLock<Thread>,
    born: Instant,
    last_poll_ms: AtomicU64,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            slots: Mutex::default(),
            commits: Mutex::default(),
            closing: AtomicBool::new(false),
            starved: AtomicBool::new(false),
            waker: OnceLock::new(),
            born: Instant::now(),
            last_poll_ms: AtomicU64::new(0),
        })
    }

    pub(crate) fn slots(&self) -> MutexGuard<'_, HashMap<TopicPartition, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn slot(&self, at: &TopicPartition) -> Option<Arc<Slot>> {
        self.slots().get(at).map(Arc::clone)
    }

    fn commits(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, NextOffset>> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn offer_commits(&self, positions: &[(TopicPartition, NextOffset)]) {
        self.commits().extend(positions.iter().cloned());
    }

    pub(crate) fn take_commits(&self) -> BTreeMap<TopicPartition, NextOffset> {
        std::mem::take(&mut *self.commits())
    }

    /// Takes the pending commits of some partitions and leaves the others.
    pub(crate) fn take_commits_of(&self, partitions: &[TopicPartition]) -> BTreeMap<TopicPartition, NextOffset> {
        let mut commits = self.commits();
        partitions.iter().filter_map(|at| commits.remove_entry(at)).collect()
    }

    pub(crate) fn touch(&self) {
        self.last_poll_ms.store(u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn last_poll(&self) -> Instant {
        self.born + Duration::from_millis(self.last_poll_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake();
    }

    /// Ends the poll thread's sleep, or keeps it from falling asleep once.
    pub(crate) fn wake(&self) {
        if let Some(thread) = self.waker.get() {
            thread.unpark();
        }
    }

    pub(crate) fn set_waker(&self, thread: Thread) {
        // A consumer has one poll thread, so nobody was first.
        let _ = self.waker.set(thread);
    }

    pub(crate) fn set_starved(&self, starved: bool) {
        self.starved.store(starved, Ordering::Release);
    }

    /// Tells the poll thread that there is room again, if it waits for that.
    pub(crate) fn made_room(&self) {
        if self.starved.load(Ordering::Acquire) {
            self.wake();
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewing_makes_older_epochs_stale() {
        let slot = Slot::new();
        let first = slot.renew();
        assert!(slot.is_current(first));
        let second = slot.renew();
        assert!(!slot.is_current(first) && slot.is_current(second));
    }

    #[test]
    fn latest_commit_wins_and_revocation_takes_only_its_own() {
        let shared = Shared::new();
        let (a, b) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
        shared.offer_commits(&[(a.clone(), NextOffset(5)), (b.clone(), NextOffset(1))]);
        shared.offer_commits(&[(a.clone(), NextOffset(7))]);
        let revoked = shared.take_commits_of(std::slice::from_ref(&a));
        assert_eq!(revoked.into_iter().collect::<Vec<_>>(), [(a, NextOffset(7))]);
        assert_eq!(shared.take_commits().into_iter().collect::<Vec<_>>(), [(b, NextOffset(1))]);
    }
}

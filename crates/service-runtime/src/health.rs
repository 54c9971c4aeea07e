//! Whether the process should get work (ready) and whether it should be restarted (live).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether the service can serve now. Starts unready with the reason "starting".
#[derive(Debug, Clone)]
pub struct Readiness {
    unready: Arc<Mutex<Option<String>>>,
    objections: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { unready: Arc::new(Mutex::new(Some("starting".to_owned()))), objections: Arc::default() }
    }
}

impl Readiness {
    /// Declares the service ready.
    pub fn set_ready(&self) {
        *locked(&self.unready) = None;
    }

    /// Declares the service unable to serve, with the reason that `/ready` shows.
    pub fn set_unready(&self, reason: impl Into<String>) {
        *locked(&self.unready) = Some(reason.into());
    }

    /// Keeps the service unready, whatever else is said, until the part of that name withdraws: for a part that runs but
    /// must not work until somebody has decided something.
    pub fn object(&self, part: impl Into<String>, reason: impl Into<String>) {
        locked(&self.objections).insert(part.into(), reason.into());
    }

    /// Takes an objection back; without one, does nothing.
    pub fn withdraw(&self, part: &str) {
        locked(&self.objections).remove(part);
    }

    /// Why the service is not ready; `None` when it is. Of several reasons, objections in the order of their parts.
    pub fn unready_reason(&self) -> Option<String> {
        let unready = locked(&self.unready).clone();
        let objections = locked(&self.objections);
        let objected = || objections.iter().map(|(part, reason)| format!("{part}: {reason}")).collect::<Vec<_>>();
        unready.or_else(|| (!objections.is_empty()).then(|| objected().join("; ")))
    }
}

/// A watchdog over loops that must keep turning. A loop that has been silent for longer than it promised makes `/live`
/// fail, so that the orchestrator restarts a process that hangs without having died.
#[derive(Debug, Clone)]
pub struct Liveness {
    started: Instant,
    watched: Arc<Mutex<BTreeMap<String, Watched>>>,
}

#[derive(Debug)]
struct Watched {
    max_silence: Duration,
    last_beat_ms: Arc<AtomicU64>,
}

impl Default for Liveness {
    fn default() -> Self {
        Self { started: Instant::now(), watched: Arc::default() }
    }
}

impl Liveness {
    /// Starts to watch a loop, which counts as having just beaten. The watch ends when the handle is dropped. A second
    /// handle of the same name replaces the first.
    ///
    /// `max_silence` is the longest time the loop may take between two beats: several times the slowest turn that is
    /// still healthy, or a slow store would look like a hanging process and be made worse by restarts.
    pub fn beat_handle(&self, name: impl Into<String>, max_silence: Duration) -> Beat {
        let name = name.into();
        let last_beat_ms = Arc::new(AtomicU64::new(self.elapsed_ms()));
        let watched = Watched { max_silence, last_beat_ms: Arc::clone(&last_beat_ms) };
        locked(&self.watched).insert(name.clone(), watched);
        Beat { name, liveness: self.clone(), last_beat_ms }
    }

    /// The loops that have been silent for too long, with their silence. Empty when the process is alive.
    pub fn silent(&self) -> Vec<(String, Duration)> {
        let now_ms = self.elapsed_ms();
        let watched = locked(&self.watched);
        let silence =
            |w: &Watched| Duration::from_millis(now_ms.saturating_sub(w.last_beat_ms.load(Ordering::Relaxed)));
        let too_long = |(name, w): (&String, &Watched)| {
            let silence = silence(w);
            (silence > w.max_silence).then(|| (name.clone(), silence))
        };
        watched.iter().filter_map(too_long).collect()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Held by a watched loop.
#[derive(Debug)]
pub struct Beat {
    name: String,
    liveness: Liveness,
    last_beat_ms: Arc<AtomicU64>,
}

impl Beat {
    /// Says that the loop has made a turn. Costs a clock read and a store; call it once per turn.
    pub fn beat(&self) {
        self.last_beat_ms.store(self.liveness.elapsed_ms(), Ordering::Relaxed);
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        let mut watched = locked(&self.liveness.watched);
        // A newer handle of the same name must not be removed by the older one.
        if watched.get(&self.name).is_some_and(|w| Arc::ptr_eq(&w.last_beat_ms, &self.last_beat_ms)) {
            watched.remove(&self.name);
        }
    }
}

/// The values behind these locks are replaced whole, so a panic of another holder can't have left them half written.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_loop_is_named_until_it_beats_again() {
        let liveness = Liveness::default();
        let beat = liveness.beat_handle("poll", Duration::from_millis(5));
        assert_eq!(liveness.silent(), vec![]);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(liveness.silent()[0].0, "poll");
        beat.beat();
        assert_eq!(liveness.silent(), vec![]);
    }

    #[test]
    fn a_loop_that_ended_is_not_watched_any_more() {
        let liveness = Liveness::default();
        let old = liveness.beat_handle("poll", Duration::ZERO);
        let new = liveness.beat_handle("poll", Duration::ZERO);
        std::thread::sleep(Duration::from_millis(5));
        drop(old);
        assert_eq!(liveness.silent().len(), 1, "the newer handle is still watched");
        drop(new);
        assert_eq!(liveness.silent(), vec![]);
    }

    #[test]
    fn readiness_starts_unready_and_keeps_the_newest_reason() {
        let readiness = Readiness::default();
        assert_eq!(readiness.unready_reason().as_deref(), Some("starting"));
        readiness.set_ready();
        assert_eq!(readiness.unready_reason(), None);
        readiness.set_unready("broker is away");
        assert_eq!(readiness.unready_reason().as_deref(), Some("broker is away"));
    }

    #[test]
    fn an_objection_holds_until_it_is_withdrawn() {
        let readiness = Readiness::default();
        readiness.object("route b", "topic was created again");
        readiness.object("route a", "records are lost");
        readiness.set_ready();
        let both = "route a: records are lost; route b: topic was created again";
        assert_eq!(readiness.unready_reason().as_deref(), Some(both));
        readiness.withdraw("route a");
        readiness.withdraw("route b");
        readiness.withdraw("route c");
        assert_eq!(readiness.unready_reason(), None);
    }
}

//! A clock that tests turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use service_runtime::Clock;

/// Stands still until a test moves it. Clones share their time.
#[derive(Debug, Clone)]
pub struct FakeClock(Arc<AtomicI64>);

impl FakeClock {
    /// Starts at the given microseconds since 1970-01-01T00:00:00Z.
    pub fn at_micros(micros: i64) -> Self {
        Self(Arc::new(AtomicI64::new(micros)))
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).expect("a test doesn't wait 292,000 years");
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Jumps, backwards too: clocks do.
    pub fn set_micros(&self, micros: i64) {
        self.0.store(micros, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_their_time() {
        let clock = FakeClock::at_micros(1_000);
        clock.clone().advance(Duration::from_millis(2));
        assert_eq!((clock.now_micros(), clock.now_millis()), (3_000, 3));
        clock.set_micros(-1);
        assert_eq!(clock.now_millis(), -1);
    }
}

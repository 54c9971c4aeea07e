//! The only place that reads the time of day. Cores take time as an argument; edges take a [`Clock`].

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time of day.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970-01-01T00:00:00Z.
    fn now_micros(&self) -> i64;

    /// Milliseconds since 1970-01-01T00:00:00Z, the unit of Kafka's record timestamps.
    fn now_millis(&self) -> i64 {
        self.now_micros().div_euclid(1_000)
    }
}

/// The operating system's clock; in builds with debug assertions, shifted by what `METER_CLOCK_OFFSET` says.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_micros(&self) -> i64 {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |before| -before),
        };
        #[cfg(debug_assertions)]
        let micros = micros.saturating_add(crate::skew::offset_micros());
        micros
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now_micros(&self) -> i64 {
        (**self).now_micros()
    }
}

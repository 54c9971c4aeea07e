//! Waiting longer after each failure, with jitter, so that many clients don't come back in step.

use std::time::Duration;

use rand::Rng;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::sleep_or_shutdown;

/// A policy that can't be followed.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum InvalidBackoff {
    /// The shortest wait is zero, which would be a busy loop.
    #[error("min is zero")]
    ZeroMin,
    /// The shortest wait is longer than the longest.
    #[error("min {min:?} is longer than max {max:?}")]
    MinAboveMax {
        /// Shortest wait.
        min: Duration,
        /// Longest wait.
        max: Duration,
    },
    /// The jitter is not a share between 0 and 1.
    #[error("jitter {0} is not between 0 and 1")]
    Jitter(f64),
}

/// Doubles the wait from `min` to `max`; each wait is shortened by a random share of at most `jitter`, but never below
/// `min`. An instance is always valid.
///
/// In a configuration: `{ min = "100ms", max = "10s", jitter = 0.2 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Settings", into = "Settings")]
pub struct Backoff {
    min: Duration,
    max: Duration,
    jitter: f64,
    failures: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(with = "humantime_serde")]
    min: Duration,
    #[serde(with = "humantime_serde")]
    max: Duration,
    jitter: f64,
}

impl Backoff {
    /// Builds a policy.
    ///
    /// # Errors
    /// [`InvalidBackoff`] when `min` is zero or above `max`, or `jitter` is not within 0..=1.
    pub fn new(min: Duration, max: Duration, jitter: f64) -> Result<Self, InvalidBackoff> {
        if min.is_zero() {
            return Err(InvalidBackoff::ZeroMin);
        }
        if min > max {
            return Err(InvalidBackoff::MinAboveMax { min, max });
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(InvalidBackoff::Jitter(jitter));
        }
        Ok(Self { min, max, jitter, failures: 0 })
    }

    /// The wait before the next attempt, and counts a failure.
    pub fn next_delay(&mut self, rng: &mut impl Rng) -> Duration {
        // Beyond 2^31 the cap has long been reached; saturating keeps the multiplication defined.
        let factor = 2_u32.saturating_pow(self.failures.min(31));
        self.failures = self.failures.saturating_add(1);
        let full = self.min.saturating_mul(factor).min(self.max);
        let shortened = full.mul_f64(1.0 - self.jitter * rng.random::<f64>());
        shortened.clamp(self.min, self.max)
    }

    /// Forgets the failures: the next wait is `min` again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

impl TryFrom<Settings> for Backoff {
    type Error = InvalidBackoff;

    fn try_from(settings: Settings) -> Result<Self, InvalidBackoff> {
        Self::new(settings.min, settings.max, settings.jitter)
    }
}

impl From<Backoff> for Settings {
    fn from(policy: Backoff) -> Self {
        Self { min: policy.min, max: policy.max, jitter: policy.jitter }
    }
}

/// Why [`retry`] gave up.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetryError<E: std::error::Error + 'static> {
    /// The operation's error is not transient.
    #[error("give up on an error that another attempt can't mend")]
    Permanent(#[source] E),
    /// The process is shutting down; the last error of the operation.
    #[error("give up because of shutdown")]
    Shutdown(#[source] E),
}

/// Runs the operation until it succeeds, fails for good, or the process shuts down.
///
/// The attempt itself is not interrupted by shutdown: only the waits are. Give the operation a deadline of its own.
///
/// # Errors
/// [`RetryError`], with the operation's last error.
pub async fn retry<T, E, F, O>(
    mut policy: Backoff,
    shutdown: &CancellationToken,
    is_transient: impl Fn(&E) -> bool,
    mut operation: O,
) -> Result<T, RetryError<E>>
where
    E: std::error::Error + 'static,
    F: Future<Output = Result<T, E>>,
    O: FnMut() -> F,
{
    loop {
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !is_transient(&error) {
            return Err(RetryError::Permanent(error));
        }
        let delay = policy.next_delay(&mut rand::rng());
        tracing::debug!(error = %error, delay_ms = delay.as_millis() as u64, "retry after a transient error");
        if !sleep_or_shutdown(delay, shutdown).await {
            return Err(RetryError::Shutdown(error));
        }
    }
}

#[cfg(test)]
#[path = "backoff_tests.rs"]
mod tests;

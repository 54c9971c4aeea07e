//! Keeps a steady rate.

use std::time::Duration;
use tokio::time::Instant;

/// Shortest wait worth the switch of tasks.
const SHORTEST: Duration = Duration::from_millis(2);

/// Lets so many items pass per second.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: f64,
    began: Instant,
    passed: f64,
}

impl Pace {
    /// A rate per second; 0 is as fast as possible.
    pub(crate) fn new(rate: f64) -> Self {
        Self { rate, began: Instant::now(), passed: 0.0 }
    }

    /// Waits until the items may pass.
    pub(crate) async fn pass(&mut self, items: usize) {
        let Some(due) = self.due(items) else { return };
        if due.saturating_duration_since(Instant::now()) >= SHORTEST {
            tokio::time::sleep_until(due).await;
        }
    }

    fn due(&mut self, items: usize) -> Option<Instant> {
        self.passed += items as f64;
        (self.rate > 0.0).then(|| self.began + Duration::from_secs_f64(self.passed / self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundred_items_at_fifty_a_second_take_two_seconds() {
        let mut pace = Pace::new(50.0);
        let last = (0..100).map(|_| pace.due(1)).last().flatten().unwrap();
        assert_eq!(last - pace.began, Duration::from_secs(2));
        assert_eq!(Pace::new(0.0).due(1_000_000), None);
    }
}

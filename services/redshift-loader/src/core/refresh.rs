//! When the facts are built again.

use std::time::Duration;

/// Builds after loads, one at a time, and not more often than allowed. Times are durations since any fixed moment.
#[derive(Debug)]
pub struct RefreshPolicy {
    min_interval: Duration,
    last_start: Option<Duration>,
    wanted: bool,
}

impl RefreshPolicy {
    /// Nothing is wanted yet, except what was loaded before this process: the first build is due at once.
    pub fn new(min_interval: Duration) -> Self {
        Self { min_interval, last_start: None, wanted: true }
    }

    /// Something was loaded.
    pub fn request(&mut self) {
        self.wanted = true;
    }

    /// How long to wait before the next build may start; `None` when none is wanted.
    pub fn due_in(&self, now: Duration) -> Option<Duration> {
        let due = self.last_start.map_or(Duration::ZERO, |start| start + self.min_interval);
        self.wanted.then(|| due.saturating_sub(now))
    }

    /// A build starts. What is loaded from now on asks for another one.
    pub fn start(&mut self, now: Duration) {
        self.last_start = Some(now);
        self.wanted = false;
    }

    /// The build failed: what it should have brought in is still wanted.
    pub fn failed(&mut self) {
        self.wanted = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn builds_follow_loads_at_most_once_per_interval() {
        let mut policy = RefreshPolicy::new(s(30));
        assert_eq!(policy.due_in(s(5)), Some(s(0)));
        policy.start(s(5));
        assert_eq!(policy.due_in(s(6)), None, "nothing new, no build");
        policy.request();
        assert_eq!(policy.due_in(s(6)), Some(s(29)));
        assert_eq!(policy.due_in(s(40)), Some(s(0)));
    }

    #[test]
    fn a_load_during_a_build_asks_for_another() {
        let mut policy = RefreshPolicy::new(s(30));
        policy.start(s(0));
        policy.request();
        assert_eq!(policy.due_in(s(10)), Some(s(20)));
    }

    #[test]
    fn a_failed_build_is_tried_again_after_the_interval() {
        let mut policy = RefreshPolicy::new(s(30));
        policy.start(s(0));
        policy.failed();
        assert_eq!(policy.due_in(s(3)), Some(s(27)));
    }
}

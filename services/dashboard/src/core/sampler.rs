//! Thins readings out for one client: a device speaks at most once per interval.

use std::collections::HashMap;
use std::time::Duration;

/// Devices remembered; when there are more, the memory is emptied, and a device may speak too early once.
const MOST_DEVICES: usize = 50_000;

/// Remembers when each device spoke last.
#[derive(Debug)]
pub struct Sampler {
    interval: Duration,
    last: HashMap<String, Duration>,
}

impl Sampler {
    /// With the shortest time between two readings of a device.
    pub fn new(interval: Duration) -> Self {
        Self { interval, last: HashMap::new() }
    }

    /// Whether the device may speak now, counted from any fixed instant; notes it when it may.
    pub fn admits(&mut self, device: &str, now: Duration) -> bool {
        match self.last.get_mut(device) {
            Some(last) if now.saturating_sub(*last) < self.interval => return false,
            Some(last) => *last = now,
            None => {
                if self.last.len() >= MOST_DEVICES {
                    self.last.clear();
                }
                self.last.insert(device.to_owned(), now);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_waits_and_others_do_not() {
        let (mut sampler, now) = (Sampler::new(Duration::from_secs(1)), Duration::from_secs(7));
        assert!(sampler.admits("a", now) && sampler.admits("b", now));
        assert!(!sampler.admits("a", now + Duration::from_millis(999)));
        assert!(sampler.admits("a", now + Duration::from_secs(1)));
        assert!(!sampler.admits("a", now + Duration::from_millis(1500)), "counted from what was let through");
    }
}

//! Token buckets: what a tenant may deliver per second.

/// Allows `rate` tokens a second and bursts of as many as `burst`.
#[derive(Debug, Clone)]
pub struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at_micros: i64,
}

impl Bucket {
    /// A full bucket. Rate and burst are tokens per second and tokens; zero lets nothing through.
    pub fn new(rate: u32, burst: u32, now_micros: i64) -> Self {
        Self { rate: rate.into(), burst: burst.into(), tokens: burst.into(), at_micros: now_micros }
    }

    /// Takes `count` tokens, or says after how many seconds (at least one) it is worth asking again. A request larger than
    /// the burst is let through when the bucket is full, and leaves a debt: otherwise it could never pass.
    pub fn take(&mut self, count: u32, now_micros: i64) -> Result<(), u64> {
        let elapsed = (now_micros - self.at_micros).max(0) as f64 / 1e6;
        self.tokens = (self.tokens + elapsed * self.rate).min(self.burst);
        self.at_micros = now_micros.max(self.at_micros);
        let needed = f64::from(count).min(self.burst);
        if self.burst > 0.0 && self.tokens >= needed {
            self.tokens -= f64::from(count);
            return Ok(());
        }
        let wait = if self.rate > 0.0 { (needed - self.tokens) / self.rate } else { 3600.0 };
        Err((wait.ceil() as u64).clamp(1, 3600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let mut bucket = Bucket::new(10, 20, 0);
        assert_eq!(bucket.take(20, 0), Ok(()));
        assert_eq!(bucket.take(15, 0), Err(2));
        assert_eq!(bucket.take(15, 2 * SECOND), Ok(()));
    }

    #[test]
    fn a_request_larger_than_the_burst_passes_once_and_is_paid_for() {
        let mut bucket = Bucket::new(10, 20, 0);
        assert_eq!(bucket.take(100, 0), Ok(()));
        assert_eq!(bucket.take(1, 8 * SECOND), Err(1));
        assert_eq!(bucket.take(1, 9 * SECOND), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::new(10, 10, 10 * SECOND);
        assert_eq!(bucket.take(10, 10 * SECOND), Ok(()));
        assert!(bucket.take(1, 0).is_err());
        assert!(bucket.take(1, 10 * SECOND).is_err());
    }

    proptest! {
        #[test]
        fn no_more_than_burst_plus_rate_passes(requests in prop::collection::vec((1u32..20, 0i64..300_000), 1..200)) {
            let mut bucket = Bucket::new(50, 40, 0);
            let (mut now, mut passed) = (0, 0u64);
            for (count, later) in requests {
                now += later;
                if bucket.take(count, now).is_ok() {
                    passed += u64::from(count);
                }
            }
            prop_assert!(passed as f64 <= 40.0 + 50.0 * now as f64 / 1e6 + 1e-6);
        }
    }
}

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;

proptest! {
    #[test]
    fn every_wait_lies_between_min_and_max(
        min_ms in 1_u64..5_000,
        extra_ms in 0_u64..600_000,
        jitter in 0.0_f64..=1.0,
        seed: u64,
    ) {
        let (min, max) = (Duration::from_millis(min_ms), Duration::from_millis(min_ms + extra_ms));
        let mut policy = Backoff::new(min, max, jitter).unwrap();
        let mut rng = SmallRng::seed_from_u64(seed);
        for _ in 0..80 {
            let delay = policy.next_delay(&mut rng);
            prop_assert!(delay >= min && delay <= max, "{delay:?} outside {min:?}..={max:?}");
        }
    }

    #[test]
    fn without_jitter_the_wait_doubles_until_max(min_ms in 1_u64..1_000, doublings in 0_u32..20) {
        let min = Duration::from_millis(min_ms);
        let max = min * 2_u32.pow(doublings);
        let mut policy = Backoff::new(min, max, 0.0).unwrap();
        let mut rng = SmallRng::seed_from_u64(0);
        for step in 0..=doublings + 2 {
            prop_assert_eq!(policy.next_delay(&mut rng), min * 2_u32.pow(step.min(doublings)));
        }
        policy.reset();
        prop_assert_eq!(policy.next_delay(&mut rng), min);
    }
}

#[test]
fn an_invalid_policy_cannot_be_constructed() {
    let second = Duration::from_secs(1);
    assert_eq!(Backoff::new(Duration::ZERO, second, 0.0), Err(InvalidBackoff::ZeroMin));
    assert!(matches!(Backoff::new(second * 2, second, 0.0), Err(InvalidBackoff::MinAboveMax { .. })));
    assert!(matches!(Backoff::new(second, second, f64::NAN), Err(InvalidBackoff::Jitter(_))));
    let read = serde_json::from_str::<Backoff>(r#"{"min":"2s","max":"1s","jitter":0.1}"#);
    assert!(read.unwrap_err().to_string().contains("longer than max"));
}

#[derive(Debug, thiserror::Error)]
#[error("attempt {0}")]
struct Attempt(u32);

fn quick() -> Backoff {
    Backoff::new(Duration::from_millis(1), Duration::from_millis(2), 0.5).unwrap()
}

#[tokio::test]
async fn transient_errors_are_retried_until_success() {
    let (attempts, token) = (AtomicU32::new(0), CancellationToken::new());
    let result = retry(
        quick(),
        &token,
        |_| true,
        || async {
            match attempts.fetch_add(1, Ordering::Relaxed) {
                n if n < 3 => Err(Attempt(n)),
                n => Ok(n),
            }
        },
    );
    assert_eq!(result.await.unwrap(), 3);
}

#[tokio::test]
async fn a_permanent_error_ends_the_loop_at_once() {
    let token = CancellationToken::new();
    let result = retry(quick(), &token, |e: &Attempt| e.0 != 7, || async { Err::<(), _>(Attempt(7)) });
    assert!(matches!(result.await, Err(RetryError::Permanent(Attempt(7)))));
}

#[tokio::test]
async fn shutdown_ends_the_loop_with_the_last_error() {
    let token = CancellationToken::new();
    token.cancel();
    let slow = Backoff::new(Duration::from_secs(600), Duration::from_secs(600), 0.0).unwrap();
    let result = retry(slow, &token, |_| true, || async { Err::<(), _>(Attempt(1)) }).await;
    assert!(matches!(result, Err(RetryError::Shutdown(Attempt(1)))));
}

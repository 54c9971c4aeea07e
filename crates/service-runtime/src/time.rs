//! Waiting, always in a way that a shutdown can end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Waits for the duration. Cancel safe.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits for the duration or until the token is cancelled; `true` when the whole time passed, `false` on shutdown.
/// Cancel safe.
pub async fn sleep_or_shutdown(duration: Duration, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => false,
        () = tokio::time::sleep(duration) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shutdown_ends_the_wait() {
        let token = CancellationToken::new();
        assert!(sleep_or_shutdown(Duration::from_millis(1), &token).await);
        token.cancel();
        assert!(!sleep_or_shutdown(Duration::from_secs(3600), &token).await);
    }
}

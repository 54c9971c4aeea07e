//! How far a replay is, and how long it will take. Pure.

use std::fmt;
use std::time::Duration;

/// Messages, readings and days of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub(crate) struct Progress {
    /// Messages that are to be sent, those before the range included.
    pub(crate) messages: u64,
    /// Messages sent so far.
    pub(crate) sent: u64,
    /// Messages decided so far.
    pub(crate) decided: u64,
    /// Readings in the messages sent.
    pub(crate) readings: u64,
    /// Days (UTC) of arrival that there are.
    pub(crate) days: u64,
    /// Days whose first message was sent.
    pub(crate) days_begun: u64,
}

impl Progress {
    /// Time left at the speed so far, `None` before anything was sent.
    pub(crate) fn left(&self, elapsed: Duration, before: u64) -> Option<Duration> {
        let done = self.sent.checked_sub(before).filter(|done| *done > 0)?;
        let left = self.messages.saturating_sub(self.sent);
        Some(elapsed.mul_f64(left as f64 / done as f64))
    }

    /// The line that tells it.
    pub(crate) fn line(&self, elapsed: Duration, before: u64) -> String {
        let left = self.left(elapsed, before).map(|left| format!(", about {} left", Seconds(left)));
        format!("{self}{}", left.unwrap_or_default())
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, sent, decided, readings, days, days_begun } = self;
        let percent = (sent * 100).checked_div(*messages).unwrap_or(100);
        write!(f, "{sent} of {messages} messages sent ({percent} %), {decided} decided; {readings} readings; ")?;
        write!(f, "day {days_begun} of {days}")
    }
}

/// A time as people say it.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
            (0, 0, seconds) => write!(f, "{seconds} s"),
            (0, minutes, seconds) => write!(f, "{minutes} min {seconds} s"),
            (hours, minutes, _) => write!(f, "{hours} h {minutes} min"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_before_a_kill_does_not_make_it_look_faster() {
        let progress =
            Progress { messages: 1_000, sent: 400, decided: 350, readings: 19_200, days: 30, days_begun: 12 };
        assert_eq!(progress.left(Duration::from_secs(100), 300), Some(Duration::from_secs(600)));
        assert_eq!(progress.left(Duration::from_secs(100), 400), None);
        assert_eq!(
            progress.line(Duration::from_secs(100), 300),
            "400 of 1000 messages sent (40 %), 350 decided; 19200 readings; day 12 of 30, about 10 min 0 s left"
        );
        assert_eq!(Seconds(Duration::from_secs(7_322)).to_string(), "2 h 2 min");
        assert!(Progress::default().to_string().contains("(100 %)"));
    }
}

//! A wall clock that is wrong on purpose. Only in builds with debug assertions, and only for what asks
//! [`SystemClock`](crate::SystemClock): clients, brokers and stores keep their own time.

use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use humantime_serde::re::humantime;

pub(crate) const VARIABLE: &str = "METER_CLOCK_OFFSET";

static ACTIVE: OnceLock<(Instant, Skew)> = OnceLock::new();

/// Reads the variable's value and shifts the clock from here on; tells so in the log.
///
/// # Errors
/// [`Mistake`] names the step that can't be read.
pub(crate) fn arm(text: &str) -> Result<(), Mistake> {
    let skew: Skew = text.parse()?;
    tracing::warn!(offset = text, "wall clock is shifted");
    let _first_wins = ACTIVE.set((Instant::now(), skew));
    Ok(())
}

/// How wrong the clock is now, microseconds.
pub(crate) fn offset_micros() -> i64 {
    ACTIVE.get().map_or(0, |(start, skew)| skew.offset_micros(start.elapsed()))
}

/// A step that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {0:?} is not an offset with its sign, such as -2h or +90s@30s", variable = VARIABLE)]
pub(crate) struct Mistake(String);

/// Offsets by the time since the start of the process; each holds until the next.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Skew(Vec<(Duration, i64)>);

impl Skew {
    fn offset_micros(&self, since_start: Duration) -> i64 {
        self.0.iter().take_while(|(from, _)| *from <= since_start).last().map_or(0, |(_, offset)| *offset)
    }
}

impl FromStr for Skew {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let mut steps = text.split(';').map(step).collect::<Result<Vec<_>, _>>()?;
        steps.sort_by_key(|(from, _)| *from);
        Ok(Self(steps))
    }
}

fn step(text: &str) -> Result<(Duration, i64), Mistake> {
    let wrong = || Mistake(text.trim().to_owned());
    let (offset, from) = text.trim().split_once('@').unwrap_or((text.trim(), "0s"));
    let (sign, length) = match offset.split_at_checked(1) {
        Some(("+", length)) => (1, length),
        Some(("-", length)) => (-1, length),
        _ => return Err(wrong()),
    };
    let duration = |text: &str| humantime::parse_duration(text).map_err(|_| wrong());
    let micros = i64::try_from(duration(length)?.as_micros()).map_err(|_| wrong())?;
    Ok((duration(from)?, sign * micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_offset_holds_until_the_next() {
        let skew: Skew = "+1m; -2h@30s".parse().unwrap();
        assert_eq!(skew.offset_micros(Duration::ZERO), 60_000_000);
        assert_eq!(skew.offset_micros(Duration::from_secs(29)), 60_000_000);
        assert_eq!(skew.offset_micros(Duration::from_secs(30)), -7_200_000_000);
        let late: Skew = "-1s@5s".parse().unwrap();
        assert_eq!(late.offset_micros(Duration::from_secs(4)), 0);
    }

    #[test]
    fn an_offset_without_its_sign_is_a_mistake() {
        for text in ["2h", "+soon", "", "-1s@later", "+1s;;"] {
            assert!(text.parse::<Skew>().is_err(), "{text:?}");
        }
    }
}

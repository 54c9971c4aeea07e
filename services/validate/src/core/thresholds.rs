//! The limits that rules compare with.

/// One hour in microseconds, the unit of times in here.
pub const HOUR_US: i64 = 3_600_000_000;

/// Limits of the rules. The defaults are those of `config.default.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// How far ahead of now a reading may start; microseconds.
    pub future_tolerance_us: i64,
    /// How long ago a reading may have started; microseconds.
    pub max_age_us: i64,
    /// How far an interval may start from a multiple of its length; microseconds.
    pub clock_tolerance_us: i64,
    /// An interval is a spike when it is at least this many times the highest other interval of its day …
    pub spike_ratio: u32,
    /// … and at least this share of what the service can carry in its length; percent.
    pub spike_floor_percent: u32,
    /// Other intervals that a day must have for a spike to stand out from; with fewer the rule is skipped.
    pub spike_min_others: u32,
    /// From how many identical intervals in a row on a meter counts as stuck.
    pub stuck_run: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            future_tolerance_us: HOUR_US / 4,
            max_age_us: 400 * 24 * HOUR_US,
            clock_tolerance_us: 180 * 1_000_000,
            spike_ratio: 8,
            spike_floor_percent: 12,
            spike_min_others: 6,
            stuck_run: 12,
        }
    }
}

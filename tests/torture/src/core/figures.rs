//! Figures from samples: percentiles, and whether memory grows.

use serde::Serialize;

/// A set of durations in one line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Number of samples.
    pub n: usize,
    /// Half are no longer.
    pub p50_s: f64,
    /// Of a hundred, ninety-nine are no longer.
    pub p99_s: f64,
    /// The longest.
    pub max_s: f64,
}

impl Spread {
    /// The spread of samples in seconds; `None` without any.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let max_s = *sorted.last()?;
        // Nearest rank: a percentile is a sample that was seen, not one between two.
        let rank = |share: f64| sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1];
        Some(Self { n: sorted.len(), p50_s: rank(0.50), p99_s: rank(0.99), max_s })
    }
}

/// One look at the memory of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemorySample {
    /// Seconds since the attack began.
    pub at_s: f64,
    /// Seconds since the process began.
    pub age_s: f64,
    /// Resident memory, MiB.
    pub rss_mib: f64,
}

/// Memory of the processes of one service over a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Memory {
    /// Number of samples.
    pub n: usize,
    /// Median over the first third of the run.
    pub first_third_mib: f64,
    /// Median over the last third.
    pub last_third_mib: f64,
    /// The largest.
    pub max_mib: f64,
    /// Slope of the least-squares line through the samples of grown-up processes, MiB per minute.
    pub slope_mib_per_min: f64,
}

/// A process younger than this is still filling its caches.
const GROWN_UP_S: f64 = 10.0;

impl Memory {
    /// The figures; `None` when no process lived long enough.
    pub fn of(samples: &[MemorySample]) -> Option<Self> {
        let grown: Vec<&MemorySample> = samples.iter().filter(|sample| sample.age_s >= GROWN_UP_S).collect();
        let (first, last) = (grown.first()?.at_s, grown.last()?.at_s);
        let third = (last - first) / 3.0;
        let median = |from: f64, to: f64| {
            let within = grown.iter().filter(|s| (from..=to).contains(&s.at_s)).map(|s| s.rss_mib);
            let mut within: Vec<f64> = within.collect();
            within.sort_by(f64::total_cmp);
            within.get(within.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let points: Vec<(f64, f64)> = grown.iter().map(|s| (s.at_s / 60.0, s.rss_mib)).collect();
        Some(Self {
            n: grown.len(),
            first_third_mib: median(first, first + third),
            last_third_mib: median(last - third, last),
            max_mib: samples.iter().map(|s| s.rss_mib).fold(0.0, f64::max),
            slope_mib_per_min: slope(&points),
        })
    }
}

/// Slope of the least-squares line; 0 when all points stand at one place.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let above: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let below: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    if below == 0.0 { 0.0 } else { above / below }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_that_were_seen() {
        assert_eq!(Spread::of(&[]), None);
        let one = Spread::of(&[4.0]).unwrap();
        assert_eq!((one.n, one.p50_s, one.p99_s, one.max_s), (1, 4.0, 4.0, 4.0));
        let many: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let many = Spread::of(&many).unwrap();
        assert_eq!((many.p50_s, many.p99_s, many.max_s), (50.0, 99.0, 100.0));
    }

    #[test]
    fn growth_shows_as_slope_and_a_young_process_does_not_count() {
        let growing = |per_minute: f64| -> Vec<MemorySample> {
            let at = |second: i32| f64::from(second);
            let sample = |s| MemorySample { at_s: at(s), age_s: at(s), rss_mib: 100.0 + per_minute * at(s) / 60.0 };
            (0..600).map(sample).collect()
        };
        let leak = Memory::of(&growing(6.0)).unwrap();
        assert!((leak.slope_mib_per_min - 6.0).abs() < 1e-6 && leak.last_third_mib > leak.first_third_mib + 30.0);
        let level = Memory::of(&growing(0.0)).unwrap();
        assert_eq!((level.slope_mib_per_min, level.max_mib, level.n), (0.0, 100.0, 590));
        assert_eq!(Memory::of(&growing(1.0)[..5]), None);
    }
}

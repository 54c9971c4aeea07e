//! Shortens the steps of a failing run, as far as that is easy: whole stretches are left out while it still fails.

use crate::bug::Bug;
use crate::run::{Report, run_steps};

/// A run with fewer steps that breaks a promise too.
pub fn shrink(seed: u64, failed: &Report, bug: Option<Bug>) -> Report {
    let mut best = failed.clone();
    let mut stretch = best.steps.len().div_ceil(2);
    while stretch > 0 {
        let mut at = 0;
        while at < best.steps.len() {
            let mut steps = best.steps.clone();
            steps.drain(at..(at + stretch).min(best.steps.len()));
            let report = run_steps(seed, &steps, bug, false);
            if report.violation.is_some() {
                best = report;
            } else {
                at += stretch;
            }
        }
        stretch = if stretch == 1 { 0 } else { stretch.div_ceil(2) };
    }
    run_steps(seed, &best.steps, bug, true)
}

use crate::bug::Bug;
use crate::run::{Reached, run_seed};

/// Seeds of a plain test run; `make torture` runs a hundred times as many.
const SEEDS: u64 = 1_000;

#[test]
fn no_seed_breaks_a_promise() {
    let mut reached = Reached::default();
    for seed in 0..SEEDS {
        let report = run_seed(seed, None, false);
        assert_eq!(report.violation, None, "replay: cargo run -p simulation -- --seed {seed} --trace");
        reached.re_emissions += report.reached.re_emissions;
        reached.deaths += report.reached.deaths;
        reached.refusals += report.reached.refusals;
        reached.rows += report.reached.rows;
    }
    // Runs in which nothing happens prove nothing.
    assert!(reached.deaths > SEEDS && reached.rows > 10 * SEEDS, "{reached:?}");
    assert!(reached.re_emissions > SEEDS / 20 && reached.refusals > SEEDS / 50, "{reached:?}");
}

#[test]
fn a_seed_is_a_run() {
    for seed in 0..20 {
        let (first, second) = (run_seed(seed, None, true), run_seed(seed, None, true));
        assert_eq!(first, second, "seed {seed}");
        assert!(!first.trace.is_empty());
        assert_eq!(run_seed(seed, None, false).digest, first.digest, "tracing changes nothing");
    }
}

#[test]
fn every_planted_bug_is_found() {
    const WITHIN: u64 = 1_000;
    for bug in Bug::ALL {
        let found = (0..WITHIN).map(|seed| run_seed(seed, Some(*bug), false)).find_map(|report| {
            let violation = report.violation?;
            Some((report.seed, violation.0))
        });
        let Some((seed, violation)) = found else { panic!("{bug} is not found within {WITHIN} seeds") };
        println!("{bug}: found by seed {seed}, after {} seeds: {violation}", seed + 1);
    }
}

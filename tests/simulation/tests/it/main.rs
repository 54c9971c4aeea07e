//! The command: what it prints when a promise is broken is enough to see it broken again.

use std::process::{Command, Output};

fn simulation(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_simulation")).args(arguments).output().expect("the command runs")
}

#[test]
fn a_failing_seed_is_printed_with_the_command_that_replays_it() {
    let found = simulation(&["--seeds", "20", "--bug", "two-messages"]);
    let text = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.status.code(), Some(1), "{text}");
    let replay = text.lines().find_map(|line| line.strip_prefix("replay: cargo run -p simulation -- ")).unwrap();
    let arguments: Vec<&str> = replay.split(' ').collect();
    let (first, second) = (simulation(&arguments), simulation(&arguments));
    assert_eq!(first.status.code(), Some(1));
    let trace = String::from_utf8(first.stdout).unwrap();
    assert!(trace.contains("VIOLATION: ") && trace.contains("steps are enough"), "{trace}");
    assert_eq!(trace.as_bytes(), second.stdout, "byte for byte");
}

#[test]
fn seeds_without_a_violation_end_well() {
    let calm = simulation(&["--seeds", "50", "--jobs", "2"]);
    let text = String::from_utf8(calm.stdout).unwrap();
    assert!(calm.status.success() && text.contains("no violation"), "{text}");
}

//! Fail points and the shifted clock, as the process and whoever started it see them.

use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command};
use std::time::{SystemTime, UNIX_EPOCH};

use service_runtime::EXIT_CONFIG;

use super::lifecycle::start;

const PAST: &str = "child is past the point";

fn put(variable: (&str, &str)) -> Child {
    start(&[("METER_TESTED_CHILD__BEHAVIOUR", "put"), variable])
}

fn log(child: Child) -> (std::process::ExitStatus, String) {
    let output = child.wait_with_output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

fn read_until(lines: &mut Lines<BufReader<ChildStderr>>, text: &str) -> bool {
    lines.any(|line| line.unwrap().contains(text))
}

#[test]
fn kill_ends_the_process_at_its_pass_and_says_so_before() {
    let (status, log) = log(put(("METER_FAIL_POINTS", "sink.after_put=kill@2")));
    assert_eq!(status.signal(), Some(9), "{log}");
    assert!(log.contains("fail points are armed"), "{log}");
    let firing = log.lines().last().unwrap();
    assert!(firing.contains("fail point fires") && firing.contains(r#""pass":2"#), "{log}");
    assert!(!log.contains(PAST), "{log}");
}

#[test]
fn stop_freezes_the_process_until_it_is_continued() {
    let mut child = put(("METER_FAIL_POINTS", "sink.after_put=stop@3"));
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(read_until(&mut lines, "fail point fires"));
    let stat = format!("/proc/{}/stat", child.id());
    let stopped = || std::fs::read_to_string(&stat).unwrap().rsplit(") ").next().unwrap().starts_with('T');
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !stopped() {
        assert!(std::time::Instant::now() < deadline, "the process did not stop");
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-CONT", &child.id().to_string()]).status().unwrap().success());
    assert!(read_until(&mut lines, PAST), "the process did not go on");
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_point_that_is_not_armed_or_not_reached_does_nothing() {
    for clause in ["sink.after_put=kill@4", "lake.after_commit=kill", "sink.after_put=delay(1ms)@1+"] {
        let (status, log) = log(put(("METER_FAIL_POINTS", clause)));
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains(PAST), "{log}");
    }
}

#[test]
fn a_mistake_in_a_fault_is_a_mistake_in_the_configuration() {
    for variable in [("METER_FAIL_POINTS", "sink.after_putt=kill"), ("METER_CLOCK_OFFSET", "2h")] {
        let (status, log) = log(put(variable));
        assert_eq!(status.code(), Some(i32::from(EXIT_CONFIG)), "{log}");
        assert!(log.contains(variable.0) && !log.contains("listens"), "{log}");
    }
}

#[test]
fn the_clock_is_shifted_for_who_asks_ours() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    let before = now();
    let (_, log) = log(put(("METER_CLOCK_OFFSET", "-2h")));
    let line = log.lines().find(|line| line.contains(PAST)).expect(&log);
    let entry: serde_json::Value = serde_json::from_str(line).unwrap();
    let true_micros = entry["micros"].as_i64().unwrap() + 7_200_000_000;
    assert!((before..=now()).contains(&true_micros), "{line}");
}

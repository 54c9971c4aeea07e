//! The broker stands still: nothing is answered "stored", nothing grows without bound, and afterwards nothing is missing.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;

use crate::world::{Answer, BROKER, NDJSON, World, answer, delivery, insist};

const READINGS: &str = "/v1/readings";
/// Requests while the broker stands: their messages are several times what may wait for the broker.
const REQUESTS: usize = 16;
/// Readings of a request; some 20 MiB of JSON, a tenth of what may wait for the broker.
const READINGS_EACH: usize = 150_000;
/// Far above what the door needs, far below what it would need if it kept what it is sent.
const MOST_RESIDENT_MIB: u64 = 500;

/// Lets the process run again, whatever happens.
struct Stopped(u32);

impl Stopped {
    fn stop(pid: u32) -> Self {
        signal("-STOP", pid);
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("-CONT", self.0);
    }
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// Highest resident memory of a process so far, in MiB.
fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn must_be_later(answers: &[Answer]) {
    for answer in answers {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        assert!(answer.retry_after.is_some_and(|seconds| seconds > 0), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stands_still_gets_no_request_acknowledged_and_loses_none() {
    let _alone = BROKER.write().await;
    let world = World::new().await;
    let settings = [("HTTP__REQUEST_TIMEOUT", "4s"), ("HTTP__MAX_CONCURRENT", "8"), ("HTTP__MAX_ENCODED", "64MiB")];
    let door = world.start(&settings).await;
    let acked = answer(door.post(READINGS, NDJSON, delivery("acked", 1, 3))).await;
    assert_eq!(acked.status, StatusCode::ACCEPTED);

    let stopped = Stopped::stop(world.stack.component_pid("kafka"));
    let keyed = |number: usize| {
        let body = delivery(&format!("keyed-{number}"), 1, 3);
        door.post(READINGS, NDJSON, body).header("idempotency-key", format!("k-{number}"))
    };
    let unanswered = join_all((0..4).map(|number| answer(keyed(number)))).await;
    must_be_later(&unanswered);
    let mut large = Vec::new();
    for pair in 0..REQUESTS / 2 {
        let body = |half: usize| delivery(&format!("large-{}", 2 * pair + half), 1, READINGS_EACH);
        large.extend(join_all([0, 1].map(|half| answer(door.post(READINGS, NDJSON, body(half))))).await);
    }
    must_be_later(&large);
    assert!(large.iter().any(|answer| answer.body.contains("too much is waiting")), "the queue is bounded by refusals");
    let peak = peak_mib(door.pid());
    assert!(peak < MOST_RESIDENT_MIB, "{peak} MiB resident");
    drop(stopped);

    for number in 0..4 {
        let (last, _) = insist(|| keyed(number)).await;
        assert_eq!(last.status, StatusCode::ACCEPTED, "{last:?}");
    }
    let (last, _) = insist(|| door.post(READINGS, NDJSON, delivery("after", 2, 3))).await;
    assert_eq!(last.status, StatusCode::ACCEPTED);
    let stored = world.stored("readings").await;
    let once: BTreeMap<&str, usize> =
        stored.iter().filter(|(key, _)| !key.starts_with("large")).map(|(key, count)| (&**key, *count)).collect();
    let expected = ["acked", "keyed-0", "keyed-1", "keyed-2", "keyed-3"]
        .into_iter()
        .map(|key| (key, 1))
        .collect::<BTreeMap<_, _>>();
    assert!(once["after"] >= 1);
    assert_eq!(once.into_iter().filter(|(key, _)| *key != "after").collect::<BTreeMap<_, _>>(), expected);
    eprintln!("peak {peak} MiB; of {REQUESTS} requests without an answer {} were stored", stored.len() - 6);
    drop(door);
    world.remove().await;
}

/// The report of the broker comes first: while it is held back there is no answer, and it comes with the report.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_waits_for_the_report() {
    let _alone = BROKER.write().await;
    let world = World::new().await;
    let door = world.start(&[]).await;
    // The connection and the topic's metadata are there already: what is missing is the report alone.
    assert_eq!(answer(door.post(READINGS, NDJSON, delivery("before", 1, 1))).await.status, StatusCode::ACCEPTED);
    let stopped = Stopped::stop(world.stack.component_pid("kafka"));
    let mut request = tokio::spawn(door.post(READINGS, NDJSON, delivery("waits", 2, 1)).send());
    assert!(tokio::time::timeout(Duration::from_secs(2), &mut request).await.is_err(), "an answer before the report");
    drop(stopped);
    let response = tokio::time::timeout(crate::world::PATIENCE, request).await.unwrap().unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(world.stored("readings").await, BTreeMap::from([("before".into(), 1), ("waits".into(), 1)]));
    drop(door);
    world.remove().await;
}

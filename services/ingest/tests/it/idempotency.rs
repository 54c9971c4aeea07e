//! An `Idempotency-Key` means: stored once and answered the same, whichever replica is asked and whoever died.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use ingest::core::once::{Fingerprint, IdempotencyKey, tag};
use reqwest::StatusCode;

use crate::proxy::{Hold, Proxy};
use crate::world::{Answer, BROKER, NDJSON, World, answer, delivery, dynamo, insist};

const READINGS: &str = "/v1/readings";
const UPDATE: &str = "UpdateItem";

/// Three good lines of three devices, and two that are refused.
fn body() -> String {
    let line = |device: &str| delivery(device, 1, 4);
    format!("{}\n{{}}\n{}\n\n{{\"device_id\":7}}\n{}\n", line("m-a"), line("m-b"), line("m-c"))
}

async fn counts(world: &World, devices: &[&str]) -> Vec<usize> {
    let stored = world.stored("readings").await;
    devices.iter().map(|device| stored.get(*device).copied().unwrap_or(0)).collect()
}

/// What the same request is answered without a key.
async fn expected(door: &crate::world::Door) -> Answer {
    answer(door.post(READINGS, NDJSON, body().replace("m-", "other-"))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_is_answered_the_same_everywhere_and_stored_once() {
    let _broker = BROKER.read().await;
    let world = World::new().await;
    let (mut first, second) = (world.start(&[]).await, world.start(&[]).await);
    let keyed = |door: &crate::world::Door| door.post(READINGS, NDJSON, body()).header("idempotency-key", "\"k-1\"");
    let before = answer(keyed(&first)).await;
    assert_eq!(before.status, StatusCode::ACCEPTED, "{before:?}");
    assert!(before.body.contains("\"line\":2") && before.body.contains("\"line\":5"), "{before:?}");
    assert_eq!(before, expected(&first).await, "a key changes nothing in the answer");
    for door in [&first, &second] {
        assert_eq!(answer(keyed(door)).await, before);
    }
    let bare = second.post(READINGS, NDJSON, body()).header("idempotency-key", "k-1");
    assert_eq!(answer(bare).await, before, "a key without quotes is the same key");
    first.kill();
    let first = world.start(&[]).await;
    assert_eq!(answer(keyed(&first)).await, before);
    assert_eq!(counts(&world, &["m-a", "m-b", "m-c"]).await, [1, 1, 1]);
    assert_eq!(first.metric("ingest_idempotency_total{outcome=\"replayed\"}").await, 1.0);

    let other = first.post(READINGS, NDJSON, delivery("m-a", 2, 1)).header("idempotency-key", "\"k-1\"");
    let other = answer(other).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(other.body.contains("idempotency-key-reused"), "{other:?}");
    let bad = answer(first.post(READINGS, NDJSON, body()).header("idempotency-key", "\"open")).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let twice = first.post(READINGS, NDJSON, body()).header("idempotency-key", "a").header("idempotency-key", "b");
    assert_eq!(answer(twice).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(counts(&world, &["m-a", "m-b", "m-c"]).await, [1, 1, 1]);

    // Another API key of the tenant has keys of its own.
    let request = world.client.post(format!("{}{READINGS}", second.url)).bearer_auth("second");
    let request = request.header("content-type", NDJSON).header("idempotency-key", "\"k-1\"").body(body());
    assert_eq!(answer(request).await, before);
    assert_eq!(counts(&world, &["m-a", "m-b", "m-c"]).await, [2, 2, 2]);
    drop((first, second));
    world.remove().await;
}

/// The window between the broker's report and the answer: the first replica has stored everything and is killed while it
/// writes the answer down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_report_and_answer_the_retry_elsewhere_stores_nothing() {
    let _broker = BROKER.read().await;
    let world = World::new().await;
    let proxy = Proxy::to(&world.stack.dynamodb_endpoint()).await;
    let through = format!("http://{}", proxy.address);
    let mut first = world.start(&[("IDEMPOTENCY__ENDPOINT", &through)]).await;
    let second = world.start(&[]).await;
    proxy.hold(Hold::Request, UPDATE);
    let request = first.post(READINGS, NDJSON, body()).header("idempotency-key", "k");
    let unanswered = tokio::spawn(request.send());
    proxy.met().await;
    assert_eq!(counts(&world, &["m-a", "m-b", "m-c"]).await, [1, 1, 1], "the broker has it all");
    let meanwhile = answer(second.post(READINGS, NDJSON, body()).header("idempotency-key", "k")).await;
    assert_eq!(meanwhile.status, StatusCode::CONFLICT, "{meanwhile:?}");
    assert!(meanwhile.retry_after.is_some() && meanwhile.body.contains("in-work"), "{meanwhile:?}");
    first.kill();
    assert!(unanswered.await.unwrap().is_err(), "the first never answered");

    let retry = || second.post(READINGS, NDJSON, body()).header("idempotency-key", "k");
    let (after, before) = insist(retry).await;
    assert_eq!(after, expected(&second).await);
    assert!(before.iter().all(|status| *status == StatusCode::CONFLICT), "{before:?}");
    assert_eq!(answer(retry()).await, after);
    assert_eq!(counts(&world, &["m-a", "m-b", "m-c"]).await, [1, 1, 1], "and has it once");
    assert_eq!(second.metric("ingest_idempotency_total{outcome=\"taken_over\"}").await, 1.0);
    drop((first, second));
    world.remove().await;
}

/// Killed when the key is claimed and nothing is sent: the retry elsewhere stores everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_anything_was_sent_the_retry_elsewhere_stores_it_all() {
    let _broker = BROKER.read().await;
    let world = World::new().await;
    let proxy = Proxy::to(&world.stack.dynamodb_endpoint()).await;
    let through = format!("http://{}", proxy.address);
    let mut first = world.start(&[("IDEMPOTENCY__ENDPOINT", &through)]).await;
    let second = world.start(&[]).await;
    proxy.hold(Hold::Answer, "claimed_at");
    let request = first.post(READINGS, NDJSON, body()).header("idempotency-key", "k");
    let unanswered = tokio::spawn(request.send());
    proxy.met().await;
    first.kill();
    assert!(unanswered.await.unwrap().is_err());
    assert_eq!(counts(&world, &["m-a", "m-b", "m-c"]).await, [0, 0, 0]);
    let (after, _) = insist(|| second.post(READINGS, NDJSON, body()).header("idempotency-key", "k")).await;
    assert_eq!(after, expected(&second).await);
    assert_eq!(counts(&world, &["m-a", "m-b", "m-c"]).await, [1, 1, 1]);
    drop((first, second));
    world.remove().await;
}

/// The dead replica got one message of three through: the retry sends the other two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_stored_in_part_is_completed() {
    let _broker = BROKER.read().await;
    let world = World::new().await;
    let door = world.start(&[]).await;
    let id = IdempotencyKey::parse("k").unwrap().record_id("north", "first");
    let fingerprint = Fingerprint::of(READINGS, "ndjson", &body());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let number = |value: u128| AttributeValue::N(value.to_string());
    let claim = dynamo(&world.stack).await.put_item().table_name(world.table()).item("id", text(&id));
    let claim = claim.item("fingerprint", AttributeValue::B(Blob::new(fingerprint.0))).item("request", text("r-1"));
    let claim = claim.item("owner", text("a dead replica")).item("claim", text("c-1"));
    let claim = claim.item("claimed_at", number(now.as_millis()));
    claim.item("expires_at", number(u128::from(now.as_secs()) + 60)).send().await.unwrap();
    world.produce("m-b", &tag("r-1", 1, 3)).await;
    world.produce("m-c", &tag("another request", 2, 3)).await;

    let after = answer(door.post(READINGS, NDJSON, body()).header("idempotency-key", "k")).await;
    assert_eq!(after, expected(&door).await);
    assert_eq!(counts(&world, &["m-a", "m-b", "m-c"]).await, [1, 1, 2], "the last one's first copy is not of it");
    drop(door);
    world.remove().await;
}

/// What was begun for a client that has gone is finished, and its retry is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_breaks_off_leaves_a_whole_request() {
    let _broker = BROKER.read().await;
    let world = World::new().await;
    let proxy = Proxy::to(&world.stack.dynamodb_endpoint()).await;
    let through = format!("http://{}", proxy.address);
    let door = world.start(&[("IDEMPOTENCY__ENDPOINT", &through)]).await;
    let event = |kind: &str| format!(r#"{{"device_id":"m-a","kind":"{kind}","at":"2026-03-29T00:30:00Z"}}"#);
    let keyed = |kind: &str| door.post("/v1/events", "application/json", event(kind)).header("idempotency-key", "k");
    proxy.hold(Hold::Answer, UPDATE);
    let request = tokio::spawn(keyed("TAMPER").send());
    proxy.met().await;
    request.abort();
    proxy.release();
    let (after, _) = insist(|| keyed("TAMPER")).await;
    assert_eq!(after.status, StatusCode::ACCEPTED);
    assert_eq!(world.stored("events").await.get("m-a"), Some(&1));
    assert_eq!(answer(keyed("LAST_GASP")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    drop(door);
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_table_a_key_is_refused_and_not_ignored() {
    let _broker = BROKER.read().await;
    let world = World::new().await;
    let door = world.start(&[("IDEMPOTENCY__ENABLED", "false")]).await;
    let refused = answer(door.post(READINGS, NDJSON, body()).header("idempotency-key", "k")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.body.contains("bad-idempotency-key"), "{refused:?}");
    assert_eq!(answer(door.post(READINGS, NDJSON, body())).await.status, StatusCode::ACCEPTED);
    assert_eq!(counts(&world, &["m-a"]).await, [1]);
    drop(door);
    world.remove().await;
}

//! Each fault as client and server see it.

use std::time::Duration;

use reqwest::StatusCode;
use torture::proxy::{HttpFault, HttpProxy, Rule, Times};

use super::server::{self, Shared};

/// A client that gives up, proxy and server.
struct Scene {
    client: reqwest::Client,
    proxy: HttpProxy,
    seen: Shared,
}

impl Scene {
    async fn new() -> Self {
        let (upstream, seen) = server::start().await;
        let proxy = HttpProxy::start(upstream, 1).await.unwrap();
        service_runtime::install_crypto_provider();
        // Without a pool of idle connections, no retry of the client's own hides a reset.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(Duration::from_secs(20));
        Self { client: client.build().unwrap(), proxy, seen }
    }

    fn url(&self, key: &str) -> String {
        format!("http://{}/{key}", self.proxy.address())
    }

    async fn put(&self, key: &str, body: Vec<u8>) -> reqwest::Result<reqwest::Response> {
        self.client.put(self.url(key)).body(body).send().await
    }

    async fn get(&self, key: &str) -> reqwest::Result<Vec<u8>> {
        let answer = self.client.get(self.url(key)).send().await?.error_for_status()?;
        Ok(answer.bytes().await?.to_vec())
    }

    fn stored(&self, key: &str) -> Option<usize> {
        self.seen.lock().unwrap().objects.get(key).map(|object| object.len())
    }

    fn arrived(&self) -> usize {
        self.seen.lock().unwrap().requests.len()
    }

    fn once(&self, fault: HttpFault) {
        self.proxy.inject(Rule::new(fault).times(Times::Next(1)));
    }
}

fn body() -> Vec<u8> {
    (0..300_000_u32).map(|number| number as u8).collect()
}

#[tokio::test]
async fn without_a_fault_everything_passes_unchanged_host_included() {
    let scene = Scene::new().await;
    assert_eq!(scene.put("a", body()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(scene.get("a").await.unwrap(), body());
    let head = scene.client.head(scene.url("a")).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "300000");
    assert_eq!(scene.client.get(scene.url("none")).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let host = scene.proxy.address().to_string();
    assert!(scene.seen.lock().unwrap().requests.iter().all(|(_, _, seen)| *seen == host));
    let counts = scene.proxy.counts();
    assert_eq!((counts.requests, counts.injected.len()), (4, 0));
}

#[tokio::test]
async fn one_connection_carries_many_requests_around_refusals() {
    let scene = Scene::new().await;
    let client = reqwest::Client::builder().pool_max_idle_per_host(1).build().unwrap();
    scene.proxy.inject(Rule::new(HttpFault::SlowDown).method("PUT").skip(1).times(Times::Next(1)));
    for expected in [200, 503, 200] {
        let answer = client.put(scene.url("a")).body(body()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected);
        answer.bytes().await.unwrap();
    }
    assert_eq!((scene.proxy.counts().connections, scene.arrived()), (1, 2));
}

#[tokio::test]
async fn slow_down_and_conflict_are_answered_without_the_server() {
    let scene = Scene::new().await;
    for (fault, status, code) in [
        (HttpFault::SlowDown, StatusCode::SERVICE_UNAVAILABLE, "<Code>SlowDown</Code>"),
        (HttpFault::Conflict, StatusCode::CONFLICT, "<Code>ConditionalRequestConflict</Code>"),
    ] {
        scene.once(fault);
        let answer = scene.put("a", body()).await.unwrap();
        assert_eq!(answer.status(), status);
        assert!(answer.text().await.unwrap().contains(code));
        assert_eq!(scene.proxy.counts().of(fault.name()), 1);
    }
    assert_eq!(scene.arrived(), 0);
    scene.once(HttpFault::SlowDown);
    assert_eq!(scene.client.head(scene.url("a")).send().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_lost_answer_was_done_and_the_client_does_not_know() {
    let scene = Scene::new().await;
    scene.once(HttpFault::LostAnswer);
    scene.put("a", body()).await.unwrap_err();
    assert_eq!(scene.stored("a"), Some(300_000));
    assert_eq!(scene.get("a").await.unwrap(), body());
}

#[tokio::test]
async fn a_half_answer_ends_in_the_middle() {
    let scene = Scene::new().await;
    scene.put("a", body()).await.unwrap();
    scene.once(HttpFault::HalfAnswer);
    scene.get("a").await.unwrap_err();
    scene.once(HttpFault::HalfAnswer);
    // Half a head: there is no body to halve.
    scene.put("b", body()).await.unwrap_err();
    assert_eq!(scene.stored("b"), Some(300_000));
}

#[tokio::test]
async fn of_half_a_request_and_of_a_reset_one_nothing_is_stored() {
    let scene = Scene::new().await;
    for fault in [HttpFault::HalfRequest, HttpFault::Reset] {
        scene.once(fault);
        scene.put("a", body()).await.unwrap_err();
        assert_eq!((scene.stored("a"), scene.arrived()), (None, 0), "{fault:?}");
    }
    scene.put("a", body()).await.unwrap();
    assert_eq!(scene.stored("a"), Some(300_000));
}

#[tokio::test]
async fn a_delayed_request_is_served() {
    let scene = Scene::new().await;
    scene.once(HttpFault::Delay(Duration::from_millis(50)));
    assert_eq!(scene.put("a", body()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(scene.proxy.counts().of("delay"), 1);
}

#[tokio::test]
async fn a_share_of_requests_fails_and_the_others_do_not() {
    let scene = Scene::new().await;
    let rule = scene.proxy.inject(Rule::new(HttpFault::SlowDown).method("PUT").times(Times::Share(0.3)));
    let mut refused = 0;
    for _ in 0..100 {
        refused += u64::from(scene.put("a", vec![1]).await.unwrap().status() == StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(scene.proxy.counts().of("slow_down"), refused);
    assert!((15..50).contains(&refused), "{refused}");
    scene.proxy.remove(rule);
    assert_eq!(scene.put("a", vec![1]).await.unwrap().status(), StatusCode::OK);
}

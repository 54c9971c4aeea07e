use std::time::Duration;

use service_runtime::{AdminConfig, AdminServer, Liveness, MetricsHandle, Readiness, ServiceInfo};
use tokio_util::sync::CancellationToken;

struct Admin {
    base: String,
    readiness: Readiness,
    liveness: Liveness,
    stop: CancellationToken,
}

async fn admin() -> Admin {
    service_runtime::install_crypto_provider();
    let info = ServiceInfo { name: "tested", version: "1.2.3", defaults: "" };
    let config = AdminConfig { listen: "127.0.0.1:0".parse().unwrap() };
    let (readiness, liveness) = (Readiness::default(), Liveness::default());
    let metrics = MetricsHandle::install().unwrap();
    let server = AdminServer::bind(&config, info, readiness.clone(), liveness.clone(), metrics).await.unwrap();
    let base = format!("http://{}", server.address());
    let stop = CancellationToken::new();
    tokio::spawn(server.serve(stop.clone()));
    Admin { base, readiness, liveness, stop }
}

async fn get(admin: &Admin, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("{}{path}", admin.base)).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn ready_follows_the_service_and_tells_the_reason() {
    let admin = admin().await;
    assert_eq!(get(&admin, "/ready").await, (503, r#"{"ready":false,"reason":"starting"}"#.to_owned()));
    admin.readiness.set_ready();
    assert_eq!(get(&admin, "/ready").await, (200, r#"{"ready":true}"#.to_owned()));
    admin.readiness.set_unready("broker is away");
    assert_eq!(get(&admin, "/ready").await.0, 503);
}

#[tokio::test]
async fn live_fails_while_a_watched_loop_is_silent() {
    let admin = admin().await;
    assert_eq!(get(&admin, "/live").await.0, 200);
    let beat = admin.liveness.beat_handle("poll", Duration::from_millis(20));
    tokio::time::sleep(Duration::from_millis(60)).await;
    let (status, body) = get(&admin, "/live").await;
    assert_eq!(status, 503);
    assert!(body.contains(r#""loop":"poll""#), "{body}");
    drop(beat);
    assert_eq!(get(&admin, "/live").await.0, 200);
}

#[tokio::test]
async fn metrics_and_version_are_served() {
    let admin = admin().await;
    metrics::counter!("tested_things_total").increment(3);
    metrics::histogram!("tested_wait_seconds").record(0.02);
    let (status, body) = get(&admin, "/metrics").await;
    assert_eq!(status, 200);
    assert!(body.contains("tested_things_total 3"), "{body}");
    assert!(body.contains(r#"tested_wait_seconds_bucket{le="0.025"} 1"#), "{body}");
    assert_eq!(get(&admin, "/version").await.1, r#"{"name":"tested","version":"1.2.3"}"#);
    admin.stop.cancel();
}

use super::*;
use meterway_schemas::{AlertKind, AlertState, Severity};
use service_runtime::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn config(url: &str, allow_private: bool) -> WebhookConfig {
    WebhookConfig {
        url: url.to_owned(),
        secret: Secret::new("a secret of some length"),
        allow_private,
        timeout: Duration::from_secs(2),
        attempts: 3,
        retry: Backoff::new(Duration::from_millis(1), Duration::from_millis(5), 0.5).unwrap(),
        queue: 4,
    }
}

fn change() -> AlertChange {
    let alert = Alert {
        tenant_id: "t".into(),
        device_id: "d".into(),
        customer_id: None,
        site_id: None,
        alert_id: "a".into(),
        kind: AlertKind::Outage,
        severity: Severity::Critical,
        state: AlertState::Opened,
        revision: 1,
        opened_at: 1,
        updated_at: 1,
        closed_at: None,
        detail: "gone".into(),
    };
    AlertChange { alert, window: 1, seen: crate::core::episode::Seen::NOTHING }
}

/// Answers each connection with the next status and gives back the requests as text.
async fn receiver(statuses: &'static [u16]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let mut requests = Vec::new();
        for status in statuses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0, "the request ends before its body");
            }
            let answer = format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            requests.push(String::from_utf8(request).unwrap());
        }
        requests
    });
    (url, served)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    body.len() >= length.parse::<usize>().unwrap()
}

#[test]
fn private_targets_need_permission() {
    for url in
        ["https://127.0.0.1/x", "https://[::1]/x", "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/"]
    {
        assert!(matches!(target(&config(url, false)), Err(InvalidTarget::Forbidden(_))), "{url}");
        assert!(target(&config(url, true)).is_ok(), "{url}");
    }
    assert!(matches!(target(&config("http://example.com/", false)), Err(InvalidTarget::Scheme)));
    assert!(matches!(target(&config("file:///etc/passwd", true)), Err(InvalidTarget::Scheme)));
    assert!(matches!(target(&config("https://u:p@example.com/", false)), Err(InvalidTarget::Credentials)));
    assert!(target(&config("https://example.com/hook", false)).is_ok());
}

#[test]
fn the_signature_covers_time_and_body() {
    let secret = Secret::new("key");
    // HMAC-SHA256("key", "1.{}"), computed with another implementation.
    insta::assert_snapshot!(signature(&secret, 1, b"{}"), @"t=1,v1=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224");
    assert_ne!(signature(&secret, 1, b"{}"), signature(&secret, 2, b"{}").replace("t=2", "t=1"));
}

#[tokio::test]
async fn an_alert_is_tried_again_until_the_receiver_takes_it() {
    service_runtime::install_crypto_provider();
    let (url, served) = receiver(&[503, 429, 204]).await;
    let notifier = Notifier::start(&config(&url, true), Arc::new(SystemClock), CancellationToken::new()).unwrap();
    notifier.offer(&[change()]);
    let requests = tokio::time::timeout(Duration::from_secs(10), served).await.unwrap().unwrap();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        assert!(request.contains("x-meterway-message: a-1\r\n"), "{request}");
        assert!(request.contains("x-meterway-signature: t="), "{request}");
        assert!(request.ends_with("\"detail\":\"gone\"}"), "{request}");
    }
    notifier.close().await;
}

#[tokio::test]
async fn a_full_queue_drops_and_never_waits() {
    service_runtime::install_crypto_provider();
    // Port 9 of the loopback interface: nobody answers, so the first alert occupies the delivery.
    let slow = WebhookConfig {
        retry: Backoff::new(Duration::from_secs(60), Duration::from_secs(60), 0.0).unwrap(),
        ..config("http://127.0.0.1:9/", true)
    };
    let shutdown = CancellationToken::new();
    let notifier = Notifier::start(&slow, Arc::new(SystemClock), shutdown.clone()).unwrap();
    let many = vec![change(); 100];
    tokio::time::timeout(Duration::from_secs(1), async { notifier.offer(&many) }).await.unwrap();
    shutdown.cancel();
    notifier.close().await;
}

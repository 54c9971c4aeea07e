//! Against a small HTTP server that answers what the test says.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

struct Script {
    registry: Registry,
    requests: Arc<AtomicUsize>,
}

/// Answers request after request with the given (status, body) pairs, the last one for ever.
async fn scripted(answers: Vec<(u16, &'static str)>) -> Script {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:word@{}/api", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (status, body) = answers[count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)];
            let mut buffer = vec![0; 8192];
            let read = stream.read(&mut buffer).await.unwrap();
            let request = String::from_utf8_lossy(&buffer[..read]).to_lowercase();
            assert!(request.contains("authorization: basic"), "credentials of the url are sent");
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    Script { registry: Registry::new(&RegistryConfig { url }).unwrap(), requests }
}

#[tokio::test]
async fn schema_is_asked_for_once() {
    let script = scripted(vec![(200, r#"{"schema":"\"string\""}"#)]).await;
    for _ in 0..3 {
        assert_eq!(&*script.registry.schema_by_id(7).await.unwrap(), "\"string\"");
    }
    assert_eq!(script.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn unknown_id_is_remembered() {
    let script = scripted(vec![(404, r#"{"error_code":40403,"message":"Schema not found"}"#)]).await;
    for _ in 0..3 {
        assert!(matches!(script.registry.schema_by_id(7).await, Err(RegistryError::NotFound(_))));
    }
    assert_eq!(script.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn outage_is_transient_and_tried_again() {
    let script = scripted(vec![(503, ""), (500, ""), (200, r#"{"schema":"\"string\""}"#)]).await;
    assert!(script.registry.schema_by_id(7).await.is_ok());
    assert_eq!(script.requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn attempts_are_bounded() {
    let script = scripted(vec![(503, "")]).await;
    assert!(script.registry.schema_by_id(7).await.unwrap_err().is_transient());
    assert_eq!(script.requests.load(Ordering::SeqCst), ATTEMPTS as usize);
}

#[tokio::test]
async fn page_of_a_proxy_is_never_an_unknown_id() {
    let script = scripted(vec![(404, "<html>no such page</html>")]).await;
    assert!(script.registry.schema_by_id(7).await.unwrap_err().is_transient());
    let script = scripted(vec![(200, "<html>welcome</html>")]).await;
    assert!(script.registry.schema_by_id(7).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn nobody_listening_is_transient() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let registry = Registry::new(&RegistryConfig { url: format!("http://{port}") }).unwrap();
    assert!(registry.schema_by_id(1).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn refusal_is_not_tried_again() {
    let script = scripted(vec![(409, r#"{"message":"incompatible"}"#)]).await;
    let error = script.registry.register("s", "\"int\"").await.unwrap_err();
    assert!(matches!(&error, RegistryError::Refused { status: 409, .. }) && error.to_string().contains("incompatible"));
    assert_eq!(script.requests.load(Ordering::SeqCst), 1);
}

#[test]
fn useless_urls_are_refused_without_showing_credentials() {
    for url in ["registry:8081", "ftp://user:hush@host/", "not a url"] {
        let error = Registry::new(&RegistryConfig { url: url.into() }).unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
    }
}

use super::*;
use crate::simulate::core::fleet::ELECTRICITY;
use crate::simulate::core::usage::interval;
use crate::simulate::edge::journal::RunLine;
use meterway_schemas::Source;
use meterway_schemas::encode::Reading;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TAKEN: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 15\r\nconnection: close\r\n\r\n{\"rejected\":[]}";
const BUSY: &str =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const IN_WORK: &str = "HTTP/1.1 409 Conflict\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const NO_ANSWER: &str = "";
const HALF_AN_ANSWER: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 15\r\nconnection: close\r\n\r\n{\"rej";
const REFUSED: &str = "HTTP/1.1 422 Unprocessable Content\r\ncontent-length: 4\r\nconnection: close\r\n\r\nwhy?";

/// Requests as they came, one per connection.
type Requests = Arc<Mutex<Vec<String>>>;

/// A door that answers in this order, the last answer for ever.
async fn door(answers: &'static [&'static str]) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        for answer in answers.iter().chain(std::iter::repeat(answers.last().unwrap())) {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = request(&mut stream).await;
            seen.lock().unwrap().push(request);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, requests)
}

async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\n") || bytes.ends_with(b"\r\n") {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the body is one line of JSON");
    }
    String::from_utf8(bytes).unwrap()
}

fn header(request: &str, name: &str) -> String {
    let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with(name)).unwrap();
    line.split_once(": ").unwrap().1.to_owned()
}

/// Delivers a reading through the door; the journal's lines behind the first.
async fn deliver(url: &str, patience: Duration) -> (anyhow::Result<()>, Vec<String>, u64) {
    service_runtime::install_crypto_provider();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let run = RunLine { version: 1, run: Uuid::nil(), seed: 1, devices: 1, days: 1, until: String::new() };
    let mut journal = Journal::open(Some(&path), &run).unwrap();
    let topics = Topics { readings: "raw".to_owned(), events: "events".to_owned() };
    let mut way = HttpWay::new(url, ["a".to_owned(), "b".to_owned()], topics, patience).unwrap();
    let readings = [interval(&ELECTRICITY, 1_774_744_200_000_000, 254)];
    way.deliver(&mut journal, 1, &batch(&readings), Note::default()).await.unwrap();
    let flushed = way.flush(&mut journal).await;
    let lines = std::fs::read_to_string(&path).unwrap().lines().skip(1).map(str::to_owned).collect();
    (flushed, lines, way.counts().1)
}

fn batch<'a>(readings: &'a [Reading<'a>]) -> ReadingBatch<'a> {
    ReadingBatch {
        tenant_id: "northgrid",
        device_id: "d",
        gateway_id: "g",
        sequence: 3,
        received_at: None,
        source: Source::Http,
        readings,
    }
}

#[tokio::test]
async fn a_request_is_repeated_under_its_key_until_it_is_taken() {
    let (url, requests) = door(&[NO_ANSWER, BUSY, IN_WORK, HALF_AN_ANSWER, TAKEN]).await;
    let (flushed, lines, retries) = deliver(&url, Duration::from_secs(60)).await;
    flushed.unwrap();
    assert_eq!(retries, 4);
    let requests = requests.lock().unwrap();
    let key = header(&requests[0], "idempotency-key");
    assert!(key.len() > 20 && requests.iter().all(|request| header(request, "idempotency-key") == key));
    assert!(requests.iter().all(|request| request.ends_with("\"unit\":\"kWh\"}]}\n")));
    assert_eq!((requests.len(), lines.len()), (5, 2), "{lines:?}");
    assert!(lines[0].starts_with(r#"{"attempt":1,"topic":"raw","way":"http""#), "{lines:?}");
    assert_eq!(lines[1], r#"{"ack":1,"status":202}"#);
}

#[tokio::test]
async fn what_is_refused_or_never_taken_is_not_acknowledged() {
    let (url, requests) = door(&[REFUSED]).await;
    let (flushed, lines, _) = deliver(&url, Duration::from_secs(60)).await;
    assert!(format!("{:#}", flushed.unwrap_err()).contains("422"));
    assert_eq!((requests.lock().unwrap().len(), lines.len()), (1, 1));
    let (url, _) = door(&[BUSY]).await;
    let (flushed, lines, retries) = deliver(&url, Duration::from_millis(300)).await;
    assert!(format!("{:#}", flushed.unwrap_err()).contains("not taken within"));
    assert!(retries >= 1 && lines.len() == 1);
}

#[test]
fn delivery_is_written_exactly() {
    let readings = [interval(&ELECTRICITY, 1_774_744_200_000_000, 254)];
    let json = serde_json::to_string(&delivery_json(&batch(&readings))).unwrap();
    assert_eq!(
        json,
        r#"{"device_id":"d","gateway_id":"g","sequence":3,"readings":[{"channel":"1-0:1.29.0","kind":"INTERVAL","start":"2026-03-29T00:30:00Z","duration_s":1800,"value":"0.254","unit":"kWh"}]}"#
    );
}

//! A TCP proxy in front of DynamoDB that can hold one sort of request, before or after the table has seen it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Where a matching request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It never reaches the table.
    Request,
    /// The table does it; the client never hears of it.
    Answer,
}

/// The proxy; ends with the test's runtime.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    held: Arc<Held>,
}

struct Held {
    rule: Mutex<Option<(Hold, &'static str)>>,
    met: Notify,
}

impl Proxy {
    pub(crate) async fn to(endpoint: &str) -> Self {
        let target: Arc<str> = endpoint.strip_prefix("http://").unwrap().trim_end_matches('/').into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let held = Arc::new(Held { rule: Mutex::new(None), met: Notify::new() });
        let shared = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&target), Arc::clone(&shared)));
            }
        });
        Self { address, held }
    }

    /// Holds requests whose bytes contain the text, from now on.
    pub(crate) fn hold(&self, what: Hold, text: &'static str) {
        *self.held.rule.lock().unwrap() = Some((what, text));
    }

    /// Holds no further requests.
    pub(crate) fn release(&self) {
        *self.held.rule.lock().unwrap() = None;
    }

    /// Waits until a request was held (and, with [`Hold::Answer`], until the table has answered it).
    pub(crate) async fn met(&self) {
        tokio::time::timeout(Duration::from_secs(60), self.held.met.notified()).await.expect("a request to hold");
    }
}

async fn serve(client: TcpStream, target: Arc<str>, held: Arc<Held>) {
    let Ok(server) = TcpStream::connect(&*target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let silent = Arc::new(AtomicBool::new(false));
    let (muted, heard) = (Arc::clone(&silent), Arc::clone(&held));
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            if muted.load(Ordering::SeqCst) {
                heard.met.notify_one();
            } else if to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        let rule = *held.rule.lock().unwrap();
        let chunk = &buffer[..count];
        match rule.filter(|(_, text)| chunk.windows(text.len()).any(|window| window == text.as_bytes())) {
            Some((Hold::Request, _)) => {
                held.met.notify_one();
                return std::future::pending().await;
            }
            Some((Hold::Answer, _)) => silent.store(true, Ordering::SeqCst),
            None => {}
        }
        if to_server.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

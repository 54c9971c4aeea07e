//! Bytes through the proxy, and everything that stops them. An echo is the server.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use torture::proxy::{Moment, TcpProxy};

const LIMIT: Duration = Duration::from_secs(20);

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn scene() -> (TcpProxy, TcpStream) {
    let proxy = TcpProxy::start(echo().await).await.unwrap();
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, client)
}

/// Says something and hears it, or the error that came instead.
async fn say(client: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    client.write_all(text).await?;
    let mut heard = vec![0; text.len()];
    timeout(LIMIT, client.read_exact(&mut heard)).await.unwrap()?;
    Ok(heard)
}

#[tokio::test]
async fn bytes_pass_and_both_ends_close_in_good_order() {
    let (proxy, mut client) = scene().await;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let (mut from, mut to) = client.split();
    let mut heard = Vec::new();
    let write = async {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let (_, read) = tokio::join!(write, timeout(LIMIT, from.read_to_end(&mut heard)));
    read.unwrap().unwrap();
    assert!(heard == sent);
    assert_eq!(proxy.counts().connections, 1);
}

#[tokio::test]
async fn cut_resets_every_connection_and_takes_new_ones() {
    let (proxy, mut client) = scene().await;
    say(&mut client, b"hello").await.unwrap();
    assert_eq!(proxy.cut(), 1);
    let error = timeout(LIMIT, client.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut again = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut again, b"hello").await.unwrap(), b"hello");
}

#[tokio::test]
async fn refused_connections_are_taken_again_at_the_same_address() {
    let (proxy, mut client) = scene().await;
    say(&mut client, b"one").await.unwrap();
    proxy.refuse(true).await.unwrap();
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(say(&mut client, b"two").await.unwrap(), b"two", "an open connection stays");
    proxy.refuse(false).await.unwrap();
    let mut again = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut again, b"three").await.unwrap(), b"three");
}

#[tokio::test]
async fn a_stalled_connection_says_nothing_until_it_flows_again() {
    let (proxy, mut client) = scene().await;
    say(&mut client, b"one").await.unwrap();
    proxy.stall(true);
    client.write_all(b"two").await.unwrap();
    let mut heard = [0; 3];
    assert!(timeout(Duration::from_millis(300), client.read_exact(&mut heard)).await.is_err());
    proxy.stall(false);
    timeout(LIMIT, client.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(&heard, b"two");
}

#[tokio::test]
async fn a_slow_connection_needs_its_time_and_loses_nothing() {
    let (proxy, mut client) = scene().await;
    proxy.slow(Some(100_000));
    let began = std::time::Instant::now();
    assert_eq!(say(&mut client, &[7; 20_000]).await.unwrap(), [7; 20_000]);
    // Both ways at 100 kB/s, overlapping: not faster than one way, however slow the machine.
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn an_answer_is_cut_behind_its_byte_and_the_next_is_not() {
    let (proxy, mut client) = scene().await;
    proxy.cut_answer_after(4, 1);
    client.write_all(b"0123456789").await.unwrap();
    let mut heard = Vec::new();
    let error = timeout(LIMIT, client.read_to_end(&mut heard)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(heard.len() <= 4, "a reset may overtake bytes, but never lets more through");
    let mut again = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut again, b"0123456789").await.unwrap(), b"0123456789");
    assert_eq!(proxy.counts().of("cut_answer"), 1);
}

#[tokio::test]
async fn a_pattern_is_found_across_two_writes() {
    let (proxy, mut client) = scene().await;
    proxy.cut_at(b"COMMIT", Moment::BeforeRequest, 1);
    assert_eq!(say(&mut client, b"INSERT;COM").await.unwrap(), b"INSERT;COM");
    assert!(say(&mut client, b"MIT").await.is_err());
    assert_eq!(proxy.counts().of("cut_before_request"), 1);
}

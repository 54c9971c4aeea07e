//! A header name that is not UTF-8, which only a hand-made produce request can carry.

use kafka_pipeline::{StartAt, read_tail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Topic, kafka};

#[tokio::test(flavor = "multi_thread")]
async fn header_name_that_is_not_utf8_does_not_stop_the_consumer() {
    let topic = Topic::new(1).await;
    produce_raw(&topic.name, b"na\xffme", b"payload").await;
    let blocks = read_tail(&kafka(), &topic.at(0), StartAt::Beginning).await.unwrap().collect().await.unwrap();
    let record = blocks[0].get(0);
    assert_eq!(record.payload, Some(&b"payload"[..]));
    assert_eq!(record.headers.len(), 1);
    assert_eq!((record.headers[0].key.as_str(), &record.headers[0].value), ("\u{fffd}", &None));
    topic.drop().await;
}

/// Sends one record with one header to partition 0, in a Produce request of version 3.
async fn produce_raw(topic: &str, header: &[u8], payload: &[u8]) {
    let bootstrap = kafka().bootstrap_servers;
    let mut stream = TcpStream::connect(bootstrap.split(',').next().unwrap()).await.unwrap();
    let batch = record_batch(header, payload);
    let mut request = Vec::new();
    request.extend([0, 0, 0, 3, 0, 0, 0, 1]); // produce, version 3, correlation 1
    text(&mut request, "raw");
    request.extend((-1_i16).to_be_bytes()); // no transaction
    request.extend((-1_i16).to_be_bytes()); // all in-sync replicas
    request.extend(10_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    text(&mut request, topic);
    request.extend([0, 0, 0, 1, 0, 0, 0, 0]); // one partition: 0
    request.extend(i32::try_from(batch.len()).unwrap().to_be_bytes());
    request.extend(batch);
    stream.write_all(&i32::try_from(request.len()).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let length = stream.read_i32().await.unwrap();
    let mut answer = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut answer).await.unwrap();
    let error_at = 4 + 4 + 2 + topic.len() + 4 + 4; // correlation, topics, name, partitions, index
    assert_eq!(answer[error_at..error_at + 2], [0, 0], "the broker took it");
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text.as_bytes());
}

/// Lengths below 64 as zigzag varints: one byte each.
fn short(length: usize) -> u8 {
    u8::try_from(length).ok().filter(|length| *length < 64).unwrap() * 2
}

fn record_batch(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0, 0, 1, short(payload.len())]; // attributes, time, offset, null key
    record.extend(payload);
    record.extend([short(1), short(header.len())]);
    record.extend(header);
    record.extend([short(1), b'v']);
    let mut body = vec![0, 0, 0, 0, 0, 0]; // attributes, last offset delta
    body.extend([1_i64.to_be_bytes(), 1_i64.to_be_bytes(), (-1_i64).to_be_bytes()].concat()); // times, no producer
    body.extend((-1_i16).to_be_bytes());
    body.extend((-1_i32).to_be_bytes());
    body.extend([0, 0, 0, 1, short(record.len())]);
    body.extend(record);
    let mut batch = vec![0; 8]; // base offset
    batch.extend(i32::try_from(body.len() + 9).unwrap().to_be_bytes());
    batch.extend([0, 0, 0, 0, 2]); // leader epoch, magic
    batch.extend(crc32c(&body).to_be_bytes());
    batch.extend(body);
    batch
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

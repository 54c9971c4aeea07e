//! Reads a body under two limits: bytes as sent, and bytes after decompression. Decompression is a stream, so a small body
//! that would grow without end costs no more than the second limit. Concatenated members are all read: to stop behind the
//! first would lose what follows in silence.

use super::problem::{Code, Problem};
use async_compression::{tokio::bufread, zstd::DParameter};
use axum::{body::Body, http::HeaderMap};
use bytesize::ByteSize;
use futures::TryStreamExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::{error::Error, io};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

/// Largest zstd window, as a power of two: 8 MiB, what the format tells every decoder to support.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The whole body as text.
///
/// # Errors
/// [`Code::TooLarge`] for either limit, [`Code::UnsupportedMediaType`] for an unknown encoding, [`Code::BadBody`] when the
/// client broke off, the compressed data is broken or the text is not UTF-8.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    max_encoded: ByteSize,
    max_decoded: ByteSize,
) -> Result<String, Problem> {
    let limited = Limited::new(body, usize::try_from(max_encoded.as_u64()).unwrap_or(usize::MAX));
    let stream = limited.into_data_stream().map_err(io::Error::other);
    let encoded = StreamReader::new(stream);
    let bytes = match encoding(headers)? {
        Encoding::Identity => collect(encoded, max_decoded).await,
        Encoding::Gzip => {
            let mut decoder = bufread::GzipDecoder::new(encoded);
            decoder.multiple_members(true);
            collect(decoder, max_decoded).await
        }
        Encoding::Zstd => {
            let parameters = [DParameter::window_log_max(ZSTD_WINDOW_LOG)];
            let mut decoder = bufread::ZstdDecoder::with_params(encoded, &parameters);
            decoder.multiple_members(true);
            collect(decoder, max_decoded).await
        }
    }?;
    String::from_utf8(bytes).map_err(|_| Problem::new(Code::BadBody, "the body is not UTF-8"))
}

enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let Some(value) = headers.get("content-encoding") else { return Ok(Encoding::Identity) };
    match value.to_str().unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        other => Err(Problem::new(
            Code::UnsupportedMediaType,
            format!("content encoding {other:?} is not one of gzip, zstd, identity"),
        )),
    }
}

async fn collect(source: impl AsyncRead, limit: ByteSize) -> Result<Vec<u8>, Problem> {
    let limit = limit.as_u64();
    let mut bytes = Vec::new();
    let mut source = std::pin::pin!(source.take(limit + 1));
    match source.read_to_end(&mut bytes).await {
        Ok(_) if bytes.len() as u64 > limit => {
            Err(Problem::new(Code::TooLarge, format!("more than {limit} bytes after decompression")))
        }
        Ok(_) => Ok(bytes),
        Err(error) if is_length_limit(&error) => {
            Err(Problem::new(Code::TooLarge, "more bytes than a request may send"))
        }
        Err(error) => Err(Problem::new(Code::BadBody, error)),
    }
}

fn is_length_limit(error: &io::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
    use axum::http::HeaderValue;
    use tokio::io::AsyncWriteExt;

    const MIB: usize = 1 << 20;

    async fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzipEncoder::new(Vec::new());
        encoder.write_all(bytes).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    }

    async fn zstd(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZstdEncoder::new(Vec::new());
        encoder.write_all(bytes).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    }

    async fn decode(encoding: &'static str, body: Vec<u8>) -> Result<String, Code> {
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", HeaderValue::from_static(encoding));
        let result = read(&headers, Body::from(body), ByteSize::mib(8), ByteSize::mib(32)).await;
        result.map_err(|problem| problem.code())
    }

    #[tokio::test]
    async fn every_encoding_is_read_and_members_are_joined() {
        assert_eq!(decode("identity", b"abc".to_vec()).await.unwrap(), "abc");
        assert_eq!(decode("gzip", [gzip(b"ab").await, gzip(b"c").await].concat()).await.unwrap(), "abc");
        assert_eq!(decode("zstd", [zstd(b"ab").await, zstd(b"c").await].concat()).await.unwrap(), "abc");
        assert_eq!(decode("br", b"abc".to_vec()).await, Err(Code::UnsupportedMediaType));
    }

    #[tokio::test]
    async fn ten_gigabytes_in_a_small_body_stop_at_the_second_limit() {
        let member = gzip(&vec![b' '; 8 * MIB]).await;
        let bomb = member.repeat(10 * 1024 / 8);
        assert!(bomb.len() > MIB, "the bomb would hold 10 GiB");
        assert_eq!(decode("gzip", bomb[..7 * MIB].to_vec()).await, Err(Code::TooLarge));
        let bomb = zstd(&vec![b' '; 8 * MIB]).await.repeat(10 * 1024 / 8);
        assert_eq!(decode("zstd", bomb).await, Err(Code::TooLarge));
    }

    #[tokio::test]
    async fn more_than_may_be_sent_stops_at_the_first_limit() {
        assert_eq!(decode("identity", vec![b' '; 9 * MIB]).await, Err(Code::TooLarge));
    }

    #[tokio::test]
    async fn broken_data_is_refused() {
        let mut broken = gzip(b"abcabcabc").await;
        broken.truncate(broken.len() - 6);
        assert_eq!(decode("gzip", broken).await, Err(Code::BadBody));
        assert_eq!(decode("zstd", b"no zstd".to_vec()).await, Err(Code::BadBody));
        assert_eq!(decode("identity", vec![0xff, 0xfe]).await, Err(Code::BadBody));
    }
}
